"""true is not 1: a Literal takes values of its own kind only, in Python as on the wire."""

from __future__ import annotations

import enum
import json
from typing import Any, Literal

import msgspec
import pytest
from pydantic import BaseModel

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError, ContractViolation


class Level(enum.IntEnum):
    LOW = 1


@contract
class Plain:
    one: Literal[1] | bool
    more: tuple[Literal[0] | float, ...] = ()


@contract
class Model(BaseModel):
    one: Literal[1] | bool


@contract
class Record(msgspec.Struct, frozen=True, kw_only=True):
    one: Literal[1] | bool


@contract
class Around:
    plain: Plain
    record: Record
    inner: Around | None = None


TAKEN: list[tuple[Any, Any]] = [
    (Literal[1] | bool, True),
    (Literal[1] | bool, False),
    (Literal[1] | bool, 1),
    (bool | Literal[1], True),
    (bool | Literal[1], 1),
    (Literal[True] | int, 1),
    (Literal[True] | int, True),
    (Literal[1, True], 1),
    (Literal[1, True], True),
    (Literal[True, 0], True),
    (Literal[1, "a"] | None, None),
    (Literal[0] | float, 0),
    (Literal[0] | float, 0.0),
    (Literal[Level.LOW] | bool, True),
    (Literal[Level.LOW] | bool, Level.LOW),
    (list[Literal[1] | bool], [True, 1]),
    (dict[str, Literal[1] | bool], {"a": True}),
    (tuple[Literal[1] | bool, int], (True, 1)),
]
REFUSED: list[tuple[Any, Any]] = [
    (Literal[1], True),
    (Literal[1], 1.0),
    (Literal[1], [1]),
    (Literal[True], 1),
    (Literal[True, 0], 1),
    (Literal[True, 0], False),
    (Literal[1] | str, True),
    (Literal[Level.LOW], 1),
    (Literal[Level.LOW], True),
]


def exactly(value: Any) -> str:
    """1, True and 1.0 are equal; their names are not."""
    return repr(value)


@pytest.mark.parametrize(("annotation", "value"), TAKEN)
def test_a_value_stays_of_its_kind(annotation: Any, value: Any) -> None:
    compiled = codec(annotation, owner="f", field="x")

    assert exactly(compiled.validate(value)) == exactly(value)
    assert exactly(compiled.decode(compiled.encode(value))) == exactly(value)
    assert exactly(compiled.recall(compiled.record(value))) == exactly(value)


@pytest.mark.parametrize(("annotation", "value"), REFUSED)
def test_a_value_of_another_kind_is_refused(annotation: Any, value: Any) -> None:
    compiled = codec(annotation, owner="f", field="x")

    with pytest.raises(ContractViolation, match="expected"):
        compiled.validate(value)


@pytest.mark.parametrize("value", [1, True, 1.0])
def test_what_is_refused_on_the_wire_is_refused_in_python(value: Any) -> None:
    for annotation in (Literal[1], Literal[True], Literal[True, 0], Literal[1] | bool):
        compiled = codec(annotation, owner="f", field="x")
        try:
            read: Any = compiled.decode_value(json.dumps(value).encode())
        except ContractViolation:
            with pytest.raises(ContractViolation):
                compiled.validate(value)
        else:
            assert exactly(compiled.validate(value)) == exactly(read)


def test_a_member_of_an_int_enum_is_the_integer_that_it_is() -> None:
    assert exactly(codec(Literal[1, True], owner="f", field="x").validate(Level.LOW)) == "1"


@pytest.mark.parametrize("cls", [Plain, Model])
def test_a_contract_is_made_of_what_it_is_given(cls: Any) -> None:
    assert exactly(cls(one=True).one) == "True"
    assert exactly(cls(one=1).one) == "1"
    with pytest.raises(ContractViolation, match="one: expected 1 or boolean, got 0"):
        cls(one=0)


def test_contracts_within_one_another_are_told_apart_too() -> None:
    around = Around(plain=Plain(one=True, more=(0, 0.5)), record=Record(one=True))
    compiled = codec(Around, owner="f", field="x")
    wrong: Any = Record(one=0)  # type: ignore[arg-type]  # its constructor does not look

    assert exactly(compiled.decode(compiled.encode(around))) == exactly(around)
    assert exactly(around.plain.one) == exactly(around.record.one) == "True"
    with pytest.raises(ContractViolation, match="record.one: expected 1 or boolean, got 0"):
        Around(plain=around.plain, record=wrong)


def test_a_default_of_another_kind_does_not_fit() -> None:
    with pytest.raises(ContractDefinitionError, match="its default does not fit: expected 1, got true"):

        @contract
        class Wrong:  # pyright: ignore[reportUnusedClass]
            one: Literal[1] = True  # type: ignore[assignment]
