"""What every transport keeps to: how many connections, how long an idle one, how much of an answer."""

from __future__ import annotations

import sys

from stratum.engine.providers.protocol import TransportFailure

MOST_CONNECTIONS = 1024
KEEPALIVE_S = 15.0
"""How long an idle connection is kept, seconds; servers commonly close theirs after 60."""


def affordable_connections() -> int:
    """Half of the process's file descriptors, at most `MOST_CONNECTIONS`: the rest belong to its other files."""
    if sys.platform == "win32":  # pragma: no cover  # has no such limit
        return MOST_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft // 2))


def refuse_body(name: bytes, value: bytes, *, max_body_bytes: int) -> None:
    """Look at one header of an answer, its name in lower case, before its body is received.

    Raises:
        TransportFailure: the body is compressed although identity was asked for (194 KB can unpack to 200 MB), or too long.
    """
    if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
        raise TransportFailure(
            reason=f"the answer is compressed ({value.decode('latin-1')}) although that was declined; it was not unpacked",
            sent=True,
            retryable=False,
            fix="switch compression off in the server or proxy at base_url",
        )
    if name == b"content-length" and value.isdigit() and int(value) > max_body_bytes:
        raise too_long(max_body_bytes)


def too_long(max_body_bytes: int) -> TransportFailure:
    return TransportFailure(
        reason=f"the answer is longer than {max_body_bytes:,} bytes; it was cut off",
        sent=True,
        retryable=False,
        fix="pass max_body_bytes= if answers of this size are meant",
    )
