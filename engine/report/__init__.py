"""A run as one page: what was done, in which order, how long it took, what it cost, and why it was done again.

Pure: records in, HTML out. Nothing is loaded when the page is opened, and nothing of it is executed.
"""
