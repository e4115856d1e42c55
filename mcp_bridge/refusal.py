"""What a client is told of a call that could not be answered: arguments that a tool or a prompt does not take, no such name, a fault of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mcp.server.mcpserver.prompts.base import PromptArgument
from pydantic import ValidationError

from stratum.contracts.error_groups import leaves
from stratum.contracts.mismatch import violations_of
from stratum.contracts.problem import did_you_mean, legible, visible

MAX_TOLD: Final = 10_000
"""Characters of a refusal: it may quote what was sent."""
_NAME_SHOWN: Final = 64
_FAULT_SHOWN: Final = 1_000


def unknown_arguments(given: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each argument that the tool does not have."""
    known = list(known)
    return [
        f"there is no argument {visible(name[:_NAME_SHOWN])}; {did_you_mean(name, known, otherwise='leave it out')}"
        for name in given
        if name not in known
    ]


def wrong_arguments(error: ValidationError, tool: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Each mismatch, and what the argument is for, by the JSON Schema of the tool's arguments."""
    fields = schema["properties"]
    wrong = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_url=False))
    lines = [
        *(violation.for_prompt.removeprefix("schema: ") for violation in violations_of(error, given)),
        *(_meaning(name, fields[name], needed=name in schema.get("required", ())) for name in wrong),
        *unknown_arguments(given, fields),
        f"Nothing was done: correct this and call {tool} again.",
    ]
    return legible("\n".join(lines), most=MAX_TOLD)


def no_such_tool(name: str, known: Iterable[str]) -> str:
    """Which tool may have been meant."""
    return f"there is no tool {visible(name[:_NAME_SHOWN])}; {did_you_mean(name, known, otherwise='list the tools')}"


def wrong_prompt(name: str, given: Mapping[str, str], known: Mapping[str, Sequence[PromptArgument]]) -> str:
    """What is wrong with a request for a prompt, by the arguments of each; empty where nothing is.

    A client sends no other values than texts: the SDK has refused them.
    """
    if name not in known:
        return legible(
            f"there is no prompt {visible(name[:_NAME_SHOWN])}; {did_you_mean(name, known, otherwise='list the prompts')}",
            most=MAX_TOLD,
        )
    lines = unknown_arguments(given, (each.name for each in known[name]))
    lines += [
        f"{each.name}: expected a text (required), got nothing; it is: {each.description}"
        for each in known[name]
        if each.required and not given.get(each.name, "").strip()
    ]
    return legible("\n".join(lines), most=MAX_TOLD)


def fault(error: BaseException, given: Mapping[str, Any]) -> str:
    """An exception that is no refusal: what it is, and how to go on."""
    what = legible("; ".join(_named(each) for each in leaves(error)), most=_FAULT_SHOWN)
    plan = given.get("plan")
    of_plan = f"plan={visible(plan[:_NAME_SHOWN])}" if isinstance(plan, str) else ""
    return (
        f"{what}\nThis is a fault in Stratum, not in your call. Nothing is lost: what was recorded is in the journal. "
        f"stratum_status({of_plan}) tells how far it came: go on from there, or make the call again. "
        "If it fails again, tell the user; the traceback is in the server's log."
    )


def _meaning(name: str, schema: Mapping[str, Any], *, needed: bool) -> str:
    optional = "" if needed else " It may be left out."
    return f"{name} is: {schema.get('description', 'any JSON value.')}{optional}"


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
