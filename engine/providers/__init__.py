"""Who answers a call: bytes in, bytes out, behind one Protocol. The only place that imports openai or httpx2."""
