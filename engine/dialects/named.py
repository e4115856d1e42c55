"""A dialect by the name it gives itself: recordings keep that name."""

from __future__ import annotations

from itertools import product
from typing import get_args

from stratum.engine.dialects.chat import CapField, ChatDialect, Output
from stratum.engine.dialects.protocol import Dialect
from stratum.engine.dialects.responses import ResponsesDialect


def dialect_named(name: str) -> Dialect:
    """The dialect whose `name` this is.

    Raises:
        ValueError: there is none.
    """
    chats = [ChatDialect(output, cap_field=field) for output, field in product(get_args(Output), get_args(CapField))]
    dialects: list[Dialect] = [ResponsesDialect(), *chats]
    for dialect in dialects:
        if dialect.name == name:
            return dialect
    raise ValueError(f"no dialect is named {name!r}")
