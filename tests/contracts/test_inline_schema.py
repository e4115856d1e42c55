"""Schemas and names that a plan writes, read as types."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import msgspec
import pytest

from stratum.contracts.codec import Codec, codec
from stratum.contracts.contract_field import fields_of
from stratum.contracts.errors import ContractViolation
from stratum.contracts.inline_schema import KEPT, SchemaReader
from stratum.contracts.registry import value_schema
from stratum.contracts.type_reference import named_type


def no_names(name: str) -> Any:
    raise LookupError(name)


def read(schema: dict[str, Any]) -> Codec[Any]:
    reader = SchemaReader(no_names)
    annotation = reader.read(schema, name="Read", path="$")
    assert reader.problems == []
    return codec(annotation, owner="Read", field="")


EVERYTHING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z]+$", "description": "lower case"},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "even": {"type": "integer", "multipleOf": 2},
        "flag": {"type": "boolean"},
        "none": {"type": "null"},
        "level": {"enum": ["low", "high"]},
        "fixed": {"const": 7},
        "day": {"type": "string", "format": "date"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "minItems": 1, "maxItems": 2},
        "table": {"type": "object", "additionalProperties": {"type": "integer"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "maybe": {"type": ["string", "null"]},
        "content-type": {"type": "string"},
        "copy": {"type": "string"},
        "class": {"type": "string"},
    },
    "required": ["text", "count", "share", "even", "flag", "none", "level", "fixed", "day", "items", "table", "either"]
    + ["maybe", "content-type", "copy", "class"],
    "$defs": {"Part": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
}
GOOD: dict[str, Any] = {
    "text": "abc",
    "count": 3,
    "share": 0.5,
    "even": 4,
    "flag": True,
    "none": None,
    "level": "low",
    "fixed": 7,
    "day": "2026-01-02",
    "items": [{"n": 1}],
    "table": {"a": 1},
    "either": 3,
    "maybe": None,
    "content-type": "x",
    "copy": "y",
    "class": "z",
}


def test_a_value_that_meets_the_schema_is_read_and_written_back() -> None:
    everything = read(EVERYTHING)
    value = everything.decode(msgspec.json.encode(GOOD))
    assert msgspec.json.decode(everything.encode(value)) == GOOD
    assert value.items[0].n == 1


WRONG: list[tuple[str, Any]] = [
    *(("text", ""), ("text", "abcdef"), ("text", "A"), ("count", -1), ("count", 10), ("count", 1.5), ("share", 0)),
    *(("share", 1), ("even", 3), ("flag", 1), ("none", 0), ("level", "mid"), ("fixed", 8), ("day", "tomorrow")),
    *(
        ("items", []),
        ("items", [{"n": 1}] * 3),
        ("items", [{}]),
        ("items", [{"n": 1, "m": 2}]),
        ("table", {"a": "x"}),
    ),
    *(("either", 1.5), ("maybe", 3), ("content-type", None), ("copy", 1), ("class", 1)),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_every_keyword_is_enforced(field: str, value: Any) -> None:
    with pytest.raises(ContractViolation) as caught:
        read(EVERYTHING).decode(msgspec.json.encode(GOOD | {field: value}))
    assert all(field in violation.condition for violation in caught.value.violations)


def test_what_is_not_required_may_be_left_out_or_null() -> None:
    optional = read({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert optional.decode(b"{}").a is None
    assert optional.decode(b'{"a": null}').a is None


def test_the_same_schema_has_the_same_digest_whatever_its_key_order() -> None:
    turned = {**EVERYTHING, "properties": dict(reversed(EVERYTHING["properties"].items()))}
    assert read(EVERYTHING).digest == read(turned).digest


def test_schemas_that_are_no_objects_are_wrapped_on_the_wire_alone() -> None:
    numbers = read({"type": "array", "items": {"type": "integer"}})
    assert numbers.decode(b'{"value": [1, 2]}') == [1, 2]
    assert value_schema(numbers)["type"] == "array"


def test_names_of_types_are_read() -> None:
    class Known:
        pass

    def names(name: str) -> Any:
        return {"Known": Known}[name]

    for text, annotation in (
        ("int", int),
        ("Known", Known),
        ("list[Known]", list[Known]),
        ("dict[str, list[int]]", dict[str, list[int]]),
        ("set[str]", set[str]),
        ("Known | None", Known | None),
        ("int | str | None", int | str | None),
        ("None | None", type(None)),
    ):
        assert named_type(text, names, path="$") == annotation


def test_reading_one_contract_may_have_another_read() -> None:
    """The state of the one is not lost while its reader reads the other."""
    schemas: dict[str, dict[str, Any]] = {
        "Inner": {"type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}, "$defs": {"P": {"type": "integer"}}},
        "Outer": {
            "type": "object",
            "properties": {"i": {"$ref": "Inner"}, "q": {"$ref": "#/$defs/P"}},
            "$defs": {"P": {"type": "string"}},
        },
    }
    reader = SchemaReader(lambda name: reader.read(schemas[name], name=name, path="$"))
    outer = codec(reader.read(schemas["Outer"], name="Outer", path="$"), owner="Outer", field="")
    assert reader.problems == []
    assert outer.decode(b'{"i": {"p": 1}, "q": "x"}').q == "x"


def shaped(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def read_as(name: str, *fields: str) -> Any:
    return SchemaReader(no_names).read(shaped(*fields), name=name, path="$")


def test_a_schema_that_was_read_lately_is_the_same_type_again() -> None:
    assert read_as("Read", "a", "b") is read_as("Read", "a", "b")
    assert list(fields_of(read_as("Read", "b", "a"))) == ["b", "a"], "models write fields in their order"
    assert read_as("Other", "a", "b").__name__ == "Other"


def test_a_schema_that_refers_to_another_is_read_each_time() -> None:
    """What it refers to may have changed."""
    outer = {"type": "object", "properties": {"one": {"$ref": "#/$defs/Inner"}}, "required": ["one"]}
    for inner in (str, int):
        found = SchemaReader(lambda name, inner=inner: inner).read(outer, name="Outer", path="$")
        assert fields_of(found)["one"].annotation is inner


def test_types_that_nobody_uses_any_more_are_let_go() -> None:
    """A server reads new ones for as long as it runs."""
    kept = weakref.ref(read_as("First", "first"))
    for number in range(KEPT + 1):
        read_as("Later", f"field{number}")
    gc.collect()
    assert kept() is None


def nested(levels: int) -> dict[str, Any]:
    """Objects within one another."""
    within = nested(levels - 1) if levels > 1 else {"type": "string"}
    return {"type": "object", "properties": {"of": within}, "required": ["of"]}


def enumerated(count: int) -> dict[str, Any]:
    """Two fields with `count` values together."""
    half = count // 2
    fields = {
        "one": {"enum": [f"a{n}" for n in range(half)]},
        "two": {"enum": [f"b{n}" for n in range(count - half)]},
    }
    return {"type": "object", "properties": fields, "required": ["one", "two"]}


@pytest.mark.parametrize(
    ("most", "one_more", "problem"),
    [
        (nested(10), nested(11), "more than 10 levels of nested objects"),
        (
            {"type": "array", "items": nested(9)},
            {"type": "array", "items": nested(10)},
            "more than 10 levels of nested objects",
        ),
        (enumerated(1000), enumerated(1001), "more than 1000 enum values"),
    ],
)
def test_what_no_provider_takes_is_refused_when_the_schema_is_read(
    most: dict[str, Any], one_more: dict[str, Any], problem: str
) -> None:
    assert read(most).wire_schema

    reader = SchemaReader(no_names)
    reader.read(one_more, name="Deep", path="$.output")
    assert [wrong.path for wrong in reader.problems] == ["$.output"]
    assert problem in reader.problems[0].problem
