"""`unlike_a_message`: lines that the SDK would take for something else than they are, and leave without an answer."""

from __future__ import annotations

from typing import Any

import msgspec


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line is not passed on."""

    why: str
    id: int | str | None = None
    """Of the request that it is; `None` where that cannot be told."""


class _Envelope(msgspec.Struct):
    id: Any = msgspec.UNSET
    method: Any = msgspec.UNSET
    params: msgspec.Raw = msgspec.Raw()


def unlike_a_message(line: bytes) -> Refused | None:
    """What is wrong with a line as a message; `None` for nothing, and for what the SDK refuses by itself.

    A request with an id that is no id is a notification to the SDK, which nobody answers. With parameters that are no object it
    is nothing at all, though its id is there to be answered. Bytes that are no text would become question marks in a plan.
    """
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Refused(why=f"it is not UTF-8 (byte {error.start + 1} of {len(line)}); write UTF-8")
    try:
        envelope = msgspec.json.decode(line, type=_Envelope)
    except (msgspec.DecodeError, RecursionError):
        return None
    if envelope.method is msgspec.UNSET:
        return None
    if envelope.id is not msgspec.UNSET and type(envelope.id) not in (int, str):
        return Refused(why="the id of its request is neither a text nor a whole number; give it one that is")
    if bytes(envelope.params).lstrip()[:1] not in (b"", b"{"):
        request = None if envelope.id is msgspec.UNSET else envelope.id
        return Refused(why="its params are no object; write them by name", id=request)
    return None
