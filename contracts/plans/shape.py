"""Everything that keeps a document from being a plan: unknown keys, wrong types, missing parts.

msgspec decides, and tells the first thing it finds; this finds the others, and words them for
whoever wrote the plan. It runs only for documents that were refused.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.problem import Problem, at, did_you_mean, shown
from stratum.contracts.shape import is_dict, is_sequence

_MAX_DEPTH = 10
"""A plan is at most half as deep; what is deeper is plans within plans, which are refused anyway."""
_INNERMOST = re.compile(r" - at `[^`]*`$")


def shape_problems(document: object) -> Iterator[Problem]:
    """Why `document` cannot be converted to an `ExecutionPlan`; nothing if it can."""
    return _problems(document, ExecutionPlan, "$")


def salvaged(document: object) -> ExecutionPlan | None:
    """A plan of what is well-formed in `document`, so that the rest can be checked in the same go.

    `None` unless the steps are a list, each has an id, and what they may name is well-formed: else too much would
    look missing.
    """
    steps = document.get("steps") if is_dict(document) else None
    if not is_dict(document) or not is_sequence(steps) or not steps:
        return None
    kept_steps: list[dict[str, Any]] = []
    for step in steps:
        kept = step if _fits(step, Step) else _kept(step, Step) if is_dict(step) else {}
        if "id" not in kept:
            return None
        if not any(key in kept for key in _SAYS_WHAT) and any(key in step for key in _SAYS_WHAT):
            kept["intent"] = "what it says cannot be read"  # so that nobody is told that it says nothing
        kept_steps.append(kept if _fits(kept, Step) else {"id": kept["id"]})
    kept = _kept({key: inner for key, inner in document.items() if key != "steps"}, ExecutionPlan)
    if any(key in document and key not in kept for key in ("contracts", "input", "plans")):
        return None
    return msgspec.convert({**kept, "steps": kept_steps}, ExecutionPlan)


def _problems(value: object, annotation: Any, path: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, annotation)
    except (msgspec.ValidationError, RecursionError) as error:
        if path.count(".") > _MAX_DEPTH:
            yield Problem(path=path, problem="it is nested too deeply", fix="make it flatter")
            return
        told = False
        for problem in _inner_problems(value, annotation, path):
            told = True
            yield problem
        if not told:
            yield _worded(str(error), value, annotation, path)


def _inner_problems(value: object, annotation: Any, path: str) -> Iterator[Problem]:
    struct, item, member = _parts(annotation)
    if is_dict(value):
        if struct is not None:
            yield from _member_problems(value, struct, path)
        elif member is not None:
            for key, inner in value.items():
                yield from _problems(inner, member, at(path, key))
    elif is_sequence(value) and item is not None:
        for index, inner in enumerate(value):
            yield from _problems(inner, item, at(path, index))


def _member_problems(members: Mapping[str, object], struct: type[msgspec.Struct], path: str) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in _fields(struct)}
    for key, inner in members.items():
        if key in fields:
            yield from _problems(inner, fields[key].type, at(path, key))
        else:
            fix = did_you_mean(key, fields, otherwise="")
            yield Problem(path=at(path, key), problem=f"there is no key {shown(key)} here", fix=fix)
    missing = [name for name, field in fields.items() if field.required and name not in members]
    for name in missing:
        yield Problem(path=path, problem=f"it has no {name!r}", fix=f"give it one: {_EXAMPLES.get(name, name)}")
    if not missing:
        yield from _joint_problems(members, struct, path)


def _joint_problems(members: Mapping[str, object], struct: type[msgspec.Struct], path: str) -> Iterator[Problem]:
    """What the struct itself refuses of members that are well-formed each for itself."""
    kept = _kept(members, struct)
    try:
        msgspec.convert(kept, struct)
    except msgspec.ValidationError as error:
        if "missing required field" not in str(error):
            yield _worded(str(error), kept, struct, path)


_EXAMPLES = {
    "id": 'id: "1"',
    "steps": 'steps: [{id: "1", fn: "..."}]',
    "argv": 'argv: ["pytest", "-q"]',
    "question": 'question: "Ship it?"',
    "until": 'until: "result.score > 0.9"',
    "limit": "limit: 5",
}


_FORMS = {
    "budget": "budget: {usd: 0.50}",
    "gate": 'gate: {question: "Ship it?"}',
    "command": 'command: ["pytest", "-q"]',
    "repeat": 'repeat: {until: "result.score > 0.9", limit: 5}',
    "inputs": "inputs: {name: value}",
    "input": "input: {name: str}",
}
_SAYS_WHAT = ("fn", "intent", "command", "gate")
"""One of these says what a step does."""


def _worded(message: str, value: object, annotation: Any, path: str) -> Problem:
    problem = _INNERMOST.sub("", message)
    problem = problem[:1].lower() + problem[1:] if problem.startswith(("Expected", "Invalid")) else problem
    choices = [choice for part in _alternatives(annotation) if get_origin(part) is Literal for choice in get_args(part)]
    if choices and isinstance(value, str):
        return Problem(path=path, problem=problem, fix=did_you_mean(value, choices, otherwise=""))
    if isinstance(value, (bool, int, float)) and "`str" in problem:
        return Problem(path=path, problem=problem, fix=f'quote it: "{shown(value)}"')
    key = path.rpartition(".")[2]
    fix = f"write {_FORMS[key]}" if problem.startswith("expected `object") and key in _FORMS else "correct it"
    return Problem(path=path, problem=f"{problem}: {shown(value)}", fix=fix)


def _parts(annotation: Any) -> tuple[type[msgspec.Struct] | None, Any, Any]:
    """The struct, the type of a list's items and of a mapping's values that `annotation` admits."""
    struct = item = member = None
    for part in _alternatives(annotation):
        origin, arguments = get_origin(part), get_args(part)
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            struct = part
        elif origin is tuple:
            item = arguments[0]
        elif origin is dict:
            member = arguments[1]
    return struct, item, member


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _alternatives(annotation.__origin__)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for part in get_args(annotation) for inner in _alternatives(part))
    return (annotation,)


def _kept(members: Mapping[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The well-formed ones of `members`."""
    types_by_name = {field.encode_name: field.type for field in _fields(struct)}
    return {key: inner for key, inner in members.items() if key in types_by_name and _fits(inner, types_by_name[key])}


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _fits(value: object, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True
