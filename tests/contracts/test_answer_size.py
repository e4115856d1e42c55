"""How short and how long an answer can be: what the output cap of a call is made from."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractViolation
from tests.contracts.contract_types import OTHER, PLAIN, kinds


@contract
class Verdict:
    holds: bool
    share: Annotated[float, Field(ge=0, le=1)]
    level: Literal["low", "critical"]


@contract
class Chain:
    next: Chain | None


@contract
class Endless:
    next: Endless


def sizes(annotation: Any) -> tuple[int, int | None]:
    compiled = codec(annotation, owner="f", field="return")
    return compiled.min_output_tokens, compiled.max_output_tokens


def test_the_shortest_answer_is_counted_to_the_byte() -> None:
    shortest, _ = sizes(Verdict)
    assert shortest == len('{"holds":true,"share":0,"level":"low"}')


def test_the_longest_answer_is_counted_with_spaces_and_full_numbers() -> None:
    _, longest = sizes(Verdict)
    assert longest == len('{"holds": false, "share": -1.7976931348623157e+308, "level": "critical"}')


@pytest.mark.parametrize(
    ("annotation", "shortest", "longest"),
    [
        (bool, '{"value":true}', '{"value": false}'),
        (None, '{"value":null}', '{"value": null}'),
        (int, '{"value":0}', '{"value": -1.7976931348623157e+308}'),
        (Annotated[int, Field(ge=-5, le=100)], '{"value":0}', '{"value": 100}'),
        (Literal["é"], '{"value":"é"}', '{"value": "é"}'),
        (date, '{"value":"2026-11-20"}', '{"value": "2026-11-20"}'),
        (UUID, f'{{"value":"{UUID(int=0)}"}}', f'{{"value": "{UUID(int=0)}"}}'),
        (Annotated[str, Field(min_length=2, max_length=3)], '{"value":"ab"}', '{"value": "😀😀😀"}'),
        (Annotated[list[bool], Field(max_length=2)], '{"value":[]}', '{"value": [false, false]}'),
        (
            Annotated[list[bool], Field(min_length=2, max_length=2)],
            '{"value":[true,true]}',
            '{"value": [false, false]}',
        ),
        (tuple[bool, None], '{"value":[true,null]}', '{"value": [false, null]}'),
        (bool | None, '{"value":null}', '{"value": false}'),
        (Annotated[bytes, Field(max_length=3)], '{"value":""}', '{"value": "AAAA"}'),
        (str, '{"value":""}', None),
        (list[bool], '{"value":[]}', None),
        (dict[str, bool], '{"value":[]}', None),
        (Chain, '{"next":null}', None),
    ],
)
def test_sizes_are_those_of_the_json(annotation: Any, shortest: str, longest: str | None) -> None:
    assert sizes(annotation) == (len(shortest.encode()), None if longest is None else len(longest.encode()))


@settings(max_examples=settings().max_examples // 3)
@given(st.data())
def test_no_answer_written_without_waste_is_outside_the_bounds(data: st.DataObject) -> None:
    kind = data.draw(kinds(PLAIN + OTHER))
    compiled = codec(kind.annotation, owner="f", field="return")
    shortest, longest = sizes(kind.annotation)
    for text in data.draw(st.lists(kind.texts, min_size=3, max_size=10)):
        try:
            written = compiled.encode(compiled.decode_value(text.encode("utf-8", "surrogatepass")))
        except ContractViolation:
            continue
        if b"\\u00" not in written and b'{"1"' not in written and not _has_map(kind.annotation):
            assert shortest <= len(written)
            assert longest is None or len(written) <= longest or _has_long_number(written)


def _has_map(annotation: Any) -> bool:
    # Asked for as entries, which are longer than the object they are written back as.
    return '"key"' in codec(annotation, owner="f", field="return").wire_schema.decode()


def _has_long_number(written: bytes) -> bool:
    return any(isinstance(number, int) and abs(number) >= 10**24 for number in _numbers(msgspec.json.decode(written)))


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]  # pyright: ignore[reportUnknownVariableType]
    return [value]


def test_a_datetime_has_room_for_its_longest_form() -> None:
    longest = sizes(datetime)[1]
    assert longest is not None
    assert longest >= len('{"value": "2026-11-20T12:00:00.123456+05:30"}')
