"""The engine inside asyncio: what goes in comes out, whichever side ends it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

import stratum
from stratum import (
    Budget,
    BudgetExceeded,
    JournalUnavailable,
    NoRuntime,
    Price,
    aio,
    await_human,
    contract,
    flow,
    infer,
)
from stratum.contracts.errors import RunError
from stratum.engine.providers.scripted import Reply, scripted
from stratum.people import Review

WITHIN_S = 60
request_id: ContextVar[str] = ContextVar("request_id", default="none")


@contract
class Word:
    text: str


HELLO = Reply(value=Word(text="hello"))
A_TENTH_OF_A_CENT = Price.per_million(input=0, output=0, per_request=0.001)


@infer(intent="Say a word", max_output_tokens=100)
def say(about: str) -> Word: ...


class Ada:
    """A sink: she answers at once."""

    async def ask(self, review: Review) -> None:
        review.resolve("yes", reviewer="ada")


async def _asked() -> str:
    return (await await_human("Sure?")).value


def test_a_runtime_of_asyncio_takes_what_one_of_trio_takes() -> None:
    taken = [dict(inspect.signature(opened).parameters) for opened in (stratum.open_runtime, aio.open_runtime)]
    assert taken[0].keys() == taken[1].keys()
    assert [each.default for each in taken[0].values()] == [each.default for each in taken[1].values()]


def test_people_are_asked_from_asyncio_by_the_sinks_that_were_passed() -> None:
    async def main() -> str:
        async with aio.open_runtime(provider=scripted(), journal=None, sinks=[Ada()]) as runtime:
            return await runtime.run(_asked)

    assert asyncio.run(asyncio.wait_for(main(), WITHIN_S)) == "yes"


def test_a_runtime_of_asyncio_is_refused_under_trio() -> None:
    async def main() -> None:
        async with aio.open_runtime(journal=None):
            pass

    with pytest.raises(NoRuntime, match=r"this is trio: open it with stratum.open_runtime\(\)"):
        trio.run(main)


@flow
async def speak(about: str) -> str:
    return (await say(about)).text


def under_asyncio(program: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WITHIN_S):
            await program()

    asyncio.run(main())
    # Trio keeps idle worker threads of its own for ten seconds; ours is named.
    assert not [thread for thread in threading.enumerate() if thread.name == "stratum runtime"]


@asynccontextmanager
async def opened(*, budget: Budget | None = None) -> AsyncGenerator[aio.Runtime]:
    provider = scripted(otherwise=HELLO, price=A_TENTH_OF_A_CENT)
    async with aio.open_runtime(provider=provider, journal=None, budget=budget) as runtime:
        yield runtime


def test_a_flow_runs_from_an_asyncio_task() -> None:
    async def program() -> None:
        async with opened() as rt:
            assert await rt.run(speak, "x") == "hello"
            assert await rt.run(say, about="x") == Word(text="hello")

    under_asyncio(program)


def test_a_thousand_requests_share_one_runtime_and_keep_their_own_context() -> None:
    @flow
    async def echo(about: str) -> str:
        await trio.lowlevel.checkpoint()
        return f"{about} for {request_id.get()}"

    async def program() -> None:
        async with opened() as rt:

            async def request(number: int) -> str:
                request_id.set(f"r{number}")
                return await rt.run(echo, f"{number}")

            answers = await asyncio.gather(*(request(number) for number in range(1000)))
        assert answers == [f"{number} for r{number}" for number in range(1000)]

    under_asyncio(program)


def test_a_context_variable_that_the_flow_sets_is_set_for_the_caller() -> None:
    @flow
    async def sets() -> str:
        before = request_id.get()
        request_id.set("set in trio")
        return before

    async def program() -> None:
        request_id.set("set in asyncio")
        async with opened() as rt:
            assert await rt.run(sets) == "set in asyncio"
            assert request_id.get() == "set in trio"

    under_asyncio(program)


def test_cancelling_the_asyncio_task_stops_the_flow_and_waits_for_its_cleanup() -> None:
    events: list[str] = []

    async def program() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        @flow
        async def endless() -> None:
            try:
                loop.call_soon_threadsafe(started.set)
                await trio.sleep_forever()
            except trio.Cancelled:
                events.append("cancelled")
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()
                events.append("cleaned up")
                raise

        async with opened() as rt:
            task = asyncio.create_task(rt.run(endless))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            events.append("seen")
            assert await rt.run(speak, "x") == "hello"

    under_asyncio(program)
    assert events == ["cancelled", "cleaned up", "seen"]


def test_an_error_in_the_cleanup_of_a_cancelled_flow_is_not_lost() -> None:
    async def program() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        @flow
        async def fails_late() -> None:
            try:
                loop.call_soon_threadsafe(started.set)
                await trio.sleep_forever()
            finally:
                raise LookupError("late")

        async with opened() as rt:
            task = asyncio.create_task(rt.run(fails_late))
            await started.wait()
            task.cancel()
            with pytest.raises(LookupError, match="late"):
                await task

    under_asyncio(program)


def test_an_error_among_cancelled_branches_arrives_without_them() -> None:
    async def program() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def fails_late() -> None:
            try:
                loop.call_soon_threadsafe(started.set)
                await trio.sleep_forever()
            finally:
                raise LookupError("late")

        async def branches() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(fails_late)

        async with opened() as rt:
            task = asyncio.create_task(rt.run(branches))
            await started.wait()
            task.cancel()
            with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="late")):
                await task

    under_asyncio(program)


def test_an_asyncio_timeout_is_an_asyncio_timeout() -> None:
    @flow
    async def endless() -> None:
        await trio.sleep_forever()

    async def program() -> None:
        async with opened() as rt:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await rt.run(endless)

    under_asyncio(program)


def test_exceptions_arrive_as_they_were_raised() -> None:
    class OwnError(Exception):
        pass

    error = OwnError("mine")

    @flow
    async def failing() -> None:
        raise error

    @flow(budget=Budget(usd=0.001))
    async def greedy() -> None:
        for _ in range(9):
            await say("x")

    async def program() -> None:
        async with opened() as rt:
            with pytest.raises(OwnError) as own:
                await rt.run(failing)
            assert own.value is error
            with pytest.raises(BudgetExceeded) as caught:
                await rt.run(greedy)
        assert caught.value.step == "greedy"

    under_asyncio(program)


def test_an_exception_group_raised_in_the_block_leaves_it_as_it_is() -> None:
    group = ExceptionGroup("of a TaskGroup", [LookupError("one")])

    async def program() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with opened():
                raise group
        assert caught.value is group

    under_asyncio(program)


def test_a_flow_awaits_what_only_asyncio_knows() -> None:
    async def query(what: str) -> str:
        request_id.set("set in asyncio")
        await asyncio.sleep(0)
        return f"{what} in {threading.current_thread().name}"

    async def broken() -> None:
        raise LookupError("no such row")

    @flow
    async def asks() -> str:
        with pytest.raises(LookupError, match="no such row"):
            await aio.in_asyncio(broken)
        answer = await aio.in_asyncio(query, "row")
        return f"{answer}, {request_id.get()}"

    async def program() -> None:
        async with opened() as rt:
            assert await rt.run(asks) == f"row in {threading.current_thread().name}, set in asyncio"

    under_asyncio(program)


def test_cancelling_a_flow_cancels_what_it_awaits_in_asyncio_and_waits() -> None:
    events: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            events.append("cancelled in asyncio")
            raise

    @flow(budget=Budget(ms=500))
    async def asks() -> None:
        try:
            await aio.in_asyncio(endless)
        except trio.Cancelled:
            events.append("cancelled in trio")
            raise

    async def program() -> None:
        async with opened() as rt:
            with pytest.raises(BudgetExceeded) as caught:
                await rt.run(asks)
        assert caught.value.resource == "ms"

    under_asyncio(program)
    assert events == ["cancelled in asyncio", "cancelled in trio"]


async def test_outside_of_an_asyncio_program_nothing_can_be_asked_of_it() -> None:
    async def query() -> None: ...

    with pytest.raises(RunError, match="no asyncio loop"):
        await aio.in_asyncio(query)


def test_leaving_the_block_stops_what_still_runs_and_later_calls_are_refused() -> None:
    async def program() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        @flow
        async def endless() -> None:
            loop.call_soon_threadsafe(started.set)
            await trio.sleep_forever()

        async with opened() as rt:
            task = asyncio.create_task(rt.run(endless))
            await started.wait()
        with pytest.raises(RunError, match="closed"):
            await task
        with pytest.raises(RunError, match="closed"):
            await rt.run(speak, "x")

    under_asyncio(program)


def test_a_cancellation_while_the_runtime_closes_waits_for_it_and_is_not_lost() -> None:
    async def program() -> None:
        started, closing, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @flow
        async def slow_to_stop() -> None:
            try:
                await aio.in_asyncio(begun)
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await aio.in_asyncio(release.wait)

        async def begun() -> None:
            started.set()

        async def block() -> None:
            async with opened() as rt:
                running.append(asyncio.create_task(rt.run(slow_to_stop)))
                await started.wait()
                closing.set()

        running: list[asyncio.Task[None]] = []
        task = asyncio.create_task(block())
        await closing.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(RunError):
            await running[0]

    under_asyncio(program)


def test_an_opening_that_is_cancelled_before_its_thread_has_begun_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, scope, run = threading.Event(), threading.Event(), trio.CancelScope(), trio.run
    tokens: list[trio.lowlevel.TrioToken] = []

    def late(main: Callable[[], Awaitable[None]]) -> None:
        async def stoppable() -> None:
            tokens.append(trio.lowlevel.current_trio_token())
            with scope:
                await main()

        begun.set()
        assert go.wait(WITHIN_S)
        run(stoppable)

    monkeypatch.setattr(trio, "run", late)

    async def opened() -> None:
        async with aio.open_runtime(provider=scripted(), journal=tmp_path / "journal.db"):
            pytest.fail("it was cancelled")

    async def main() -> bool:
        task = asyncio.create_task(opened())
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it has seen that, and waits for the thread
        go.set()
        await asyncio.wait({task}, timeout=WITHIN_S)
        if not task.done():
            tokens[0].run_sync_soon(scope.cancel)  # or the test would wait for ever, too
            return False
        return task.cancelled()

    assert asyncio.run(main())
    assert not list(tmp_path.iterdir())


def test_a_session_whose_budget_ran_out_ends_the_block_with_its_error() -> None:
    async def program() -> None:
        tasks: list[asyncio.Task[None]] = []
        with pytest.raises(BudgetExceeded) as caught:
            async with opened(budget=Budget(usd=0.001)) as rt:

                async def spend() -> None:
                    for _ in range(9):
                        await rt.run(say, "x")

                tasks.append(asyncio.create_task(spend()))
                await asyncio.Event().wait()
        assert caught.value.step == "session"
        with pytest.raises(BudgetExceeded):
            await tasks[0]
        current = asyncio.current_task()
        assert current is not None and not current.cancelling()

    under_asyncio(program)


def test_a_runtime_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    async def program() -> None:
        with pytest.raises(JournalUnavailable, match="is a folder"):
            async with aio.open_runtime(provider=scripted(), journal=tmp_path):
                pytest.fail("it opened")

    under_asyncio(program)


def test_a_step_awaited_directly_names_the_way() -> None:
    async def program() -> None:
        async with opened():
            with pytest.raises(NoRuntime, match=r"stratum\.aio\.open_runtime"):
                await speak("x")

    under_asyncio(program)


def test_a_tenants_budget_outlives_its_requests_and_is_its_own() -> None:
    async def program() -> None:
        async with opened() as rt:
            small = await rt.tenant("small", budget=Budget(usd=0.0025))
            large = await rt.tenant("large", budget=Budget(usd=1))
            assert [await small.run(speak, "x"), await small.run(speak, "x")] == ["hello", "hello"]
            with pytest.raises(BudgetExceeded) as caught:
                await small.run(speak, "x")
            assert caught.value.step == "tenant small"
            with pytest.raises(BudgetExceeded):
                await (await rt.tenant("small")).run(speak, "again")
            assert await large.run(speak, "x") == "hello"
            assert (small.spent_usd, large.spent_usd) == (0.002, 0.001)

    under_asyncio(program)


async def test_of_a_tenants_requests_at_once_as_many_run_as_its_budget_affords() -> None:
    provider = scripted(otherwise=HELLO, price=A_TENTH_OF_A_CENT)
    outcomes: list[str] = []

    async def request() -> None:
        try:
            outcomes.append(await tenant.run(speak, "x"))
        except BudgetExceeded as error:
            outcomes.append(error.step)

    async with stratum.open_runtime(provider=provider, journal=None) as runtime:
        tenant = runtime.tenant("acme", budget=Budget(usd=0.0055, on_exhaustion="drain"))
        assert runtime.tenant("acme") is tenant
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(request)
        assert tenant.spent_usd <= 0.0055
    assert outcomes.count("hello") == len(provider.received) == 5
    assert outcomes.count("tenant acme") == 15


async def test_a_tenant_is_not_given_another_budget() -> None:
    async with stratum.open_runtime(provider=scripted(), journal=None) as runtime:
        runtime.tenant("acme", budget=Budget(usd=1))
        with pytest.raises(ValueError, match="acme"):
            runtime.tenant("acme", budget=Budget(usd=2))


async def test_what_tenants_spend_counts_in_the_session() -> None:
    with pytest.raises(BudgetExceeded) as caught:
        async with stratum.open_runtime(
            provider=scripted(otherwise=HELLO, price=A_TENTH_OF_A_CENT), journal=None, budget=Budget(usd=0.0025)
        ) as runtime:
            for name in ("a", "b", "c"):
                await runtime.tenant(name, budget=Budget(usd=1)).run(speak, "x")
    assert caught.value.step == "session"


def test_a_runtime_is_refused_in_another_event_loop() -> None:
    async def program() -> None:
        async with opened() as runtime:

            def elsewhere() -> None:
                with pytest.raises(RunError, match="opened in another event loop; open one in each"):
                    asyncio.run(runtime.run(speak, "x"))

            await asyncio.to_thread(elsewhere)

    under_asyncio(program)


def test_a_flow_awaits_its_steps_and_not_the_runtime_of_asyncio_around_it() -> None:
    async def program() -> None:
        async with opened() as runtime:

            @flow
            async def roundabout(about: str) -> str:
                return await runtime.run(speak, about)

            with pytest.raises(RunError, match=r"this is trio; in a flow, await the step itself, as in `await step"):
                await runtime.run(roundabout, "x")
            assert await runtime.run(speak, "x") == "hello"

    under_asyncio(program)


@pytest.mark.parametrize("target", [len, "speak"])
def test_what_is_no_async_function_is_named_when_a_runtime_or_a_tenant_is_to_run_it(target: Any) -> None:
    async def program() -> None:
        async with opened() as runtime:
            tenant = await runtime.tenant("acme")
            for run in (runtime.run, tenant.run):
                with pytest.raises(TypeError, match=r"as in run\(f, x\); .*(len|speak).* is none"):
                    await run(target, "x")

    under_asyncio(program)


async def test_under_trio_nothing_waits_for_a_client_of_asyncio() -> None:
    async def receive() -> dict[str, Any]: ...  # type: ignore[empty-body]  # it is not called

    async def work() -> None: ...

    handler = work()
    with pytest.raises(NoRuntime, match=r"await the work in a trio.CancelScope"):
        await aio.while_connected(receive, handler)
    assert inspect.getcoroutinestate(handler) == inspect.CORO_CLOSED
