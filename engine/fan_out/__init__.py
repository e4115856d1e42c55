"""Calls made at once, under the budget around them: `parallel`, `race`, `debate`, `quorum=` and `stable=`.

`fan_out` runs branches for all of them; `composed` makes one step of many calls.
"""
