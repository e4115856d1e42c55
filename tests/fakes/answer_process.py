"""Processes that share a cache of answers. Children of tests/fakes/forks.py; what the cache logs, they say."""

from __future__ import annotations

import logging
from pathlib import Path

from stratum.actors.answer_cache import AnswerCache
from tests.fakes.forks import say, serve
from tests.fakes.journal_process import become


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"log {record.getMessage()}")


async def ask(path: str, user: int, keys: list[str]) -> None:
    """Ask for each key, as a user whom file modes bind, and keep an answer where there is none."""
    become(user)
    logging.getLogger("stratum").addHandler(_Saying())
    cache = AnswerCache(Path(path))
    for key in keys:
        async with cache.turn(key) as kept:
            if kept is None:
                await cache.keep(key, key.encode())
            say(f"{key} {'asked' if kept is None else kept.decode()}")


if __name__ == "__main__":
    serve({"ask": ask}, {})
