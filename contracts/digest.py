"""Digests: the same 12 hex characters for the same value, in every process and on every Python."""

from __future__ import annotations

import hashlib
import json
from typing import Any

DIGEST_CHARACTERS = 12


def canonical_json(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no whitespace, ASCII only: one value, one text.

    Raises:
        ValueError: NaN or infinite numbers, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest12(content: bytes) -> str:
    """The first 12 hex characters of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
