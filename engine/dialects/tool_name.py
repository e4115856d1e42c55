"""What a function's tool is called on the wire."""

from __future__ import annotations

import re

MAX_LENGTH = 64

_forbidden = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(function: str) -> str:
    """`function`, or what providers take of it: Python also allows `prüfe`, and names longer than 64 characters."""
    return _forbidden.sub("_", function)[:MAX_LENGTH]
