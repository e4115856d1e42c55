"""How a call is written on the wire and its answer read: OpenAI's Responses and chat completions.

Pure bytes and values: no sockets here (providers), no retries (the attempt loop).
"""
