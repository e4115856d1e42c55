"""`read_recorded`: an answer from the journal, as the dialect that a resumed run speaks now."""

from __future__ import annotations

from collections.abc import Mapping

from stratum.engine.dialects.named import dialect_named
from stratum.engine.dialects.protocol import Completion, Dialect, Finish, Status

_FINISHES: Mapping[Status, Finish] = {"refused": "refusal", "truncated": "length", "filtered": "content_filter"}


def read_recorded(body: bytes, *, recorded: str, dialect: Dialect, tool: str) -> Completion:
    """Read what the dialect named `recorded` received; a retry in `dialect` can quote it.

    Between dialects the answer is carried over by its meaning: what only its own provider can read,
    encrypted reasoning, stays behind.

    Args:
        recorded: Empty for a journal that does not say: it is then `dialect`'s own.
        tool: The function that was called.
    """
    if recorded in ("", dialect.name):
        return dialect.read(body)
    completion = dialect_named(recorded).read(body)
    if completion.status in ("failed", "unreadable"):
        return completion
    written = dialect.write(
        tool=completion.tool or tool,
        # What there is of a call that was cut off, too.
        arguments=completion.arguments if completion.arguments or completion.status == "called" else None,
        usage=completion.usage,
        model=completion.model,
        text=completion.text,
        finish=_FINISHES.get(completion.status, "stop"),
        extra={"id": completion.response_id} if completion.response_id else None,
    )
    return dialect.read(written)
