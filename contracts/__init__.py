"""What a value must be: contracts, schemas, digests, budgets, prices, records and errors.

Pure: no event loop and no I/O. Everything above imports from here; this imports nothing of Stratum's above it.
"""
