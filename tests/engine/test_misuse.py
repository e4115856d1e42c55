"""What a newcomer gets wrong: each is said where it was written, in words that say what to write instead."""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from anyio import BrokenWorkerProcess

from stratum import (
    Budget,
    ContractDefinitionError,
    ContractViolation,
    JournalUnavailable,
    NoRuntime,
    Price,
    RateLimit,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
    refine,
    run,
)
from stratum.contracts.errors import RunError
from stratum.plans import Functions, PlanError, load_plan, read_plan
from stratum.providers import OpenAI, scripted


@compute(inline=True)
def double(number: int) -> int:
    return 2 * number


@infer(intent="Halve the number")
def halve(number: int) -> int: ...


@flow
async def quadruple(number: int) -> int:
    return await double(await double(number))


@pytest.mark.parametrize("step", [double, halve, quadruple])
def test_a_step_pickles_and_copies_as_a_function_does(step: Any) -> None:
    assert pickle.loads(pickle.dumps(step)) is step
    assert copy.deepcopy(step) is step


@pytest.mark.parametrize("step", [double, halve, quadruple])
def test_a_call_that_nobody_awaits_is_warned_of_by_the_functions_name(step: Any) -> None:
    with pytest.warns(RuntimeWarning, match=f"coroutine '{step.__name__}' was never awaited"):
        step(1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ensure": "len(result) > 1"}, "'len(result) > 1' is not callable; pass a function"),
        ({"ensure": 5}, "5 is not callable; pass a function"),
        ({"given": ["text"]}, "'text' is not callable; pass a function"),
        ({"model": 5}, "model=5; name a model"),
        ({"model": ["a", 5]}, "model=['a', 5]; name a model"),
    ],
)
def test_an_option_of_the_wrong_kind_is_shown_as_it_was_passed(options: dict[str, Any], says: str) -> None:
    def number(text: str) -> int: ...  # type: ignore[empty-body]

    with pytest.raises(ContractDefinitionError, match=re.escape(says)):
        infer(intent="Count", **options)(number)


async def test_what_is_run_or_resumed_is_shown_where_it_is_none() -> None:
    async with open_runtime(provider=scripted(), journal=None) as runtime:
        called = double(1)
        with pytest.raises(TypeError, match=r"as in run\(f, x\); <coroutine object double"):
            await runtime.run(called)  # type: ignore[call-overload]
        assert await called == 2
        with pytest.raises(
            TypeError, match="resume.. takes a flow and the id of its run; <compute .*double> is no flow"
        ):
            await runtime.resume(double, "0123456789ab")  # type: ignore[arg-type]


def test_what_plans_are_read_from_and_checked_against_is_said() -> None:
    with pytest.raises(
        PlanError, match=r'"plan.yaml" is the name of a file; pass what is in it: Path\(...\).read_text\(\)'
    ):
        read_plan("plan.yaml")
    with pytest.raises(TypeError, match=r"from its text, not from .*plan.yaml.*; pass Path\(...\).read_text\(\)"):
        read_plan(Path("plan.yaml"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pass Functions\(\[...\]\).registry"):
        load_plan("steps: [{id: a, fn: b}]", Functions([double]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="<built-in function len> is not a step; decorate it"):
        Functions([len])  # type: ignore[list-item]


@pytest.mark.parametrize("budget", [0.5, {"usd": 0.5}, "1 USD"])
def test_a_budget_that_is_none_is_found_while_decorating(budget: Any) -> None:
    def number(text: str) -> int: ...  # type: ignore[empty-body]

    async def work(text: str) -> int:
        return 1

    for decorate in (lambda: infer(intent="Count", budget=budget)(number), lambda: flow(budget=budget)(work)):
        with pytest.raises(ContractDefinitionError, match="is not a Budget; write Budget"):
            decorate()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sample_n": 0}, "sample_n=0: pass a whole number, 1 or more"),
        ({"transport_retries": -1}, "transport_retries=-1: pass a whole number, 0 or more"),
        ({"transport_retries": 1.5}, "transport_retries=1.5: pass a whole number, 0 or more"),
        ({"request_timeout_s": 0}, "request_timeout_s=0: pass a number of seconds above 0"),
        ({"request_timeout_s": float("nan")}, "request_timeout_s=nan: pass a number of seconds above 0"),
        ({"request_timeout_s": "5"}, "request_timeout_s='5': pass a number of seconds above 0"),
        ({"prices": {"m": 5}}, "prices={'m': 5}: pass {\"model\": Price.per_million(input=..., output=...)}"),
        ({"rate_limits": 5}, 'rate_limits=5: pass {"model": RateLimit(requests_per_minute=...)}'),
        ({"model": 3}, "model=3: pass the name of one, as 'gpt-4.1-mini'"),
        ({"allowance": 5}, "allowance=5: pass Allowance(usd=..., per='day')"),
        ({"journal": False}, "journal=False: pass a file's path, or None for memory"),
        ({"sinks": "x"}, "sinks='x': pass a list of sinks, as [ConsoleSink()]"),
        ({"sinks": 5}, "sinks=5: pass a list of sinks, as [ConsoleSink()]"),
        ({"cluster": "ray"}, "cluster='ray': pass stratum.cluster.Cluster(...)"),
        ({"jitter": 1}, "jitter=1: pass a function that returns a number from 0 to 1, as random.random"),
    ],
)
async def test_what_makes_no_sense_for_a_runtime_opens_nothing(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    rest: dict[str, Any] = {"provider": scripted(), "journal": tmp_path / "journal.db"}
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(says)}$"):
        async with open_runtime(**rest | options):
            pass
    assert not list(tmp_path.iterdir())


async def test_what_makes_sense_opens() -> None:
    limits = {"m": RateLimit(requests_per_minute=1)}
    prices = {"m": Price.per_million(input=1, output=1)}
    async with open_runtime(
        provider=scripted(),
        journal=None,
        transport_retries=0,
        request_timeout_s=float("inf"),
        prices=prices,
        rate_limits=limits,
    ):
        pass
    with pytest.raises(ValueError, match="tokens_per_minute=nan"):
        RateLimit(tokens_per_minute=float("nan"))  # type: ignore[arg-type]


async def test_a_runtimes_budget_that_is_none_opens_nothing(tmp_path: Path) -> None:
    wrong: Any = 0.5
    with pytest.raises(ContractDefinitionError, match="open_runtime: budget=0.5 is not a Budget"):
        async with open_runtime(provider=scripted(), budget=wrong, journal=tmp_path / "journal.db"):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("provider", ["openai", OpenAI])
async def test_a_providers_name_or_class_is_no_provider(provider: Any) -> None:
    with pytest.raises(ContractDefinitionError, match=r"is not a provider; pass one, as stratum.providers.OpenAI\(\)"):
        async with open_runtime(provider=provider, journal=None):
            pass


@pytest.mark.parametrize("options", [{"retries": 1.5}, {"retries": -1}, {"max_output_tokens": 2.5}])
def test_numbers_that_must_be_whole_are_found_while_decorating(options: dict[str, Any]) -> None:
    def number(text: str) -> int: ...  # type: ignore[empty-body]

    with pytest.raises(ContractDefinitionError, match="pass a whole number"):
        infer(intent="Count", **options)(number)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"intent": 5}, "number: intent=5; pass a text"),
        ({"context": 5}, "number: context=5; pass a text, or a list of them"),
        ({"context": ["a", 5]}, "number: context=['a', 5]; pass a text, or a list of them"),
        ({"temperature": "hot"}, "number: temperature='hot'; pass a number, as 0.2"),
        ({"temperature": float("nan")}, "number: temperature=nan; pass a number, as 0.2"),
        ({"temperature": True}, "number: temperature=True; pass a number, as 0.2"),
    ],
)
def test_texts_and_numbers_of_the_wrong_kind_are_shown(options: dict[str, Any], says: str) -> None:
    def number(text: str) -> int: ...  # type: ignore[empty-body]

    with pytest.raises(ContractDefinitionError, match=f"^{re.escape(says)}$"):
        wrong: dict[str, Any] = {"intent": "Count", **options}
        infer(**wrong)(number)
    infer(intent="Count", context=("a", "b"), temperature=1)(number)


class Bodies:
    """Functions as users write them under `@infer`."""

    @staticmethod
    def dots(text: str) -> int: ...  # type: ignore[empty-body]

    @staticmethod
    async def waiting_dots(text: str) -> int: ...  # type: ignore[empty-body]

    @staticmethod
    def docstring(text: str) -> int:  # type: ignore[empty-body]
        """Count."""

    @staticmethod
    def nothing(text: str) -> int:  # type: ignore[empty-body]
        pass

    @staticmethod
    def unwritten(text: str) -> int:
        raise NotImplementedError

    @staticmethod
    async def unwritten_with_a_reason(text: str) -> int:
        raise NotImplementedError(f"a model counts {text}")

    @staticmethod
    def returned_dots(text: str) -> int:
        return ...  # type: ignore[return-value]

    @staticmethod
    def counted(text: str) -> int:
        return len(text)

    @staticmethod
    async def counted_later(text: str) -> int:
        await trio.sleep(1)
        return len(text)

    @staticmethod
    def constant(text: str) -> int:
        return 0

    @staticmethod
    def printed(text: str) -> int:  # type: ignore[empty-body]
        """Count."""
        print(text)

    @staticmethod
    def in_parts(text: str) -> int:
        if text:
            return 1
        raise NotImplementedError

    @staticmethod
    def failing(text: str) -> int:
        raise ValueError(text)


@pytest.mark.parametrize(
    "function",
    [
        Bodies.dots,
        Bodies.waiting_dots,
        Bodies.docstring,
        Bodies.nothing,
        Bodies.unwritten,
        Bodies.unwritten_with_a_reason,
        Bodies.returned_dots,
        functools.cache(Bodies.dots),
    ],
)
def test_a_function_for_a_model_needs_no_body(function: Any) -> None:
    assert infer(intent="Count")(function)


@pytest.mark.parametrize(
    "function",
    [
        Bodies.counted,
        Bodies.counted_later,
        Bodies.constant,
        Bodies.printed,
        Bodies.in_parts,
        Bodies.failing,
        functools.cache(Bodies.counted),
    ],
)
def test_a_body_that_would_never_run_is_refused(function: Any) -> None:
    with pytest.raises(ContractDefinitionError, match="it has a body, which would never run.*write `...` as the body"):
        infer(intent="Count")(function)


@pytest.mark.parametrize("kind", [classmethod, property])
def test_a_method_in_its_wrapping_is_told_as_one(kind: Any) -> None:
    with pytest.raises(ContractDefinitionError, match=f"{kind.__name__}: a method cannot be a step; move it out"):
        infer(intent="Count")(kind(Bodies.dots))


@compute(process=True)
def ended(code: int) -> int:
    os._exit(code)


async def test_a_worker_process_that_ends_itself_is_told_as_that() -> None:
    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(BrokenWorkerProcess, match="the worker process of ended ended while it was at work"):
            await ended(3)


def test_a_budget_in_the_functions_place_is_named() -> None:
    wrong: Any = Budget(usd=1)
    with pytest.raises(ContractDefinitionError, match=r"is not a function; write @flow, or @flow\(budget=...\)"):
        flow(wrong)


def test_a_decorator_without_its_brackets_or_options_says_what_to_write() -> None:
    def number(text: str) -> int: ...  # type: ignore[empty-body]

    bare: Any = infer
    refining: Any = refine
    for wrong in (lambda: bare(number), lambda: bare(number, intent="Count")):
        with pytest.raises(ContractDefinitionError, match=r"number: @infer takes .* by name; write @infer\(intent="):
            wrong()
    with pytest.raises(ContractDefinitionError, match=r"'Count': @infer takes its options by name; write @infer\("):
        bare("Count")
    with pytest.raises(ContractDefinitionError, match=r"^@infer: it is used without intent=; write @infer\(intent="):
        bare(model="gpt-4o")
    with pytest.raises(ContractDefinitionError, match=r"number: @refine takes its .* write @refine\(until="):
        refining(number)
    with pytest.raises(ContractDefinitionError, match="without until=, feedback=, max_iterations=; write @refine"):
        refining()
    assert infer(intent="Count")(number).signature.name == "number"


def test_what_is_no_function_is_no_step_and_what_is_no_class_no_contract() -> None:
    wrong: Any = "x"
    with pytest.raises(
        ContractDefinitionError, match=r"compute: 'x' is not a function; write @compute, or @compute\(inl"
    ):
        compute(wrong)
    with pytest.raises(ContractDefinitionError, match="int: a class is not a step; write a `def` that makes one"):
        compute(int)
    with pytest.raises(ContractDefinitionError, match="int: a class is not a step"):
        infer(intent="Count")(int)
    with pytest.raises(ContractDefinitionError, match="test_folder: it is not a class; write @contract above a class"):

        @contract  # type: ignore[type-var]
        def test_folder() -> None: ...


def test_under_asyncio_a_runtime_says_what_to_do_instead() -> None:
    async def main() -> None:
        async with open_runtime(provider=scripted(), journal=None):
            pass

    with pytest.raises(NoRuntime, match="stratum.aio.open_runtime"):
        asyncio.run(main())


def test_from_asyncio_a_step_runs_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("STRATUM_JOURNAL", str(tmp_path / "journal.db"))

    async def main() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(quadruple.sync, number) for number in range(3)))

    assert asyncio.run(main()) == [0, 4, 8]


async def test_a_result_that_does_not_fit_names_the_step_that_returned_it() -> None:
    @compute(inline=True)
    def wrong(number: int) -> int:
        return "three"  # type: ignore[return-value]

    @flow
    async def forgetful(number: int) -> int:
        calling: Any = double(number)  # not awaited
        calling.close()
        return calling

    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(ContractViolation, match="not a valid result of wrong"):
            await wrong(1)
        with pytest.raises(ContractViolation, match="not a valid result of forgetful:\n.*got coroutine"):
            await forgetful(1)


async def test_several_errors_at_once_leave_a_flow_as_a_group_that_is_not_its_own_cause() -> None:
    async def fail() -> None:
        raise LookupError

    @flow
    async def fails(number: int) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)
        return number

    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(ExceptionGroup) as caught:
            await fails(1)
    assert len(caught.value.exceptions) == 2
    assert caught.value.__cause__ is None


async def test_annotations_as_text_are_read_where_the_function_was_made_also_under_exec() -> None:
    names: dict[str, Any] = {"__name__": "a notebook's cell"}
    source = """
from __future__ import annotations
from stratum import contract, infer

@contract
class Word:
    text: str

@infer(intent="Say a word", ensure=lambda word: word.text != "", retries=0)
def say(word: Word) -> Word: ...
"""
    exec(source, names)  # noqa: S102 - what a notebook does
    async with open_runtime(provider=scripted({"text": "hi"}), journal=None):
        assert (await names["say"](names["Word"](text="well?"))).text == "hi"


async def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="is a folder; name a file in it: .*stratum.db"):
        async with open_runtime(provider=scripted(), journal=tmp_path):
            pass


class Caller:
    def __call__(self, number: int) -> int:
        return number


async def by_position(number: int, /) -> int:
    return number


@pytest.mark.parametrize(
    ("decorate", "function", "told"),
    [
        (compute, halve, "halve: it is a step already; decorate it once"),
        (infer(intent="Halve it again"), halve, "halve: it is a step already"),
        (compute, functools.partial(max, 1), "partial: a step needs a function with a name; write a `def`"),
        (compute, Caller(), "Caller: a step needs a function with a name"),
        (compute, by_position, "by_position.number: it can be passed by position only; take the `/` out"),
        (flow, by_position, "by_position.number: it can be passed by position only"),
    ],
)
def test_what_cannot_be_a_step_is_found_while_decorating(decorate: Any, function: Any, told: str) -> None:
    with pytest.raises(ContractDefinitionError, match=told):
        decorate(function)


def test_a_function_within_another_is_refused_for_a_process_that_would_not_find_it() -> None:
    def inner(number: int) -> int:
        return number

    with pytest.raises(ContractDefinitionError, match="inner: a worker process finds no function.*module level"):
        compute(process=True)(inner)
    assert compute(inner)


async def test_a_model_is_asked_with_arguments_by_position_only() -> None:
    @infer(intent="Halve {number}")
    def half(number: int, /) -> int: ...  # type: ignore[empty-body]

    async with open_runtime(provider=scripted(2), journal=None):
        assert await half(4) == 2


async def test_a_parameter_may_be_called_step() -> None:
    @compute(inline=True)
    def told(step: int) -> int:
        return step

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        assert await runtime.run(told, step=3) == 3


@pytest.mark.parametrize("target", ["quadruple", lambda: 3])
def test_what_cannot_be_run_is_shown(target: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^run\(\) takes a step, a flow or an async function, as in run\(f, x\); .* is none$"
    ):
        run(target)
    assert run(lambda: double(2)) == 4


def test_a_module_that_errors_name_is_there_after_import_stratum() -> None:
    said = subprocess.check_output([sys.executable, "-c", "import stratum; print(stratum.aio.open_runtime.__name__)"])
    assert said == b"open_runtime\n"


async def test_a_runtime_is_refused_in_another_trio_run() -> None:
    async with open_runtime(provider=scripted(), journal=None) as runtime:

        def elsewhere() -> None:
            with pytest.raises(RunError, match="opened in another trio run; open one in each"):
                trio.run(lambda: runtime.run(double, 2))

        await trio.to_thread.run_sync(elsewhere)
        assert await runtime.run(double, 2) == 4


FORKED = """
import os, sys, trio
from stratum import StratumError, compute, open_runtime
from stratum.providers import scripted

@compute(inline=True)
def double(number: int) -> int:
    return 2 * number

async def main():
    async with open_runtime(provider=scripted(), journal=sys.argv[1]) as runtime:
        if child := os.fork():
            os.waitpid(child, 0)
            print("parent", await runtime.run(double, 2), flush=True)
            return
        try:
            print("child", await runtime.run(double, 2), flush=True)
        except StratumError as error:
            print("child", error, flush=True)
        os._exit(0)

trio.run(main)
"""


def test_a_forked_process_is_told_to_open_a_runtime_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "stratum.db")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert "this process was forked from the one that writes it; open a runtime in each process" in said[0]
    assert said[1] == "parent 4"
