"""`echo`: how much of a rejected answer a retry shows the model again.

A whole call goes back as it came, so that the model can mend what was wrong with it. Anything else (cut off, no JSON,
talk in place of a call) costs its tokens in every request that follows and helps little, and servers that read a call's
arguments back refuse the request where they are no JSON (llama.cpp with status 500, 2026-10): its beginning goes back, as text.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stratum.contracts.violation import MAX_TEXT
from stratum.engine.dialects.protocol import Completion
from stratum.engine.dialects.tool_name import tool_name

BYTES_PER_TOKEN: Final = 16
"""More than any text has on average, escaped as JSON in JSON: what is longer for its cap is of a server that ignores the cap."""
ALWAYS_BYTES: Final = 4096
"""Within which an answer may go back whatever its cap: ids and names take up room beside the arguments."""


def echo(completion: Completion, *, said: str, cap: int) -> Completion | str:
    """The answer itself, a call; or the beginning of `said`, all that the model wrote, empty where that is nothing.

    `cap`: the output tokens that the answer could have.
    """
    return completion if _is_whole_call(completion, cap=cap) else _beginning(said)


def _is_whole_call(completion: Completion, *, cap: int) -> bool:
    if completion.status != "called" or not _is_named(completion):
        return False
    if not 0 < len(completion.rejected) <= max(ALWAYS_BYTES, BYTES_PER_TOKEN * cap):
        return False
    try:
        return isinstance(msgspec.json.decode(completion.arguments), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _is_named(completion: Completion) -> bool:
    """A call has to name its tool; an answer that follows a schema calls none."""
    tool = completion.tool
    return tool == tool_name(tool) and bool(tool) == bool(completion.call_id)


def _beginning(said: str) -> str:
    left_out = len(said) - MAX_TEXT
    return f"{said[:MAX_TEXT]}… [{left_out:,} more characters]" if left_out > 0 else said
