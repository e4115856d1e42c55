"""The hash chain of a run: what makes a lost, changed or reordered record visible.

    hash(n) = SHA-256(hash(n-1) | n | at | SHA-256(body) | kind)      hash(0) = SHA-256(run)

The body enters by its digest, so that pruning a body leaves the chain whole.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct

_NUMBERS = Struct(">QQ")  # n and at, big-endian


def chain_start(run: str) -> bytes:
    """What stands before the run's first record: a record moved to another run does not fit there."""
    return sha256(run.encode()).digest()


def chain_link(previous: bytes, n: int, *, at: int, kind: str, body_digest: bytes) -> bytes:
    """The hash of record `n`, given that of the one before it."""
    # Every part but the last has a fixed length: no two different records give the same bytes.
    return sha256(previous + _NUMBERS.pack(n, at) + body_digest + kind.encode()).digest()
