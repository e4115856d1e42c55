"""`PastCalls`: what each function took in this project's last runs, for estimates."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

import msgspec

from stratum.actors.journal_store import last_seq

RECENT: Final = 20
"""Calls of a function that are averaged: what it took a year ago, with other prompts and prices, says little."""
LOOKED_AT: Final = 100_000
"""Records, the newest, at the first look; some 0.2 s."""

_FINISHED_SINCE: Final = """
    SELECT run, call,
        json_extract(body, '$.outcome') = 'ok',
        json_extract(body, '$.trace.function'),
        coalesce(json_extract(body, '$.trace.kind'), 'infer'),
        json_extract(body, '$.trace.attempts') + coalesce(json_extract(body, '$.trace.reruns'), 0),
        CASE WHEN json_extract(body, '$.trace.cost_usd') IS NOT NULL
            THEN coalesce(json_extract(body, '$.trace.cost_picousd'), 0) END
    FROM _records
    WHERE seq > :seen AND seq <= :last AND kind = 'call_finished'
    ORDER BY seq
"""


class PastCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Averages over a function's last successful calls."""

    attempts: float
    """Those included that only an earlier step's repair made necessary."""
    picousd: float | None
    """`None`: of some, nobody knows what they cost."""


class RecentCalls:
    """The last calls of every function in a journal; each look reads only what has come since the one before."""

    def __init__(self) -> None:
        self._seen = 0
        self._by_function: defaultdict[tuple[str, str], OrderedDict[tuple[str, str], _Took]] = defaultdict(OrderedDict)
        # Whoever asks does so in a thread of its own.
        self._lock = Lock()

    def read(self, connection: sqlite3.Connection) -> Mapping[tuple[str, str], PastCalls]:
        """What functions took lately, by name and kind."""
        with self._lock:
            last = last_seq(connection)
            seen = max(self._seen, last - LOOKED_AT)
            for row in connection.execute(_FINISHED_SINCE, {"seen": seen, "last": last}):
                self._note(*row)
            self._seen = last
            return {function: _average(list(calls.values())) for function, calls in self._by_function.items() if calls}

    def _note(
        self,
        run: str,
        call: str,
        accepted: int,
        function: str,
        kind: str,
        attempts: int | None,
        picousd: int | None,
    ) -> None:
        calls = self._by_function[function, kind]
        # A step that is done again is finished again: the last time counts, with all that it took before.
        calls.pop((run, call), None)
        if accepted:
            calls[run, call] = _Took(attempts or 0, picousd)
            if len(calls) > RECENT:
                calls.popitem(last=False)


class _Took(NamedTuple):
    attempts: int
    picousd: int | None


def _average(calls: Sequence[_Took]) -> PastCalls:
    costs = [call.picousd for call in calls if call.picousd is not None]
    return PastCalls(
        attempts=sum(call.attempts for call in calls) / len(calls),
        picousd=sum(costs) / len(costs) if len(costs) == len(calls) else None,
    )
