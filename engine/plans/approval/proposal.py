"""A proposal: a plan and its inputs as they are put before a person, and the digest that an approval of them is bound to.

Until it begins it can be revised and discarded, which takes no runtime: see `Plans`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import msgspec
import trio

from stratum.actors.journal import Journal
from stratum.contracts.codec import Codec
from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import ContractViolation, RunError
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.records import PlanProposed, RunFinished
from stratum.contracts.violation import Violation, one_line
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.plan_history import PlanHistory


async def revise_draft(
    journal: Journal, run: str, compiled: CompiledPlan, *, by: str, replacing: str | None = None
) -> None:
    """Replace a plan that has not begun.

    Raises:
        RunError: it has begun, or was discarded; or it is not that of digest `replacing` any more, which was the one edited.
        RunLocked: somebody is at work on it right now.
        ContractViolation: the run's inputs are not what the new plan takes.
    """
    async with _claimed(journal, run) as past:
        refuse_revision(run, past)
        assert past.proposed is not None, "else it was refused"
        if replacing is not None and past.proposed.digest != replacing:
            raise RunError(run=run, problem="it was changed meanwhile", fix="look at it as it is now, then edit that")
        inputs = checked_inputs(compiled, past.inputs)
        await journal.commit(run, proposed(compiled, inputs, by=by, modules=past.modules))


async def discard_draft(journal: Journal, run: str, *, approvals: Approvals, by: str, because: str) -> bool:
    """End a plan that has not begun: it stays in the journal, and can no longer be edited, approved or started.

    Its approval is taken back, so that the same plan is put to a person anew if it is proposed again; whether there was one is returned.

    Raises:
        RunError: it has begun, or was discarded before.
        RunLocked: somebody is at work on it right now.
    """
    # Before it is claimed, which whoever runs it does not let anybody: they are told what to do instead.
    _refuse_begun(run, PlanHistory(await journal.read(run)))
    async with _claimed(journal, run) as past:
        _refuse_begun(run, past)
        error = f"discarded by {by}{f': {one_line(because)}' if because else ''}"
        await journal.commit(run, RunFinished(state="discarded", error=error))
        # Worked out, like `shown_digest`: the record of one plan must not take back the approval of another.
        digest = approval_digest(past.plan.digest, past.inputs)
        return await trio.to_thread.run_sync(approvals.revoke, digest)


def refuse_revision(run: str, past: PlanHistory) -> None:
    """Raise `RunError` if the plan can no longer be replaced."""
    refuse_discarded(run, past)
    if past.proposed is None or past.begun:
        raise RunError(run=run, problem="it has begun", fix="propose a new plan for what is left to do")


def refuse_discarded(run: str, past: PlanHistory) -> None:
    """Raise `RunError` if the plan was discarded."""
    if past.discarded:
        raise RunError(
            run=run, problem=f"it was {past.discarded}", fix="propose the plan anew if it is wanted after all"
        )


def checked_inputs(compiled: CompiledPlan, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan is given, as JSON values, held against what it says it takes.

    Raises:
        ContractViolation: with everything that is missing, unknown or of another type.
    """
    if not compiled.plan.input:
        return dict(inputs)
    wrong = [_wrong(name, "is not an input of this plan") for name in inputs if name not in compiled.inputs]
    for name, codec in compiled.inputs.items():
        if name not in inputs:
            wrong.append(_wrong(name, f"expected {codec.name}, got nothing"))
            continue
        wrong += _violations(codec, inputs[name], name)
    if wrong:
        raise ContractViolation(contract="input of the plan", violations=wrong)
    return dict(inputs)


def shown_digest(run: str, past: PlanHistory, *, plan_digest: str = "") -> str:
    """What approving the plan that `past` shows approves: worked out, for the journal is where others may write.

    `plan_digest` is that plan's own, if it is known already.

    Raises:
        RunError: the record claims the digest of another plan.
    """
    assert past.proposed is not None, "a plan's run"
    digest = approval_digest(plan_digest or past.plan.digest, past.inputs)
    if digest != past.proposed.digest:
        raise RunError(
            run=run, problem="its record has the digest of another plan", fix="do not approve it; propose it anew"
        )
    return digest


def approval_digest(plan_digest: str, inputs: Mapping[str, Any]) -> str:
    """64 hex characters: what an approval is bound to. Inputs may reach commands: they are part of it."""
    if not inputs:
        return plan_digest
    return sha256(canonical_json({"plan": plan_digest, "inputs": inputs})).hexdigest()


def proposed(compiled: CompiledPlan, inputs: Mapping[str, Any], *, by: str, modules: Sequence[str]) -> PlanProposed:
    """As the journal keeps it."""
    return PlanProposed(
        plan=msgspec.Raw(msgspec.json.encode(compiled.plan)),
        digest=approval_digest(compiled.digest, inputs),
        by=by,
        modules=tuple(modules),
    )


@asynccontextmanager
async def _claimed(journal: Journal, run: str) -> AsyncGenerator[PlanHistory]:
    """What there is of a run that nobody else can begin or change meanwhile."""
    async with journal.claimed(run):
        yield PlanHistory(await journal.read(run))


def _refuse_begun(run: str, past: PlanHistory) -> None:
    refuse_discarded(run, past)
    if past.proposed is None:
        raise RunError(run=run, problem="it is not a plan's", fix="only a plan that has not begun is discarded")
    if past.begun and past.finished is None:
        raise RunError(
            run=run,
            problem="it has begun",
            fix=f"if it is at work, `stratum cancel {run}` stops it; what is done stays done",
        )
    if past.begun:
        raise RunError(
            run=run,
            problem=f"it has begun, and is over ({past.state})",
            fix="it does not go on unless somebody resumes it",
        )


def _violations(codec: Codec[Any], value: Any, name: str) -> list[Violation]:
    try:
        codec.decode_value(msgspec.json.encode(value), at=name)
    except ContractViolation as error:
        return list(error.violations)
    return []


def _wrong(name: str, problem: str) -> Violation:
    return Violation(kind="schema", condition=f"{name}: {problem}")
