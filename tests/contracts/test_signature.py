"""`Signature`: a function's call, bound, checked, written and read back."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.opaque import opaque
from stratum.contracts.signature import Signature


@contract
class Ticket:
    number: int
    body: opaque[str]


TICKET = Ticket(number=1, body="a secret")


def triage(
    ticket: Ticket,
    team: str = "support",
    *,
    limit: Annotated[int, Field(ge=1)] = 3,
    tags: list[str] = [],  # noqa: B006  # a default of the kind people write
    notes: opaque[str] = "",
) -> list[str]:
    raise AssertionError("a signature is read, never run")


def positional(first: int, /, second: int, *, third: int) -> None: ...


signature = Signature.of(triage)


def test_a_signature_names_the_function_and_its_parts() -> None:
    assert signature.name == "triage"
    assert signature.qualname == f"{__name__}:triage"
    assert list(signature.parameters) == ["ticket", "team", "limit", "tags", "notes"]
    assert signature.returns.name == "list[str]"
    assert signature.parameters["notes"].opaque
    assert not signature.parameters["ticket"].opaque
    assert signature.parameters["team"].default == "support"
    assert signature.parameters["ticket"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((TICKET, "sales"), {}), ((TICKET,), {"team": "sales"}), ((), {"team": "sales", "ticket": TICKET})],
)
def test_arguments_are_bound_in_declared_order_with_defaults(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    bound = signature.bind(args, kwargs)
    assert list(bound) == ["ticket", "team", "limit", "tags", "notes"]
    assert bound == {"ticket": TICKET, "team": "sales", "limit": 3, "tags": [], "notes": ""}


def test_a_mutable_default_is_fresh_in_each_call() -> None:
    first = signature.bind((TICKET,), {})
    first["tags"].append("x")
    assert signature.bind((TICKET,), {})["tags"] == []
    read = signature.decode(b'{"ticket": {"number": 1, "body": ""}}')
    read["tags"].append("x")
    assert signature.bind((TICKET,), {})["tags"] == []


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (triage, (), {}),
        (triage, (TICKET, "a", 3), {}),
        (triage, (TICKET,), {"ticket": TICKET}),
        (triage, (TICKET,), {"other": 1}),
        (positional, (), {"first": 1, "second": 2, "third": 3}),
        (positional, (1, 2, 3), {}),
        (positional, (1, 2), {}),
    ],
)
def test_a_wrong_call_fails_in_pythons_own_words(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError) as ours:
        Signature.of(function).bind(args, kwargs)
    with pytest.raises(TypeError) as pythons:
        function(*args, **kwargs)
    assert str(ours.value) == str(pythons.value)


def test_all_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(ContractViolation) as caught:
        signature.bind((3,), {"team": None, "limit": 0, "tags": ["a", 1]})
    assert caught.value.contract == "call of triage"
    assert [violation.for_prompt for violation in caught.value.violations] == [
        "schema: ticket: expected Ticket, got 3",
        "schema: team: expected string, got null",
        "schema: limit: expected number >= 1, got 0",
        "schema: tags[1]: expected string, got 1",
    ]


def test_an_opaque_argument_is_not_quoted() -> None:
    with pytest.raises(ContractViolation) as caught:
        signature.bind((TICKET,), {"notes": b"the secret"})
    assert "notes: expected string, got an opaque value" in str(caught.value)


def test_inputs_are_read_back_as_they_were() -> None:
    arguments = signature.bind((TICKET,), {"tags": ["b", "a"]})
    assert signature.decode(signature.encode(arguments)) == arguments


def test_inputs_are_one_canonical_text() -> None:
    arguments = signature.bind((TICKET,), {})
    assert signature.encode(arguments) == (
        b'{"limit":3,"notes":"","tags":[],"team":"support","ticket":{"body":"a secret","number":1}}'
    )


def count(names: set[str], by_name: dict[str, int]) -> int: ...  # pyright: ignore[reportReturnType]


@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]))))
def test_equal_inputs_have_equal_digests(names: set[str]) -> None:
    compiled = Signature.of(count)
    by_name = {name: len(name) for name in names}
    one = {"names": names, "by_name": by_name}
    other = {"by_name": dict(sorted(by_name.items(), reverse=True)), "names": {*sorted(names, reverse=True)}}
    assert compiled.digest(one) == compiled.digest(other)
    assert len(compiled.digest(one)) == 12


def test_other_inputs_have_another_digest() -> None:
    assert signature.digest(signature.bind((TICKET,), {})) != signature.digest(signature.bind((TICKET, "sales"), {}))


def test_a_trace_shows_opaque_inputs_by_their_size() -> None:
    """CASES C6."""
    shown = signature.jsonable(signature.bind((TICKET,), {"notes": "more secrets"}))
    assert shown["ticket"] == {"number": 1, "body": "[opaque, 10 bytes]"}
    assert shown["notes"] == "[opaque, 14 bytes]"


def test_handwritten_inputs_get_defaults_and_may_write_a_dict_as_either() -> None:
    compiled = Signature.of(count)
    assert compiled.decode(b'{"names": ["a"], "by_name": {"a": 1}}') == compiled.decode(
        b'{"by_name": [{"key": "a", "value": 1}], "names": ["a", "a"]}'
    )
    assert signature.decode(b'{"ticket": {"number": 1, "body": "a secret"}}') == signature.bind((TICKET,), {})


@pytest.mark.parametrize(
    ("inputs", "reasons"),
    [
        (b"{}", ["ticket: expected a value (required), got nothing"]),
        (b'{"ticket": {"number": "1", "body": ""}}', ['ticket.number: expected integer, got "1"']),
        (
            b'{"ticket": {"number": 1, "body": ""}, "limit": 0, "other": 1}',
            ["other: expected no such input, got a value", "limit: expected number >= 1, got 0"],
        ),
        (b"[]", ["expected a JSON object of inputs, Expected `object`, got `array`"]),
        (b"{", ["expected a JSON object of inputs, Input data was truncated"]),
        (b"[" * 10_000, ["expected a JSON object of inputs, Expected `object`, got `array`"]),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: bytes, reasons: list[str]) -> None:
    with pytest.raises(ContractViolation) as caught:
        signature.decode(inputs)
    assert [violation.for_prompt.removeprefix("schema: ") for violation in caught.value.violations] == reasons


class Holder:
    def method(self, x: int) -> int: ...  # pyright: ignore[reportReturnType]


def without_return(x: int): ...  # type: ignore[no-untyped-def]


def without_annotation(x) -> int: ...  # type: ignore[no-untyped-def, empty-body]


def many(*args: int) -> None: ...


def named(**kwargs: int) -> None: ...


def unknown(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def wrong_default(x: int = "3") -> None: ...  # type: ignore[assignment]


def broken(x: "list[") -> None: ...  # type: ignore[syntax]


REFUSED: list[tuple[Any, str]] = [
    (Holder.method, "method.self: a method cannot be a step"),
    (without_return, "without_return: it has no return type"),
    (without_annotation, "without_annotation.x: it has no annotation"),
    (many, "many.args: .*name each parameter"),
    (named, "named.kwargs: .*name each parameter"),
    (unknown, "unknown.x: 'Nowhere' is not defined"),
    (wrong_default, 'wrong_default.x: its default does not fit: expected integer, got "3"'),
    (broken, "broken: Forward reference must be an expression"),
]


@pytest.mark.parametrize(("function", "because"), REFUSED)
def test_a_function_that_cannot_be_a_step_is_refused(function: Callable[..., Any], because: str) -> None:
    """CASES A20."""
    with pytest.raises(ContractDefinitionError, match=because):
        Signature.of(function)


def test_a_bound_method_is_a_function_of_its_other_parameters() -> None:
    assert list(Signature.of(Holder().method).parameters) == ["x"]


def test_functions_inside_functions_find_the_names_around_them() -> None:
    @contract
    class Local:
        x: int

    def f(local: Local, more: list[Local]) -> Local: ...  # pyright: ignore[reportReturnType]

    compiled = Signature.of(f)
    assert compiled.returns.name == "Local"
    assert compiled.bind((Local(x=1), []), {}) == {"local": Local(x=1), "more": []}


def test_parameters_may_have_any_name() -> None:
    def f(dict: int, lambda_: int, _default_dict: int = 3, len: int = 4) -> None: ...

    assert Signature.of(f).bind((1, 2), {}) == {"dict": 1, "lambda_": 2, "_default_dict": 3, "len": 4}


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


@contract
class Palette:
    colors: frozenset[Color]


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (set[int | str], {"a", 1}, b'["a",1]'),
        (set[str | None], {"a", None}, b'["a",null]'),
        (set[Color], {Color.RED, Color.BLUE}, b'["b","r"]'),
        (dict[str, set[tuple[int, str | None]]], {"x": {(1, None), (1, "a")}}, b'{"x":[[1,"a"],[1,null]]}'),
        (Palette, Palette(colors=frozenset(Color)), b'{"colors":["b","r"]}'),
        (set[tuple[int, str]], {(10, "a"), (9, "b")}, b'[[9,"b"],[10,"a"]]'),
    ],
)
def test_sets_whose_items_have_no_order_are_written_in_one(annotation: Any, value: Any, written: bytes) -> None:
    def paint(it: Any) -> int: ...

    paint.__annotations__["it"] = annotation
    signature = Signature.of(paint)
    arguments = signature.bind((value,), {})
    assert signature.encode(arguments) == b'{"it":' + written + b"}"
    assert signature.decode(signature.encode(arguments)) == arguments
    assert signature.jsonable(arguments)
