"""Values as JSON values: whole, with their opaque parts redacted, or split into inline and opaque."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

import msgspec

from stratum.contracts.annotation import contract_of
from stratum.contracts.contract_field import fields_of
from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import ContractViolation
from stratum.contracts.image import Image
from stratum.contracts.shape import is_dict, is_sequence, is_set
from stratum.contracts.violation import Violation


def json_value(value: Any, *, redact: bool = False, opaque: bool = False) -> Any:
    """`value` as JSON values, under the names it has on the wire. Sets are sorted: one value, one text.

    With `redact`, an opaque field, or all of an `opaque` value, is replaced by its size, and an image by what it is.
    """
    if redact and opaque:
        return redacted(value)
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, enum.Enum)):
        return value
    if type(value) is Image:
        return str(value) if redact else value.json
    cls = contract_of(value)
    if cls is not None:
        return {
            field.wire_name: json_value(getattr(value, name), redact=redact, opaque=field.opaque)
            for name, field in fields_of(cls).items()
        }
    if is_dict(value):
        return {key_text(key): json_value(item, redact=redact) for key, item in value.items()}
    if is_sequence(value):
        return [json_value(item, redact=redact) for item in value]
    if is_set(value):
        return sorted((json_value(item, redact=redact) for item in value), key=canonical_json)
    return msgspec.to_builtins(value, enc_hook=of_subclass)


def of_subclass(value: Any) -> Any:
    """A date or time of a subclass (pandas, pendulum) as one of Python's own: msgspec writes no others.

    Raises:
        ContractViolation: of a class derived from a contract that is none itself, whose fields nobody has declared.
    """
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    wrong = Violation(
        kind="schema",
        condition=f"expected a contract, got {type(value).__name__}, a subclass of one that is not decorated",
        detail="decorate it with @contract",
    )
    raise ContractViolation(contract=type(value).__name__, violations=[wrong])


def split(value: Any, *, opaque: bool = False) -> tuple[Any, Any | None]:
    """The inline part and the opaque part; the latter `None` where nothing is opaque.

    The opaque part has the shape of the whole, so that each piece is found at its path:
    `[{"body": ...}, null]` for a list whose first item has an opaque field. Images are left in the inline part as
    they are: they go beside the text.
    """
    if opaque:
        return None, json_value(value)
    if type(value) is Image:
        return value, None
    cls = contract_of(value)
    if cls is not None:
        parts = {
            field.wire_name: (field.opaque, *split(getattr(value, name), opaque=field.opaque))
            for name, field in fields_of(cls).items()
        }
        inline = {name: shown for name, (hidden, shown, _) in parts.items() if not hidden}
        return inline, {name: part for name, (_, _, part) in parts.items() if part is not None} or None
    if is_sequence(value):
        items = [split(item) for item in value]
        kept = [part for _, part in items]
        return [shown for shown, _ in items], kept if any(part is not None for part in kept) else None
    if is_dict(value):
        # Sorted: equal dicts make equal prompts, and a resumed run reads its inputs back in this order.
        by_text = {key_text(key): item for key, item in value.items()}
        entries = {key: split(by_text[key]) for key in sorted(by_text)}
        inline = {key: shown for key, (shown, _) in entries.items()}
        return inline, {key: part for key, (_, part) in entries.items() if part is not None} or None
    return json_value(value), None


def redacted(value: Any) -> str:
    """What a trace shows of an opaque value."""
    return f"[opaque, {len(msgspec.json.encode(json_value(value)))} bytes]"


def key_text(key: Any) -> str:
    """A dict's key as JSON has it."""
    return str(msgspec.to_builtins(key))
