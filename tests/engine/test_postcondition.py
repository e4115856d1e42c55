"""What an ensure means, and what the model is told."""

from __future__ import annotations

import functools
import math
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.opaque import opaque
from stratum.contracts.violation import MAX_TEXT, Violation, retry_message
from stratum.engine.postconditions.postcondition import Postcondition, Precondition

# Conditions are written as users write them, odd ones too, on results whose types the checker cannot see.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# ruff: noqa: C417, PLC3002, S102, SIM221


class Mood(Enum):
    CALM = "calm"
    ANGRY = "angry"


@contract
class Factor:
    name: str
    weight: Annotated[float, Field(ge=0)]


@contract
class Assessment:
    level: Literal["low", "medium", "high"]
    confidence: float
    reason: str
    factors: list[Factor]
    worst: Factor | None = None
    scores: dict[str, int] = Field(default_factory=dict)
    mood: Mood = Mood.CALM
    tagged: dict[str, Factor] = Field(default_factory=dict)
    either: Factor | int = 0
    secret: opaque[str] = "s3cr3t"

    @property
    def counted(self) -> int:
        PROPERTY_READS.append(1)
        return len(self.factors)


PROPERTY_READS: list[int] = []
THRESHOLD = 0.75
ASSESSMENT = Assessment(
    level="low",
    confidence=0.42,
    reason="too short",
    factors=[Factor(name="a", weight=0.5), Factor(name="b", weight=0.1)],
)


def texts(
    condition: Callable[..., object],
    result: object = ASSESSMENT,
    *,
    returns: object = Assessment,
    hidden: tuple[str, ...] = (),
    **arguments: object,
) -> list[str]:
    """What the model would be told: everything an ensure goes through, once."""
    postcondition = Postcondition.compile(
        condition, function="assess", parameters=list(arguments), returns=returns, opaque=hidden
    )
    violations = trio.run(postcondition.check, result, arguments)
    return [violation.for_prompt for violation in violations]


def is_inline(condition: Callable[..., object], **arguments: object) -> bool:
    return Postcondition.compile(condition, function="assess", parameters=list(arguments), returns=Assessment).inline


# What a condition may return or raise


def test_true_and_none_hold() -> None:
    assert texts(lambda r: True) == []
    assert texts(lambda r: None) == []
    assert texts(lambda r: r.confidence < 0.5) == []


def test_a_false_condition_is_quoted_with_its_actual_value() -> None:
    """CASES B6."""
    assert texts(lambda r: r.confidence > 0.75) == ["ensure: r.confidence > 0.75 (actual: 0.42)"]


def test_the_retry_reads_as_in_the_seed() -> None:
    """CASES B4."""
    condition = Postcondition.compile(lambda r: r.confidence > 0.75, function="f", parameters=(), returns=Assessment)
    assert retry_message(trio.run(condition.check, ASSESSMENT, {})) == (
        "Previous attempt failed:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\nFix these issues specifically."
    )


def all_tests_pass(result: object) -> str | None:
    return "3 tests still failing: test_auth_refresh, test_token_expiry, test_logout_cascade"


def no_type_errors(result: object) -> None:
    raise AssertionError("4 type errors in auth.py")


def test_a_returned_text_is_the_detail_as_in_the_seed() -> None:
    assert texts(all_tests_pass) == [
        "ensure: all_tests_pass(result) (3 tests still failing: test_auth_refresh, test_token_expiry, test_logout_cascade)"
    ]


def test_an_assertion_is_the_detail_in_the_trace_as_in_the_seed() -> None:
    condition = Postcondition.compile(no_type_errors, function="f", parameters=(), returns=str)
    (violation,) = trio.run(condition.check, "", {})
    assert violation.for_trace == "ensure: no_type_errors(result) — 4 type errors in auth.py"


def test_every_text_of_a_list_is_a_violation() -> None:
    assert texts(lambda r: ["one", "two"]) == ['ensure: ["one", "two"] (one)', 'ensure: ["one", "two"] (two)']


@pytest.mark.parametrize(("problems", "listed"), [(20, 20), (21, 21), (5_000, 21)])
def test_of_many_problems_twenty_are_listed_and_the_rest_is_counted(problems: int, listed: int) -> None:
    def lint(result: Assessment) -> list[str]:
        return [f"line {line}" for line in range(problems)]

    found = texts(lint)
    assert len(found) == listed
    assert found[19] == "ensure: lint(result) (line 19)"
    assert found[20:] == ([f"ensure: lint(result) (and {problems - 20:,} more)"] if problems > 20 else [])
    assert texts(lambda r: [f for f in r.factors if f.weight < 0.3]) == [
        "ensure: [f for f in r.factors if f.weight < 0.3] (Factor(name='b', weight=0.1))"
    ]
    assert texts(lambda r: []) == []


def test_an_empty_text_is_a_violation_with_the_actual_value() -> None:
    assert texts(lambda r: r.reason and len(r.reason) < 5, replaced(reason="")) == [
        "ensure: r.reason and len(r.reason) < 5 (failed: r.reason, actual: '')"
    ]


def replaced(**changes: Any) -> Assessment:
    fields = {name: getattr(ASSESSMENT, name) for name in ("level", "confidence", "reason", "factors")}
    return Assessment(**{**fields, **changes})


def test_an_assert_without_a_message_shows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "conditions.py"  # not rewritten by pytest, which would give the assertion a message
    path.write_text("def checked(result):\n    assert result.confidence > 3\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    assert texts(scope["checked"]) == ["ensure: checked(result) (failed: assert result.confidence > 3)"]
    exec("def nowhere(result): assert False", scope)
    assert texts(scope["nowhere"]) == ["ensure: nowhere(result) (AssertionError)"]


@pytest.mark.parametrize(
    "error", [KeyError("k"), ZeroDivisionError("zero"), TypeError("t"), SystemExit(3), RecursionError()]
)
def test_whatever_a_condition_raises_is_a_violation(error: BaseException) -> None:
    """CASES B9."""

    def condition(result: object) -> None:
        raise error

    (text,) = texts(condition)
    assert text.startswith(f"ensure: condition(result) ({type(error).__name__}")


def test_an_error_that_cannot_be_shown_is_a_violation_too() -> None:
    class Unshowable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    def condition(result: object) -> None:
        raise Unshowable

    assert texts(condition) == ["ensure: condition(result) (Unshowable: its text raises RuntimeError)"]
    assert texts(lambda r: r, Hostile("huge"), returns=object) == ["ensure: r (RuntimeError: no truth)"]


def test_keyboard_interrupt_is_not_swallowed() -> None:
    def condition(result: object) -> None:
        raise KeyboardInterrupt

    async def awaited(result: object) -> None:
        raise KeyboardInterrupt

    for stopped in (condition, awaited):
        with pytest.raises(KeyboardInterrupt):
            texts(stopped)


@pytest.mark.parametrize(
    "outcome",
    [{"a"}, {"a": 1}, object(), re.match("a", "a"), (x for x in "a"), print, ASSESSMENT],
    ids=lambda o: type(o).__name__,
)
def test_a_value_whose_truth_says_nothing_is_a_violation_that_says_so(outcome: object) -> None:
    (text,) = texts(lambda r: identity(outcome))
    assert text.endswith(f"(it returned a {type(outcome).__name__}; return True, False, a str or a list of str)")


def identity(value: object) -> object:
    return value


def test_numbers_count_by_their_truth() -> None:
    assert texts(lambda r: len(r.factors)) == []
    assert texts(lambda r: len(r.scores)) == ["ensure: len(r.scores) (actual: r.scores = {})"]


# What is shown


def test_the_part_of_an_and_that_failed_is_named() -> None:
    assert texts(lambda r: r.level == "low" and r.confidence > THRESHOLD and len(r.factors) > 9) == [
        (
            'ensure: r.level == "low" and r.confidence > THRESHOLD and len(r.factors) > 9 '
            "(failed: r.confidence > THRESHOLD, actual: r.confidence = 0.42, THRESHOLD = 0.75)"
        )
    ]


def test_the_only_part_that_is_not_known_to_hold_is_the_one_that_failed() -> None:
    assert texts(lambda r: len(r.factors) > 2 and r.level == "low") == [
        (
            'ensure: len(r.factors) > 2 and r.level == "low" (failed: len(r.factors) > 2, actual: r.factors = '
            "[Factor(name='a', weight=0.5), Factor(name='b', weight=0.1)])"
        )
    ]


def test_where_it_is_not_certain_which_part_failed_none_is_named() -> None:
    (text,) = texts(lambda r: len(r.reason) > 20 and r.confidence > 0.5)
    assert text == (
        "ensure: len(r.reason) > 20 and r.confidence > 0.5 (actual: r.reason = 'too short', r.confidence = 0.42)"
    )


def test_an_or_shows_all_its_values() -> None:
    assert texts(lambda r: r.confidence > 0.5 or r.level == "high") == [
        "ensure: r.confidence > 0.5 or r.level == \"high\" (actual: r.confidence = 0.42, r.level = 'low')"
    ]


def test_a_conditional_names_the_branch_that_was_taken() -> None:
    assert texts(lambda r: r.confidence > 0.9 if r.level == "low" else True) == [
        'ensure: r.confidence > 0.9 if r.level == "low" else True (failed: r.confidence > 0.9, actual: 0.42)'
    ]


def test_chained_comparisons_show_every_operand_that_is_not_a_constant() -> None:
    assert texts(lambda r: 0.5 < r.confidence <= 1) == ["ensure: 0.5 < r.confidence <= 1 (actual: 0.42)"]


def test_membership_shows_the_item() -> None:
    assert texts(lambda r: r.level in ("medium", "high")) == ['ensure: r.level in ("medium", "high") (actual: \'low\')']
    assert texts(lambda r: "x" in r.reason) == ["ensure: \"x\" in r.reason (actual: 'too short')"]
    assert texts(lambda r: r.mood is Mood.ANGRY) == [
        "ensure: r.mood is Mood.ANGRY (actual: r.mood = <Mood.CALM: 'calm'>, Mood.ANGRY = <Mood.ANGRY: 'angry'>)"
    ]


def test_a_walrus_shows_what_was_assigned() -> None:
    assert texts(lambda r: (c := r.confidence) < 0.5 and c > 0.45) == [
        "ensure: (c := r.confidence) < 0.5 and c > 0.45 (failed: c > 0.45, actual: 0.42)"
    ]


def test_negation_shows_what_was_true() -> None:
    assert texts(lambda r: not r.confidence) == ["ensure: not r.confidence (actual: 0.42)"]


def test_subscripts_and_nested_fields_are_read() -> None:
    assert texts(lambda r: r.factors[-1].weight > 0.3) == ["ensure: r.factors[-1].weight > 0.3 (actual: 0.1)"]
    assert texts(lambda r: r.reason[:3] == "abc") == ["ensure: r.reason[:3] == \"abc\" (actual: 'too')"]
    assert texts(lambda r: r.scores["x"] > 3, replaced(scores={"x": 1})) == ['ensure: r.scores["x"] > 3 (actual: 1)']


def test_the_item_that_fails_an_all_is_found() -> None:
    assert texts(lambda r: all(f.weight > 0.3 for f in r.factors)) == [
        "ensure: all(f.weight > 0.3 for f in r.factors) (failed at r.factors[1]: f.weight > 0.3, actual: 0.1)"
    ]


def test_a_name_bound_inside_a_comprehension_is_not_mistaken_for_one_outside() -> None:
    f = "outside"
    assert texts(lambda r: any(f.weight > 0.7 for f in r.factors)) == [
        (
            "ensure: any(f.weight > 0.7 for f in r.factors) (actual: r.factors = "
            "[Factor(name='a', weight=0.5), Factor(name='b', weight=0.1)])"
        )
    ]
    assert f == "outside"


@pytest.mark.parametrize(
    ("condition", "detail"),
    [
        (lambda r: r.level in ("low",) and r.level not in {"low"}, "failed: r.level not in {\"low\"}, actual: 'low'"),
        (lambda r: r.worst is not None and r.worst.weight > 1, "failed: r.worst is not None, actual: None"),
        (lambda r: r.worst is None and r.confidence > 1, "failed: r.confidence > 1, actual: 0.42"),
        (lambda r: r.confidence > math.pi, "actual: r.confidence = 0.42, math.pi = 3.141592653589793"),
        (lambda r: (r.confidence or r.level) and not r.confidence, "failed: not r.confidence, actual: 0.42"),
        (lambda r: (r.worst or r.scores or r.confidence > 1) and True, ("failed: r.worst or r.scores or r.confidence > 1, "
            "actual: r.worst = None, r.scores = {}, r.confidence = 0.42")),
        (lambda r: (r.level == "x" if r.confidence else True) and r.confidence, "failed: r.level == \"x\", actual: 'low'"),
        (lambda r: r.confidence > -1 and r.confidence < -r.confidence, "failed: r.confidence < -r.confidence, actual: 0.42"),
        (lambda r: [r.confidence, 1] == [0.42, 2] and r.confidence, "failed: [r.confidence, 1] == [0.42, 2], actual: r.confidence = 0.42"),
        (lambda r: (r.level == "x") == (len(r.level) == 3) and True, "failed: (r.level == \"x\") == (len(r.level) == 3), actual: r.level = 'low'"),
        (lambda r: r.confidence > 1 if len(r.level) > 2 else True, "actual: r.level = 'low', r.confidence = 0.42"),
        (lambda r: len(x := r.level) > 5 or x == "a", "actual: r.level = 'low', x = 'low'"),
        (lambda r: any(map(lambda r: r.weight > 1, r.factors)) or r.level == "x", ("actual: r.factors = "
            "[Factor(name='a', weight=0.5), Factor(name='b', weight=0.1)], r.level = 'low'")),
        (lambda r: all(name != "x" for name in {"x": 1}), ""),
        (lambda r: all(f.weight < w for f in r.factors for w in [0.2]), ("actual: r.factors = "
            "[Factor(name='a', weight=0.5), Factor(name='b', weight=0.1)]")),
        (lambda r: all(len(f.name) > 3 for f in r.factors), ("actual: r.factors = "
            "[Factor(name='a', weight=0.5), Factor(name='b', weight=0.1)]")),
        (lambda r: r.mood and r.confidence > 1, "actual: r.mood = <Mood.CALM: 'calm'>, r.confidence = 0.42"),
        (lambda r: len(r.reason[slice(2)]) > 9, "actual: r.reason = 'too short'"),
        (lambda r: r.confidence == 1 and ~len(r.level), "failed: r.confidence == 1, actual: 0.42"),
        (lambda r: ~r.scores["x"] == 1 or r.mood is math, "KeyError: 'x'"),
        (lambda r: ~len(r.level) == 1 or r.mood is math, "actual: r.level = 'low', r.mood = <Mood.CALM: 'calm'>"),
        (lambda r: +r.confidence == 1 and r.confidence, "failed: +r.confidence == 1, actual: r.confidence = 0.42"),
        (lambda r: ~r.confidence > 1, "TypeError: bad operand type for unary ~: 'float'"),
    ],
)  # fmt: skip
def test_what_is_shown_of(condition: Callable[..., object], detail: str) -> None:
    (text,) = texts(condition)
    assert text.endswith(f" ({detail})" if detail else '{"x": 1})')


def test_calls_are_never_run_twice() -> None:
    calls: list[int] = []

    def counted(value: object) -> bool:
        calls.append(1)
        return False

    assert texts(lambda r: counted(r.reason) or counted(r.level)) == [
        "ensure: counted(r.reason) or counted(r.level) (actual: r.reason = 'too short', r.level = 'low')"
    ]
    assert len(calls) == 2


def test_properties_are_never_read_again() -> None:
    PROPERTY_READS.clear()
    assert texts(lambda r: r.counted > 3 and r.level == "low") == [
        'ensure: r.counted > 3 and r.level == "low" (failed: r.counted > 3)'
    ]
    assert len(PROPERTY_READS) == 1


def test_comparisons_of_other_peoples_classes_are_never_run_again() -> None:
    compared: list[int] = []

    class Touchy:
        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return False

        __hash__ = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            return "Touchy()"

    touchy = Touchy()
    assert texts(lambda r: r.level == touchy and r.confidence > 0) == [
        "ensure: r.level == touchy and r.confidence > 0 (failed: r.level == touchy, actual: r.level = 'low', touchy = Touchy())"
    ]
    assert len(compared) == 1


def test_a_whole_contract_is_not_repeated_to_the_model_that_wrote_it() -> None:
    assert texts(lambda r: refuse(r)) == ["ensure: refuse(r)"]


def refuse(value: object) -> bool:
    return False


def test_opaque_fields_and_arguments_are_never_quoted() -> None:
    """CASES C4."""
    assert texts(lambda r: r.secret == "other") == ['ensure: r.secret == "other"']
    assert texts(lambda r: r in [])[0].count("s3cr3t") == 0
    assert texts(lambda r, key: r.reason == key, hidden=("key",), key="k3y") == [
        "ensure: r.reason == key (actual: 'too short')"
    ]
    assert texts(lambda r: r.reason == key, hidden=("key",), key="k3y") == [  # type: ignore[name-defined]  # noqa: F821
        "ensure: r.reason == key (actual: 'too short')"
    ]


@pytest.mark.parametrize("kind", ["dataclass", "slots", "struct", "model"])
def test_fields_of_every_kind_of_contract_are_read(kind: str) -> None:
    @dataclass
    class Plain:
        a: int

    @dataclass(slots=True)
    class Slotted:
        a: int

    class Packed(msgspec.Struct):
        a: int

    class Model(BaseModel):
        a: int

    made: dict[str, Any] = {"dataclass": Plain(1), "slots": Slotted(1), "struct": Packed(1), "model": Model(a=1)}
    assert texts(lambda r: r.a > 3, made[kind], returns=type(made[kind])) == ["ensure: r.a > 3 (actual: 1)"]


# Names


def validate_coverage(result: object, routes: object) -> str | bool:
    return True if routes == "argument" else f"middleware not applied to {routes}"


routes = "global"


def test_a_free_name_that_is_a_parameter_means_the_argument() -> None:
    """As in SEED.md: `ensure=lambda r: validate_coverage(r, routes)`."""
    assert texts(lambda r: validate_coverage(r, routes), routes="argument") == []
    assert texts(lambda r: validate_coverage(r, routes), routes="/api/v2/ prefix") == [
        "ensure: validate_coverage(r, routes) (middleware not applied to /api/v2/ prefix)"
    ]
    assert texts(lambda r: validate_coverage(r, routes)) == [
        "ensure: validate_coverage(r, routes) (middleware not applied to global)"
    ]


def test_a_parameter_name_beats_a_closure_variable_also_in_an_inner_function() -> None:
    limit = 10
    assert texts(lambda r: len(r.factors) == limit, limit=2) == []
    assert texts(lambda r: all(f.weight < limit for f in r.factors), limit=0.2) == [
        (
            "ensure: all(f.weight < limit for f in r.factors) (failed at r.factors[0]: f.weight < limit, "
            "actual: f.weight = 0.5, limit = 0.2)"
        )
    ]
    assert texts(lambda r: (lambda: limit == 3)(), limit=3) == []
    assert limit == 10


def test_an_attribute_of_the_same_name_as_a_parameter_is_not_the_parameter() -> None:
    assert texts(lambda r: r.reason == "too short", reason="something else") == []


def test_a_lambdas_further_parameters_get_the_arguments_of_their_names() -> None:
    assert texts(lambda r, routes: routes == "x", routes="x") == []
    assert texts(lambda r, *, routes: routes == "x", routes="y") == ["ensure: routes == \"x\" (actual: 'y')"]
    assert texts(lambda r, limit=0.9: r.confidence > limit) == [
        "ensure: r.confidence > limit (actual: r.confidence = 0.42, limit = 0.9)"
    ]
    assert texts(lambda result, **other: result.confidence > 0.4, routes=1) == []


def test_functions_methods_partials_and_callables_are_named() -> None:
    class Validator:
        def check(self, result: object, routes: str) -> str:
            return f"{routes}!"

        def __call__(self, result: object) -> bool:
            return False

    def limited(result: Assessment, *, limit: float) -> bool:
        return result.confidence > limit

    assert texts(Validator().check, routes="a") == ["ensure: check(result, routes) (a!)"]
    assert texts(Validator()) == ["ensure: Validator(result)"]
    assert texts(functools.partial(limited, limit=0.9)) == ["ensure: limited(result)"]
    assert texts(functools.partial(functools.partial(limited), limit=0.1)) == []
    assert texts(bool, "", returns=str) == ["ensure: bool(result)"]


async def test_awaitables_are_awaited_and_judged_alike(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(result: object, verdict: object) -> object:
        await trio.sleep(10)
        return verdict

    async def check(condition: Callable[..., object], verdict: object) -> list[str]:
        compiled = Postcondition.compile(condition, function="f", parameters=["verdict"], returns=str)
        assert not compiled.inline
        return [violation.for_prompt for violation in await compiled.check("", {"verdict": verdict})]

    assert await check(slow, True) == []
    assert await check(slow, False) == ["ensure: slow(result, verdict)"]
    assert await check(lambda r, verdict: slow(r, verdict), "too long") == ["ensure: slow(r, verdict) (too long)"]
    assert await check(lambda r, verdict: slow(r, verdict), False) == [
        "ensure: slow(r, verdict) (actual: r = '', verdict = False)"
    ]


# Where a lambda was written


def test_several_lambdas_on_one_line_are_told_apart() -> None:
    first, second = (lambda r: r.confidence > 1), (lambda r: r.confidence > 2)
    listed = [lambda r: r.level == "a", lambda r: r.level == "b"]
    assert [texts(condition)[0] for condition in (first, second, *listed)] == [
        "ensure: r.confidence > 1 (actual: 0.42)",
        "ensure: r.confidence > 2 (actual: 0.42)",
        "ensure: r.level == \"a\" (actual: 'low')",
        "ensure: r.level == \"b\" (actual: 'low')",
    ]


def test_a_lambda_on_several_lines_is_quoted_on_one() -> None:
    # fmt: off
    condition = lambda r: (
        r.confidence  # how sure
        > 0.75
    )
    # fmt: on
    assert texts(condition) == ["ensure: r.confidence > 0.75 (actual: 0.42)"]


def test_a_lambda_inside_a_lambda_and_beside_wide_characters_is_found() -> None:
    make: Callable[[float], Callable[..., object]] = lambda limit: lambda r: "ü€" != r.reason and r.confidence > limit
    assert texts(make(0.9)) == [
        (
            'ensure: "ü€" != r.reason and r.confidence > limit '
            "(failed: r.confidence > limit, actual: r.confidence = 0.42, limit = 0.9)"
        )
    ]


def test_a_lambda_made_in_a_class_is_found_despite_name_mangling() -> None:
    class Limits:
        __hidden = 0.9

        def condition(self) -> Callable[..., object]:
            return lambda r: r.confidence > self.__hidden

    assert texts(Limits().condition()) == ["ensure: r.confidence > self.__hidden (actual: 0.42)"]


def test_code_without_source_is_called_by_its_number() -> None:
    scope: dict[str, Any] = {}
    exec("condition = lambda r: r.confidence > 0.75", scope)
    compiled = Postcondition.compile(scope["condition"], function="f", parameters=(), returns=Assessment, number=2)
    assert trio.run(compiled.check, ASSESSMENT, {}) == [Violation(kind="ensure", condition="ensure #2")]


def test_a_file_changed_since_it_was_imported_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "changed.py"
    path.write_text("condition = lambda r: r.confidence > 0.75\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    path.write_text("condition = lambda r: r.confidence > 0.95\n")
    assert texts(scope["condition"]) == ["ensure: ensure #1"]


# Refused while decorating


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (lambda r: r.confidnce > 1, "Assessment has no field 'confidnce'; did you mean 'confidence'?"),
        (lambda r: r.worst.nam, "Factor has no field 'nam'; did you mean 'name'?"),
        (lambda r: all(f.size for f in r.factors), "Factor has no field 'size'; its fields are: name, weight"),
        (lambda r: (w := r.worst).nam == w, "Factor has no field 'nam'"),
        (lambda r: r.tagged["x"].nam == "a", "Factor has no field 'nam'"),
        (lambda r: r.factors[0].wieght > 1, "Factor has no field 'wieght'; did you mean 'weight'?"),
        (lambda: True, "does not take the result"),
        (lambda *, r: True, "does not take the result"),
        (lambda r, route: True, "takes 'route', which is no parameter of the function; did you mean 'routes'?"),
        (
            lambda r: r.reason,
            "`r.reason` itself, which would be read as the text of a violation; write `bool(r.reason)`",
        ),
        (lambda r: r.factors, "`r.factors` itself"),
        (lambda r: r.confidence > 1 or r.level, "`r.level` itself"),
        (lambda r: r.factors and r.confidence > 1, "`r.factors` itself"),
        (lambda r: r.reason if r.worst else True, "`r.reason` itself"),
        (3, "3 is not callable; pass a function, a lambda or a list of them"),
    ],
)
def test_a_condition_that_cannot_work_is_refused(condition: Any, message: str) -> None:
    with pytest.raises(ContractDefinitionError) as caught:
        Postcondition.compile(condition, function="assess", parameters=["routes"], returns=Assessment)
    assert str(caught.value).startswith("assess.ensure: ") and message in str(caught.value)


@pytest.mark.parametrize(
    "condition",
    [
        lambda r: r.counted > 1,
        lambda r: r.worst is None or r.worst.name == "a",
        lambda r: bool(r.reason),
        lambda r: r.reason and r.confidence > 1,
        lambda r: any(r.name == "a" for r in r.factors),
        lambda other: other.model_fields_set,
        lambda r: (lambda r: r.anything)(r),
        lambda r: (w := r.worst) is None or w.weight > 1,
        lambda r: r.scores["x"] > 1 and r.tagged["x"].name == "a",
        lambda r: {f.name: f.weight for f in r.factors}["x"] > 1,
        lambda r: [name.missing for name, _ in r.tagged.items()] == [],
        lambda r: r.either.anything == 1,
    ],
)
def test_what_may_work_is_not_refused(condition: Any) -> None:
    returns = object if condition.__code__.co_varnames[0] == "other" else Assessment
    Postcondition.compile(condition, function="assess", parameters=(), returns=returns)


# Where it runs


def test_small_expressions_run_on_the_loop_and_everything_else_in_a_thread() -> None:
    assert is_inline(lambda r: r.confidence > 0.5 and len(r.factors) > 1)
    assert is_inline(lambda r: r.reason.strip().lower().startswith("a"))
    assert is_inline(lambda r: all(f.weight > 0 for f in r.factors))
    assert is_inline(lambda r, text: r.reason in text, text="")
    assert not is_inline(lambda r: refuse(r))
    assert not is_inline(lambda r: re.search("(a+)+$", r.reason) is None)
    assert not is_inline(lambda r: 2**r.confidence > 1)
    assert not is_inline(lambda r: r.reason * 1000 == "")
    assert not is_inline(lambda r: all(a.name != b.name for a in r.factors for b in r.factors))
    assert not is_inline(all_tests_pass)
    assert not is_inline(lambda r: (lambda: r.confidence > 1)())
    assert not is_inline(lambda r: (lambda: 1) is not r)
    len_ = len
    assert not is_inline(lambda r: len_(r.factors) > 1)


def test_a_class_whose_hints_cannot_be_read_refuses_nothing() -> None:
    class Unread:
        a: int
        __annotations__ = {"a": "Missing"}

    odd = dataclass(Unread)
    Postcondition.compile(lambda r: r.a.anything == 1, function="f", parameters=(), returns=odd)


def test_a_source_file_that_does_not_parse_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("condition = lambda r: r > 1\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    path.write_text("condition = lambda r: (\n")
    assert texts(scope["condition"], 0, returns=int) == ["ensure: ensure #1"]


def test_a_shadowed_builtin_is_not_taken_for_the_builtin() -> None:
    len = refuse
    assert not is_inline(lambda r: len(r.factors))
    assert not is_inline(lambda r: sum(r.factors), sum=refuse)


# Preconditions


def given_texts(condition: Callable[..., object], **arguments: object) -> list[str]:
    compiled = Precondition.compile(condition, function="f", parameters=list(arguments))
    return [violation.for_prompt for violation in trio.run(compiled.check, arguments)]


def test_given_takes_the_arguments_by_name() -> None:
    """CASES B14."""
    assert given_texts(lambda text: len(text) > 3, text="a") == ["given: len(text) > 3 (actual: text = 'a')"]
    assert given_texts(lambda: limit > 3, limit=1) == ["given: limit > 3 (actual: 1)"]  # type: ignore[name-defined]  # noqa: F821
    assert given_texts(lambda text: 1 / 0, text="") == ["given: 1 / 0 (ZeroDivisionError: division by zero)"]
    assert given_texts(lambda text, limit: True, text="", limit=1) == []


@pytest.mark.parametrize("condition", [lambda txt: True, lambda: True])
def test_given_must_name_a_parameter(condition: Callable[..., object]) -> None:
    with pytest.raises(ContractDefinitionError, match="no parameter of the function"):
        Precondition.compile(condition, function="f", parameters=["text"])


# Invariants


class Hostile:
    def __init__(self, how: str) -> None:
        self.how = how

    def __repr__(self) -> str:
        if self.how == "raises":
            raise RuntimeError("no")
        return {"huge": "x" * 10**6, "controls": "a\nb\x1b[31m\u202ec", "empty": ""}[self.how]

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


hostile = st.builds(Hostile, st.sampled_from(["raises", "huge", "controls", "empty"]))
anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        hostile,
        st.builds(lambda: 10**5000),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=9), st.dictionaries(st.text(), inner, max_size=9)),
    max_leaves=12,
)


CONDITIONS: list[Callable[..., object]] = [
    lambda r, other: r == other and r != other,
    lambda r, other: not (r or not r),
    lambda r, other: r[0] == 1 and r["a"] == 2,
    lambda r, other: all(item == other for item in r),
    lambda r, other: identity(r),
    lambda r, other: (r, other),
]


@given(value=anything, other=anything)
def test_a_violation_is_one_line_of_bounded_length_and_checking_never_raises(value: object, other: object) -> None:
    compiled = [
        Postcondition.compile(condition, function="f", parameters=["other"], returns=object) for condition in CONDITIONS
    ]

    async def check_all() -> list[Violation]:
        return [violation for one in compiled for violation in await one.check(value, {"other": other})]

    for violation in trio.run(check_all):
        for part in (violation.condition, violation.detail):
            assert len(part) <= MAX_TEXT
        assert violation.for_prompt.isprintable()


def decorated(*, ensure: object) -> Callable[[Callable[..., object]], list[object]]:
    return lambda function: list(ensure) if isinstance(ensure, (list, tuple)) else [ensure]


def test_lambdas_in_decorators_and_collections_are_found() -> None:
    @decorated(ensure=lambda r: r.confidence > 0.9)
    def alone() -> None: ...

    @decorated(ensure=(lambda r: r.confidence > 0.8, lambda r: r.confidence > 0.7))
    def together() -> None: ...

    conditions: list[Any] = [
        *alone,
        *together,
        {"a": lambda r: r.confidence > 0.6}["a"],
        *(lambda r: r.confidence > 0.5,),
    ]
    assert [texts(condition)[0] for condition in conditions] == [
        f"ensure: r.confidence > 0.{tenths} (actual: 0.42)" for tenths in (9, 8, 7, 6, 5)
    ]


def test_without_column_positions_lambdas_that_share_a_line_are_not_confused() -> None:
    code = """
        from stratum.engine.postconditions.lambda_source import lambda_source
        alone = lambda r: r > 1
        first, second = (lambda r: r > 1), (lambda r: r > 2)
        twins = (lambda r: r.a), (lambda r: r.a)
        for condition in (alone, first, second, *twins):
            source = lambda_source(condition)
            print(source and source.text(source.body))
    """
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(textwrap.dedent(code))
        file.flush()
        command = [sys.executable, "-X", "no_debug_ranges", file.name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split("\n") == ["r > 1", "r > 1", "r > 2", "None", "None", ""]
