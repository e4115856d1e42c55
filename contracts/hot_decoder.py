"""msgspec decoding of plain contracts, where it is exactly equivalent to pydantic's.

Compiled from pydantic's core schema, the authority: a kind of node, or a setting on one,
that is not known here leaves the whole contract to pydantic. What this decoder accepts,
pydantic accepts with the same value; what it refuses, pydantic decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic_core import CoreSchema

from stratum.contracts.wire_core import admits_none

Build = Callable[[Any], Any]
"""From what msgspec made to the contract's own value."""
Compiled = tuple[Any, Build | None]
"""The msgspec type of a node, and how to build its value; `None`: it is the value."""

REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def hot_decoder(schema: CoreSchema, *, wrapped: bool) -> Callable[[bytes], Any] | None:
    """A decoder for `schema`'s values, raising one of `REFUSALS`; `None` where only pydantic will do.

    `wrapped`: the JSON is `{"value": ...}` around the value.
    """
    try:
        kind, build = _Compiler().compile(schema)
    except _OnlyPydantic:
        return None
    if wrapped:
        return _unwrapping(kind, build)
    decode = msgspec.json.Decoder(kind).decode
    return decode if build is None else lambda arguments: build(decode(arguments))


def _unwrapping(kind: Any, build: Build | None) -> Callable[[bytes], Any]:
    wrapper: Any = msgspec.defstruct("wrapper", [("value", kind)], forbid_unknown_fields=True)
    decode = msgspec.json.Decoder(wrapper).decode
    return lambda arguments: decode(arguments).value if build is None else build(decode(arguments).value)


class _OnlyPydantic(Exception):
    """Something that msgspec does not do, or does differently."""


class _Compiler:
    """One walk over a core schema; contracts that occur several times are compiled once."""

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = {}
        self._compiled: dict[str, Compiled | None] = {}
        """By reference; `None` while its own fields are being compiled."""

    def compile(self, node: Any) -> Compiled:
        settings = _SETTINGS.get(node["type"])
        if settings is None or not node.keys() <= settings | {"type", "metadata", "ref"}:
            raise _OnlyPydantic
        return _COMPILE[node["type"]](self, node)

    def definitions(self, node: Any) -> Compiled:
        self._definitions |= {definition["ref"]: definition for definition in node["definitions"]}
        return self.compile(node["schema"])

    def reference(self, node: Any) -> Compiled:
        name = node["schema_ref"]
        if name not in self._compiled:
            self._compiled[name] = None
            self._compiled[name] = self.compile(self._definitions[name])
        compiled = self._compiled[name]
        if compiled is None:  # recursive
            raise _OnlyPydantic
        return compiled

    def contract(self, node: Any) -> Compiled:
        if not _is_plain(node):
            raise _OnlyPydantic
        members: list[tuple[str, Any, Any]] = []
        builds: list[tuple[str, Build]] = []
        for field in node["schema"]["fields"]:
            if not field.keys() <= _FIELD_SETTINGS:
                raise _OnlyPydantic
            kind, build = self.compile(_without_default(field["schema"]))
            members.append((field["name"], kind, _default(field["schema"])))
            if build is not None:
                builds.append((field["name"], build))
        cls = node["cls"]
        struct = msgspec.defstruct(cls.__name__, members, forbid_unknown_fields=True, kw_only=True)
        return struct, _instance_of(cls, builds)

    def nullable(self, node: Any) -> Compiled:
        kind, build = self.compile(node["schema"])
        return kind | None, build and (lambda value: None if value is None else build(value))

    def list(self, node: Any) -> Compiled:
        kind, build = self.compile(node["items_schema"])
        return _limited(list[kind], node), build and (lambda items: [build(item) for item in items])  # type: ignore[valid-type]

    def dict(self, node: Any) -> Compiled:
        kind, build = self.compile(node["values_schema"])
        if node["keys_schema"] != {"type": "str"}:
            raise _OnlyPydantic
        return (
            _limited(dict[str, kind], node),  # type: ignore[valid-type]
            build and (lambda items: {key: build(item) for key, item in items.items()}),
        )

    def literal(self, node: Any) -> Compiled:
        # msgspec tells 1 from true where pydantic does not; strings are strings to both.
        if not all(type(value) is str for value in node["expected"]):
            raise _OnlyPydantic
        return Literal[tuple(node["expected"])], None


def _is_plain(contract: Any) -> bool:
    """True for a contract whose fields are all there is to it: no code of its own runs when it is made."""
    settings = {name: value for name, value in contract["config"].items() if name != "title"}
    return settings == _STRICT and contract["schema"]["type"] == "dataclass-args" and not contract["post_init"]


def _instance_of(cls: Any, builds: list[tuple[str, Build]]) -> Build:
    new, fields_of, assign = cls.__new__, msgspec.structs.asdict, object.__setattr__

    def build(struct: Any) -> Any:
        values = fields_of(struct)
        for name, build_field in builds:
            values[name] = build_field(values[name])
        # What pydantic's own validator does: no __init__, which would validate again.
        instance = new(cls)
        assign(instance, "__dict__", values)
        return instance

    return build


def _without_default(schema: Any) -> Any:
    return schema["schema"] if schema["type"] == "default" else schema


def _default(schema: Any) -> Any:
    """What an absent field stands for on the wire: nothing, unless it admits None."""
    if not admits_none(schema):
        return msgspec.NODEFAULT
    if schema["type"] != "default":
        return None
    if not schema.keys() <= {"type", "schema", "default", "metadata"} or schema["default"] is not None:
        raise _OnlyPydantic
    return None


def _leaf(kind: type) -> Callable[[_Compiler, Any], Compiled]:
    return lambda compiler, node: (_limited(kind, node), None)


def _limited(kind: Any, node: Any) -> Any:
    limits = {name: node[name] for name in _LIMITS if name in node}
    if not limits:
        return kind
    if kind is int and not all(type(limit) is int and abs(limit) < 2**63 for limit in limits.values()):
        raise _OnlyPydantic
    return Annotated[kind, msgspec.Meta(**limits)]


_STRICT: Final = {
    "strict": True,
    "allow_inf_nan": False,
    "extra_fields_behavior": "forbid",
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "str_min_length": 0,
    "validate_default": True,
}
_FIELD_SETTINGS: Final = frozenset({"type", "name", "schema", "init", "kw_only", "metadata"})
_LIMITS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length")
_BOUNDS: Final = frozenset({"gt", "ge", "lt", "le"})
_LENGTHS: Final = frozenset({"min_length", "max_length"})

_SETTINGS: Final[dict[str, frozenset[str]]] = {
    "definitions": frozenset({"schema", "definitions"}),
    "definition-ref": frozenset({"schema_ref"}),
    "dataclass": frozenset({"cls", "schema", "config", "fields", "frozen", "post_init", "slots"}),
    "nullable": frozenset({"schema"}),
    "list": _LENGTHS | {"items_schema"},
    "dict": _LENGTHS | {"keys_schema", "values_schema"},
    "literal": frozenset({"expected"}),
    "str": _LENGTHS,
    "int": _BOUNDS | {"multiple_of"},
    "float": _BOUNDS,  # multiple_of: each rounds in its own way
    "bool": frozenset(),
    "none": frozenset(),
}
_COMPILE: Final[dict[str, Callable[[_Compiler, Any], Compiled]]] = {
    "definitions": _Compiler.definitions,
    "definition-ref": _Compiler.reference,
    "dataclass": _Compiler.contract,
    "nullable": _Compiler.nullable,
    "list": _Compiler.list,
    "dict": _Compiler.dict,
    "literal": _Compiler.literal,
    "str": _leaf(str),
    "int": _leaf(int),
    "float": _leaf(float),
    "bool": _leaf(bool),
    "none": lambda compiler, node: (None, None),
}
