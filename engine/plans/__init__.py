"""Running a plan: what is proposed, approved, done step by step, and told of it. `Plans` is the way in.

Above: the command line, the page and the MCP bridge. Below: the scheduler, which knows nothing of steps, and the parts
of the engine that flows use too: calls, budgets, the journal.
"""
