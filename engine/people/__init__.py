"""Questions to people: a `Review` waits to be answered, sinks put it before somebody, and the clocks of budgets stand meanwhile.

A flow asks by `await_human`, and a plan by its gates.
"""
