"""`PlanChecker`: one plan, or a plan within it, checked and compiled.

One class, though a long one: each pass reads what the passes before it filled in. What a check can know by itself has a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.codec import Codec, codec
from stratum.contracts.errors import ContractViolation
from stratum.contracts.expressions.expression import Expression
from stratum.contracts.expressions.fields import Schema, Shape
from stratum.contracts.plans.accumulated import check_accumulate
from stratum.contracts.plans.bare import bare_steps
from stratum.contracts.plans.budgets import check_budgets
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.expressions import PlanExpressions
from stratum.contracts.plans.graph import acyclic, check_targets, with_stand_ins
from stratum.contracts.plans.joins import check_require, check_takes_null, is_join, tolerated
from stratum.contracts.plans.links import Link, conditions_of, links_of
from stratum.contracts.plans.owned_files import check_apart
from stratum.contracts.plans.plan import ExecutionPlan, Kind, Step
from stratum.contracts.plans.step_kinds import check_kind, function_of, kind_of
from stratum.contracts.plans.step_result import CommandResult, GateDecision
from stratum.contracts.plans.step_types import PlanTypes
from stratum.contracts.problem import Problems, at, did_you_mean, visible
from stratum.contracts.reference import Malformed, Reference, read_reference, substitute
from stratum.contracts.registry import Function, Registry
from stratum.contracts.schema_fit import NoSuchField, field_at

MAX_STEPS = 100_000
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

SubPlan = Callable[[str, str], CompiledPlan | None]
"""A plan within the plan by name; `None` if it is wrong. The second argument is where it is named."""


class PlanChecker:
    """Checks in passes over all steps: ids, then what each step is and returns, then what it takes."""

    def __init__(
        self,
        plan: ExecutionPlan,
        *,
        path: str,
        registry: Registry,
        types: PlanTypes,
        problems: Problems,
        sub_plan: SubPlan,
    ) -> None:
        self._plan = plan
        self._path = path
        self._registry = registry
        self._types = types
        self._problems = problems
        self._sub_plan = sub_plan
        self._index: dict[str, int] = {}
        self._kinds: list[Kind] = []
        self._functions: list[Function | None] = []
        self._sub_plans: dict[str, CompiledPlan] = {}
        self._outputs: list[Codec[Any] | None] = []
        self._shapes: list[Shape | None] = []
        self._inputs: dict[str, Codec[Any]] = {}
        self._before: list[set[int]] = [set() for _ in plan.steps]
        self._compiled: dict[str, Expression] = {}
        self._maybe_null: list[tuple[int, str, Codec[Any], str]] = []
        self._expressions = PlanExpressions(self._index, self._schema_of, problems)

    def compiled(self) -> CompiledPlan | None:
        """The plan made ready to run; `None` if anything is wrong with it."""
        known = len(self._problems)
        if not self._plan.steps:
            self._problems.add(at(self._path, "steps"), "there are no steps", 'write steps: [{id: "1", fn: "..."}]')
        for name, written in self._plan.input.items():
            self._check_input(name, written)
        for number, step in enumerate(self._plan.steps):
            self._check_id(step.id, number)
        for number, step in enumerate(self._plan.steps):
            self._check_result(step, self._step_path(number))
        for number, step in enumerate(self._plan.steps):
            self._check_arguments(step, number, self._step_path(number))
            check_require(step, len(self._before[number]), path=self._step_path(number), problems=self._problems)
        returns = self._check_returns()
        check_budgets(self._plan, self._kinds, self._functions, path=self._path, problems=self._problems)
        digest = self._check_numbers()
        dag = self._check_graph()
        if dag is None:
            return None
        may_fail = tolerated(self._plan, self._index, dag)
        self._check_nulls(may_fail)
        check_apart(self._owned(), dag, self._plan.steps, path=self._path, problems=self._problems)
        if len(self._problems) > known:
            return None
        return self._result(dag, returns, digest=digest, may_fail=may_fail)

    def _check_numbers(self) -> str:
        """The plan's digest, which cannot be taken where a number is infinite, as 1e999 is."""
        try:
            return self._plan.digest
        except ValueError:
            if not len(self._problems):  # else it was told where
                self._problems.add(self._path, "a number in it is not finite", "write one that is")
            return ""

    def _result(self, dag: Dag, returns: Shape | None, *, digest: str, may_fail: bytes) -> CompiledPlan:
        bare = bare_steps(self._plan, self._kinds, may_fail=may_fail)
        return CompiledPlan(
            plan=self._plan,
            digest=digest,
            index=self._index,
            kinds=tuple(self._kinds),
            dependencies=tuple(tuple(sorted(before)) for before in self._before),
            dag=dag,
            bare=bare,
            special=tuple(number for number, is_bare in enumerate(bare) if not is_bare),
            tolerated=may_fail,
            outputs=tuple(self._outputs),
            returns=returns,
            expressions=self._compiled,
            functions={function.name: function for function in self._functions if function is not None},
            inputs=self._inputs,
            plans=self._sub_plans,
        )

    def _step_path(self, number: int) -> str:
        return f"{self._path}.steps[{number}]"

    def _check_input(self, name: str, written: Any) -> None:
        compiled = self._types.codec(written, path=at(at(self._path, "input"), name), name=f"Input_{name}")
        if compiled is not None:
            self._inputs[name] = compiled

    def _check_id(self, id: str, number: int) -> None:
        path = f"{self._step_path(number)}.id"
        if not _ID.fullmatch(id):
            self._problems.add(path, f"{visible(id)} is not an id", "use letters, digits, _ and -")
        if id in self._index:
            other = self._step_path(self._index[id])
            self._problems.add(path, f"the id {visible(id)} is there twice, first at {other}", "give it another")
        else:
            self._index[id] = number

    def _check_result(self, step: Step, path: str) -> None:
        kind = kind_of(step, self._plan, self._registry)
        check_kind(step, kind, path=path, plan=self._plan, registry=self._registry, problems=self._problems)
        self._kinds.append(kind)
        function = function_of(step, kind, self._registry)
        self._functions.append(function)
        if kind == "plan" and step.fn in self._plan.plans:
            sub_plan = self._sub_plan(step.fn, at(path, "fn"))
            if sub_plan is not None:
                self._sub_plans[step.fn] = sub_plan
            self._outputs.append(None)
            self._shapes.append(None if sub_plan is None else sub_plan.returns)
            return
        output = self._output_of(step, kind, function, path)
        self._outputs.append(output)
        schema = None if output is None else self._types.schema(output)
        self._shapes.append(None if schema is None else Shape(schema, schema))

    def _output_of(self, step: Step, kind: Kind, function: Function | None, path: str) -> Codec[Any] | None:
        if kind == "gate":
            return _DECISION
        name = f"Output_{re.sub(r'[^A-Za-z0-9_]', '_', step.id)}"
        declared = self._types.codec(step.output, path=f"{path}.output", name=name)
        if function is not None and kind != "agent":
            if declared is not None and declared.digest != function.returns.digest:
                problem = f"{function.name} returns {function.returns.name}, not {declared.name}"
                self._problems.add(at(path, "output"), problem, "remove it, or name another function")
            return function.returns
        if declared is None and step.output == "":
            return _COMMAND_RESULT if kind == "command" else None if function is None else function.returns
        return declared

    def _schema_of(self, id: str) -> Schema | None:
        shape = self._shapes[self._index[id]]
        # A part of another plan's output is not used as a whole schema: its definitions are elsewhere.
        return shape.schema if shape is not None and shape.schema is shape.root else None

    def _check_arguments(self, step: Step, number: int, path: str) -> None:
        for position, id in enumerate(step.depends_on):
            self._wait_for(number, id, path=f"{path}.depends_on[{position}]")
        taken, required = self._parameters(step, number)
        linked: set[str] = set()
        for link in links_of(step, path, self._problems):
            linked.update(step.inputs.keys() & {link.name})
            self._check_link(link, number, taken)
        self._check_parameters(step, path, taken=taken, required=required, linked=linked)
        shape = self._shapes[number]
        if step.repeat is not None and step.repeat.accumulate is not None and shape is not None:
            where = at(at(path, "repeat"), "accumulate")
            check_accumulate(step.repeat.accumulate, shape, path=where, problems=self._problems)
        result = shape.schema if shape is not None and shape.schema is shape.root else None
        for condition in conditions_of(step, path):
            expression = self._expressions.compile(
                condition, result=result, inputs=lambda: self._input_schema(step, taken), step=number
            )
            if expression is not None:
                self._compiled[condition.text] = expression
                for id in expression.steps & self._index.keys():
                    self._wait_for(number, id, path=condition.path)

    def _parameters(self, step: Step, number: int) -> tuple[Mapping[str, Codec[Any]] | None, frozenset[str]]:
        """What the step takes, `None` if that is not known; and what it needs of it."""
        function = self._functions[number]
        if function is not None:
            return function.parameters, function.required
        sub_plan = self._sub_plans.get(step.fn) if self._kinds[number] == "plan" else None
        if sub_plan is not None and sub_plan.inputs:
            return sub_plan.inputs, frozenset(sub_plan.inputs)
        return None, frozenset()

    def _check_link(self, link: Link, number: int, taken: Mapping[str, Codec[Any]] | None) -> None:
        shape = self._shape_at(link.reference, number, link.path)
        consumer = (taken or {}).get(link.name) if link.whole else None
        if consumer is not None and is_join(self._plan.steps[number]) and link.reference.step in self._index:
            self._maybe_null.append((self._index[link.reference.step], link.name, consumer, link.path))
        if shape is None or consumer is None:
            return
        reason = self._types.misfit(shape, consumer)
        if reason:
            fix = f"{visible(link.name)} takes {consumer.name}"
            self._problems.add(link.path, f"what it refers to does not fit: {reason}", fix)

    def _shape_at(self, reference: Reference, number: int | None, path: str) -> Shape | None:
        """The shape of what a reference in step `number` refers to, if it is known; the step then waits for it."""
        if reference.step:
            known = self._wait_for(number, reference.step, path=path)
            whole = None if known is None else self._shapes[known]
            parts = reference.path
        else:
            whole, parts = self._shape_of_input(reference, path), reference.path[1:]
        if whole is None:
            return None
        try:
            return field_at(whole, parts)
        except NoSuchField as error:
            self._problems.add(path, f"{'.'.join(parts)}: {error.problem}", error.fix)
            return None

    def _shape_of_input(self, reference: Reference, path: str) -> Shape | None:
        name = reference.path[0] if reference.path else ""
        if not self._plan.input or not name:
            return None
        if name not in self._plan.input:
            fix = did_you_mean(name, self._plan.input, otherwise="")
            self._problems.add(path, f"the plan has no input {visible(name)}", fix)
        compiled = self._inputs.get(name)
        if compiled is None:
            return None
        schema = self._types.schema(compiled)
        return Shape(schema, schema)

    def _check_parameters(
        self,
        step: Step,
        path: str,
        *,
        taken: Mapping[str, Codec[Any]] | None,
        required: frozenset[str],
        linked: set[str],
    ) -> None:
        if taken is None:
            return
        for name, value in step.inputs.items():
            where = at(f"{path}.inputs", name)
            if name not in taken:
                fix = did_you_mean(name, taken, otherwise="remove it")
                self._problems.add(where, f"{step.fn} takes no {visible(name)}", fix)
            elif name not in linked:
                self._check_value(value, taken[name], where)
        for name in sorted(required - step.inputs.keys()):
            self._problems.add(at(path, "inputs"), f"{step.fn} needs {visible(name)}", "give it a value or a reference")

    def _check_value(self, value: Any, taken: Codec[Any], path: str) -> None:
        try:
            # It has no references, but perhaps texts that only begin like one.
            taken.decode_value(msgspec.json.encode(substitute(value, str)))
        except ContractViolation as violation:
            reasons = "; ".join(each.for_prompt.removeprefix("schema: ") for each in violation.violations)
            self._problems.add(path, reasons, f"it takes {taken.name}")
        except RecursionError:
            return  # noted where its references were looked for

    def _input_schema(self, step: Step, taken: Mapping[str, Codec[Any]] | None) -> Schema:
        schemas = {name: self._types.schema(compiled) for name, compiled in (taken or {}).items()}
        alone = {name: schema for name, schema in schemas.items() if not schema.get("$defs")}
        properties = {name: alone.get(name, {}) for name in {*step.inputs, *schemas}}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _check_returns(self) -> Shape | None:
        """The shape of what the plan returns."""
        path = at(self._path, "output")
        if not self._plan.output:
            return self._shapes[-1] if self._shapes else None
        try:
            return self._shape_at(read_reference(self._plan.output, path=path), None, path)
        except Malformed as malformed:
            self._problems.add(path, malformed.problem, malformed.fix)
            return None

    def _owned(self) -> dict[int, Sequence[str]]:
        """By step: the files that it says it may change, or the steps of the plan that it runs."""
        inside = {name: inner.files for name, inner in self._sub_plans.items()}
        owned = ((number, step.files or inside.get(step.fn)) for number, step in enumerate(self._plan.steps))
        return {number: files for number, files in owned if files}

    def _check_nulls(self, may_fail: bytes) -> None:
        """A join takes null for the output of a step that may have failed."""
        for number, name, consumer, path in self._maybe_null:
            if may_fail[number] or not self._plan.fail_fast:
                check_takes_null(self._plan.steps[number], name, consumer, path=path, problems=self._problems)

    def _wait_for(self, number: int | None, id: str, *, path: str) -> int | None:
        """Have step `number` wait for the one named at `path`; its number, or `None` if there is none."""
        before = self._index.get(id)
        if before is None:
            fix = did_you_mean(id, self._index, otherwise="")
            self._problems.add(path, f"there is no step {visible(id)}", fix)
        elif before == number:
            self._problems.add(path, f"step {visible(id)} waits for itself", "remove it")
        elif number is not None:
            self._before[number].add(before)
        return before

    def _check_graph(self) -> Dag | None:
        """The graph that is run; `None` if it has a cycle."""
        stand_ins = self._stand_ins()
        for number, other in stand_ins.items():
            self._before[other].add(number)
        waits = with_stand_ins(self._before, stand_ins)
        ids = [step.id for step in self._plan.steps]
        dag = acyclic(waits, ids, path=self._path, problems=self._problems)
        if dag is None:
            return None
        targets = [
            (number, target, path)
            for number, path, id in self._targets()
            if (target := self._wait_for(None, id, path=path)) is not None
        ]
        check_targets(self._before, targets, ids, path=self._path, problems=self._problems)
        return dag

    def _stand_ins(self) -> dict[int, int]:
        """By step, the one that stands in for it."""
        found: dict[int, int] = {}
        taken: set[int] = set()
        for number, step in enumerate(self._plan.steps):
            path = f"{self._step_path(number)}.on_fail"
            other = self._wait_for(None, step.on_fail, path=path) if step.on_fail else None
            if other is None:
                continue
            if other == number or other in taken or self._kinds[other] == "gate" or self._plan.steps[other].on_fail:
                fix = "name a step that is no gate, stands in for no other, and has no stand-in itself"
                self._problems.add(path, f"step {visible(step.on_fail)} cannot stand in for this one", fix)
                continue
            found[number] = other
            taken.add(other)
            self._check_stand_in(number, other, path)
        return found

    def _check_stand_in(self, number: int, other: int, path: str) -> None:
        given, wanted = self._shapes[other], self._outputs[number]
        reason = "" if given is None or wanted is None else self._types.misfit(given, wanted)
        if reason:
            self._problems.add(path, f"its output cannot take this one's place: {reason}", "have it return the same")

    def _targets(self) -> Iterator[tuple[int, str, str]]:
        """The steps that repairs and revisions go back to: by whom, where, and its id."""
        for number, step in enumerate(self._plan.steps):
            path = self._step_path(number)
            if step.repair:
                yield number, at(path, "repair"), step.repair
                if not step.conditions:
                    problem = "there is nothing that could be violated and sent there"
                    self._problems.add(at(path, "repair"), problem, "give the step an ensure")
            if step.gate is not None and step.gate.revise:
                yield number, at(at(path, "gate"), "revise"), step.gate.revise


_COMMAND_RESULT: Codec[Any] = codec(CommandResult, owner="CommandResult", field="")
_DECISION: Codec[Any] = codec(GateDecision, owner="GateDecision", field="")
