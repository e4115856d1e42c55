"""Drift: code that calls a model beside the runtime. Read from the syntax tree; nothing is imported or run.

source.py reads files, names.py says what a name stands for, model_calls.py which calls reach a model; one rule a file
judges them; check.py puts them together.
"""
