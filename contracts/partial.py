"""`Partial[T]`: an answer while it is being written; each of its fields that is there is valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_origin

import msgspec
from pydantic_core import from_json

from stratum.contracts.annotation import strip
from stratum.contracts.codec import Codec, codec
from stratum.contracts.contract_field import fields_of
from stratum.contracts.errors import ContractViolation

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Generic[T]):
    """A streamed answer, as far as it has come."""

    attempt: int
    """From 1: a rejected answer is written anew, from its first field on."""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """By name, each valid by itself: texts grow, lists get items, everything else is there once it is complete."""
    result: T | None = None
    """The accepted answer; on the last of a stream, and only there."""


class PartialReader:
    """Reads a contract's unfinished JSON."""

    def __init__(self, of: Codec[Any]) -> None:
        annotations = (
            {"value": ("value", of.annotation)}
            if of.wrapped
            else {each.wire_name: (name, each.annotation) for name, each in fields_of(strip(of.annotation)).items()}
        )
        self._fields = {
            wire: (name, strip(annotation), codec(annotation, owner=of.name, field=name))
            for wire, (name, annotation) in annotations.items()
        }

    def fields(self, written: str) -> dict[str, Any]:
        """What is valid of it, by the fields' names."""
        growing = _object(written, "trailing-strings")
        whole = _object(written, "off")
        last = None if whole is not None else next(reversed(growing or {}), None)
        valid: dict[str, Any] = {}
        for wire, value in (growing or {}).items():
            known = self._fields.get(wire)
            if known is None:
                continue
            name, annotation, field_codec = known
            if wire == last:
                value = _so_far(value, annotation)
                if value is None:
                    continue
            try:
                valid[name] = field_codec.decode_value(msgspec.json.encode(value))
            except ContractViolation:
                continue
        return valid


def _so_far(value: Any, annotation: Any) -> Any:
    """What can be said of a value that may not be complete; a number may get more digits, a name more letters."""
    if annotation is str and isinstance(value, str):
        return value
    if get_origin(annotation) is list and isinstance(value, list):
        return value[:-1]  # pyright: ignore[reportUnknownVariableType] - whatever JSON holds
    return None


def _object(written: str, partial: Any) -> dict[str, Any] | None:
    try:
        read = from_json(written, allow_partial=partial)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None  # pyright: ignore[reportUnknownVariableType] - whatever JSON holds
