"""`stratum raise`: a person gives a run more at a terminal, whoever is at work on it; an agent's plan goes on at its next call."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from stratum import BudgetExceeded
from stratum.contracts.price import Usage
from stratum.contracts.records import LimitRaised, Record
from stratum.engine.plans.plan_run import PlanRun
from tests.engine.plans.plan_fixtures import assigned, open_project, reported, started
from tests.fakes.command_line import Terminal, call

TWO = """
budget: {tokens: 100, ms: 600000}
steps:
- {id: a, fn: think, budget: {tokens: 90}}
- {id: b, fn: think, depends_on: [a]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRATUM_JOURNAL", str(tmp_path / "stratum.db"))
    return tmp_path


def raised(*arguments: str) -> str:
    """What it says to a person who agrees."""
    terminal = Terminal("raise", *arguments)
    terminal.expect(r"from now on\? \[y/N\]")
    terminal.type("y")
    assert terminal.ended() == 0, terminal.said
    return terminal.said


def raises(records: list[Record]) -> list[tuple[str, dict[str, int]]]:
    return [(record.scope, record.limits) for record in records if isinstance(record, LimitRaised)]


async def exhausted(folder: Path) -> str:
    """A run whose agent used more than it may, and whose server is gone."""
    async with open_project(folder) as plans:
        run = await started(plans, TWO)
        with pytest.raises(BudgetExceeded):
            await reported(run, "a", "x", usage=Usage(input_tokens=100, output_tokens=60))
            await run.result()
        return run.id


def test_an_agents_plan_is_given_more_and_goes_on_at_its_next_call(folder: Path) -> None:
    run = trio.run(exhausted, folder)
    refused = call("resume", run, "--tokens", "1000")
    assert refused.exit_code == 2
    assert f"its limits alone are raised by `stratum raise {run}`" in refused.stderr
    said = raised(run, "--tokens", "1000")
    assert "at most 1,000 tokens from now on" in said
    assert "the agent's next stratum_execute goes on" in said

    async def gone_on_with() -> None:
        async with open_project(folder) as plans:
            assert (await plans.status(run)).left["tokens"] == 840
            again = await plans.start(run)
            await reported(again, "b", "y")
            assert await again.result() == "y"
            assert raises(list(await plans.runtime.journal.read(run))) == [("", {"tokens": 1000})]

    trio.run(gone_on_with)


def test_a_plan_that_another_process_runs_goes_on_with_more_at_once(folder: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            plans = await stack.enter_async_context(open_project(folder))
            run: PlanRun = await started(plans, TWO)
            await assigned(run, "a")
            assert "it goes on with them" in await trio.to_thread.run_sync(raised, run.id, "--tokens", "1000")
            with trio.fail_after(60):
                while run.status().left["tokens"] != 1000:
                    await run.changed(run.version)
            refused = await trio.to_thread.run_sync(call, "raise", run.id, "--tokens", "95", "--of", "a")
            assert "raised once the run has stopped" in refused.stderr
            run.cancel("enough")

    trio.run(main)


def test_a_step_with_a_budget_of_its_own_is_given_more_once_its_run_has_stopped(folder: Path) -> None:
    run = trio.run(exhausted, folder)
    raised(run, "--tokens", "200", "--of", "a")

    async def recorded() -> list[Record]:
        async with open_project(folder) as plans:
            return list(await plans.runtime.journal.read(run))

    assert raises(trio.run(recorded)) == [("a", {"tokens": 200})]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "pass the new limit of what RUN is limited in: --tokens (now 100 tokens), --ms (now 600 s)"),
        (("--usd", "1"), "pass the new limit of what RUN is limited in"),
        (("--tokens", "100"), "100 tokens is not above 100 tokens"),
        (("--tokens", "-5"), "pass a whole number of tokens"),
        (("--ms", "nan"), "pass a number of milliseconds"),
        (("--tokens", "1000", "--of", "b"), "b has no limits yet"),
        (("--tokens", "1000"), "a person raises a limit: run this at a terminal, or do it on the page"),
    ],
)
def test_what_raises_nothing_is_refused_and_changes_nothing(options: tuple[str, ...], told: str, folder: Path) -> None:
    run = trio.run(exhausted, folder)
    result = call("raise", run, *options)
    assert result.exit_code == 2
    assert told.replace("RUN", run) in result.stderr
    shown = call("raise", run)
    assert "--tokens (now 100 tokens)" in shown.stderr


def test_who_does_not_agree_raises_nothing(folder: Path) -> None:
    run = trio.run(exhausted, folder)
    terminal = Terminal("raise", run, "--tokens", "1000")
    terminal.expect("from now on")
    terminal.type("n")
    assert terminal.ended() == 1
    assert "now 100 tokens" in call("raise", run).stderr
