"""`PromptTemplate`: the text part of a request, compiled once per function and filled in per call.

The order is fixed so that providers' prompt caches hit: intent, context, inputs, opaque attachment. The same inputs
give the same bytes. The contract is not here: it travels as a tool's schema. Where an input is an image the text says
`[image 1]`, and the image goes after it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from stratum.contracts.annotation import is_contract, strip
from stratum.contracts.contract_field import ContractField, fields_of
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.image import Image
from stratum.contracts.json_value import json_value, split
from stratum.contracts.opaque import OPAQUE
from stratum.contracts.signature import Parameter, Signature
from stratum.engine.dialects.protocol import Prompt

_BRACES: Final = re.compile(r"\{\{(?P<literal>[^{}]*)\}\}|\{\{|\{(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\}")
_ATTACHMENT: Final = msgspec.json.Encoder(order="sorted")

Piece = str | Callable[[Mapping[str, Any], "ImageNumbers"], str]
"""Of the instructions: text, or what writes a part of a call's arguments."""


class ImageNumbers:
    """Counts a call's images as its text comes to them; equal ones are sent once."""

    def __init__(self) -> None:
        self._numbers: dict[Image, int] = {}

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(self._numbers)

    def text(self, value: Any) -> str:
        """A string as it is, anything else as compact JSON."""
        if isinstance(value, str):
            return value
        if type(value) is Image:
            return self._place(value)
        return msgspec.json.encode(value, enc_hook=self._place).decode()

    def _place(self, image: Image) -> str:
        return f"[image {self._numbers.setdefault(image, len(self._numbers) + 1)}]"


class PromptTemplate:
    """Intent, context and inputs of one function."""

    def __init__(self, pieces: Sequence[Piece], parameters: Mapping[str, Parameter]) -> None:
        self._pieces = pieces
        self._parameters = parameters
        self._varies = any(not isinstance(piece, str) for piece in pieces)
        self.instructions = "".join(piece if isinstance(piece, str) else "…" for piece in pieces)
        """Intent and context; with a … for each argument, where the intent names some."""

    @classmethod
    def compile(cls, intent: str, context: str | Sequence[str] | None, signature: Signature[Any]) -> PromptTemplate:
        """Take intent and context apart at the arguments they name.

        `{text}` and `{spec.title}` stand for an argument and a field of one; other braces are left as they are,
        and `{{text}}` is the text `{text}`.

        Raises:
            ContractDefinitionError: an opaque argument is named, or a field that the argument does not have; or one
                is bytes.
        """
        for name, parameter in signature.parameters.items():
            _refuse_bytes(parameter.codec.annotation, owner=signature.name, name=name)
        contexts = [context] if isinstance(context, str) else context or ()
        pieces = _pieces("\n\n".join((intent, *contexts)), signature)
        return cls(pieces, signature.parameters)

    def render(self, arguments: Mapping[str, Any], *, addition: str = "") -> Prompt:
        """What this call's request says; `addition` stands after the inputs."""
        lines: list[str] = []
        attached: dict[str, Any] = {}
        numbers = ImageNumbers()
        for name, parameter in self._parameters.items():
            value = arguments[name]
            if parameter.opaque:
                attached[name] = json_value(value)
                continue
            inline, hidden = (value, None) if type(value) is str else split(value)
            lines.append(f"{name}: {numbers.text(inline)}")
            if hidden is not None:
                attached[name] = hidden
        if attached:
            lines.append(f"See attached data for: {', '.join(sorted(attached))}")
        if addition:
            lines.append(addition)
        return Prompt(
            inputs="\n".join(lines),
            attachment=_ATTACHMENT.encode(attached).decode() if attached else "",
            instructions=self._filled(arguments, numbers) if self._varies else None,
            images=numbers.images,
        )

    def hash(self, prompt: Prompt) -> str:
        """12 hex characters over all of the text and the images that are sent."""
        instructions = self.instructions if prompt.instructions is None else prompt.instructions
        return digest12(msgspec.json.encode((instructions, prompt.inputs, prompt.attachment, *_looked_at(prompt))))

    def _filled(self, arguments: Mapping[str, Any], numbers: ImageNumbers) -> str:
        return "".join(piece if isinstance(piece, str) else piece(arguments, numbers) for piece in self._pieces)


def _looked_at(prompt: Prompt) -> list[tuple[str, str]]:
    return [(image.digest, image.detail) for image in prompt.images]


def _refuse_bytes(annotation: Any, *, owner: str, name: str) -> None:
    """As an argument of its own. A contract's field may be bytes, and so may what is opaque: base64 to the model."""
    if OPAQUE in getattr(annotation, "__metadata__", ()):
        return
    annotation = strip(annotation)
    if annotation is bytes:
        raise ContractDefinitionError(
            owner=owner,
            field=name,
            problem="a model reads no bytes",
            fix="write stratum.Image for a picture, and pass stratum.Image(...); else str, and pass decoded text",
        )
    if get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            _refuse_bytes(argument, owner=owner, name=name)


def _pieces(text: str, signature: Signature[Any]) -> list[Piece]:
    pieces: list[Piece] = []
    end = 0
    for match in _BRACES.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        name, *path = (match["path"] or "").split(".")
        if name in signature.parameters:
            pieces.append(_argument(signature, name, path))
        elif match["path"]:
            pieces.append(match.group())
        else:
            pieces.append("{" if match["literal"] is None else f"{{{match['literal']}}}")
    return [*pieces, text[end:]]


def _argument(signature: Signature[Any], name: str, path: Sequence[str]) -> Piece:
    """What writes the argument `name`, or the field of it at `path`."""
    parameter = signature.parameters[name]
    opaque, annotation = parameter.opaque, parameter.codec.annotation
    for depth, field_name in enumerate(path):
        owner = strip(annotation)
        fields: Mapping[str, ContractField] = fields_of(owner) if is_contract(owner) else {}
        if field_name not in fields:
            shown = ".".join((name, *path[:depth]))
            close = difflib.get_close_matches(field_name, fields, n=1)
            raise ContractDefinitionError(
                owner=signature.name,
                field="intent",
                problem=f"`{{{'.'.join((name, *path))}}}`: {shown} has no field {field_name!r}",
                fix=f"did you mean {close[0]!r}?" if close else f"its fields are: {', '.join(fields) or '(none)'}",
            )
        opaque, annotation = opaque or fields[field_name].opaque, fields[field_name].annotation
    if opaque:
        raise ContractDefinitionError(
            owner=signature.name,
            field="intent",
            problem=f"`{{{'.'.join((name, *path))}}}` is opaque: it reaches the model as an attachment only",
            fix="leave it out of intent and context, or drop the opaque[...] from its type",
        )

    def write(arguments: Mapping[str, Any], numbers: ImageNumbers) -> str:
        value = arguments[name]
        for field_name in path:
            value = getattr(value, field_name)
        return numbers.text(split(value)[0])

    return write
