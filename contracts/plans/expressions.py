"""The expressions of a plan, compiled against the types of what they speak of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stratum.contracts.errors import ExpressionError
from stratum.contracts.expressions.expression import Expression
from stratum.contracts.expressions.fields import Schema
from stratum.contracts.plans.links import Condition
from stratum.contracts.problem import Problems
from stratum.contracts.shape import is_dict, is_sequence

_BEYOND_RESULT = re.compile(r"\b(?:inputs|steps)\b")


class PlanExpressions:
    """Compiles each expression once for each type of result that it is asked about."""

    def __init__(self, ids: Mapping[str, int], output: Callable[[str], Schema | None], problems: Problems) -> None:
        """`output` gives what a step returns, where that is known."""
        self._problems = problems
        self._definitions: dict[str, Schema] = {}
        self._moved: dict[int, tuple[Schema, Schema]] = {}
        self._steps: Schema = {
            "type": "object",
            "properties": _Steps(ids, self._of_step, output),
            "additionalProperties": False,
            "$defs": self._definitions,
        }
        self._compiled: dict[tuple[object, ...], Expression | ExpressionError] = {}

    def compile(
        self, condition: Condition, *, result: Schema | None, inputs: Callable[[], Schema], step: int
    ) -> Expression | None:
        """`None` if it is wrong, which is then noted."""
        # What speaks of the result alone is the same for every step that returns the same type.
        own = step if _BEYOND_RESULT.search(condition.text) else -1
        key = (condition.text, condition.names, id(result), own)
        if key not in self._compiled:
            shapes: dict[str, Schema] = {"steps": self._steps}
            if own >= 0:
                shapes["inputs"] = inputs()
            if result is not None:
                shapes["result"] = result
            self._compiled[key] = _read(condition, shapes)
        compiled = self._compiled[key]
        if isinstance(compiled, Expression):
            return compiled
        self._problems.add(condition.path, f"character {compiled.position}: {compiled.problem}", compiled.fix)
        return None

    def _of_step(self, output: Schema) -> Schema:
        """What `steps["ID"]` is. The definitions of all outputs meet in one place, so each gets names of its own."""
        if id(output) not in self._moved:
            prefix = f"{len(self._moved)}:"
            for name, definition in output.get("$defs", {}).items():
                self._definitions[prefix + name] = _with_prefix(definition, prefix)
            alone = {key: value for key, value in output.items() if key != "$defs"}
            self._moved[id(output)] = output, _with_prefix(alone, prefix)
        return {"type": "object", "properties": {"output": self._moved[id(output)][1]}, "additionalProperties": False}


class _Steps(Mapping[str, Any]):
    """The schema of each step, made when it is asked for: an expression reads few of a plan's steps."""

    def __init__(
        self, ids: Mapping[str, int], schema: Callable[[Schema], Schema], output: Callable[[str], Schema | None]
    ) -> None:
        self._ids = ids
        self._schema = schema
        self._output = output

    def __getitem__(self, id: str) -> Schema:
        if id not in self._ids:
            raise KeyError(id)
        return self._schema(self._output(id) or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _read(condition: Condition, shapes: Mapping[str, Schema]) -> Expression | ExpressionError:
    try:
        return Expression.compile(condition.text, names=condition.names, shapes=shapes)
    except ExpressionError as error:
        return error


def _with_prefix(schema: Any, prefix: str) -> Any:
    # Recursion is bounded: schemas come from codecs, whose types are not nested deeper than their source.
    if is_dict(schema):
        return {
            key: f"#/$defs/{prefix}{str(value).rsplit('/', 1)[-1]}" if key == "$ref" else _with_prefix(value, prefix)
            for key, value in schema.items()
        }
    return [_with_prefix(item, prefix) for item in schema] if is_sequence(schema) else schema
