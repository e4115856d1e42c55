"""`@contract`: what it makes of a class, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, Field, PlainSerializer, field_validator
from typing_extensions import TypeAliasType

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.contract_field import fields_of
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.opaque import opaque


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@contract
class RiskAssessment:
    """As in the project's first example."""

    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str]
    recommendation: str

    kind: ClassVar[str] = "risk"

    @property
    def urgent(self) -> bool:
        return self.level == "critical"


@contract
class Node:
    value: int
    children: list[Node] = Field(default_factory=list["Node"])


@contract
class Ping:
    answer: Pong | None = None


@contract
class Pong:
    ping: Ping
    hops: int = 0


@contract
class Model(BaseModel):
    name: str = Field(alias="fullName")
    age: int = 3

    @field_validator("age")
    @classmethod
    def _grown_up(cls, age: int) -> int:
        if age < 3:
            raise ValueError("too young")
        return age


@contract
class Point(msgspec.Struct, frozen=True, rename="camel"):
    """A place on the grid."""

    x_axis: Annotated[int, msgspec.Meta(ge=0, description="to the right")]
    labels: list[Annotated[str, msgspec.Meta(min_length=2)]] = []
    near: int | None = None


RISK: dict[str, Any] = {"level": "low", "confidence": 0.5, "factors": ["weather"], "recommendation": "go"}


def test_the_same_class_object_comes_back() -> None:
    """CASES A10, A15."""

    class Plain:
        name: str

    assert contract(Plain) is Plain
    assert codec(Plain, owner="f", field="return").schema["properties"] == {"name": {"type": "string"}}


def test_a_contract_is_a_value() -> None:
    risk = RiskAssessment(**RISK)
    assert risk == RiskAssessment(**RISK)
    assert risk != dataclasses.replace(risk, level="high")
    assert "RiskAssessment(level='low', confidence=0.5" in repr(risk)
    assert isinstance(risk, RiskAssessment)


def test_methods_class_variables_and_the_docstring_stay() -> None:
    assert not RiskAssessment(**RISK).urgent
    assert RiskAssessment.kind == "risk"
    assert RiskAssessment.__doc__ == "As in the project's first example."


def test_a_contract_cannot_be_changed() -> None:
    risk = RiskAssessment(**RISK)
    with pytest.raises(dataclasses.FrozenInstanceError):
        risk.level = "high"  # type: ignore[misc]
    with pytest.raises(Exception, match="frozen"):
        Model(fullName="a").name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    "value", [RiskAssessment(**RISK), Node(value=1, children=[Node(value=2)]), Model(fullName="a")]
)
def test_contracts_survive_pickle_and_copy(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == copy.copy(value) == value


def test_construction_is_validated_and_names_every_mismatch() -> None:
    with pytest.raises(ContractViolation) as caught:
        RiskAssessment(level="none", confidence=1.4, factors=[1], extra=True)  # type: ignore[call-arg, arg-type, list-item]
    assert [violation.for_prompt for violation in caught.value.violations] == [
        "schema: level: expected 'low', 'medium', 'high' or 'critical', got \"none\"",
        "schema: confidence: expected number <= 1, got 1.4",
        "schema: factors[0]: expected string, got 1",
        "schema: recommendation: expected a value (required), got nothing",
        "schema: extra: expected no such field, got true",
    ]


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ({"confidence": "0.5"}, "expected number"),
        ({"confidence": True}, "expected number"),
        ({"confidence": float("nan")}, "expected finite number"),
        ({"confidence": float("inf")}, "expected finite number"),
        ({"recommendation": b"go"}, "expected string"),
        ({"recommendation": "\ud800"}, "expected string of valid Unicode"),
        ({"factors": ("weather",)}, "factors: expected list, got tuple"),
        ({"factors": ["\udfff"]}, "expected string of valid Unicode"),
    ],
)
def test_nothing_is_coerced(wrong: dict[str, Any], because: str) -> None:
    with pytest.raises(ContractViolation, match=because):
        RiskAssessment(**{**RISK, **wrong})


def test_a_whole_number_is_a_number() -> None:
    assert dataclasses.replace(RiskAssessment(**RISK), confidence=1).confidence == 1.0


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(ContractViolation, match="keyword arguments only"):
        RiskAssessment("low")  # type: ignore[misc, call-arg]


def test_a_model_becomes_as_strict_and_keeps_its_validators() -> None:
    assert Model(fullName="a").age == 3
    wrongs: list[dict[str, Any]] = [{"age": "3"}, {"other": 1}, {"age": 2}]
    for wrong in wrongs:
        with pytest.raises(ContractViolation):
            Model(fullName="a", **wrong)
    with pytest.raises(ContractViolation, match="age: too young, got 2"):
        Model(fullName="a", age=2)


def test_a_model_that_lets_anything_through_is_refused() -> None:
    class Loose(BaseModel, extra="allow"):
        name: str

    with pytest.raises(ContractDefinitionError, match="lets unknown fields through"):
        contract(Loose)


def test_a_struct_is_validated_as_argument_and_result_under_its_wire_names() -> None:
    compiled = codec(Point, owner="f", field="return")
    point = Point(x_axis=1, labels=["ab"])
    assert compiled.decode(compiled.encode(point)) == point
    assert compiled.validate(point) is point
    with pytest.raises(ContractViolation, match=r"xAxis: expected number >= 0, got -1"):
        compiled.validate(Point(x_axis=-1))
    with pytest.raises(ContractViolation, match=r"labels\[0\]: expected string of at least 2 characters"):
        compiled.decode(b'{"xAxis":1,"labels":["a"],"near":null}')
    with pytest.raises(ContractViolation, match="expected Point, got object with 1 field"):
        compiled.validate({"x_axis": 1})


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({}, "it is mutable"),
        ({"frozen": True, "array_like": True}, "written as an array"),
        ({"frozen": True, "tag": True}, "its tag is not one of its fields"),
    ],
)
def test_a_struct_that_cannot_be_a_contract_is_refused(options: dict[str, Any], because: str) -> None:
    with pytest.raises(ContractDefinitionError, match=because):
        contract(msgspec.defstruct("Odd", [("x", int)], **options))


def test_contracts_may_hold_themselves_and_each_other() -> None:
    tree = Node(value=1, children=[Node(value=2), Node(value=3)])
    nodes = codec(Node, owner="f", field="return")
    assert nodes.decode(nodes.encode(tree)) == tree
    pings = codec(Ping, owner="f", field="return")
    ping = Ping(answer=Pong(ping=Ping(), hops=1))
    assert pings.decode(pings.encode(ping)) == ping
    with pytest.raises(ContractViolation, match="answer.hops: expected integer"):
        pings.decode(b'{"answer":{"ping":{"answer":null},"hops":"1"}}')


def test_fields_keep_their_order_whatever_their_defaults() -> None:
    """The order of fields is the order in which a model writes them."""

    @contract
    class Ordered:
        a: int
        b: list[int] = Field(default_factory=list[int], max_length=3)
        c: str
        d: int = Field(ge=0)
        e: int = Field(default=1, ge=0)
        f: int = dataclasses.field(default=2)
        g: str = "x"

    assert list(fields_of(Ordered)) == list("abcdefg")
    assert list(codec(Ordered, owner="f", field="return").schema["properties"]) == list("abcdefg")
    assert Ordered(a=1, c="", d=0) == Ordered(a=1, b=[], c="", d=0, e=1, f=2, g="x")
    with pytest.raises(ContractViolation, match="b: expected at most 3 items"):
        Ordered(a=1, b=[1, 2, 3, 4], c="", d=0)


def test_a_contract_may_extend_another() -> None:
    @contract
    class Detailed(RiskAssessment):
        details: str

    detailed = Detailed(**RISK, details="more")
    assert isinstance(detailed, RiskAssessment)
    assert list(fields_of(Detailed)) == [*fields_of(RiskAssessment), "details"]


def test_a_subclass_is_not_a_contract_until_it_is_decorated() -> None:
    """CASES A20."""

    class Undecorated(RiskAssessment):
        pass

    with pytest.raises(ContractDefinitionError, match="decorate class Undecorated with @contract"):
        codec(Undecorated, owner="f", field="return")


def test_contracts_inside_functions_find_the_names_around_them() -> None:
    class Size(enum.Enum):
        SMALL = 1

    @contract
    class Local:
        size: Size
        other: Local | None = None

    assert Local(size=Size.SMALL, other=Local(size=Size.SMALL)).other is not None


UserId = NewType("UserId", int)
Count = TypeAliasType("Count", int)


T = TypeVar("T")


@dataclasses.dataclass
class Couple(Generic[T]):
    first: T


class Page(BaseModel, Generic[T]):
    items: list[T]


def test_a_generic_model_is_a_contract_once_its_types_are_named() -> None:
    numbers: Any = contract(type("Numbers", (Page[int],), {"__module__": __name__}))
    assert numbers(items=[1]).items == [1]
    with pytest.raises(ContractViolation, match="expected integer"):
        numbers(items=["a"])


LISTED: list[Any] = [
    *(str, int, float, bool, None, date, datetime, bytes, Decimal, UUID, Color, UserId, opaque[str]),
    *(Literal["a", 1, True] | None, Literal[Color.RED], int | None, int | str | None, list[int], set[str]),
    *(frozenset[date], tuple[int, str], tuple[int, ...], tuple[()], dict[str, RiskAssessment], dict[Color, int]),
    *(dict[UUID, int], dict[date, int], dict[int, int], dict[Literal["a"], int], RiskAssessment, list[Node]),
    *(list[Annotated[int, Field(ge=0)] | None], list[Annotated[str, Field(max_length=3)]]),
]


@pytest.mark.parametrize("annotation", LISTED)
def test_every_listed_type_can_be_a_field(annotation: Any) -> None:
    cls = contract(type("Listed", (), {"__annotations__": {"field": annotation}}))
    assert codec(cls, owner="f", field="return").wire_schema


@pytest.mark.parametrize(
    ("annotation", "because"),
    [
        (object, "object is not supported"),
        (Any, "Any is not supported"),
        (complex, "complex is not supported"),
        (Callable[[int], int], "is not supported"),
        (Sequence[int], r"Sequence\[int\] is not supported"),
        (list, r"list does not say what it holds; write list\[str\]"),
        (dict, "dict does not say what it holds"),
        (dict[float, int], "float cannot be a key"),
        (dict[tuple[int, int], int], "cannot be a key"),
        (dict[Literal[1], int], "cannot be a key"),
        (Literal[b"x"], "is not a JSON value"),
        (enum.Enum("Empty", {}), "Empty has no members"),
        (enum.Enum("Odd", {"A": 1.5}), "Odd.A is 1.5; give every member a string or an integer"),
        (type("Plain", (), {}), "Plain is not a contract; decorate class Plain with @contract"),
        (T, "T is a type variable, and a contract is not generic; write the type itself"),
        (Couple[int], r"Couple\[int\] is generic, and a contract is not; write a @contract class with these types"),
        (
            Page[int],
            r"Page\[int\] is not a contract; use a class of its own: `@contract class Name\(Page\[int\]\): pass`",
        ),
        (dict[str, int] | list[int], "cannot be told apart on the wire"),
        ({"a": 1}, "is not supported"),
        ("int |", "Forward reference must be an expression"),
        (Annotated[str, Field(ge=1)], "ge does not apply to str"),
        (Annotated[int, Field(pattern="a")], "does not apply to int"),
        (Annotated[int, Field(ge=0.5)], "'ge' must be coercible to an integer"),
        (Annotated[int | str, Field(ge=1)], r"ge does not apply to int \| str"),
        (Annotated[str, Field(pattern="(?=a)b")], "look-around"),
        (Annotated[str, Field(pattern="(")], "unclosed group"),
    ],
)
def test_what_cannot_be_a_field_is_refused_with_its_name(annotation: Any, because: str) -> None:
    """CASES A11."""
    with pytest.raises(ContractDefinitionError, match=because) as caught:
        contract(type("Wrong", (), {"__annotations__": {"field": annotation}}))
    assert caught.value.owner == "Wrong"
    assert caught.value.field == "field" or annotation == "int |"


def test_a_contract_without_fields_is_refused() -> None:
    """CASES A11."""
    with pytest.raises(ContractDefinitionError, match="it has no annotated field"):
        contract(type("Empty", (), {"limit": 3}))


def test_a_field_whose_type_is_never_defined_is_refused_where_it_is_used() -> None:
    cls = contract(type("Dangling", (), {"__annotations__": {"field": "list[Nowhere]"}}))
    with pytest.raises(ContractDefinitionError, match="name 'Nowhere' is not defined"):
        codec(cls, owner="f", field="return")
    with pytest.raises(ContractDefinitionError, match="name 'Nowhere' is not defined"):
        cls(field=[])


def test_a_dataclass_is_refused_rather_than_replaced() -> None:
    @dataclasses.dataclass
    class Done:
        name: str

    with pytest.raises(ContractDefinitionError, match="remove @dataclass"):
        contract(Done)


@pytest.mark.parametrize(
    ("annotation", "default", "because"),
    [
        (int, "3", 'its default does not fit: expected integer, got "3"'),
        (int, None, "its default does not fit: expected integer, got null"),
        (Annotated[int, Field(ge=1)], 0, "its default does not fit: expected number >= 1, got 0"),
        (list[int], [], "mutable default"),
    ],
)
def test_a_default_that_does_not_fit_is_refused(annotation: Any, default: object, because: str) -> None:
    with pytest.raises(ContractDefinitionError, match=because):
        contract(type("Wrong", (), {"__annotations__": {"field": annotation}, "field": default}))


def test_a_field_with_several_aliases_is_refused() -> None:
    from pydantic import AliasChoices

    with pytest.raises(ContractDefinitionError, match="several aliases"):
        contract(
            type(
                "Wrong",
                (),
                {"__annotations__": {"field": Annotated[int, Field(validation_alias=AliasChoices("a", "b"))]}},
            )
        )


def test_brackets_change_nothing() -> None:
    @contract()
    class Bracketed:
        name: str

    assert Bracketed(name="a").name == "a"
    with pytest.raises(ContractViolation):
        Bracketed(name=1)  # type: ignore[arg-type]


class Plain:
    name: str
    _log: object
    count: ClassVar[int] = 0


@pytest.mark.parametrize(
    ("bases", "problem"),
    [
        (
            (RiskAssessment,),
            "Made.extra: it stands in Middle, which is no contract, and would be lost; decorate class Middle",
        ),
        ((Plain,), "Made.name: it stands in Plain, which is no contract, and would be lost; decorate class Plain"),
    ],
)
def test_a_field_of_a_class_that_is_no_contract_is_not_lost(bases: tuple[type, ...], problem: str) -> None:
    if bases != (Plain,):
        bases = (type("Middle", bases, {"__annotations__": {"extra": int}}),)
    with pytest.raises(ContractDefinitionError, match=problem):
        contract(type("Made", bases, {"__annotations__": {"more": int}}))


def test_what_a_plain_class_keeps_to_itself_or_the_contract_declares_is_no_loss() -> None:
    made: Any = contract(type("Made", (Plain,), {"__annotations__": {"name": str}}))
    assert list(fields_of(made)) == ["name"]
    assert made(name="a").count == 0


class Shade(enum.Enum):
    DARK = "dark"


class Dictionary(TypedDict):
    name: str


class Pair(NamedTuple):
    name: str


class Named(Protocol):
    name: str


class Text(str):
    name: str


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (Shade, "Shade: an Enum is no contract; remove @contract: a field can be an Enum as it is"),
        (Dictionary, "Dictionary: a contract has fields, and a TypedDict is none; write `class Dictionary:`"),
        (Pair, "Pair: a contract has fields, and tuple is none; write `class Pair:`"),
        (Text, "Text: a contract has fields, and str is none; write `class Text:`"),
        (Named, "Named: a Protocol has no values; decorate the class that meets it"),
        (RiskAssessment, "RiskAssessment: it is a contract already; decorate it once"),
        (len, "len: it is not a class; write @contract above a class"),
    ],
)
def test_what_no_contract_can_be_made_of_is_told_what_to_write(cls: Any, problem: str) -> None:
    with pytest.raises(ContractDefinitionError, match=f"^{re.escape(problem)}$"):
        contract(cls)


def test_a_marker_of_dataclasses_is_told_as_what_it_is() -> None:
    with pytest.raises(ContractDefinitionError, match="Made._: all fields are passed by name; leave KW_ONLY out"):
        contract(type("Made", (), {"__annotations__": {"_": dataclasses.KW_ONLY, "name": str}}))


def test_what_a_default_factory_gives_is_checked_like_any_value() -> None:
    @contract
    class Numbered:
        number: int = Field(default_factory=lambda: "one")  # type: ignore[assignment,return-value]

    assert Numbered(number=1).number == 1
    with pytest.raises(ContractViolation, match='expected integer, got "one"'):
        Numbered()


def test_a_serializer_of_pydantic_does_no_harm() -> None:
    @contract
    class Served:
        number: Annotated[int, PlainSerializer(str)]

    compiled = codec(Served, owner="f", field="x")
    assert compiled.decode(compiled.encode(Served(number=1))) == Served(number=1)


def test_a_number_that_no_json_can_hold_is_not_let_in_by_a_field_either() -> None:
    """It was written to the journal as null, and the run could not be read back."""
    with pytest.raises(ContractDefinitionError, match="Made.share: allow_inf_nan lets in what no JSON can hold"):
        contract(type("Made", (), {"__annotations__": {"share": Annotated[float, Field(allow_inf_nan=True)]}}))
    contract(type("Made", (), {"__annotations__": {"share": Annotated[float, Field(allow_inf_nan=False)]}}))


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Annotated[int, Field(ge=5, le=4)], "ge=5 and le=4 leave no value"),
        (Annotated[int, Field(gt=5, lt=6)], "gt=5 and lt=6 leave no value"),
        (Annotated[float, Field(gt=5, le=5)], "gt=5 and le=5 leave no value"),
        (Annotated[str, Field(min_length=3, max_length=2)], "min_length=3 and max_length=2 leave no value"),
        (list[Annotated[int, Field(ge=5, lt=5)]], "ge=5 and lt=5 leave no value"),
        (Annotated[date, Field(ge=date(2026, 2, 1), le=date(2026, 1, 1))], "leave no value"),
    ],
)
def test_constraints_that_no_value_meets_together_are_refused(kind: Any, problem: str) -> None:
    """A model would be asked in vain, and paid for each time."""
    with pytest.raises(ContractDefinitionError, match=f"Made.field: .*{problem}; correct one of them"):
        contract(type("Made", (), {"__annotations__": {"field": kind}}))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Annotated[int, Field(ge=5, le=5)], 5),
        (Annotated[int, Field(gt=5, lt=7)], 6),
        (Annotated[float, Field(gt=5, lt=6)], 5.5),
        (Annotated[str, Field(min_length=2, max_length=2)], "ab"),
    ],
)
def test_constraints_that_leave_a_single_value_are_taken(kind: Any, value: object) -> None:
    made: Any = contract(type("Made", (), {"__annotations__": {"field": kind}}))
    assert made(field=value).field == value


def test_constraints_that_cannot_be_compared_are_left_to_pydantic() -> None:
    here, everywhere = datetime(2026, 1, 1), datetime(2027, 1, 1, tzinfo=UTC)
    contract(type("Made", (), {"__annotations__": {"field": Annotated[datetime, Field(ge=here, le=everywhere)]}}))


@contract
class Endless:
    next: Endless


def test_a_contract_of_which_no_value_ends_cannot_be_an_answer() -> None:
    with pytest.raises(ContractDefinitionError, match="Endless: every value of it holds another one, without end"):
        _ = codec(Endless, owner="f", field="return").min_output_tokens
    assert codec(Node, owner="f", field="return").min_output_tokens > 0


def test_a_class_that_makes_itself_is_refused() -> None:
    class Handmade:
        name: str

        def __init__(self, name: str) -> None:
            self.name = name

    with pytest.raises(ContractDefinitionError, match="it has an __init__ of its own"):
        contract(Handmade)


def test_a_field_outside_the_constructor_is_refused() -> None:
    derived = {"__annotations__": {"a": int, "b": int}, "b": dataclasses.field(init=False, default=3)}
    with pytest.raises(ContractDefinitionError, match="Derived.b: the constructor does not set it"):
        contract(type("Derived", (), derived))


def test_code_of_ones_own_runs_on_construction_and_on_decoding() -> None:
    @contract
    class Order:
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low must not be above high")

    assert Order(low=1, high=2) == codec(Order, owner="f", field="return").decode(b'{"low": 1, "high": 2}')
    with pytest.raises(ContractViolation, match="low must not be above high"):
        Order(low=2, high=1)
    with pytest.raises(ContractViolation, match="low must not be above high"):
        codec(Order, owner="f", field="return").decode(b'{"low": 2, "high": 1}')


def test_models_may_refer_to_classes_defined_later() -> None:
    assert codec(Early, owner="f", field="return").decode(b'{"late": {"x": 1}}') == Early(late=Late(x=1))


@contract
class Early(BaseModel):
    late: Late


@contract
class Late(BaseModel):
    x: int


def test_aliases_of_types_are_looked_through() -> None:
    assert codec(Count, owner="f", field="x").name == "int"


Whole = TypeAliasType("Whole", int)
Wording = TypeAliasType("Wording", str)
Several = TypeAliasType("Several", list[int] | str)


def test_a_constraint_on_an_alias_is_one_on_what_it_stands_for() -> None:
    few = codec(list[Annotated[Whole, Field(ge=0)]], owner="f", field="x")
    assert few.validate([1]) == [1]
    with pytest.raises(ContractViolation, match="expected number >= 0"):
        few.validate([-1])
    with pytest.raises(ContractDefinitionError, match="ge does not apply to str"):
        codec(Annotated[Wording, Field(ge=0)], owner="f", field="x")


def test_an_alias_that_stands_for_itself_is_refused() -> None:
    """`type Tree = list[Tree] | int`: what such a statement makes, from Python 3.12 on, is evaluated when it is asked."""
    tree: Any = type("TypeAliasType", (), {"__name__": "Tree"})()
    tree.__value__ = list[tree] | int
    for annotation in (tree, list[tree], dict[str, tree]):
        with pytest.raises(ContractDefinitionError, match="the alias Tree stands for itself; write a @contract class"):
            codec(annotation, owner="f", field="x")


def test_an_alias_of_what_is_not_defined_says_so() -> None:
    class Early:
        __name__ = "Early"

        @property
        def __value__(self) -> Any:
            raise NameError("name 'Late' is not defined", name="Late")

    Early.__name__ = "TypeAliasType"
    with pytest.raises(ContractDefinitionError, match="'Late' is not defined; define it before Early is used"):
        codec(Early(), owner="f", field="x")


def test_a_tuple_with_an_open_middle_is_refused_behind_an_alias_too() -> None:
    strings: Any = tuple[str, ...]
    tail: Any = next(iter(strings))  # what `*tuple[str, ...]` is
    with pytest.raises(ContractDefinitionError, match="is not supported; write tuple"):
        codec(tuple[int, tail], owner="f", field="x")


def test_a_union_behind_an_alias_is_seen() -> None:
    assert codec(Several | None, owner="f", field="x").validate([1]) == [1]
    with pytest.raises(ContractDefinitionError, match="a union of dict and a sequence cannot be told apart"):
        codec(dict[str, int] | Several, owner="f", field="x")


def test_unhashable_metadata_does_no_harm() -> None:
    assert codec(Annotated[int, {"unit": "metres"}], owner="f", field="x").validate(3) == 3


def test_a_refused_class_is_not_taken_for_a_contract() -> None:
    plain = type("Plain", (), {"__annotations__": {"field": object}})
    with pytest.raises(ContractDefinitionError):
        contract(plain)
    with pytest.raises(ContractDefinitionError, match="Plain is not a contract"):
        codec(plain, owner="f", field="return")


def test_an_opaque_value_is_not_quoted_in_an_error() -> None:
    @contract
    class Letter:
        body: opaque[Annotated[str, Field(max_length=3)]]

    with pytest.raises(ContractViolation) as caught:
        Letter(body="the secret")
    assert "secret" not in str(caught.value)
    assert "body: expected string of at most 3 characters, got an opaque value" in str(caught.value)
