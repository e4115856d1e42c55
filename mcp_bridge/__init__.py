"""How an agent reaches Stratum: the MCP server, its tools, and what it asks of a person."""
