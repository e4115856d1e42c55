"""Quorum, refinement, debate and stability: calls made of calls, under one budget."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.fakes.journals import traces
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    ConsensusFailure,
    ContractDefinitionError,
    ConvergenceFailure,
    Probabilistic,
    Runtime,
    StabilityAssertionError,
    compute,
    contract,
    debate,
    flow,
    infer,
    open_runtime,
    refine,
)
from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import Received
from stratum.engine.infer import InferDecorator
from stratum.engine.providers.scripted import Reply, Scripted, scripted


@contract
class Label:
    name: Literal["a", "b", "c", "d"]
    confidence: float


@contract
class Draft:
    text: str


@infer(intent="Label it", quorum=5, agree_on="name", threshold=3, retries=0)
def label(text: str) -> Label: ...


@asynccontextmanager
async def session(provider: Scripted, *, sample_n: int = 1) -> AsyncGenerator[Runtime]:
    async with nothing_left(), open_runtime(provider=provider, journal=None, sample_n=sample_n) as runtime:
        yield runtime


def labels(names: str) -> list[Label]:
    return [Label(name=name, confidence=number / 10) for number, name in enumerate(names)]  # type: ignore[arg-type]


@flow
async def labelled(text: str) -> Label:
    return await label(text)


async def test_the_most_confident_of_those_that_agree_is_the_answer(autojump_clock: MockClock) -> None:
    """CASES E11, D12: every sample is in the trace, below the call."""
    async with session(scripted(*labels("aaabb"))) as runtime:
        assert await labelled("x") == Label(name="a", confidence=0.2)
        whole, *samples = sorted(await traces(runtime, "labelled"), key=lambda trace: len(trace.step_id))
    assert (whole.step_id, whole.kind, len(samples)) == ("label#1", "quorum", 5)
    assert {sample.parent_id for sample in samples} == {"label#1"}


async def test_too_few_that_agree_fail_with_all_outputs(autojump_clock: MockClock) -> None:
    """CASES E11."""
    async with session(scripted(*labels("aabcd"))):
        with pytest.raises(ConsensusFailure) as caught:
            await label("x")
    assert sorted(output.name for output in caught.value.outputs) == ["a", "a", "b", "c", "d"]


async def test_a_sample_that_fails_has_no_vote(autojump_clock: MockClock) -> None:
    async with session(scripted(*labels("aaa"), b"{}", b"nonsense")):
        assert (await label("x")).name == "a"
    async with session(scripted(*labels("aa"), b"{}", b"{}", b"{}")):
        with pytest.raises(ConsensusFailure) as caught:
            await label("x")
    assert len(caught.value.failures) == 3


async def test_results_that_are_no_contract_agree_as_a_whole(autojump_clock: MockClock) -> None:
    @infer(intent="Count", quorum=3, agree_on="value", threshold=2)
    def count(text: str) -> int: ...

    async with session(scripted(1, 2, 2)):
        assert await count("x") == 2


async def test_samples_cannot_overspend_the_budget_of_the_call(autojump_clock: MockClock) -> None:
    """CASES D12: one budget for all samples of one call."""

    @infer(intent="Label it", quorum=5, agree_on="name", threshold=3, budget=Budget(usd=0.02), max_output_tokens=1000)
    def frugal(text: str) -> Label: ...

    def full(received: Received) -> Reply:
        usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
        return Reply(value=labels("a")[0], usage=usage, delay_s=1)

    provider = scripted(otherwise=full)
    async with session(provider):
        with pytest.raises(BudgetExceeded) as caught:
            await frugal("x")
    assert caught.value.step.startswith("frugal#")
    assert sum(usage.output_tokens * 8e-6 + usage.input_tokens * 2e-6 for usage in provider.billed) <= 0.02


def _label(text: str) -> Label: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("decorate", "problem"),
    [
        (lambda: infer(intent="x", quorum=3), "who agrees"),
        (lambda: infer(intent="x", quorum=3, agree_on="name"), "who agrees"),
        (lambda: infer(intent="x", quorum=3, agree_on="name", threshold=4), "threshold=4"),
        (lambda: infer(intent="x", quorum=3, agree_on="other", threshold=2), "no field 'other'"),
        (lambda: infer(intent="x", agree_on="name"), "a quorum's"),
        (lambda: infer(intent="x", quorum=3, agree_on="name", threshold=2, stable=True), "exclude each other"),
        (lambda: infer(intent="x", stable=False), "gives samples"),
    ],
)
def test_a_quorum_that_cannot_work_is_refused_while_decorating(decorate: Any, problem: str) -> None:
    """CASES E13."""
    decorator: InferDecorator = decorate()
    with pytest.raises(ContractDefinitionError, match=problem):
        decorator(_label)


@refine(
    until=lambda draft: len(draft.text) < 10,
    feedback=lambda draft: f"{len(draft.text)} characters are too many",
    max_iterations=3,
)
@infer(intent="Write a draft")
def write(topic: str) -> Draft: ...


async def test_a_first_output_that_is_right_is_one_call(autojump_clock: MockClock) -> None:
    """CASES E14."""
    provider = scripted(Draft(text="short"))
    async with session(provider):
        assert (await write("x")).text == "short"
    assert "issues" not in provider.received[0].inputs


async def test_each_iteration_carries_the_latest_feedback_and_nothing_else_that_is_new(
    autojump_clock: MockClock,
) -> None:
    """CASES E14."""
    provider = scripted(Draft(text="x" * 20), Draft(text="x" * 15), Draft(text="ok"))
    async with session(provider):
        assert (await write("x")).text == "ok"
    assert provider.received[1].inputs.endswith(
        "Previous output had the following issues: 20 characters are too many\nFix these and regenerate."
    )
    assert "15 characters" in provider.received[2].inputs
    assert "20 characters" not in provider.received[2].inputs


async def test_a_refinement_that_does_not_arrive_fails_with_its_history(autojump_clock: MockClock) -> None:
    """CASES E14."""
    async with session(scripted(otherwise=Draft(text="far too long a text"))):
        with pytest.raises(ConvergenceFailure) as caught:
            await write("x")
    assert (caught.value.max_iterations, len(caught.value.history)) == (3, 3)


async def test_conditions_of_a_refinement_may_be_async(autojump_clock: MockClock) -> None:
    @compute
    async def short(draft: Draft) -> bool:
        return len(draft.text) < 5

    @refine(until=short, feedback=lambda draft: "shorter", max_iterations=2)
    @infer(intent="Write a draft")
    def terse(topic: str) -> Draft: ...

    async with session(scripted(Draft(text="longer"), Draft(text="ok"))):
        assert (await terse("x")).text == "ok"


async def asks(draft: Draft) -> bool:
    return bool(await label(draft.text))


def test_a_refinement_that_cannot_work_is_refused_while_decorating() -> None:
    """CASES E17."""

    @compute
    def no_model(topic: str) -> Draft:
        return Draft(text=topic)

    @infer(intent="Write a draft")
    def plain(topic: str) -> Draft: ...

    with pytest.raises(ContractDefinitionError, match="above an @infer"):
        refine(until=bool, feedback=str, max_iterations=2)(no_model)
    with pytest.raises(ContractDefinitionError, match="until calls label"):
        refine(until=asks, feedback=str, max_iterations=2)(plain)
    with pytest.raises(ContractDefinitionError, match="feedback calls plain"):
        refine(until=bool, feedback=lambda draft: plain.sync(draft.text).text, max_iterations=2)(plain)
    with pytest.raises(ContractDefinitionError, match="max_iterations=0"):
        refine(until=bool, feedback=str, max_iterations=0)(plain)


heard: list[tuple[str, list[str]]] = []


def agent(name: str) -> Any:
    async def argue(topic: str, others: list[str] | None = None) -> str:
        heard.append((name, others or []))
        return topic if others else f"{name} on {topic}"

    argue.__name__ = f"agent_{name}"
    return compute(_annotated(argue))


def _annotated(function: Any) -> Any:
    function.__annotations__ = {"topic": str, "others": list[str] | None, "return": str}
    return function


def all_of_it(topic: str, history: list[list[str]], converged: bool) -> tuple[str, list[list[str]], bool]:
    return topic, history, converged


async def test_agents_hear_the_others_and_somebody_concludes(autojump_clock: MockClock) -> None:
    """CASES E20."""
    heard.clear()
    async with session(scripted()):
        topic, history, converged = await debate(
            [agent("a"), agent("b"), agent("c")], "t", rounds=2, synthesize=all_of_it
        )
        assert history == [["a on t", "b on t", "c on t"], ["t", "t", "t"]]
        assert (topic, converged) == ("t", True)
        _, _, agreed = await debate([agent("a"), agent("b")], "t", rounds=1, synthesize=all_of_it)
        assert agreed is False
        with pytest.raises(ValueError, match="needs agents"):
            await debate([], "t", rounds=2, synthesize=all_of_it)
        with pytest.raises(ValueError, match="rounds=0"):
            await debate([agent("a")], "t", rounds=0, synthesize=all_of_it)
    assert ("b", ["a on t", "c on t"]) in heard


async def test_agents_may_agree_on_a_field_and_a_step_may_conclude(autojump_clock: MockClock) -> None:
    """CASES E20."""

    async def conclude(topic: str, history: list[list[Label]], converged: bool) -> bool:
        return converged

    @infer(intent="Label it")
    def one(topic: str) -> Label: ...

    async with session(scripted(*labels("aa"), *labels("aa"))):
        assert await debate([one, one], "t", rounds=1, synthesize=conclude, agree_on="name") is True
        assert await debate([one, one], "t", rounds=1, synthesize=conclude) is False


@infer(intent="Label it", stable=False)
def sampled(text: str) -> Probabilistic[Label]: ...


@infer(intent="Label it", stable=True)
def stable(text: str) -> Label: ...


async def test_production_takes_one_sample(autojump_clock: MockClock) -> None:
    """CASES E23."""
    provider = scripted(*labels("ab"))
    async with session(provider):
        assert (await sampled("x")).samples == (Label(name="a", confidence=0),)
        assert (await stable("x")).name == "b"
    assert len(provider.requests) == 2


async def test_a_test_takes_several_and_asserts_that_they_agree(autojump_clock: MockClock) -> None:
    """CASES E23."""
    same = Label(name="a", confidence=1)
    other = Label(name="b", confidence=1)
    async with session(scripted(same, same, same, other, same), sample_n=5):
        samples = await sampled("x")
    assert samples.assert_stable(0.8) == same
    assert (samples.value, samples.share) == (same, 0.8)
    with pytest.raises(StabilityAssertionError) as caught:
        samples.assert_stable(0.9)
    assert (caught.value.threshold, caught.value.actual) == (0.9, 0.8)
    assert samples.assert_stable(0.9, by=lambda each: each.confidence) == same


async def test_a_call_that_says_it_is_stable_is_held_to_it_in_tests(autojump_clock: MockClock) -> None:
    """CASES E23."""
    same = Label(name="a", confidence=1)
    async with session(scripted(otherwise=same), sample_n=5):
        assert await stable("x") == same
    async with session(scripted(same, *labels("bcda")), sample_n=5):
        with pytest.raises(StabilityAssertionError, match=r"stable: .*0\.2"):
            await stable("x")


def test_no_samples_are_refused() -> None:
    """CASES E23."""
    with pytest.raises(ValueError, match="no samples"):
        Probabilistic(())


@flow
async def quorum_then_crash(text: str) -> Label:
    found = await label(text)
    await crash()
    return found


fails = [True]


@compute(inline=True)
def crash() -> None:
    if fails.pop():
        raise RuntimeError("crash")


async def test_a_resumed_quorum_is_not_asked_again(autojump_clock: MockClock, tmp_path: Path) -> None:
    """CASES F18."""
    fails[:] = [False, True]
    journal = tmp_path / "journal.db"
    async with open_runtime(provider=scripted(*labels("aaabb")), journal=journal) as runtime:
        with pytest.raises(RuntimeError):
            await quorum_then_crash("x")
        run = next(run.run for run in await runtime.journal.runs() if run.name == "quorum_then_crash")
    async with open_runtime(provider=scripted(), journal=journal) as runtime:
        assert (await runtime.resume(quorum_then_crash, run)).name == "a"


async def test_a_debater_that_cannot_hear_the_others_is_refused_before_the_first_round() -> None:
    @infer(intent="Argue")
    def deaf(topic: str) -> str: ...

    provider = scripted(otherwise="yes")
    async with session(provider):
        with pytest.raises(TypeError, match=r"deaf cannot be called with \(topic, others\).*pass rounds=1"):
            await debate([deaf, deaf], "t", rounds=2, synthesize=all_of_it)
        assert provider.received == []
        assert await debate([deaf, deaf], "t", rounds=1, synthesize=all_of_it) == ("t", [["yes", "yes"]], True)
