"""msgspec on the hot path and pydantic beside it: the same verdict and the same value, whatever the bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractViolation
from stratum.contracts.hot_decoder import REFUSALS, hot_decoder
from stratum.contracts.opaque import opaque
from stratum.contracts.strict import adapter_of
from stratum.contracts.wire_core import wire_reader
from tests.contracts.contract_types import HOSTILE, OTHER, PLAIN, contract_of, kinds, meets, mixed


@contract
class Inner:
    flag: bool
    note: str | None


@contract
class Outer:
    level: Literal["low", "high"]
    share: Annotated[float, Field(ge=0, le=1)]
    count: Annotated[int, Field(ge=0)]
    names: list[str]
    inner: Inner
    more: dict[str, list[Inner]]
    limit: int = 3
    parent: int | None = None


@contract
class Itself:
    more: list[Itself]


GOOD = (
    b'{"level":"low","share":0.5,"count":1,"names":["a"],"inner":{"flag":true,"note":null},'
    b'"more":{"k":[{"flag":false,"note":"n"}]},"limit":4}'
)
core = TypeAdapter(Outer).core_schema
msgspec_decode = hot_decoder(core, wrapped=False)
pydantic_decode = wire_reader(core).validate_json


def by_msgspec(arguments: bytes) -> str | None:
    assert msgspec_decode is not None
    try:
        return repr(msgspec_decode(arguments))
    except REFUSALS:
        return None


def by_pydantic(arguments: bytes) -> str | None:
    try:
        return repr(pydantic_decode(arguments))
    except ValidationError:
        return None


# Each of these examples makes new classes and tries many texts on them.
few = settings(max_examples=settings().max_examples // 5)


@few
@given(st.data())
def test_what_msgspec_accepts_pydantic_accepts_with_the_same_value(data: st.DataObject) -> None:
    kind = data.draw(contract_of(kinds(PLAIN)))
    schema = adapter_of(kind.annotation, owner="test", field=None).core_schema
    fast, authority = hot_decoder(schema, wrapped=False), wire_reader(schema)
    assert fast is not None
    for text in data.draw(st.lists(mixed(kind.texts), min_size=5, max_size=20)):
        arguments = text.encode("utf-8", "surrogatepass")
        try:
            value = fast(arguments)
        except REFUSALS:
            continue  # pydantic decides alone
        assert repr(value) == repr(authority.validate_json(arguments))


@few
@given(st.data())
def test_msgspec_reads_whatever_was_accepted_once_it_is_written_again(data: st.DataObject) -> None:
    kind = data.draw(contract_of(kinds(PLAIN)))
    compiled = codec(kind.annotation, owner="test", field="return")
    fast = hot_decoder(adapter_of(kind.annotation, owner="test", field=None).core_schema, wrapped=False)
    assert fast is not None
    for text in data.draw(st.lists(kind.texts, min_size=5, max_size=10)):
        try:
            value = compiled.decode(text.encode("utf-8", "surrogatepass"))
        except ContractViolation:
            continue
        assert fast(compiled.encode(value)) == value


@few
@given(st.data())
def test_any_bytes_give_a_value_that_survives_a_round_trip_or_a_refusal(data: st.DataObject) -> None:
    kind = data.draw(kinds(PLAIN + OTHER))
    compiled = codec(kind.annotation, owner="test", field="return")
    for text in data.draw(st.lists(mixed(kind.texts), min_size=5, max_size=20)):
        arguments = text.encode("utf-8", "surrogatepass")
        try:
            value = compiled.decode_value(arguments)
        except ContractViolation as refusal:
            assert refusal.violations
            continue
        written = compiled.encode(value)
        assert compiled.decode(written) == value
        assert compiled.validate(value) == value
        assert meets(msgspec.json.decode(written), compiled.schema)


@given(st.data())
def test_both_paths_agree_on_objects_with_hostile_members(data: st.DataObject) -> None:
    names = st.sampled_from(["level", "share", "count", "names", "inner", "more", "limit", "other"])
    members = msgspec.json.decode(GOOD, type=dict[str, msgspec.Raw])
    texts = [(name, bytes(raw)) for name, raw in members.items()]
    fragments = st.sampled_from(HOSTILE).map(lambda text: text.encode("utf-8", "surrogatepass"))
    texts += data.draw(st.lists(st.tuples(names, fragments), max_size=2))
    order = data.draw(st.permutations(texts))
    arguments = b"{" + b",".join(b'"%s":%s' % (name.encode(), text) for name, text in order) + b"}"
    accepted = by_msgspec(arguments)
    assert accepted is None or accepted == by_pydantic(arguments)


@pytest.mark.parametrize("fragment", HOSTILE)
@pytest.mark.parametrize("member", ["level", "share", "count", "names", "inner", "more", "limit"])
def test_no_hostile_fragment_is_accepted_by_msgspec_alone(member: str, fragment: str) -> None:
    members = msgspec.json.decode(GOOD, type=dict[str, msgspec.Raw])
    members[member] = msgspec.Raw(fragment.encode("utf-8", "surrogatepass"))
    arguments = b"{" + b",".join(b'"%s":%s' % (name.encode(), bytes(raw)) for name, raw in members.items()) + b"}"
    accepted = by_msgspec(arguments)
    assert accepted is None or accepted == by_pydantic(arguments)


def test_a_plain_contract_takes_the_hot_path() -> None:
    assert by_msgspec(GOOD) == by_pydantic(GOOD) == repr(codec(Outer, owner="test", field="return").decode(GOOD))


@pytest.mark.parametrize(
    "annotation",
    [
        *(kind.annotation for kind in OTHER),
        Annotated[int, Field(ge=2**70)],
        Annotated[float, Field(multiple_of=0.1)],
        Annotated[int, Field(alias="fieldName")],
        Annotated[int, AfterValidator(abs)],
        Annotated[int, Field(strict=False)],
        Annotated[int | None, Field(default=5)],
        Annotated[list[int] | None, Field(default_factory=list[int])],
        list[Itself],
        dict[Literal["a"], int],
        opaque[set[str]],
    ],
)
def test_what_only_pydantic_decodes_has_no_hot_path(annotation: Any) -> None:
    cls = contract(type("Other", (), {"__annotations__": {"field": annotation}}))
    assert hot_decoder(TypeAdapter(cls).core_schema, wrapped=False) is None


def test_a_key_written_twice_means_its_last_value_on_both_paths() -> None:
    twice = GOOD.replace(b'"count":1', b'"count":1,"count":2')
    assert by_msgspec(twice) == by_pydantic(twice) == repr(codec(Outer, owner="test", field="return").decode(twice))
    assert "count=2" in str(by_pydantic(twice))


def test_a_first_value_that_does_not_fit_is_pydantics_to_judge() -> None:
    twice = GOOD.replace(b'"count":1', b'"count":"x","count":2')
    assert by_msgspec(twice) is None
    assert codec(Outer, owner="test", field="return").decode(twice).count == 2
