"""How an agent reaches Stratum."""
