"""`ensure=` and `given=`: callables that must hold, how their source is found and quoted, and what they saw."""
