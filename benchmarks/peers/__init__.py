"""Other people's engines, measured at the same tasks, each in an environment of its own (`make bench-peers`)."""
