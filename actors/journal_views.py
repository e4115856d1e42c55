"""The journal's views: what SQL may count on (docs/journal.md lists every column).

Made anew by every migration, so that they always fit the tables. A column is never renamed or removed.
"""

from __future__ import annotations


def _time(column: str) -> str:
    """Milliseconds since 1970 as UTC, ISO 8601: sorts as text, and SQLite's date functions take it."""
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"


_RUNS = f"""
    SELECT run AS run_id, name, target, session, state, error,
        {_time("started_at")} AS started_at,
        {_time("ended_at")} AS ended_at,
        (SELECT coalesce(sum(json_extract(body, '$.picousd')), 0) FROM _records
            WHERE _records.run = _runs.run AND kind IN ('settled', 'reconciled')) AS cost_picousd,
        (SELECT coalesce(sum(json_extract(body, '$.picousd')), 0) / 1e12 FROM _records
            WHERE _records.run = _runs.run AND kind IN ('settled', 'reconciled')) AS cost_usd,
        pruned
    FROM _runs
"""

# With max(n) or min(n), SQLite takes the other columns from that very row.
_STEPS = f"""
    WITH
        begun AS (SELECT run, call, min(n), at, body FROM _records WHERE kind = 'call_started' GROUP BY run, call),
        ended AS (SELECT run, call, max(n), at, body FROM _records WHERE kind = 'call_finished' GROUP BY run, call)
    SELECT begun.run AS run_id, begun.call AS step_id,
        coalesce(json_extract(begun.body, '$.parent'), '') AS parent_id,
        json_extract(begun.body, '$.function') AS function,
        json_extract(begun.body, '$.type') AS kind,
        coalesce(json_extract(begun.body, '$.model'), '') AS model,
        json_extract(begun.body, '$.input_digest') AS input_digest,
        json_extract(ended.body, '$.outcome') AS outcome,
        json_extract(ended.body, '$.trace.error') AS error,
        json_extract(ended.body, '$.trace.attempts') AS attempts,
        json_extract(ended.body, '$.trace.duration_ms') AS duration_ms,
        json_extract(ended.body, '$.trace.cost_picousd') AS cost_picousd,
        json_extract(ended.body, '$.trace.cost_usd') AS cost_usd,
        json_extract(ended.body, '$.trace.estimated') AS estimated,
        json_extract(ended.body, '$.trace.cache_hit') AS cache_hit,
        {_time("begun.at")} AS started_at,
        {_time("ended.at")} AS ended_at
    FROM begun LEFT JOIN ended ON ended.run = begun.run AND ended.call = begun.call
"""

_ATTEMPTS = f"""
    SELECT run AS run_id, call AS step_id,
        json_extract(body, '$.attempt.number') AS attempt,
        {_time("at")} AS ended_at,
        json_extract(body, '$.attempt.duration_ms') AS duration_ms,
        json_extract(body, '$.attempt.usage.input_tokens') AS input_tokens,
        coalesce(json_extract(body, '$.attempt.usage.cached_tokens'), 0) AS cached_tokens,
        json_extract(body, '$.attempt.usage.output_tokens') AS output_tokens,
        coalesce(json_extract(body, '$.attempt.usage.reasoning_tokens'), 0) AS reasoning_tokens,
        coalesce(json_extract(body, '$.attempt.picousd'), 0) AS cost_picousd,
        coalesce(json_extract(body, '$.attempt.picousd'), 0) / 1e12 AS cost_usd,
        coalesce(json_extract(body, '$.attempt.estimated'), 0) AS estimated,
        coalesce(json_extract(body, '$.attempt.new_input_bytes'), 0) AS new_input_bytes,
        coalesce(json_extract(body, '$.attempt.new_input_tokens'), 0) AS new_input_tokens,
        coalesce(json_array_length(body, '$.attempt.violations'), 0) AS violations,
        coalesce(json_extract(body, '$.attempt.transport_retries'), 0) AS transport_retries,
        coalesce(json_extract(body, '$.attempt.response_id'), '') AS response_id,
        coalesce(json_extract(body, '$.attempt.error'), '') AS error
    FROM _records WHERE kind = 'attempt_finished'
"""

_RESERVATIONS = f"""
    WITH closed AS (
        SELECT run, json_extract(body, '$.reservation') AS reservation, max(n), kind, at, body FROM _records
        WHERE kind IN ('settled', 'released', 'left_in_doubt', 'reconciled') GROUP BY 1, 2
    )
    SELECT held.run AS run_id,
        json_extract(held.body, '$.reservation') AS reservation_id,
        json_extract(held.body, '$.scope') AS scope,
        held.call AS step_id,
        json_extract(held.body, '$.attempt') AS attempt,
        json_extract(held.body, '$.model') AS model,
        CASE closed.kind WHEN 'left_in_doubt' THEN 'in_doubt' ELSE coalesce(closed.kind, 'open') END AS state,
        json_extract(held.body, '$.picousd') AS reserved_picousd,
        json_extract(held.body, '$.tokens') AS reserved_tokens,
        CASE WHEN closed.kind IN ('settled', 'reconciled') THEN json_extract(closed.body, '$.picousd')
            WHEN closed.kind = 'released' THEN 0 ELSE json_extract(held.body, '$.picousd') END AS counted_picousd,
        CASE WHEN closed.kind IN ('settled', 'reconciled') THEN json_extract(closed.body, '$.tokens')
            WHEN closed.kind = 'released' THEN 0 ELSE json_extract(held.body, '$.tokens') END AS counted_tokens,
        coalesce(json_extract(closed.body, '$.estimated'), 0) AS estimated,
        coalesce(json_extract(closed.body, '$.reason'), '') AS reason,
        {_time("held.at")} AS reserved_at,
        {_time("closed.at")} AS closed_at
    FROM _records AS held LEFT JOIN closed
        ON closed.run = held.run AND closed.reservation = json_extract(held.body, '$.reservation')
    WHERE held.kind = 'reserved'
"""

_TRACE_FIELDS = (
    "function",
    "model",
    "inputs",
    "compiled_prompt_hash",
    "contract_hash",
    "attempts",
    "output",
    "duration_ms",
    "cost_usd",
    "retry_reasons",
    "parent_id",
    "flow_id",
    "kind",
    "outcome",
    "error",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_picousd",
    "estimated",
    "cache_hit",
    "transport_retries",
    "started_at",
)

_TRACES = f"""
    SELECT run AS run_id, call AS step_id,
        {", ".join(f"json_extract(body, '$.trace.{field}') AS {field}" for field in _TRACE_FIELDS)},
        json_extract(body, '$.trace') AS trace
    FROM _records WHERE kind = 'call_finished'
"""

_VIOLATIONS = """
    SELECT run AS run_id, call AS step_id,
        json_extract(body, '$.attempt.number') AS attempt,
        json_extract(violation.value, '$.kind') AS kind,
        json_extract(violation.value, '$.condition') AS condition,
        coalesce(json_extract(violation.value, '$.detail'), '') AS detail
    FROM _records, json_each(body, '$.attempt.violations') AS violation
    WHERE _records.kind = 'attempt_finished'
"""

_RECORDS = f"""
    SELECT seq, run AS run_id, n, kind, call AS step_id, {_time("at")} AS at, body FROM _records
"""

VIEWS = {
    "runs": _RUNS,
    "steps": _STEPS,
    "attempts": _ATTEMPTS,
    "reservations": _RESERVATIONS,
    "traces": _TRACES,
    "violations": _VIOLATIONS,
    "records": _RECORDS,
}
"""By name, the SELECT behind it."""
