"""Errors: each says what to do, and survives pickle and copy."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import typing
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

import pytest

from stratum import actors, contracts, engine
from stratum.contracts import errors
from stratum.contracts.errors import (
    ActorClosed,
    BudgetExceeded,
    BudgetOverrun,
    CallFailed,
    Completed,
    ContractDefinitionError,
    ContractViolation,
    JournalCorrupt,
    NoProvider,
    NoRuntime,
    ParseFailure,
    PostconditionFailed,
    PreconditionFailed,
    ProviderError,
    StratumError,
    UnknownPrice,
    UnknownRun,
    described,
)
from stratum.contracts.plans.errors import StepRejected
from stratum.contracts.violation import Violation

LOW = Violation(kind="ensure", condition="r.confidence > 0.75", detail="actual: 0.42")
CENT = 10**10


def subclasses(cls: type[StratumError] = StratumError) -> Iterator[type[StratumError]]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


def example(cls: type[StratumError]) -> StratumError:
    """One with every field set to something."""
    hints = typing.get_type_hints(cls)
    assert is_dataclass(cls)
    return cls(**{each.name: sample(hints[each.name]) for each in fields(cls)})


def sample(hint: Any) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return arguments[0]
    if origin in (list, Sequence):
        return [sample(arguments[0])]
    if origin is not None:
        return sample(arguments[0])
    if hint is Completed:
        return Completed(call="a", function="f", result=1)
    return {int: 7, bool: True, Violation: LOW, object: {"a": 1}}.get(hint, "text")


every_error = pytest.mark.parametrize("cls", list(subclasses()), ids=lambda cls: cls.__name__)


@every_error
def test_an_error_survives_pickle_and_copy(cls: type[StratumError]) -> None:
    error = example(cls)
    error.add_note("while testing")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert str(again) == str(error)
        assert again.__notes__ == ["while testing"]
        for each in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            if each.name != "completed":
                assert getattr(again, each.name) == getattr(error, each.name)


@every_error
def test_an_error_takes_keywords_only(cls: type[StratumError]) -> None:
    with pytest.raises(TypeError):
        cls("text")


@every_error
def test_an_error_compares_and_hashes_by_identity(cls: type[StratumError]) -> None:
    """Two failures are never one; error groups and tracebacks keep them in sets."""
    error, other = example(cls), example(cls)
    assert error != other
    assert len({error, other, error}) == 2


@every_error
def test_an_error_with_its_required_fields_alone_has_a_message(cls: type[StratumError]) -> None:
    hints = typing.get_type_hints(cls)
    required = {
        each.name: sample(hints[each.name])
        for each in fields(cls)  # type: ignore[arg-type]  # every subclass is a dataclass
        if each.default is MISSING and each.default_factory is MISSING
    }
    message = str(cls(**required))
    assert message
    assert "None" not in message


def test_the_tree_at_the_head_of_the_file_names_every_error() -> None:
    assert errors.__doc__ is not None
    tree = errors.__doc__.strip().splitlines()[2:]
    named = [line.strip("│├└─ ").split()[0] for line in tree]
    # Those of the outer layers are told where they are.
    for package in (contracts, actors, engine):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    inner = [cls.__name__ for cls in subclasses() if cls.__module__.split(".")[1] in ("contracts", "actors", "engine")]
    assert sorted(named) == sorted(["StratumError", *inner])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ContractDefinitionError(owner="Risk", field="level", problem="no type", fix="annotate it"),
            "Risk.level: no type; annotate it",
        ),
        (
            ContractViolation(contract="Risk", violations=[LOW]),
            "not a valid Risk:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\nPass a value that meets these.",
        ),
        (
            CallFailed(function="classify", violations=[LOW], retry_history=[[LOW], [LOW]]),
            (
                "classify: no acceptable answer in 2 attempts:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\n"
                "Raise retries, or say in the intent what is wanted."
            ),
        ),
        (
            PreconditionFailed(function="classify", violations=[LOW]),
            (
                "classify: not called, its arguments do not satisfy:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\n"
                "Pass arguments that do, or change `given`."
            ),
        ),
        (
            ParseFailure(function="classify", violations=[LOW], retry_history=[[LOW]], raw_output="{"),
            (
                "classify: no acceptable answer in 1 attempt:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\n"
                "Raise retries or max_output_tokens, or ask for a simpler contract."
            ),
        ),
        (
            PostconditionFailed(function="classify", violations=[LOW], retry_history=[[LOW]]),
            (
                "classify: no acceptable answer in 1 attempt:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\n"
                "Raise retries, say in the intent what `ensure` wants, or want less."
            ),
        ),
        (
            BudgetExceeded(
                resource="usd", limit=50 * CENT, settled=48 * CENT, requested=6 * CENT, step="4/write_tests"
            ),
            "4/write_tests: 0.480 USD of 0.500 USD spent, 0.060 USD more needed; raise Budget(usd=...) or ask for less",
        ),
        (
            BudgetExceeded(
                resource="tokens",
                limit=10_000,
                settled=5000,
                in_flight=2000,
                in_doubt=1500,
                requested=3000,
                step="flow",
                completed=[Completed(call="a", function="f", result=1)],
                remaining=["b", "c"],
            ),
            (
                "flow: 5,000 tokens of 10,000 tokens spent, 2,000 tokens in flight, 1,500 tokens in doubt, "
                "3,000 tokens more needed; 1 call completed, 2 not done; "
                "raise Budget(tokens=...), reconcile what is in doubt, or ask for less"
            ),
        ),
        (
            BudgetExceeded(resource="ms", limit=1500, settled=1500, step="flow"),
            "flow: 1,500 ms of 1,500 ms spent; raise Budget(ms=...) or ask for less",
        ),
        (
            BudgetOverrun(resource="usd", limit=CENT, step="call", actual=2 * CENT, reserved=CENT),
            (
                "call: the provider billed 0.020 USD where at most 0.010 USD was reserved; booked in full, for it does "
                "not honour the output cap it is sent, or serves calls in a dearer tier; use another provider, say "
                "service_tier=, or raise Budget(usd=...)"
            ),
        ),
        (
            UnknownPrice(model="m-1", provider="openai", step="call"),
            (
                "call: no price is known for model 'm-1' of openai; pass open_runtime(prices={...}), or set "
                "STRATUM_PRICE=INPUT/OUTPUT in USD per million tokens, or drop the USD limit"
            ),
        ),
        (
            ProviderError(provider="openai", message="no such model", status=404, fix="name another model"),
            "openai 404: no such model; name another model",
        ),
        (
            ProviderError(provider="openai", message="overloaded", status=503, retryable=True),
            "openai 503: overloaded; try again later",
        ),
        (
            ProviderError(provider="openai", message="bad request", status=400),
            "openai 400: bad request; change what is sent, or the provider's settings",
        ),
        (
            JournalCorrupt(path="stratum.db", problem="7 records are missing", fix="restore a backup"),
            "stratum.db: 7 records are missing; restore a backup",
        ),
        (UnknownRun(run="r1"), "run r1: not in this journal; `stratum runs` lists what is"),
        (
            ActorClosed(actor="ledger", message_type="Reserve"),
            "ledger closed before it answered Reserve, for the runtime is shutting down; open a new one",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, StratumError) else "",
)
def test_a_message_is_built_from_the_fields_and_ends_with_what_to_do(error: StratumError, message: str) -> None:
    assert str(error) == message


def test_no_provider_says_what_to_set_or_install() -> None:
    assert str(NoProvider()).splitlines()[-1] == "set OPENAI_API_KEY, or: pip install 'stratum-runtime[local]'"


def test_no_runtime_says_how_to_open_one() -> None:
    assert "async with stratum.aio.open_runtime() as rt: await rt.run(step, ...)" in str(NoRuntime(function="classify"))


def test_a_contract_violation_is_a_value_error_and_an_overrun_an_exceeded_budget() -> None:
    """Plain code catches the first, budget code the second."""
    assert issubclass(ContractViolation, ValueError)
    assert issubclass(BudgetOverrun, BudgetExceeded)
    assert {PreconditionFailed, ParseFailure, PostconditionFailed, StepRejected} == set(CallFailed.__subclasses__())


def test_a_failed_call_counts_its_attempts() -> None:
    """CASES B11."""
    error = PostconditionFailed(function="f", violations=[LOW], retry_history=[[LOW], [LOW], [LOW]])
    assert error.attempts == 3


def test_a_raw_answer_is_not_in_the_message() -> None:
    """It may quote the prompt; it is there as a field."""
    error = ParseFailure(function="f", violations=[LOW], raw_output="secret")
    assert "secret" not in str(error)
    assert "secret" not in described(error)


def test_an_error_of_others_is_described_briefly() -> None:
    assert described(KeyError("x")) == "KeyError: 'x'"
    assert len(described(RuntimeError("x" * 10_000))) == 500
