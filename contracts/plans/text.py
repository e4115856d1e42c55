"""Plans as text: JSON and YAML, in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import msgspec

from stratum.contracts.errors import PlanError
from stratum.contracts.json_text import Unreadable, read_json
from stratum.contracts.plans.check import check, compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.shape import salvaged, shape_problems
from stratum.contracts.plans.yaml_text import lines_of, read_yaml, write_yaml
from stratum.contracts.problem import MAX_PROBLEMS, Problem, Problems, shown
from stratum.contracts.registry import Registry

MAX_BYTES: dict[str, int] = {"json": 32 * 2**20, "yaml": 4 * 2**20}
"""Of a plan's text: 100,000 steps of some 300 bytes as JSON."""
Format = Literal["json", "yaml"]
_MAX_LOCATED = 2**20
_AS_TEXT = "Path(...).read_text()"


def read_plan(text: str | bytes, *, format: Format | None = None) -> ExecutionPlan:
    """The plan that `text` holds, well-formed but not yet checked against functions and contracts.

    If no format is given, a text that begins with `{` is JSON.

    Raises:
        PlanError: with everything that is wrong with its form.
    """
    text = _decoded(text)
    document = _document(text, format)
    try:
        return msgspec.convert(document, ExecutionPlan)
    except (msgspec.ValidationError, RecursionError):
        raise PlanError(problems=_located(_form_problems(document), text)) from None


def load_plan(text: str | bytes, registry: Registry, *, format: Format | None = None) -> CompiledPlan:
    """The plan that `text` holds, checked and ready to be shown and run.

    Raises:
        PlanError: with everything that is wrong with it: its form, and what can be told of the rest.
    """
    if not isinstance(registry, Registry):
        raise TypeError(f"a plan is checked against a Registry, not {registry!r}; pass Functions([...]).registry")
    text = _decoded(text)
    try:
        return load_document(_document(text, format), registry)
    except PlanError as error:
        raise PlanError(problems=_located(error.problems, text)) from None


def load_document(document: object, registry: Registry) -> CompiledPlan:
    """The plan that JSON values hold: as `load_plan`, where there is no text.

    Raises:
        PlanError: with everything that is wrong with it.
    """
    try:
        plan = msgspec.convert(document, ExecutionPlan)
    except (msgspec.ValidationError, RecursionError):
        problems = _form_problems(document)
        rest = salvaged(document) if len(problems) < MAX_PROBLEMS else None
        # What has no form cannot be looked at: what seems missing because of it is not said.
        known = {problem.path for problem in problems}
        more = [] if rest is None else [each for each in check(rest, registry) if not _under(each.path, known)]
        raise PlanError(problems=_in_order([*problems, *more][:MAX_PROBLEMS])) from None
    return compile_plan(plan, registry)


def to_json(plan: ExecutionPlan) -> str:
    """Indented JSON that `read_plan` reads back to an equal plan."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def to_yaml(plan: ExecutionPlan) -> str:
    """YAML that `read_plan` reads back to an equal plan."""
    return write_yaml(msgspec.to_builtins(plan))


def _decoded(text: str | bytes) -> str:
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"a plan is read from its text, not from {text!r}; pass {_AS_TEXT}")
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8-sig")
        text.encode()
    except UnicodeDecodeError as error:
        raise _refusal(f"byte {error.start} is not UTF-8", "save it as UTF-8") from None
    except UnicodeEncodeError as error:
        raise _refusal(f"character {error.start} is half of one", "write the whole character") from None
    return text.removeprefix("\ufeff")


def _document(text: str, format: Format | None) -> Any:
    if format is None:
        format = "json" if text.lstrip()[:1] in ("{", "[") else "yaml"
    if len(text) > MAX_BYTES[format]:
        raise _refusal(f"it is longer than {MAX_BYTES[format] // 2**20} MiB", "split the plan")
    try:
        document = read_json(text) if format == "json" else read_yaml(text)
    except Unreadable as unreadable:
        raise PlanError(problems=[unreadable.problem]) from None
    if isinstance(document, str) and document.endswith((".yaml", ".yml", ".json")):
        raise _refusal(f"{shown(document)} is the name of a file", f"pass what is in it: {_AS_TEXT}")
    return document


def _refusal(problem: str, fix: str) -> PlanError:
    return PlanError(problems=[Problem(path="$", problem=problem, fix=fix)])


def _form_problems(document: object) -> list[Problem]:
    return list(islice(shape_problems(document), MAX_PROBLEMS))


def _under(path: str, others: set[str]) -> bool:
    return any(way in others for way in _ways(path))


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    found = Problems()
    for problem in problems:
        found.note(problem)
    return found.in_order()


def _located(problems: Sequence[Problem], text: str) -> list[Problem]:
    """The problems in order, each with the line of its place, or of the nearest thing around that."""
    ways = {problem.path: list(_ways(problem.path)) for problem in problems}
    lines = lines_of(text, {way for each in ways.values() for way in each}) if len(text) <= _MAX_LOCATED else {}
    at = {path: next((lines[way] for way in known if way in lines), None) for path, known in ways.items()}
    return _in_order([msgspec.structs.replace(each, line=each.line or at[each.path]) for each in problems])


def _ways(path: str) -> Iterator[str]:
    """The path and those of what it is in, innermost first."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
