"""What a step reads of the others: references and expressions, each with where it is written."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stratum.contracts.plans.plan import Step
from stratum.contracts.problem import Problems, at
from stratum.contracts.reference import Malformed, Reference, is_reference, read_reference, references

_BEFORE = ("inputs", "steps")
_AFTER = ("result", *_BEFORE)


class Condition(msgspec.Struct, frozen=True, gc=False):
    """An expression in a step."""

    path: str
    text: str
    names: tuple[str, ...]
    """What it may speak of: there is no result yet when `when` is asked."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """A step's use of another's output, or of the plan's input."""

    path: str
    reference: Reference
    name: str = ""
    """The argument it is in; empty: a program's."""
    whole: bool = False
    """It is all of that argument."""


def conditions_of(step: Step, path: str) -> Iterator[Condition]:
    """The step's expressions."""
    for number, condition in enumerate(step.conditions):
        if condition.expr:
            yield Condition(at(at(path, "ensure"), number), condition.expr, _AFTER)
    if step.when:
        yield Condition(at(path, "when"), step.when, _BEFORE)
    if step.repeat is not None:
        yield Condition(at(at(path, "repeat"), "until"), step.repeat.until, _AFTER)
        if step.repeat.score:
            yield Condition(at(at(path, "repeat"), "score"), step.repeat.score, _AFTER)


def links_of(step: Step, path: str, problems: Problems) -> Iterator[Link]:
    """The references in the step's arguments and commands; malformed ones are noted."""
    for name, value in step.inputs.items():
        where = at(f"{path}.inputs", name)
        try:
            for inner, reference in references(value, path=where):
                yield Link(inner, reference, name, inner == where)
        except Malformed as malformed:
            problems.add(malformed.path, malformed.problem, malformed.fix)
    for where, argument in _arguments_of_programs(step, path):
        if is_reference(argument):
            try:
                yield Link(where, read_reference(argument, path=where))
            except Malformed as malformed:
                problems.add(malformed.path, malformed.problem, malformed.fix)


def _arguments_of_programs(step: Step, path: str) -> Iterator[tuple[str, str]]:
    if step.program is not None:
        for number, argument in enumerate(step.program.argv):
            yield at(at(at(path, "command"), "argv"), number), argument
    for index, condition in enumerate(step.conditions):
        for number, argument in enumerate(condition.command):
            yield at(at(at(at(path, "ensure"), index), "command"), number), argument
