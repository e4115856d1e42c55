"""What changed between two plans, in lines that a person or an agent reads: steps by their ids, keys by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.problem import visible

_BY_ITSELF: Final = ("steps", "estimate")
"""Told step by step, and no part of what is approved."""
_MOST: Final = 300
"""Characters of a value."""


def plan_changes(old: ExecutionPlan, new: ExecutionPlan) -> list[str]:
    """`+ step 5`, `- step 2`, `~ step 3, ensure: ... -> ...`; empty where the plans do the same."""
    before, after = _members(old), _members(new)
    changes = [f"~ {line}" for line in _changed(before, after, leave_out=_BY_ITSELF)]
    old_steps, new_steps = ({step.id: _members(step) for step in plan.steps} for plan in (old, new))
    changes += [f"- step {visible(id)}" for id in old_steps if id not in new_steps]
    for id, members in new_steps.items():
        if id not in old_steps:
            changes.append(
                f"+ step {visible(id)}: {_shown({key: value for key, value in members.items() if key != 'id'})}"
            )
        else:
            changes += [f"~ step {visible(id)}, {line}" for line in _changed(old_steps[id], members)]
    kept = [id for id in new_steps if id in old_steps]
    if kept != [id for id in old_steps if id in new_steps]:
        changes.append(f"~ the steps' order: {', '.join(map(visible, new_steps))}")
    return changes


def _members(struct: msgspec.Struct) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(struct)
    return built


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], *, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if key not in leave_out and old.get(key) != new.get(key):
            yield f"{key}: {_shown(old.get(key))} -> {_shown(new.get(key))}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    safe = visible(text)[1:-1].replace('\\"', '"')
    return safe if len(safe) <= _MOST else f"{safe[: _MOST - 1]}…"
