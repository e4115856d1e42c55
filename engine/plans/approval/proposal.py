"""A proposal: a plan and its inputs as they are put before a person, and the digest that an approval of them is bound to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import trio

from stratum.actors.journal import Journal
from stratum.contracts.codec import Codec
from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import ContractViolation, RunError
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.records import PlanProposed
from stratum.contracts.violation import Violation
from stratum.engine.plans.plan_history import PlanHistory


async def revise_draft(
    journal: Journal, run: str, compiled: CompiledPlan, *, by: str, replacing: str | None = None
) -> None:
    """Replace a plan that has not begun, which takes no runtime; see `Plans.revise`.

    Raises:
        RunError: it has begun; or it is not that of digest `replacing` any more, which was the one edited.
        RunLocked: somebody is at work on it right now.
        ContractViolation: the run's inputs are not what the new plan takes.
    """
    await journal.claim(run)
    try:
        past = PlanHistory(await journal.read(run))
        if past.proposed is None or past.begun:
            raise RunError(run=run, problem="it has begun", fix="propose a new plan for what is left to do")
        if replacing is not None and past.proposed.digest != replacing:
            raise RunError(run=run, problem="it was changed meanwhile", fix="look at it as it is now, then edit that")
        inputs = checked_inputs(compiled, past.inputs)
        await journal.commit(run, proposed(compiled, inputs, by=by, modules=past.modules))
    finally:
        with trio.CancelScope(shield=True):
            await journal.release(run)


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


def _violations(codec: Codec[Any], value: Any, name: str) -> list[Violation]:
    try:
        codec.decode_value(msgspec.json.encode(value), at=name)
    except ContractViolation as error:
        return list(error.violations)
    return []


def _wrong(name: str, problem: str) -> Violation:
    return Violation(kind="schema", condition=f"{name}: {problem}")
