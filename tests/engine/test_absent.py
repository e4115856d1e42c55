"""Where there is no provider: what calls no model works, and what does is told why it cannot."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import trio

from stratum import Budget, NoProvider, compute, flow, infer, open_runtime
from stratum.contracts.records import Reserved
from stratum.engine.providers.environment import provider_or_absent
from stratum.engine.providers.protocol import Request
from stratum.engine.providers.scripted import Scripted, scripted


@infer(intent="Say a word", model="gpt-4o", max_output_tokens=100)
def say(about: str) -> str: ...


@infer(intent="Say a word", max_output_tokens=100)
def say_anyhow(about: str) -> str: ...


@infer(intent="Say a word", model="no-such-model", max_output_tokens=100)
def unheard_of(about: str) -> str: ...


doubled: list[int] = []


@compute(inline=True)
def double(number: int) -> int:
    doubled.append(number)
    return 2 * number


@flow
async def weather(times: int) -> str:
    return f"{await double(times)} times {await say('the sky')}"


@pytest.fixture(autouse=True)
def nothing_set_and_no_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled.clear()
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "STRATUM_BASE_URL", "STRATUM_MODEL", "STRATUM_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    real = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "xllamacpp" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)


async def test_a_call_is_refused_with_what_to_do_and_nothing_is_in_doubt() -> None:
    async with open_runtime(provider=provider_or_absent({}), journal=None) as runtime:
        for step in (say, say_anyhow):
            with pytest.raises(NoProvider, match="no model to call: .*\nset OPENAI_API_KEY"):
                await runtime.run(step, "rain")
        records = await runtime.journal.read(runtime.session)
    assert not any(isinstance(record, Reserved) for record in records)


async def test_its_refusal_comes_before_a_budgets_question_for_the_price() -> None:
    async with open_runtime(journal=None, budget=Budget(usd=1)) as runtime:
        with pytest.raises(NoProvider, match="no model to call"):
            await runtime.run(unheard_of, "rain")


async def test_what_is_sent_to_it_all_the_same_is_refused() -> None:
    absent = provider_or_absent({})
    request = Request(path="/", body=b"{}")
    with pytest.raises(NoProvider):
        await absent.send(request)
    with pytest.raises(NoProvider):
        async with absent.stream(request):
            pytest.fail("it began")


def test_a_step_that_only_computes_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATUM_JOURNAL", str(tmp_path / "stratum.db"))

    async def main() -> int:
        return await double(await double(10))

    assert double.sync(1) == 2
    assert trio.run(main) == 40


async def test_a_flow_goes_as_far_as_it_can_and_is_gone_on_with_once_there_is_one(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    async with open_runtime(journal=journal) as runtime:
        with pytest.raises(NoProvider):
            await runtime.run(weather, 4)
        (run,) = (each for each in await runtime.journal.runs() if each.name == "weather")
    assert (run.state, doubled) == ("failed", [4])
    async with open_runtime(provider=scripted("rain"), journal=journal) as runtime:
        assert await runtime.resume(weather, run.run) == "8 times rain"
    assert doubled == [4]


def test_what_there_is_is_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Scripted = scripted()

    def found(environ: Mapping[str, str], *, progress: object = None) -> Scripted:
        return there

    monkeypatch.setattr("stratum.engine.providers.environment.provider_from_environment", found)
    assert provider_or_absent({}) is there
