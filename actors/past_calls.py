"""`past_calls`: what each function took in this project's last runs, for estimates."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import msgspec

RECENT: Final = 20
"""Calls of a function that are averaged: what it took a year ago, with other prompts and prices, says little."""
LOOKED_AT: Final = 100_000
"""Records, the newest; some 0.2 s."""

_RECENT_CALLS: Final = """
    SELECT function, kind, avg(attempts), CASE WHEN count(usd) = count(*) THEN avg(picousd) END
    FROM (
        SELECT json_extract(body, '$.trace.function') AS function,
            coalesce(json_extract(body, '$.trace.kind'), 'infer') AS kind,
            json_extract(body, '$.trace.attempts') + coalesce(json_extract(body, '$.trace.reruns'), 0) AS attempts,
            coalesce(json_extract(body, '$.trace.cost_picousd'), 0) AS picousd,
            json_extract(body, '$.trace.cost_usd') AS usd,
            row_number() OVER (
                PARTITION BY json_extract(body, '$.trace.function'), json_extract(body, '$.trace.kind') ORDER BY last DESC
            ) AS age
        FROM (
            -- A step that is done again is finished again: the last time counts, with all that it took before. With max(),
            -- SQLite takes the other columns from that very row.
            SELECT max(seq) AS last, body FROM _records
            WHERE seq > (SELECT max(seq) FROM _records) - :looked_at AND kind = 'call_finished'
            GROUP BY run, call
        )
        WHERE json_extract(body, '$.outcome') = 'ok'
    )
    WHERE age <= :recent
    GROUP BY function, kind
"""


class PastCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Averages over a function's last successful calls."""

    attempts: float
    """Those included that only an earlier step's repair made necessary."""
    picousd: float | None
    """`None`: of some, nobody knows what they cost."""


def past_calls(connection: sqlite3.Connection) -> Mapping[tuple[str, str], PastCalls]:
    """By function and kind."""
    rows = connection.execute(_RECENT_CALLS, {"looked_at": LOOKED_AT, "recent": RECENT})
    return {
        (str(function), str(kind)): PastCalls(attempts=attempts or 0, picousd=picousd)
        for function, kind, attempts, picousd in rows
    }
