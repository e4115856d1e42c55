"""Steps on workers: the same calls, budgets, records and errors as here, whatever becomes of a worker.

The workers are tasks of the test that speak the real messages; tests/e2e/test_cluster.py has real processes.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import cluster_flows as flows
from tests.engine.plans.plan_fixtures import open_project, started
from tests.fakes.cluster import FakeCluster, FakeLink
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum import BudgetExceeded, ContractViolation, Flow, ProviderError, Runtime, flow, open_runtime, parallel
from stratum.actors.ledger import LedgerState
from stratum.cluster import Cluster, ClusterError, RemoteFailure, WorkerLost, on_cluster
from stratum.contracts.plans.errors import PlanFailed
from stratum.contracts.price import Usage
from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    CallStarted,
    Diverged,
    LeftInDoubt,
    LostWorker,
    Record,
    RunFinished,
)
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import PRICE, Reply, Scripted, scripted


def echo(delay_s: float = 0, *, more_s: float = 0) -> Scripted:
    """A model that gives each word the number of the request it came with; each takes `more_s` longer than the one before."""
    asked: list[Received] = []

    def answer(received: Received) -> Reply:
        asked.append(received)
        return Reply(value={"text": f"word {len(asked)}"}, delay_s=delay_s + more_s * len(asked))

    return scripted(otherwise=answer)


@asynccontextmanager
async def cluster_of(provider: Scripted | None = None, **settings: Any) -> AsyncGenerator[tuple[Runtime, FakeCluster]]:
    chosen: dict[str, Any] = {"workers": 1, **settings}
    cluster = FakeCluster(**chosen)
    async with open_runtime(provider=provider or echo(), journal=None, cluster=cluster) as runtime:
        yield runtime, cluster


async def records(runtime: Runtime) -> list[Record]:
    """Of the runs, without the session's own."""
    return [
        record
        for run in await runtime.journal.runs()
        if run.run != runtime.session
        for record in await runtime.journal.read(run.run)
    ]


def serving(cluster: FakeCluster) -> FakeLink:
    """The worker that holds flows now."""
    return [link for link in cluster.links if link.name.startswith("flows")][-1]


async def test_a_flow_on_a_worker_makes_the_calls_and_the_records_that_it_makes_here() -> None:
    def shape(written: list[Record]) -> list[str]:
        return sorted(
            str((record.call, record.parent, record.function, record.branch))
            if isinstance(record, CallStarted)
            else str((record.call, record.outcome, record.trace.parent_id, record.trace.cost_picousd))
            for record in written
            if isinstance(record, (CallStarted, CallFinished))
        )

    for called, arguments in (
        (flows.chat, ("tea",)),
        (flows.inner_chat, ("tea",)),
        (flows.chat_at_once, ("tea", 4)),
    ):
        async with cluster_of() as (runtime, _):
            here = await called(*arguments)  # type: ignore[operator]  # three signatures
            written_here = shape(await records(runtime))
        async with cluster_of() as (runtime, _):
            there = await on_cluster(called)(*arguments)  # type: ignore[type-var,operator]
            written_there = shape(await records(runtime))
        assert there == here
        assert written_there == written_here


async def test_a_step_of_its_own_process_runs_on_a_worker() -> None:
    async with cluster_of() as (_, cluster):
        assert await flows.double(21) == 42
        assert await flows.say_twice("tea") == "word 1word 2"
        assert await parallel(*(flows.double(number) for number in range(5))) == (0, 2, 4, 6, 8)
    assert len(cluster.links) == 2


async def test_calls_of_an_async_step_on_a_worker_stand_below_it() -> None:
    async with cluster_of() as (runtime, _):
        await flows.say_twice("tea")
        started = [record for record in await runtime.journal.read(runtime.session) if isinstance(record, CallStarted)]
    assert [(record.call, record.parent) for record in started] == [
        ("say_twice#1", ""),
        ("say_twice#1/say#1", "say_twice#1"),
        ("say_twice#1/say#2", "say_twice#1"),
    ]


async def test_errors_come_back_as_they_are_with_the_workers_traceback() -> None:
    async with cluster_of():
        with pytest.raises(ZeroDivisionError) as caught:
            await flows.divide(1, 0)
        with pytest.raises(ContractViolation):
            await flows.wrong_result("tea")
    (note,) = caught.value.__notes__
    assert note.startswith("Raised on worker-")
    assert "return number / by" in note


async def test_an_error_that_does_not_pickle_is_named_with_its_text() -> None:
    async with cluster_of():
        with pytest.raises(RemoteFailure, match="PicklesNot: cannot tea; give its class") as caught:
            await flows.fail_oddly("tea")
    assert "raise PicklesNot" in caught.value.__notes__[0]


async def test_what_a_call_raises_can_be_caught_on_the_worker() -> None:
    refused = ProviderError(provider="scripted", message="no", status=400)
    async with cluster_of(scripted(refused, otherwise={"text": "better"})):
        assert await on_cluster(flows.tries_again)("tea") == "better"


async def test_a_flow_that_is_cancelled_cleans_up_on_its_worker(autojump_clock: MockClock, tmp_path: Any) -> None:
    async with cluster_of() as (_, cluster):
        with trio.move_on_after(3) as scope:
            await on_cluster(flows.cleans_up)(str(tmp_path))
        assert scope.cancelled_caught
        assert (tmp_path / "cleaned up").exists()
        assert trio.current_time() == pytest.approx(3.01)
        assert not any(link.killed for link in cluster.links)


async def test_a_flow_that_does_not_stop_in_time_has_its_worker_killed(autojump_clock: MockClock) -> None:
    async with cluster_of(grace_s=2.0) as (_, cluster):
        with trio.move_on_after(3):
            await on_cluster(flows.stays)("tea")
        assert trio.current_time() == 5
        assert [link.killed for link in cluster.links if link.name.startswith("flows")] == [True]
        assert await on_cluster(flows.chat)("tea") == "word 1, word 2"


async def test_the_deadline_of_a_flow_reaches_its_worker_and_its_calls(autojump_clock: MockClock) -> None:
    provider = echo(delay_s=60)
    async with cluster_of(provider) as (runtime, _):
        with pytest.raises(BudgetExceeded, match="ms"):
            await on_cluster(flows.chat_in_a_second)("tea")
        assert trio.current_time() == 1
        assert provider.in_flight == 0
        written = await records(runtime)
    assert sum(isinstance(record, LeftInDoubt) for record in written) == 1


async def test_a_call_that_is_cancelled_on_the_worker_is_cancelled_here_and_counted(autojump_clock: MockClock) -> None:
    provider = echo(delay_s=60)
    async with cluster_of(provider) as (runtime, _):
        assert await on_cluster(flows.gives_up)("tea", 2.0) == "gave up"
        assert trio.current_time() == 2
        assert provider.in_flight == 0
        written = await records(runtime)
    assert sum(isinstance(record, LeftInDoubt) for record in written) == 1


async def test_whoever_loses_a_race_on_a_worker_is_stopped_and_counted(autojump_clock: MockClock) -> None:
    def answer(received: Received) -> Reply:
        slow = b"slow" in provider.requests[-1].body
        return Reply(value={"text": "slow" if slow else "fast"}, delay_s=60 if slow else 1)

    provider = scripted(otherwise=answer)
    async with cluster_of(provider) as (runtime, _):
        assert await on_cluster(flows.first_of)(["slow", "fast"]) == "fast"
        assert trio.current_time() == 1
        written = await records(runtime)
    assert sum(isinstance(record, LeftInDoubt) for record in written) == 1


LIMIT = 20_000_000_000
"""Picodollars: the budget of twenty flows, or calls."""


def dear(received: Received, *, delay_s: float = 0) -> Reply:
    """The longest answer that was asked for: at the scripted price, four tenths of a cent."""
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value={"text": "dear"}, usage=usage, delay_s=delay_s)


def most_counted(written: Sequence[Record]) -> int:
    """The most that the budget of the run ever counted: settled, in flight and in doubt."""
    most, state = 0, LedgerState()
    for record in written:
        state.fold(record)
        if "" in state.scopes:
            most = max(most, state.scopes[""].counted.picousd)
    return most


@pytest.mark.parametrize("called", [flows.twenty_there, on_cluster(flows.twenty_at_once)], ids=["flows", "calls"])
async def test_twenty_at_once_on_workers_never_count_for_more_than_their_one_budget(
    called: Flow[[], list[str]], autojump_clock: MockClock
) -> None:
    provider = scripted(otherwise=partial(dear, delay_s=1))
    async with cluster_of(provider, flow_workers=3) as (runtime, _):
        with pytest.raises(BudgetExceeded) as caught:
            await called()
        written = await records(runtime)
    assert caught.value.limit == LIMIT
    assert 4 <= len(provider.requests) < 20
    assert sum(PRICE.cost(usage) for usage in provider.billed) <= most_counted(written) <= LIMIT


async def test_a_worker_that_is_lost_in_the_middle_of_it_changes_nothing_about_that(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=partial(dear, delay_s=2))
    async with cluster_of(provider) as (runtime, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, [1])
        with pytest.raises(BudgetExceeded):
            await on_cluster(flows.twenty_at_once)()
        written = await records(runtime)
        nursery.cancel_scope.cancel()
    assert len(cluster.links) == 3
    assert sum(PRICE.cost(usage) for usage in provider.billed) <= most_counted(written) <= LIMIT


def by_inputs(received: Received) -> Reply:
    """An answer, and the time it takes, that depend on the question alone."""
    number = crc32(received.inputs.encode())
    return Reply(value={"text": f"{number:x}"}, delay_s=3 + number % 64 / 64)


async def dies_at(cluster: FakeCluster, times: Sequence[float]) -> None:
    """Kills the worker that holds flows, at these times."""
    for moment in times:
        await trio.sleep_until(moment)
        serving(cluster).die()


async def test_a_flow_whose_worker_is_lost_goes_on_with_another_where_it_was(autojump_clock: MockClock) -> None:
    provider = echo()
    async with cluster_of(provider) as (runtime, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, [5])
        assert await on_cluster(flows.chat_slowly)("tea", 10) == "word 1, word 2"
        written = await records(runtime)
    assert trio.current_time() == 15, "it began anew at 5"
    assert len(provider.requests) == 2, "and did not make the first call again"
    lost = [(record.worker, record.reason) for record in written if isinstance(record, LostWorker)]
    assert lost == [("flows-1", "it died")]
    assert isinstance(written[-1], RunFinished) and written[-1].state == "succeeded"
    assert not [record for record in written if isinstance(record, Diverged)]


async def test_calls_in_flight_are_let_end_when_their_worker_is_lost_and_are_not_paid_again(
    autojump_clock: MockClock,
) -> None:
    provider = echo(delay_s=4, more_s=1)
    async with cluster_of(provider) as (runtime, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, [2])
        said = await on_cluster(flows.chat_at_once)("tea", 6)
        written = await records(runtime)
    assert sorted(said) == [f"word {number}" for number in range(1, 7)]
    assert len(provider.requests) == 6
    assert trio.current_time() == 10
    assert not [record for record in written if isinstance(record, LeftInDoubt)]


@pytest.mark.parametrize("deaths", [[], [5]], ids=["undisturbed", "lost"])
async def test_a_budget_within_counts_on_when_its_flow_begins_anew(
    deaths: list[float], autojump_clock: MockClock
) -> None:
    provider = scripted(otherwise=dear)
    async with cluster_of(provider) as (_, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, deaths)
        with pytest.raises(BudgetExceeded) as caught:
            await on_cluster(flows.two_within)(10)
    assert caught.value.step == "two_only#1"
    assert caught.value.settled == sum(PRICE.cost(usage) for usage in provider.billed)
    assert len(provider.requests) == 2


@settings(max_examples=25)
@given(deaths=st.lists(st.integers(0, 400), max_size=6, unique=True).map(sorted))
def test_whenever_workers_are_lost_the_result_is_the_same_and_nothing_is_paid_twice(deaths: list[int]) -> None:
    async def main() -> None:
        provider = scripted(otherwise=by_inputs)
        async with cluster_of(provider, retries=len(deaths)) as (runtime, cluster), trio.open_nursery() as nursery:
            nursery.start_soon(dies_at, cluster, [death / 10 + 0.01 for death in deaths])
            found.append(await on_cluster(flows.long_way)(5))
            sent.append(sorted(received.inputs for received in provider.received))
            written = await records(runtime)
            nursery.cancel_scope.cancel()
        assert not [record for record in written if isinstance(record, Diverged)]
        state = LedgerState()
        for record in written:
            state.fold(record)
        assert sum(PRICE.cost(usage) for usage in provider.billed) <= state.scopes[""].counted.picousd

    found: list[list[str]] = []
    sent: list[list[str]] = []
    trio.run(main, clock=MockClock(autojump_threshold=0))
    kills, deaths = deaths, []
    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert found[0] == found[1], kills
    assert sent[0] == sent[1], kills


async def test_a_worker_lost_too_often_is_an_error_of_the_flow(autojump_clock: MockClock) -> None:
    async with cluster_of(retries=1) as (_, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, [1, 2])
        with pytest.raises(WorkerLost, match=r"chat_slowly: flows-2 was lost \(it died\); call it again") as caught:
            await on_cluster(flows.chat_slowly)("tea", 10)
        assert (caught.value.worker, caught.value.reason) == ("flows-2", "it died")
        assert await on_cluster(flows.chat)("tea") == "word 2, word 3"


async def test_a_lost_run_is_resumed_on_a_worker_or_here(autojump_clock: MockClock) -> None:
    provider = echo()
    async with cluster_of(provider, retries=0) as (runtime, cluster), trio.open_nursery() as nursery:
        nursery.start_soon(dies_at, cluster, [1])
        with pytest.raises(WorkerLost):
            await on_cluster(flows.chat_slowly)("tea", 10)
        (run,) = [run.run for run in await runtime.journal.runs() if run.run != runtime.session]
        assert await runtime.resume(flows.chat_slowly, run) == "word 1, word 2"
        assert await runtime.resume(on_cluster(flows.chat_slowly), run) == "word 1, word 2"
    assert len(provider.requests) == 2


PLAN = """
steps:
- {{id: a, fn: double, inputs: {{number: 4}}, retries: {retries}}}
"""


@pytest.mark.parametrize(("retries", "ends"), [(1, "8"), (0, "worker: worker-2 was lost")])
async def test_in_a_plan_the_steps_own_retries_say_how_often_it_is_begun_again(
    retries: int, ends: str, tmp_path: Path
) -> None:
    cluster = FakeCluster(workers=1, flow_workers=0, retries=5, deaf=1)
    async with open_project(tmp_path, steps=[flows.double], cluster=cluster) as plans:
        run = await started(plans, PLAN.format(retries=retries))
        await wait_all_tasks_blocked()
        cluster.links[0].die()
        try:
            ended = str(await run.result())
        except PlanFailed as failed:
            ended = str(failed)
        assert ends.replace("worker-2", "worker-1") in ended
        audit = [record for record in await plans.runtime.journal.read(run.id) if isinstance(record, AttemptFinished)]
    assert [violation.kind for violation in audit[0].attempt.violations] == ["worker"]


async def test_a_worker_that_does_not_start_is_started_again(autojump_clock: MockClock) -> None:
    async with cluster_of(broken_starts=["no port", "no memory"]):
        assert await flows.double(2) == 4


async def test_workers_that_never_start_are_an_error_of_opening() -> None:
    with pytest.raises(ClusterError, match="cluster: no port; mend it"):
        async with cluster_of(broken_starts=["no port"] * 10):
            raise AssertionError("it does not open")


async def test_a_cluster_that_cannot_replace_a_worker_ends_the_session() -> None:
    with pytest.raises(ClusterError, match="no memory"):
        async with cluster_of() as (_, cluster):
            cluster.broken_starts.extend(["no memory"] * 3)
            serving(cluster).die()
            await trio.sleep_forever()


@pytest.mark.parametrize(
    ("called", "problem"),
    [
        (
            flows.asks_somebody,
            r"await_human\(\) on a worker, which has no runtime; ask in the flow that calls this one",
        ),
        (flows.streams, r"say.stream\(\) on a worker, which has no runtime; await the step"),
        (flows.calls_its_own, r"calls_its_own.<locals>.local is not found by its name in every process; define it"),
    ],
)
async def test_what_only_the_runtimes_process_can_do_is_refused_on_a_worker(
    called: Flow[[str], Any], problem: str
) -> None:
    async with cluster_of():
        with pytest.raises(ClusterError, match=problem):
            await on_cluster(called)("tea")


@pytest.mark.parametrize(
    ("ray", "problem"),
    [
        (None, r"Ray is not installed; pip install 'stratum-runtime\[cluster\]'"),
        (ModuleType("ray"), "Ray was imported already, so who may reach it is settled; open the runtime before"),
    ],
)
async def test_a_cluster_needs_ray_and_to_be_the_one_that_loads_it(
    ray: ModuleType | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ClusterError, match=problem):
        async with open_runtime(provider=echo(), journal=None, cluster=Cluster(workers=1)):
            raise AssertionError("it does not open")


async def test_a_flow_for_a_cluster_needs_one() -> None:
    async with open_runtime(provider=echo(), journal=None):
        with pytest.raises(ClusterError, match="chat is to run on a cluster, and the runtime has none; open it as"):
            await on_cluster(flows.chat)("tea")
    async with cluster_of(flow_workers=0):
        with pytest.raises(ClusterError, match=r"no worker for chat: flow_workers=0; pass Cluster\(flow_workers=1\)"):
            await on_cluster(flows.chat)("tea")


def test_what_cannot_run_on_a_cluster_is_refused_when_it_is_sent_there() -> None:
    @flow
    async def within_a_test(about: str) -> str:
        return about

    with pytest.raises(ClusterError, match="within_a_test is not found by its name"):
        on_cluster(within_a_test)
    with pytest.raises(TypeError, match=r"is no flow; a function that computes runs on a worker with @compute"):
        on_cluster(flows.double)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"workers": -1}, {"workers": 0, "flow_workers": 0}, {"workers": 1.5}, {"retries": -1}, {"grace_s": float("nan")}],
)
def test_settings_of_a_cluster_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="pass"):
        Cluster(**wrong)
