"""`StepRecord`: one step in its run's journal, from its beginning to its TraceRecord."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec.structs import replace

from stratum.contracts.money import usd
from stratum.contracts.price import Usage
from stratum.contracts.records import CallFinished, Record
from stratum.contracts.signature import Signature
from stratum.contracts.trace import Attempt, CallKind, Outcome, TraceRecord
from stratum.engine.stopped import ended_by, was_stopped

if TYPE_CHECKING:
    from stratum.actors.journal import Ticket
    from stratum.engine.place import Place
    from stratum.engine.run import PlannedStep


class Recordable(Protocol):
    """What a record needs to know of a step."""

    @property
    def kind(self) -> CallKind: ...

    @property
    def signature(self) -> Signature[Any]: ...


class StepRecord:
    """One step's entry in the journal; `recorded` is its result where an earlier life of the run completed it."""

    def __init__(
        self,
        step: Recordable,
        arguments: dict[str, Any],
        place: Place,
        *,
        input_digest: str | None = None,
        model: str = "",
        prompt_hash: str = "",
        planned: PlannedStep | None = None,
        since_s: float | None = None,
    ) -> None:
        """`since_s`: when it began, in trio's time, if that was not just now."""
        self.run = place.run
        self.attempts: list[Attempt] = []
        self.priced = True
        self.cache_hit = False
        self.review_id = ""
        self._completed = False
        self._step = step
        self._arguments = arguments
        self._parent = place.step
        self._flow_id = place.flow_id
        self.model = model
        """The one asked last."""
        self.fallbacks: list[str] = []
        self._prompt_hash = prompt_hash
        self._planned = planned
        now_s = self.run.now()
        self._started_s = now_s if since_s is None else since_s
        self._started_at_s = time.time() - (now_s - self._started_s)
        self._entered = self.run.enter(
            parent=place.step,
            function=step.signature.name,
            type=step.kind,
            input_digest=input_digest or step.signature.digest(arguments),
            model=model,
            planned=planned,
            branch=place.branch,
        )
        self.id = self._entered.id
        self.earlier = self._entered.recorded
        """What an earlier life of the run knows of this step; `None` for a new one."""
        self.recorded = self._recorded_output()

    def completed(self, result: Any, *, before: Sequence[Record] = ()) -> Ticket:
        """The step has its result; `before` is recorded in the same transaction, first."""
        output = msgspec.Raw(self._step.signature.returns.record(result))
        shown = self._step.signature.returns.jsonable(result, redact=True)
        finished = CallFinished(
            elapsed_ms=self.run.elapsed_ms,
            call=self.id,
            outcome="ok",
            output=output,
            trace=self._trace("ok", output=shown),
        )
        ticket = self.run.append(*before, finished)
        self._completed = True
        self.run.completed(self._entered, function=self._step.signature.name, result=result)
        return ticket

    def failed(self, error: BaseException, *, before: Sequence[Record] = ()) -> None:
        """The step ended without a result. Appended, not awaited: it is on its way out, perhaps cancelled."""
        if self._completed:
            return  # an accepted answer whose bill broke the call's own budget: it stays the step's result
        outcome: Outcome = "cancelled" if was_stopped(error) else "failed"
        self.run.append(
            *before,
            CallFinished(
                elapsed_ms=self.run.elapsed_ms,
                call=self.id,
                outcome=outcome,
                trace=self._trace(outcome, error=ended_by(error)),
            ),
        )
        if outcome == "failed":
            self.run.failed(self._entered)

    def leaked(self, what: str) -> None:
        self.run.leaked(self.id, what)

    def _recorded_output(self) -> bytes | None:
        if self.earlier is None or not self.earlier.completed:
            return None
        assert self.earlier.finished is not None
        output = bytes(self.earlier.finished.output)
        self.run.completed(
            self._entered, function=self._step.signature.name, result=self._step.signature.returns.recall(output)
        )
        return output

    def _trace(self, outcome: Outcome, *, output: Any = None, error: str = "") -> TraceRecord:
        planned = self._planned
        attempts = [*planned.carried, *self.attempts] if planned else [*self.attempts]
        reruns = 0 if planned is None else planned.reruns
        # In parts: of more than 15 named arguments Python 3.11 makes a dict first, which takes longer than all of this.
        begun = TraceRecord(
            function=self._step.signature.name,
            model=self.model,
            inputs=self._step.signature.jsonable(self._arguments),
            compiled_prompt_hash=self._prompt_hash,
            contract_hash=self._step.signature.returns.digest,
            attempts=len(attempts) - reruns if attempts or self._step.kind == "infer" else 1,
            output=output,
            duration_ms=round((self.run.now() - self._started_s) * 1000),
            cost_usd=0.0 if self.priced else None,
            retry_reasons=[],
            run_id=self.run.id,
            step_id=self.id,
            parent_id=self._parent,
            flow_id=self._flow_id,
            kind=self._step.kind,
        )
        ended = replace(
            begun,
            outcome=outcome,
            error=error,
            reruns=reruns,
            cache_hit=self.cache_hit,
            review_id=self.review_id,
            fallbacks=self.fallbacks,
            started_at=_utc(self._started_at_s),
        )
        return _billed(ended, attempts) if attempts else ended


def _billed(trace: TraceRecord, attempts: list[Attempt]) -> TraceRecord:
    """`trace` with what the attempts came to, together."""
    usages = [attempt.usage for attempt in attempts if attempt.usage is not None]
    used = usages[0] if len(usages) == 1 else sum(usages, Usage(input_tokens=0, output_tokens=0))
    picousd = sum([attempt.picousd for attempt in attempts])
    return replace(
        trace,
        cost_usd=None if trace.cost_usd is None else usd(picousd),
        retry_reasons=[violation.for_trace for attempt in attempts for violation in attempt.violations],
        attempt_details=attempts,
        input_tokens=used.input_tokens,
        cached_tokens=used.cached_tokens,
        output_tokens=used.output_tokens,
        reasoning_tokens=used.reasoning_tokens,
        cost_picousd=picousd,
        estimated=any(attempt.estimated for attempt in attempts),
        transport_retries=sum([attempt.transport_retries for attempt in attempts]),
    )


def _utc(at_s: float) -> str:
    """UTC, ISO 8601, to the millisecond. `datetime.isoformat` takes twice as long, a tenth of what a stopped call costs."""
    at_ms = int(at_s * 1000)
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03}+00:00"


@lru_cache(maxsize=8)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
