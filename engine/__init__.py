"""How a step runs: decorators, prompt, attempt loop, scopes, providers.

Above: mcp_bridge and the command line. Below: actors and contracts.
"""
