"""The logger `stratum`: what runs, for the program's own logs; nothing is done where nobody listens at INFO."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from stratum.actors.event_hub import EventHub
from stratum.contracts.money import usd
from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    Diverged,
    Exhausted,
    Leaked,
    LostWorker,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
)

LOGGER = logging.getLogger("stratum")


@contextmanager
def logged(events: EventHub) -> Generator[None]:
    """Log what is published while the block lasts, if the logger is enabled when it begins."""
    if not LOGGER.isEnabledFor(logging.INFO):
        yield
        return
    with events.listen(_log):
        yield


def _log(run: str, record: Record) -> None:
    match record:
        case RunStarted():
            _write(logging.INFO, "run started: %s", record.name, run_id=run, function=record.name)
        case RunResumed():
            _write(logging.INFO, "run resumed: %s", run, run_id=run)
        case AttemptFinished() if record.attempt.violations:
            # What an answer was rejected for quotes it: conditions are ours, details are the model's.
            conditions = [violation.condition for violation in record.attempt.violations]
            _write(
                logging.INFO,
                "attempt %s of %s rejected: %s",
                record.attempt.number,
                record.call,
                "; ".join(conditions),
                run_id=run,
                step_id=record.call,
                attempt=record.attempt.number,
                violations=conditions,
            )
        case CallFinished():
            _write_step(run, record)
        case Exhausted():
            where = record.scope or "the run"
            _write(
                logging.WARNING, "budget of %s exhausted: %s", where, record.resource, run_id=run, scope=record.scope
            )
        case Leaked():
            _write(logging.WARNING, "a thread was abandoned: %s", record.what, run_id=run, step_id=record.call)
        case LostWorker():
            _write(logging.WARNING, "%s was lost: %s", record.worker, record.reason, run_id=run, step_id=record.call)
        case Diverged():
            _write(logging.WARNING, "completed calls were not made again: %s", record.calls, run_id=run)
        case RunFinished():
            level = logging.INFO if record.state == "succeeded" else logging.WARNING
            error = record.error.partition(":")[0]
            _write(level, "run %s: %s", record.state, error or "-", run_id=run, state=record.state, error=error)
        case _:
            pass


def _write_step(run: str, record: CallFinished) -> None:
    done = record.trace
    _write(
        logging.DEBUG if done.kind == "compute" else logging.INFO,
        "step %s: %s, %d attempts, %d ms, %s USD",
        record.call,
        record.outcome,
        done.attempts,
        done.duration_ms,
        usd(done.cost_picousd),
        run_id=run,
        step_id=record.call,
        function=done.function,
        model=done.model,
        outcome=record.outcome,
        attempts=done.attempts,
        duration_ms=done.duration_ms,
        cost_usd=done.cost_usd,
        input_tokens=done.input_tokens,
        output_tokens=done.output_tokens,
    )


def _write(level: int, text: str, *arguments: object, **fields: object) -> None:
    LOGGER.log(level, text, *arguments, extra=fields)
