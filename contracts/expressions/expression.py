"""`Expression`: a condition written as text in a plan: `result.confidence > 0.7 and len(result.sources) >= 2`.

A small part of Python's expressions over `result`, `inputs` and `steps`, compiled once; docs/expressions.md is its
manual. It may come from an agent and looks at what a model wrote: it cannot reach anything but these values, it always
ends soon, and it raises `ExpressionError` and nothing else. What it needs to know of the world (`file_exists`,
`command_succeeds`) is asked of the sources it is given.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from stratum.contracts.errors import ExpressionError
from stratum.contracts.expressions.compiler import Compiler
from stratum.contracts.expressions.evidence import Evidence, EvidenceCall, EvidenceNeeded, Source
from stratum.contracts.expressions.explanation import UNKNOWN, explain
from stratum.contracts.expressions.fields import Schema, Shape, check_fields
from stratum.contracts.expressions.limits import Fault, Steps
from stratum.contracts.expressions.runtime import Compiled, Frame
from stratum.contracts.expressions.values import kind
from stratum.contracts.json_value import json_value
from stratum.contracts.violation import Violation

NAMES: Final = ("result", "inputs", "steps")
MAX_LENGTH: Final = 2000
"""Characters of an expression."""
MAX_EVIDENCE: Final = 100
"""Questions to the world in one evaluation."""

_EXPRESSION: Final = re.compile(r"\(|==|!=|<|>|\b(?:result|inputs|steps)\b|\s(?:[-+*/%]|\*\*|//)\s")
_IN_ENGLISH: Final = 'write {judge: "..."} if it is plain English'


def classify(text: str) -> Literal["expression", "english"]:
    """How an ensure string is meant.

    An expression where it has a `(`, an operator, or one of the words `result`, `inputs`, `steps`; then it must parse.
    Words (`and`, `in`) and what stands inside words (`read/write`, `90%`, `up-to-date`) are no operators.
    """
    return "expression" if _EXPRESSION.search(text) else "english"


class Expression:
    """A compiled condition."""

    def __init__(
        self, text: str, tree: ast.expr, compiled: Compiled, compiler: Compiler, names: Collection[str]
    ) -> None:
        self.text = text
        self.steps: frozenset[str] = frozenset(compiler.steps)
        """Ids of the plan steps that it reads."""
        self.evidence: frozenset[str] = frozenset(compiler.evidence)
        """Names of the sources that it asks."""
        self.commands: tuple[tuple[str, ...], ...] = tuple(compiler.commands)
        """The commands that it runs, each written out: what a person approves."""
        self._tree = tree
        self._compiled = compiled
        self._names = names

    @classmethod
    def compile(
        cls, text: str, *, names: Collection[str] = NAMES, shapes: Mapping[str, Schema] | None = None
    ) -> Expression:
        """Read an expression over `names`, whose JSON Schemas, where known, are `shapes`.

        The schema of `steps` has a property per step id, each an object with the property `output`.

        Raises:
            ExpressionError: with the character where it goes wrong, and what to write instead.
        """
        text = text.strip()
        tree = _parsed(text)
        compiler = Compiler(names)
        try:
            compiled = compiler.compile(tree)
            check_fields(tree, {name: Shape(schema, schema) for name, schema in (shapes or {}).items()})
        except Fault as fault:
            raise _error(text, fault) from None
        return cls(text, tree, compiled, compiler, names)

    def evaluate(self, values: Mapping[str, Any], answers: Mapping[EvidenceCall, bool] | None = None) -> Any:
        """The value, with the names meaning `values`: contracts or JSON values.

        Raises:
            ExpressionError: it cannot be evaluated on these values.
            EvidenceNeeded: it asks something that is not in `answers`.
        """
        return self._run(self._plain(values), answers or {})

    async def check(self, values: Mapping[str, Any], sources: Mapping[str, Source] | None = None) -> list[Violation]:
        """No violation where the expression is true; else one, with what was seen instead.

        An expression that cannot be evaluated on these values is violated: they lack what it asks for. Checkpoints
        only where a source does. Raises what a source raises.
        """
        found: dict[EvidenceCall, Evidence] = {}
        try:
            plain = self._plain(values)
            outcome = await self._settled(plain, found, sources or {})
        except ExpressionError as error:
            return [self._violation(f"{error.problem}; {error.fix}")]
        if outcome is True:
            return []
        if outcome is not False:
            return [self._violation(f"it is {kind(outcome)}, not true or false; compare it with something")]
        details = [evidence.detail for evidence in found.values() if evidence.detail and not evidence.holds]
        return [
            self._violation("; ".join(part for part in (self._explanation(values, plain, found), *details) if part))
        ]

    async def _settled(
        self, values: Mapping[str, Any], found: dict[EvidenceCall, Evidence], sources: Mapping[str, Source]
    ) -> Any:
        """The value, once every question it asks is answered. It is evaluated anew after each: nothing has effects."""
        while True:
            try:
                return self._run(values, {call: evidence.holds for call, evidence in found.items()})
            except EvidenceNeeded as needed:
                if len(found) >= MAX_EVIDENCE:
                    raise self._unanswerable(f"it asks more than {MAX_EVIDENCE} questions") from None
                if needed.call.function not in sources:
                    raise self._unanswerable(f"{needed.call.function} is not available here") from None
                answer = sources[needed.call.function](*needed.call.arguments)
                found[needed.call] = await answer if inspect.isawaitable(answer) else answer

    def _plain(self, values: Mapping[str, Any], *, redact: bool = False) -> dict[str, Any]:
        try:
            return {name: json_value(value, redact=redact) for name, value in values.items() if name in self._names}
        except RecursionError:
            raise self._unanswerable("the values are nested too deeply") from None

    def _run(self, values: Mapping[str, Any], answers: Mapping[EvidenceCall, bool]) -> Any:
        try:
            return self._compiled(Frame(values, answers, steps=Steps()))
        except Fault as fault:
            raise _error(self.text, fault) from None
        except RecursionError:  # pragma: no cover - only where the caller's own stack is nearly used up
            raise self._unanswerable("the values are nested too deeply") from None

    def _unanswerable(self, problem: str) -> ExpressionError:
        return ExpressionError(expression=self.text, problem=problem, fix="split it into several conditions")

    def _violation(self, detail: str) -> Violation:
        return Violation(kind="ensure", condition=self.text, detail=detail)

    def _explanation(
        self, values: Mapping[str, Any], plain: Mapping[str, Any], found: Mapping[EvidenceCall, Evidence]
    ) -> str:
        answers = {call: evidence.holds for call, evidence in found.items()}
        seen = _Seen(self._names, plain, self._plain(values, redact=True), answers, steps=Steps())
        return explain(self._tree, values=seen, source=lambda node: ast.get_source_segment(self.text, node) or "")


class _Seen:
    """The values of an expression's parts: computed again, since nothing in the language has effects."""

    def __init__(
        self,
        names: Collection[str],
        values: Mapping[str, Any],
        shown: Mapping[str, Any],
        answers: Mapping[EvidenceCall, bool],
        *,
        steps: Steps,
        loops: Mapping[str, Any] | None = None,
    ) -> None:
        self._names = names
        self._values = values
        self._shown = shown
        self._answers = answers
        self._steps = steps
        """For the whole explanation."""
        self._loops = loops or {}

    def evaluate(self, node: ast.expr) -> object:
        if self._steps.exhausted:
            return UNKNOWN
        try:
            self._steps.charge(sum(1 for _ in ast.walk(node)), node)
            compiled = Compiler(self._names, self._loops).compile(node)
            value = compiled(Frame(self._values, self._answers, steps=self._steps, loops=self._loops))
            # What comes out otherwise with opaque parts left out holds some of them.
            shown = compiled(Frame(self._shown, self._answers, steps=self._steps, loops=self._loops))
        except (Fault, EvidenceNeeded, RecursionError):
            return UNKNOWN
        return value if value == shown else UNKNOWN

    def binding(self, name: str, value: object) -> _Seen:
        loops = {**self._loops, name: value}
        return _Seen(self._names, self._values, self._shown, self._answers, steps=self._steps, loops=loops)


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            expression=text,
            problem=f"it is longer than {MAX_LENGTH:,} characters",
            fix="split it into several conditions",
        )
    try:
        with warnings.catch_warnings():
            # A pattern's '\d' is no reason to warn.
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        position = max(error.offset or 1, 1) if error.lineno in (None, 1) else 1
        raise ExpressionError(expression=text, problem=error.msg, fix=_IN_ENGLISH, position=position) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(
            expression=text, problem=str(error) or "it is nested too deeply", fix=_IN_ENGLISH
        ) from None


def _error(text: str, fault: Fault) -> ExpressionError:
    line, column = getattr(fault.node, "lineno", 1), getattr(fault.node, "col_offset", 0)
    if fault.at_field and isinstance(fault.node, ast.Attribute) and fault.node.end_lineno is not None:
        line, column = fault.node.end_lineno, (fault.node.end_col_offset or 0) - len(fault.node.attr.encode())
    ends = [match.end() for match in re.finditer(r"\r\n|\r|\n", text)]
    start = [0, *ends][line - 1]
    # `ast` counts columns in bytes.
    position = start + len(text[start:].encode()[:column].decode(errors="replace")) + 1
    return ExpressionError(expression=text, problem=fault.problem, fix=fault.fix, position=position)
