"""What an expression asks of the world: `file_exists`, `file_contains`, `command_succeeds`.

The language itself has no input and no output. An evaluation that needs an answer stops with `EvidenceNeeded`; the
answer is fetched, by whoever can, and the evaluation is repeated with it.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from stratum.contracts.expressions.limits import Fault

EXAMPLES: Final[Mapping[str, str]] = {
    "file_exists": 'file_exists("app.py")',
    "file_contains": 'file_contains("app.py", "text")',
    "command_succeeds": 'command_succeeds("pytest", "-q")',
}
_ARGUMENTS: Final[Mapping[str, int]] = {"file_exists": 1, "file_contains": 2}


class EvidenceCall(msgspec.Struct, frozen=True):
    """A question to the world: `file_exists("app.py")`."""

    function: str
    arguments: tuple[str, ...]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a source found out."""

    holds: bool
    detail: str = ""
    """Shown where it does not hold: `exit status 1: 3 failed`."""


Source = Callable[..., Awaitable[Evidence] | Evidence]
"""Answers one kind of question: gets its arguments, all texts; may be async."""


class EvidenceNeeded(Exception):
    """An evaluation cannot go on without this answer."""

    def __init__(self, call: EvidenceCall) -> None:
        super().__init__(call)
        self.call = call


def check_call(node: ast.Call, function: str) -> None:
    """Refuse a call that its source could not answer.

    Raises:
        Fault: the wrong number of arguments, or a command that is not written out.
    """
    example = f"write {EXAMPLES[function]}"
    expected = _ARGUMENTS.get(function)
    if node.keywords or not node.args or expected not in (None, len(node.args)):
        raise Fault(node, f"{function} takes {expected or 'the words of a command'}", example)
    if function == "command_succeeds":
        for argument in node.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise Fault(argument, "a command must be written out, since a person approves it", example)


def written_out(node: ast.Call) -> tuple[str, ...]:
    """The words of a command."""
    return tuple(str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))
