"""A prompt written in a call, taken apart: what it says, and which values it is filled with."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

_MESSAGES: Final = {"chat": "messages", "responses": "input"}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the prompt is filled with."""

    name: str
    """As the step's parameter."""
    value: ast.expr


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    intent: str
    context: str
    parts: tuple[Part, ...]


def prompt_of(kind: str, keywords: Mapping[str, ast.expr]) -> Prompt | None:
    """What the call says, where that is written in the call itself: constants and f-strings, one user message."""
    told = keywords.get("instructions")
    asked = keywords.get(_MESSAGES.get(kind, ""))
    if asked is None:
        return None
    system = [] if told is None else [told]
    user: list[ast.expr] = []
    if isinstance(asked, ast.List):
        for message in asked.elts:
            role, content = _message(message)
            if content is None or role not in ("system", "developer", "user"):
                return None
            (user if role == "user" else system).append(content)
    elif kind == "responses":
        user.append(asked)
    if len(user) != 1 or len(system) > 1:
        return None
    return _prompt(system[0] if system else None, user[0])


def _message(node: ast.expr) -> tuple[str, ast.expr | None]:
    match node:
        case ast.Dict(
            keys=[ast.Constant(value="role"), ast.Constant(value="content")],
            values=[ast.Constant(value=str() as role), content],
        ):
            return role, content
        case _:
            return "", None


def _prompt(system: ast.expr | None, user: ast.expr) -> Prompt | None:
    taken = _template(user)
    if taken is None:
        return None
    text, parts = taken
    if system is None:
        return Prompt(intent=text, context="", parts=parts) if text else None
    match system:
        case ast.Constant(value=str() as intent) if intent.strip() and not {"{", "}"} & set(intent):
            return Prompt(intent=intent.strip(), context=text, parts=parts)
        case _:
            return None


def _template(node: ast.expr) -> tuple[str, tuple[Part, ...]] | None:
    """The text with `{name}` for each value; a value that only ends it is left out: inputs follow anyway."""
    pieces: Sequence[ast.expr] = node.values if isinstance(node, ast.JoinedStr) else [node]
    text, parts = "", list[Part]()
    for piece in pieces:
        match piece:
            case ast.Constant(value=str() as constant):
                if {"{", "}"} & set(constant):
                    return None
                text += constant
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                parts.append(_part(value, parts))
                text += f"{{{parts[-1].name}}}"
            case ast.Name() | ast.Attribute() if piece is node:
                parts.append(_part(piece, parts))
                text += f"{{{parts[-1].name}}}"
            case _:
                return None
    if parts and text.endswith(last := f"{{{parts[-1].name}}}"):
        text = text.removesuffix(last).rstrip(" :\n'\"`")
    return text.strip(), tuple(parts)


def _part(value: ast.expr, taken: Sequence[Part]) -> Part:
    same = next((part for part in taken if ast.dump(part.value) == ast.dump(value)), None)
    if same is not None:
        return same
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else "value"
    return Part(name=unused(name.strip("_") or "value", {part.name for part in taken} | {"self", "cls"}), value=value)


def unused(name: str, taken: set[str]) -> str:
    """`name`, with a number behind it where it is taken."""
    name = f"{name}_" if keyword.iskeyword(name) else name
    number, chosen = 2, name
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    return chosen


def function_name(intent: str, taken: set[str]) -> str:
    """A name from the first words of the intent."""
    words = re.findall(r"[a-z][a-z0-9]*", re.sub(r"\{\w+\}", " ", intent.lower()))[:4]
    return unused("_".join(words) or "ask_model", taken)
