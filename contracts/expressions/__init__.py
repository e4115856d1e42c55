"""The expression language of plans: a small, bounded part of Python, compiled to closures. docs/expressions.md is its manual.

`expression` is the way in; the other modules are what it is made of.
"""
