"""The wire schema: what a provider in strict mode takes, and nothing it does not."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from pydantic import Field

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.schema import SENT_FORMATS, SENT_KEYWORDS, strict_schema
from tests.contracts.contract_types import OTHER, PLAIN, Kind, kinds, meets


class Color(enum.Enum):
    """Of paint."""

    RED = "red"
    GREEN = "green"


@contract
class Circle:
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0, description="in metres")]


@contract
class Square:
    kind: Literal["square"]
    side: float = 1.0


@contract
class Tree:
    """A tree of names."""

    name: str
    parent: Annotated[Tree | None, Field(description="towards the root")] = None
    children: list[Tree] = Field(default_factory=list["Tree"])


@contract
class Ring:
    next: Annotated[Ring, Field(description="there is no end")]


@contract
class Everything:
    short: Annotated[str, Field(min_length=2, max_length=10, description="a code")]
    coded: Annotated[str, Field(pattern=r"^\d+$")]
    named: Annotated[str, Field(pattern=r"^(?P<year>\d+)$")]
    raw: bytes
    money: Annotated[Decimal, Field(ge=0, max_digits=4)]
    color: Color
    mixed: Literal["a", 2] | None
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    main: Annotated[Circle, Field(description="the largest")]
    pair: tuple[int, str]
    same: tuple[int, int]
    none: tuple[()]
    tags: Annotated[set[str], Field(max_length=3)]
    counts: dict[date, list[Square]]
    limit: Annotated[int, Field(ge=1, lt=10, multiple_of=2)] = 2
    ident: UUID | None = None


def wire(annotation: Any) -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.decode(codec(annotation, owner="f", field="return").wire_schema)
    return schema


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema within, definitions included; `properties` and `$defs` are maps of schemas, not schemas."""
    yield schema
    for name in ("properties", "$defs"):
        for child in schema.get(name, {}).values():
            yield from nodes(child)
    for child in schema.get("anyOf", []):
        yield from nodes(child)
    if "items" in schema:
        yield from nodes(schema["items"])


def assert_strict(schema: dict[str, Any]) -> None:
    """Every rule of strict mode that a schema alone can break."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert "anyOf" not in schema
    for node in nodes(schema):
        assert node.keys() <= SENT_KEYWORDS
        assert node.get("format", "date") in SENT_FORMATS
        if "$ref" in node:
            assert node.keys() == {"$ref"}
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        elif "anyOf" not in node:
            assert "type" in node
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        if node.get("type") == "array":
            assert "items" in node


@pytest.mark.parametrize(
    "annotation", [Everything, Tree, Circle, int, list[Tree], Circle | Square, dict[str, int], None]
)
def test_the_wire_schema_is_strict(annotation: Any) -> None:
    """CASES A16."""
    assert_strict(wire(annotation))


@settings(max_examples=settings().max_examples // 3)
@given(kinds(PLAIN + OTHER))
def test_any_type_has_a_strict_wire_schema_and_a_valid_local_one(kind: Kind) -> None:
    assert_strict(wire(kind.annotation))
    jsonschema.Draft202012Validator.check_schema(codec(kind.annotation, owner="f", field="return").schema)


def test_fields_stand_in_their_declared_order() -> None:
    assert list(wire(Everything)["properties"]) == [*Everything.__annotations__]


def test_what_can_be_sent_is_sent() -> None:
    """CASES A1, A2, A6."""
    properties = wire(Everything)["properties"]
    assert properties["coded"] == {"type": "string", "pattern": "^[0-9]+$"}
    assert properties["limit"] == {"type": "integer", "minimum": 1, "exclusiveMaximum": 10, "multipleOf": 2}
    assert properties["mixed"]["anyOf"] == [{"enum": ["a", 2], "type": ["integer", "string"]}, {"type": "null"}]
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}, "maxItems": 3}
    assert properties["ident"]["anyOf"] == [{"type": "string", "format": "uuid"}, {"type": "null"}]
    assert wire(list[str])["properties"]["value"] == {"type": "array", "items": {"type": "string"}}
    circles = wire(list[Circle])
    assert circles["properties"]["value"] == {"type": "array", "items": {"$ref": "#/$defs/Circle"}}
    assert circles["$defs"]["Circle"]["required"] == ["kind", "radius"]


def test_what_cannot_be_sent_is_told_in_the_description() -> None:
    properties = wire(Everything)["properties"]
    assert properties["short"] == {
        "type": "string",
        "description": "a code (at least 2 characters, at most 10 characters)",
    }
    assert properties["named"] == {"type": "string", "description": r"matching ^(?P<year>\d+)$"}
    assert properties["raw"] == {"type": "string", "description": "base64"}
    assert properties["money"] == {
        "type": "string",
        "description": "decimal number such as 12.50, >= 0, at most 7 characters",
    }


def test_a_dict_is_asked_for_as_entries() -> None:
    entries = wire(Everything)["properties"]["counts"]
    assert entries["items"]["properties"] == {
        "key": {"type": "string", "format": "date"},
        "value": {"type": "array", "items": {"$ref": "#/$defs/Square"}},
    }


def test_a_tuple_is_asked_for_as_an_array_of_its_kinds() -> None:
    properties = wire(Everything)["properties"]
    assert properties["pair"]["items"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert properties["same"]["items"] == {"type": "integer"}
    assert properties["none"]["maxItems"] == 0


def test_a_described_reference_is_written_out_and_a_recursive_one_loses_its_description() -> None:
    assert wire(Everything)["properties"]["main"]["description"] == "the largest"
    assert wire(Everything)["properties"]["main"]["properties"]["radius"]["description"] == "in metres"
    parent = wire(Tree)["properties"]["parent"]
    assert wire(Ring)["properties"]["next"] == {"$ref": "#/$defs/Ring"}
    assert parent == {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}], "description": "towards the root"}


def test_only_none_makes_a_field_nullable() -> None:
    properties = wire(Square)["properties"]
    assert properties["side"] == {"type": "number"}


def test_docstrings_of_contracts_and_enums_are_descriptions() -> None:
    assert wire(Tree)["description"] == "A tree of names."
    assert wire(Everything)["$defs"]["Color"]["description"] == "Of paint."


def test_an_answer_that_meets_the_wire_schema_is_read() -> None:
    answer = {
        "short": "ab",
        "coded": "12",
        "named": "2026",
        "raw": "AA==",
        "money": "1.25",
        "color": "red",
        "mixed": 2,
        "shape": {"kind": "circle", "radius": 1.0},
        "main": {"kind": "circle", "radius": 2},
        "pair": [1, "a"],
        "same": [1, 2],
        "none": [],
        "tags": ["a"],
        "limit": 4,
        "ident": None,
        "counts": [{"key": "2026-11-20", "value": [{"kind": "square", "side": 2}]}],
    }
    assert meets(answer, wire(Everything))
    value = codec(Everything, owner="f", field="return").decode(msgspec.json.encode(answer))
    assert value.counts == {date(2026, 11, 20): [Square(kind="square", side=2.0)]}


def test_the_local_schema_says_everything_that_is_enforced() -> None:
    """CASES A2, A8, A9."""
    schema = codec(Everything, owner="f", field="return").schema
    assert schema["properties"]["short"] == {"type": "string", "minLength": 2, "maxLength": 10, "description": "a code"}
    assert schema["properties"]["pair"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert schema["properties"]["main"]["$ref"] == "#/$defs/Circle"
    assert set(schema["properties"]) - set(schema["required"]) == {"mixed", "ident"}


def nested(depth: int) -> type:
    cls = contract(type("Level", (), {"__annotations__": {"leaf": int}}))
    for _ in range(depth - 1):
        cls = contract(type("Level", (), {"__annotations__": {"inner": cls}}))
    return cls


@pytest.mark.parametrize(
    ("fits", "too_much", "because"),
    [
        (lambda: nested(10), lambda: nested(11), "more than 10 levels of nested objects"),
        (lambda: choice(1000), lambda: choice(1001), "more than 1000 enum values"),
    ],
)
def test_what_strict_mode_does_not_take_is_refused_before_it_is_sent(
    fits: Callable[[], Any], too_much: Callable[[], Any], because: str
) -> None:
    assert codec(fits(), owner="f", field="return").wire_schema
    refused = codec(too_much(), owner="f", field="return")
    with pytest.raises(ContractDefinitionError, match=because):
        _ = refused.wire_schema


def test_too_many_properties_are_refused_before_they_are_sent() -> None:
    properties = {f"f{number}": {"type": "integer"} for number in range(5000)}
    assert strict_schema({"type": "object", "properties": properties}, owner="Wide")
    properties["one more"] = {"type": "integer"}
    with pytest.raises(ContractDefinitionError, match="Wide: more than 5000 properties"):
        strict_schema({"type": "object", "properties": properties}, owner="Wide")


def choice(values: int) -> Any:
    return Literal[tuple(f"v{number}" for number in range(values))]


def test_a_recursive_contract_is_not_too_deep() -> None:
    assert_strict(wire(Tree))
