"""The embedded model: real inference with no key, in a process of our own on a loopback port.

`weights.py` says which models there are and brings them here, `sources.py` moves the bytes, `llama_child.py` is the
process that serves them, `server.py` starts it and keeps it warm.

Above: the `local` provider and `stratum local fetch`. Below: contracts.
"""
