"""`stratum ui`: a local page over one project's journal: plans are reviewed, edited and approved, runs watched, questions answered.

It owns no run. What it shows is what the journal says, whichever process wrote it; what it does goes the way `stratum approve`,
`plan edit`, `gate` and `cancel` go: the approvals' folder, a new draft, the inbox. Pages are whole without JavaScript.
"""
