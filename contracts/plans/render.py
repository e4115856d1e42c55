"""A plan as text: the short form that is read first, a table, and everything that an approval covers.

Whatever the plan's author wrote is shown in quotes, with characters that cannot be seen escaped: a plan must not be
able to look like another.
"""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stratum.contracts.budget import Budget
from stratum.contracts.digest import canonical_json
from stratum.contracts.money import PICOUSD_PER_USD, format_usd, limit_picousd
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.joins import is_join
from stratum.contracts.plans.plan import Estimate, Step, TypeReference
from stratum.contracts.problem import shown, visible
from stratum.contracts.shape import is_dict

_CENT = PICOUSD_PER_USD // 100
_WIDEST = 40


def render_plan(compiled: CompiledPlan) -> str:
    """The steps with what they return, what they depend on and what must hold; lossy."""
    lines = ["ExecutionPlan {", "  steps: ["]
    lines += [_step_line(compiled, number) for number in range(len(compiled.plan.steps))]
    budget = budget_line(compiled.plan.estimate, compiled.plan.budget)
    lines += ["  ],", f"  budget: {visible(budget)}"] if budget else ["  ]"]
    return "\n".join([*lines, "}"])


def render_table(compiled: CompiledPlan) -> str:
    """A line for each step, with who does it and how its result is judged."""
    rows = [("id", "kind", "fn", "output", "after", "ensure")]
    for number, step in enumerate(compiled.plan.steps):
        forms = ", ".join(condition.form for condition in step.conditions)
        rows.append(
            (
                step.id,
                compiled.kinds[number],
                step_name(step),
                _output(compiled, number),
                _after(compiled, number),
                forms,
            )
        )
    shortened = [[cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…" for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shortened) for column in range(len(rows[0]))]
    shortened.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in shortened)


def render_details(compiled: CompiledPlan) -> str:
    """Everything that approving the plan approves, the plans within it included."""
    lines = [f"digest: {compiled.digest}", *_plan_details(compiled)]
    waiting = dict(compiled.plans)
    told: set[str] = set()
    while waiting:
        name, inner = waiting.popitem()
        told.add(name)
        waiting |= {other: plan for other, plan in inner.plans.items() if other not in told}
        lines += ["", f"plan {visible(name)}", textwrap.indent("\n".join(_plan_details(inner)), "  ")]
    return "\n".join(lines)


def given_inputs(inputs: Mapping[str, Any]) -> list[str]:
    """What a run gives its plan, each as `given "name": value`: an approval covers it, too."""
    return [f"given {visible(name)}: {in_full(value)}" for name, value in inputs.items()]


def in_full(value: object) -> str:
    """The whole of a JSON value, with everything escaped that cannot be seen."""
    return visible(value) if isinstance(value, str) else json.dumps(value)


def _plan_details(compiled: CompiledPlan) -> list[str]:
    lines = plan_facts(compiled)
    for number, step in enumerate(compiled.plan.steps):
        lines += ["", f"step {step.id} ({compiled.kinds[number]}): {step_name(step)}"]
        lines += [f"  {line}" for line in step_facts(compiled, number)]
    return lines


def plan_facts(compiled: CompiledPlan) -> list[str]:
    """Everything that an approval covers besides the steps, each as `name: what`."""
    plan = compiled.plan
    lines = [f"goal: {visible(plan.goal)}"] if plan.goal else []
    budget = budget_line(plan.estimate, plan.budget)
    lines += [f"budget: {budget}"] if budget else []
    if not plan.fail_fast:
        lines.append("after a failure: what does not depend on it is finished")
    if plan.max_in_flight is not None:
        lines.append(f"at once: {plan.max_in_flight} at most")
    lines += [f"input {visible(name)}: {_type(written)}" for name, written in plan.input.items()]
    if plan.output:
        lines.append(f"returns: {visible(plan.output)}")
    lines += [f"contract {visible(name)}: {_type(schema)}" for name, schema in plan.contracts.items()]
    return lines


def programs(compiled: CompiledPlan) -> Iterator[tuple[str, ...]]:
    """What its commands and the commands among its conditions run, those of the plans within it included."""
    for plan in (compiled.plan, *compiled.plan.plans.values()):
        for step in plan.steps:
            if step.program is not None:
                yield step.program.argv
            yield from (condition.command for condition in step.conditions if condition.command)


def budget_line(estimate: Estimate | None, budget: Budget | None) -> str:
    """`~6 tool calls, estimated $0.04, at most $0.50`, as far as it is known."""
    parts: list[str] = []
    if estimate is not None:
        calls = "1 tool call" if estimate.calls == 1 else f"{estimate.calls:,} tool calls"
        parts.append(f"~{calls}")
        if estimate.picousd is not None:
            parts.append(f"estimated {dollars(estimate.picousd)}")
    if budget is not None:
        parts += [f"at most {limit}" for limit in _limits(budget)]
    return ", ".join(parts)


def dollars(picousd: int) -> str:
    """`$0.04`: rounded to cents, and more digits only where cents would show nothing."""
    cents = (picousd + _CENT // 2) // _CENT
    return f"${cents // 100:,}.{cents % 100:02d}" if cents or not picousd else f"${format_usd(picousd)}"


def _step_line(compiled: CompiledPlan, number: int) -> str:
    step = compiled.plan.steps[number]
    parts = [f"id: {visible(step.id)}", f"fn: {step_name(step)}"]
    if output := _output(compiled, number):
        parts.append(f"output: {output}")
    if before := compiled.dependencies[number]:
        parts.append(f"depends_on: [{', '.join(visible(compiled.plan.steps[other].id) for other in before)}]")
    line = f"    {{ {', '.join(parts)}"
    texts = [visible(condition.text) for condition in step.conditions]
    if texts:
        line += ",\n      ensure: " + (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    return f"{line} }},"


def step_name(step: Step) -> str:
    """In quotes: what the step calls, or runs, or asks."""
    if step.fn:
        return visible(step.fn)
    if step.program is not None:
        return visible(step.program.argv[0])
    return visible("gate" if step.gate is not None else step.intent)


def _output(compiled: CompiledPlan, number: int) -> str:
    written = compiled.plan.steps[number].output
    if is_dict(written):
        fields = written.get("properties")
        return f"{{ {', '.join(map(shown, fields))} }}" if is_dict(fields) else shown(written.get("type"))
    codec = compiled.outputs[number]
    return str(written) or ("" if codec is None else codec.name)


def _type(written: TypeReference) -> str:
    return visible(written) if isinstance(written, str) else canonical_json(written).decode()


def _after(compiled: CompiledPlan, number: int) -> str:
    return ", ".join(compiled.plan.steps[other].id for other in compiled.dependencies[number])


def step_facts(compiled: CompiledPlan, number: int) -> Iterator[str]:
    """Everything that an approval covers of one step besides its id, kind and name, each as `name: what`."""
    step = compiled.plan.steps[number]
    if step.intent:
        yield f"intent: {visible(step.intent)}"
    if before := _after(compiled, number):
        yield f"after: {before}" + (f"; begins if {step.require} of them succeeded" if is_join(step) else "")
    if compiled.tolerated and compiled.tolerated[number]:
        yield "may fail: what comes after it can do without"
    for name, value in step.inputs.items():
        yield f"input {visible(name)}: {in_full(value)}"
    if output := _output(compiled, number):
        yield f"output: {output}"
    if step.program is not None:
        yield from _program(step)
    if step.files:
        yield f"may change: {', '.join(map(visible, step.files))}"
    if step.when:
        yield f"only when: {visible(step.when)}"
    for condition in step.conditions:
        yield f"ensure, by {_BY[condition.form]}: {visible(condition.text)}"
    yield from _afterwards(step)
    if step.gate is not None:
        yield from _gate(step)
    if step.budget is not None:
        yield f"budget: {budget_line(None, step.budget)}"
    if step.model:
        models = (step.model,) if isinstance(step.model, str) else step.model
        yield f"model: {', '.join(map(visible, models))}"
    if step.service_tier:
        yield f"service tier: {step.service_tier}"


def _program(step: Step) -> Iterator[str]:
    assert step.program is not None
    how = "run by sh" if step.program.shell else "run"
    yield f"{how}: {visible(shlex.join(step.program.argv))}"
    yield f"in: {visible(step.program.cwd or '.')}"
    if step.program.network:
        yield "in a sandbox, it may reach the network"
    for name, value in step.program.env.items():
        yield f"with: {visible(f'{name}={value}')}"


def _afterwards(step: Step) -> Iterator[str]:
    if step.retries is not None:
        yield f"retries: {step.retries}"
    if step.repair:
        yield f"a violation is sent to step {step.repair}"
    if step.repeat is not None:
        score = f", keeping the best by {visible(step.repeat.score)}" if step.repeat.score else ""
        yield f"repeated until {visible(step.repeat.until)}, {step.repeat.limit} times at most{score}"
        if (how := step.repeat.accumulate) is not None:
            key = f", told apart by {visible(how.key)}" if how.key else ""
            dry = f"; ended by {how.dry} in a row without a new one" if how.dry else ""
            yield f"the {visible(how.field)} of all times are kept together{key}{dry}"
    if step.on_fail:
        yield f"if it fails: step {step.on_fail} stands in"


def _gate(step: Step) -> Iterator[str]:
    assert step.gate is not None
    yield f"asks: {visible(step.gate.question)}"
    if step.gate.revise:
        yield f"revising starts over from step {step.gate.revise}, {step.gate.max_rounds} times at most"
    if step.gate.timeout_s is not None:
        yield f"without an answer in {step.gate.timeout_s:g} s: {step.gate.on_timeout}"


def _limits(budget: Budget) -> Sequence[str]:
    limits: list[str] = []
    if budget.usd is not None:
        limits.append(dollars(limit_picousd(budget.usd)))
    if budget.ms is not None:
        limits.append(f"{budget.ms / 1000:g} s")
    if budget.tokens is not None:
        limits.append(f"{budget.tokens:,} tokens")
    return limits


_BY: dict[str, str] = {"expression": "expression", "command": "running", "judge": "a judge"}
