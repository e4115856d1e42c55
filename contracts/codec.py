"""`Codec`: one type, compiled once: its schema, its digest, and its way to and from JSON."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final, Generic, Literal, TypeVar, get_args, get_origin
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, from_json

from stratum.contracts.annotation import contracts_within, is_contract, strip, type_name
from stratum.contracts.answer_size import longest, shortest
from stratum.contracts.contract import complete
from stratum.contracts.contract_field import fields_of, opaque_at
from stratum.contracts.digest import canonical_json, digest12
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.hot_decoder import REFUSALS, hot_decoder
from stratum.contracts.image_places import holds_image
from stratum.contracts.json_value import json_value, of_subclass, split
from stratum.contracts.literal_kinds import kind_validator
from stratum.contracts.mismatch import violations_of
from stratum.contracts.opaque import is_opaque
from stratum.contracts.python_value import MEMBER, classes_of, looks_alike, same, tagged, untagged
from stratum.contracts.schema import Schema, answer_schema, is_recursive, local_schema, strict_schema, unordered
from stratum.contracts.strict import adapter_of
from stratum.contracts.supported_type import check_type
from stratum.contracts.violation import Violation
from stratum.contracts.wire_core import wire_reader

T = TypeVar("T")


def codec(annotation: Any, *, owner: str, field: str) -> Codec[Any]:
    """The codec of a type; the same object again for the same type.

    `owner` and `field` say in an error where the type was written.

    Raises:
        ContractDefinitionError: the type, or one within it, is not supported.
    """
    check_type(annotation, owner=owner, field=field)
    # repr too: `int | str` and `str | int` are equal, but not the same schema.
    key = (annotation, repr(annotation))
    try:
        known = _codecs.get(key)
    except TypeError:  # unhashable constraints
        return Codec(annotation, owner=owner, field=field)
    if known is None:
        known = _codecs[key] = Codec(annotation, owner=owner, field=field)
    return known


# Held by whoever uses them: a server sees a new type with every plan.
_codecs: WeakValueDictionary[tuple[Any, str], Codec[Any]] = WeakValueDictionary()


class Codec(Generic[T]):
    """A type's way to and from JSON. Immutable; each part is compiled when it is first needed."""

    def __init__(self, annotation: Any, *, owner: str, field: str) -> None:
        self.annotation = annotation
        self.name = type_name(annotation)
        self.wrapped = not is_contract(strip(annotation))
        """Not an object on the wire: it goes as `{"value": ...}`."""
        self.opaque = is_opaque(annotation)
        reachable = _contracts_reachable(annotation)
        self.holds_image = holds_image(annotation, owner=owner, field=field)
        written_here = [annotation, *(member.annotation for cls in reachable for member in fields_of(cls).values())]
        self._writes_natively = (
            not self.holds_image
            and all(map(_is_natively_written, reachable))
            and all(map(_sorts_natively, written_here))
        )
        self._contracts = reachable
        self._written_here = written_here
        self._looks_alike = any(map(looks_alike, written_here))
        self._hides = self.opaque or any(field.opaque for cls in reachable for field in fields_of(cls).values())
        self._adapter: TypeAdapter[T] = adapter_of(annotation, owner=owner, field=field)
        self._check = (kind_validator(self._adapter.core_schema) or self._adapter.validator).validate_python

    def decode(self, arguments: bytes) -> T:
        """Read what a model wrote.

        Raises:
            ContractViolation: with everything that is wrong with it.
        """
        if self._hot is not None:
            try:
                return self._hot(arguments)
            except REFUSALS:
                pass  # pydantic decides, and says why
        try:
            read = self._wire.validate_json(arguments)
        except ValidationError as error:
            raise self._violation(error, _parsed(arguments)) from error
        value: T = read["value"] if self.wrapped else read
        return value

    def decode_value(self, value: bytes, *, at: str = "") -> T:
        """Read the value from its own JSON, without the wrapping it has on the wire.

        Violations are placed under `at`, the name of the argument that the value is.
        """
        try:
            read: T = self._bare.validate_json(value)
        except ValidationError as error:
            raise self._violation(error, _parsed(value), at=at) from error
        return read

    def encode(self, value: T) -> bytes:
        """JSON that `decode` reads back to an equal value, its opaque parts included.

        Raises:
            ContractViolation: nested too deep to be read back.
        """
        plain = self.plain(value)
        return written({"value": plain} if self.wrapped else plain, _ENCODER, of=self.name, reread=self.recursive)

    def record(self, value: T) -> bytes:
        """What `recall` makes the value of again, each part of the kind it is; for the journal.

        As `encode`, and where that would be read back as another kind (a date as the text that it looks like), the value
        once more, beside its own members.

        Raises:
            ContractViolation: nested too deep to be read back.
        """
        text = self.encode(value)
        if not self.may_change or self._is_read_back(value, text):
            return text
        members = {"value": json_value(value)} if self.wrapped else json_value(value)
        return _ENCODER.encode({**members, MEMBER: tagged(value)})

    def recorder(self, *, refuse: Callable[[object], T]) -> Callable[[object], tuple[T, bytes]]:
        """`validate` and `record` in one for whoever does both often, without the steps that this type does not need.

        `refuse` is called with what does not pass, and raises.
        """
        check: Callable[[object], T] = self._check
        encode, wrapped, contracts = _ENCODER.encode, self.wrapped, self._contracts
        slow = not self._writes_natively or self.recursive or self._looks_alike

        def checked_and_recorded(value: object) -> tuple[T, bytes]:
            try:
                checked = check(value)
            except ValidationError:
                checked = refuse(value)
            if slow or (contracts and self.may_change):
                return checked, self.record(checked)
            try:
                return checked, encode({"value": checked} if wrapped else checked)
            except (RecursionError, ValueError):
                return checked, self.record(checked)  # which says what is wrong

        return checked_and_recorded

    def recall(self, recorded: bytes) -> T:
        """The value that `record` wrote.

        Raises:
            ContractViolation: the type is another one by now, which it does not meet.
        """
        if MARK not in recorded:
            return self.decode(recorded)
        members = msgspec.json.decode(recorded, type=dict[str, msgspec.Raw])
        kept = members.pop(MEMBER, None)
        if kept is None:  # a text within it
            return self.decode(recorded)
        found = self.from_tagged(bytes(kept))
        return self.decode(_ENCODER.encode(members)) if found is None else found[0]

    def from_tagged(self, written: bytes) -> tuple[T] | None:
        """The value of its tagged form; `None` where its classes have changed since it was written."""
        try:
            return (self.validate(untagged(from_json(written), classes_of(self._written_here))),)
        except (LookupError, TypeError, ValueError):  # a ContractViolation is a ValueError
            return None

    def as_tagged(self, value: T) -> Any | None:
        """The tagged form of `value`, where its bare JSON would be read back as another kind."""
        if not self.may_change:
            return None
        text = written(self.plain(value), _ENCODER, of=self.name, reread=self.recursive)
        return None if self._is_read_back(value, text, bare=True) else tagged(value)

    @property
    def may_change(self) -> bool:
        """True where JSON may not say of what kind a value is: it looks like another one, or is of a subclass."""
        return self._looks_alike or any(type.__subclasses__(cls) for cls in self._contracts)

    def plain(self, value: T) -> Any:
        """`value` as msgspec writes it, opaque parts included: itself, if it has only wire names of its own."""
        return value if self._writes_natively else json_value(value)

    def validate(self, value: object, *, at: str = "") -> T:
        """Check a Python value, converting nothing; violations are placed under `at`.

        Raises:
            ContractViolation: with everything that is wrong with it.
        """
        try:
            checked: T = self._check(value)
        except ValidationError as error:
            raise self._violation(error, value, at=at) from error
        return checked

    def jsonable(self, value: T, *, redact: bool) -> Any:
        """`value` for a trace, as JSON values; with `redact`, opaque parts by their size only."""
        if self._writes_natively and not (redact and self._hides):
            if type(value) in _JSON_AS_THEY_ARE:  # half of what a stopped call's inputs cost
                return value
            return msgspec.to_builtins(value, str_keys=True, order="deterministic", enc_hook=of_subclass)
        return json_value(value, redact=redact, opaque=self.opaque)

    def split_opaque(self, value: T) -> tuple[Any, Any | None]:
        """What may stand inline in a prompt, and what goes as an attachment, each as JSON values."""
        return split(value, opaque=self.opaque) if self._hides else (self.jsonable(value, redact=False), None)

    @functools.cached_property
    def schema(self) -> Schema:
        """JSON Schema 2020-12 of the object on the wire, with all that is enforced here."""
        return local_schema(self._adapter.core_schema, wrapped=self.wrapped)

    @functools.cached_property
    def wire_schema(self) -> bytes:
        """The strict subset that providers take, as JSON; fields in their declared order.

        Raises:
            ContractDefinitionError: nested too deep or too large for strict mode.
        """
        return _ENCODER.encode(strict_schema(self._answer_schema, owner=self.name))

    @functools.cached_property
    def digest(self) -> str:
        """12 hex characters over the schema; the order of fields does not change it."""
        return digest12(canonical_json(unordered(self.schema)))

    @functools.cached_property
    def min_output_tokens(self) -> int:
        """With this output cap the shortest valid answer is sure to fit: its bytes, as a token has at least one.

        Raises:
            ContractDefinitionError: no value of it ever ends.
        """
        size = shortest(self._answer_schema)
        if size is None:
            raise ContractDefinitionError(
                owner=self.name,
                problem="every value of it holds another one, without end",
                fix="let the field be None, or a list",
            )
        return size

    @functools.cached_property
    def max_output_tokens(self) -> int | None:
        """No valid answer needs a larger output cap; `None` where a field is unbounded."""
        return longest(self._answer_schema)

    @functools.cached_property
    def recursive(self) -> bool:
        """True where a contract holds itself: its values may be nested deeper than can be read back."""
        return is_recursive(self.schema)

    @functools.cached_property
    def _answer_schema(self) -> Schema:
        return answer_schema(self._adapter.core_schema, wrapped=self.wrapped)

    @functools.cached_property
    def _hot(self) -> Callable[[bytes], T] | None:
        return hot_decoder(self._adapter.core_schema, wrapped=self.wrapped)

    @functools.cached_property
    def _wire(self) -> SchemaValidator:
        return wire_reader(self._adapter.core_schema, wrapped=self.wrapped)

    @functools.cached_property
    def _bare(self) -> SchemaValidator:
        return wire_reader(self._adapter.core_schema)

    def _is_read_back(self, value: T, text: bytes, *, bare: bool = False) -> bool:
        try:
            return same(value, self.decode_value(text) if bare else self.decode(text))
        except ContractViolation:  # of a subclass, with fields that its contract does not have
            return False

    def _violation(self, error: ValidationError, value: object, *, at: str = "") -> ContractViolation:
        hidden = functools.partial(opaque_at, self.annotation)
        violations = violations_of(error, value, at=(at,) if at else (), is_hidden=hidden)
        return ContractViolation(contract=self.name, violations=violations)


def written(plain: Any, encoder: msgspec.json.Encoder, *, of: str, reread: bool) -> bytes:
    """JSON that can be read back; only values of recursive contracts can be nested too deep for that, so `reread` them.

    Raises:
        ContractViolation: nested too deep.
    """
    try:
        text = encoder.encode(plain)
        if reread:
            from_json(text)
    except (RecursionError, ValueError) as error:
        deep = Violation(kind="schema", condition="expected fewer levels of nesting", detail=str(error))
        raise ContractViolation(contract=of, violations=[deep]) from error
    return text


_ENCODER: Final = msgspec.json.Encoder(enc_hook=of_subclass)
_JSON_AS_THEY_ARE: Final = frozenset((str, int, float, bool, type(None)))
MARK: Final = f'"{MEMBER}":'.encode()


def _contracts_reachable(annotation: Any) -> set[type]:
    found: set[type] = set()
    waiting = [annotation]
    while waiting:
        for cls in contracts_within(waiting.pop()):
            if cls not in found:
                found.add(cls)
                complete(cls)
                waiting.extend(field.annotation for field in fields_of(cls).values())
    return found


def _is_natively_written(cls: type[Any]) -> bool:
    """True where msgspec writes the fields under the names they are read by."""
    return not issubclass(cls, (BaseModel, msgspec.Struct)) and all(
        field.name == field.wire_name for field in fields_of(cls).values()
    )


def _sorts_natively(annotation: Any) -> bool:
    """False where it has what msgspec cannot put in order: items that Python does not compare, keys that are no texts."""
    annotation = strip(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return True
    if origin in (set, frozenset) and not _is_ordered(arguments[0]):
        return False
    if origin is dict and strip(arguments[0]) is not str:
        return False
    return all(map(_sorts_natively, arguments))


def _is_ordered(item: Any) -> bool:
    item = strip(item)
    if get_origin(item) is tuple:
        return all(part is Ellipsis or _is_ordered(part) for part in get_args(item))
    return item in _ORDERED


_ORDERED: Final[frozenset[Any]] = frozenset({str, int, float, bool, date, bytes, Decimal, UUID})


def _parsed(arguments: bytes) -> object:
    try:
        return from_json(arguments)
    except ValueError:
        return None
