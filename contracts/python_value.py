"""What a value's JSON does not say of it: that a text was a date, a list a tuple, an hour one of a named zone.

The journal holds JSON, which people, plans and other programs read. Where reading it back would give another kind of
value (the type is a union whose branches look alike in JSON), the journal also holds the value as `tagged` writes it:
every part beside the name of its class.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from stratum.contracts.annotation import CONTRACT_MARK, is_contract, is_union, strip
from stratum.contracts.contract_field import ContractField, fields_of
from stratum.contracts.digest import canonical_json
from stratum.contracts.image import Image
from stratum.contracts.json_value import of_subclass
from stratum.contracts.shape import is_dict, is_sequence, is_set

MEMBER: Final = "$python"
"""Where the tagged form stands, beside a value's own members; no Python name, so no contract has such a field."""


def looks_alike(annotation: Any) -> bool:
    """True where JSON alone may not say what a value of this type is: a union, and a time, which has a zone."""
    annotation = strip(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return any(isinstance(value, enum.Enum) for value in arguments) and len(arguments) > 1
    if is_union(origin) and len([each for each in arguments if each is not type(None)]) > 1:
        return True
    return annotation is datetime or any(map(looks_alike, arguments))


def same(value: Any, read: Any) -> bool:
    """Whether `read` is `value` again, each part of the kind that it was."""
    if type(value) is not type(read):
        return False
    cls = _contract_of(value)
    if cls is not None:
        return all(same(getattr(value, name), getattr(read, name)) for name in fields_of(cls))
    if is_dict(value):
        return _same_items(value, read) and all(same(item, read[key]) for key, item in value.items())
    if is_sequence(value):
        return len(value) == len(read) and all(map(same, value, read))
    if is_set(value):
        return _same_items(value, read)
    if isinstance(value, datetime):
        return _clock(value) == _clock(read)
    return bool(value == read)


def tagged(value: Any) -> Any:
    """`value` as JSON values, from which `untagged` makes it again."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    name = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return [name, value.name]
    cls = _contract_of(value)
    if cls is not None:
        return [name, {field: tagged(getattr(value, field)) for field in fields_of(cls)}]
    if is_dict(value):
        return ["dict", [[tagged(key), tagged(item)] for key, item in value.items()]]
    if is_sequence(value):
        return [name, [tagged(item) for item in value]]
    if is_set(value):
        return [name, sorted((tagged(item) for item in value), key=canonical_json)]
    if isinstance(value, datetime):
        return ["datetime", _clock(value)]
    return [name, value.json if isinstance(value, Image) else msgspec.to_builtins(value, enc_hook=of_subclass)]


def untagged(written: Any, classes: Mapping[str, type[Any]]) -> Any:
    """The value that `tagged` wrote; `classes` are the contracts and Enums there may be in it, by name.

    Raises:
        LookupError, TypeError, ValueError: there is no such class or zone any more, or it takes other values.
    """
    if not is_sequence(written):
        return written
    name, content = written
    if name in _CONTAINERS:
        return _CONTAINERS[name](untagged(item, classes) for item in content)
    if name == "dict":
        return {untagged(key, classes): untagged(item, classes) for key, item in content}
    if name in _LEAVES:
        return _LEAVES[name](content)
    cls = classes[name]
    if issubclass(cls, enum.Enum):
        return cls[content]
    fields = fields_of(_contract_among(cls))
    return cls(**{_keyword(cls, fields[field]): untagged(item, classes) for field, item in content.items()})


def shown(recorded: bytes) -> Any:
    """The JSON of a recorded value, without the tagged form."""
    value = msgspec.json.decode(recorded)
    if is_dict(value):
        value.pop(MEMBER, None)
    return value


def classes_of(annotations: Iterable[Any]) -> dict[str, type[Any]]:
    """The contracts and Enums among these, with the subclasses of contracts there are by now, by name."""
    found: dict[str, type[Any]] = {}
    waiting = list(annotations)
    while waiting:
        annotation = strip(waiting.pop())
        if get_origin(annotation) is Literal:
            waiting += [type(value) for value in get_args(annotation) if isinstance(value, enum.Enum)]
            continue
        waiting += get_args(annotation)
        if isinstance(annotation, type) and (_is_contract_class(annotation) or issubclass(annotation, enum.Enum)):
            found.setdefault(annotation.__qualname__, annotation)
            waiting += type.__subclasses__(annotation)
    return found


def _contract_of(value: Any) -> type[Any] | None:
    """The contract whose fields it has: its own class, or one above it."""
    return next((cls for cls in type(value).__mro__ if is_contract(cls)), None)


def _contract_among(cls: type[Any]) -> type[Any]:
    return next(each for each in cls.__mro__ if is_contract(each))


def _is_contract_class(cls: type[Any]) -> bool:
    return any(CONTRACT_MARK in each.__dict__ for each in cls.__mro__)


def _keyword(cls: type[Any], field: ContractField) -> str:
    """What the constructor calls it."""
    return field.name if issubclass(cls, msgspec.Struct) else field.wire_name


def _same_items(value: Any, read: Any) -> bool:
    """Of sets, and of the keys of dicts; `1`, `1.0` and `True` are equal items."""
    by_item = {item: item for item in read}
    return len(value) == len(by_item) and all(item in by_item and same(item, by_item[item]) for item in value)


def _clock(value: datetime) -> tuple[str, str | float | None, int]:
    """What its clock shows, where the clock hangs, and whether the hour is the second one of its name."""
    where: str | float | None = None
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key not in (None, "UTC"):
        where = value.tzinfo.key
    elif (offset := value.utcoffset()) is not None:
        where = offset.total_seconds()
    return value.replace(tzinfo=None, fold=0).isoformat(), where, 0 if isinstance(where, float) else value.fold


def _time(content: Any) -> datetime:
    shown, where, fold = content
    zone = ZoneInfo(where) if isinstance(where, str) else where if where is None else timezone(timedelta(seconds=where))
    return datetime.fromisoformat(shown).replace(tzinfo=zone, fold=fold)


_CONTAINERS: Final[dict[str, Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_LEAVES: Final[dict[str, Any]] = {
    "datetime": _time,
    "date": date.fromisoformat,
    "bytes": base64.b64decode,
    "Decimal": Decimal,
    "UUID": UUID,
    "Image": Image.from_json,
}
