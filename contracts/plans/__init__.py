"""A plan as data: its steps and graph, what is wrong with it, how it is shown, and where its run stands.

`plan` is what people and agents write; `check` turns it into a `CompiledPlan`, which the engine runs.
"""
