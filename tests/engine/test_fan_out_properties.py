"""Random trees of fan-outs, refinements and quorums, with failures and timeouts, against a reference that runs nothing at once;
and of flows within them with budgets of their own, stopped from outside at any moment.

Every duration is its own: a whole number of seconds plus a power of a quarter, so that no two branches end together.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    Failure,
    Runtime,
    Success,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
    parallel,
    race,
    refine,
)
from stratum.actors.journal_check import verify_journal
from stratum.actors.ledger import Amount, replay
from stratum.actors.scope import Scope
from stratum.contracts.records import LeftInDoubt, Released, Reserved, Settled
from stratum.engine.dialects.protocol import Received
from stratum.engine.place import current_place
from stratum.engine.providers.scripted import PRICE, Reply, Scripted, scripted

LEAVES = 12


class Told(Exception):
    """What a leaf that fails says."""


@dataclass(frozen=True)
class Leaf:
    kind: Literal["compute", "infer", "refine", "quorum"]
    seconds: int
    fails: bool
    times: int
    """Of a refinement: how often it asks."""


@dataclass(frozen=True)
class Group:
    require: Literal["all", "any", "race"] | int
    children: list[Any]


@dataclass(frozen=True)
class Hurried:
    child: Any
    seconds: int


@dataclass(frozen=True)
class Within:
    """A flow with a budget of its own."""

    child: Any
    cents: int | None
    tokens: int | None
    seconds: int | None
    drains: bool


leaves = st.builds(
    Leaf,
    kind=st.sampled_from(["compute", "infer", "refine", "quorum"]),
    seconds=st.integers(0, 9),
    fails=st.booleans(),
    times=st.integers(1, 3),
)


def _groups(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    requires = st.one_of(st.sampled_from(["all", "any", "race"]), st.integers(0, 4))
    group = st.builds(Group, require=requires, children=st.lists(children, min_size=1, max_size=4)).filter(
        lambda group: isinstance(group.require, str) or group.require <= len(group.children)
    )
    return st.one_of(group, st.builds(Hurried, child=children, seconds=st.integers(0, 20)))


def _flows(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    within = st.builds(
        Within,
        child=children,
        cents=st.one_of(st.none(), st.integers(0, 4)),
        tokens=st.one_of(st.none(), st.integers(0, 3_000)),
        seconds=st.one_of(st.none(), st.integers(1, 20)),
        drains=st.booleans(),
    )
    return st.one_of(_groups(children), within)


trees = st.recursive(leaves, _groups, max_leaves=LEAVES)
moments = st.one_of(st.none(), st.integers(1, 60), st.integers(60, 400))
"""Of a stop, counted in steps of all tasks."""
trees_of_flows = st.recursive(leaves, _flows, max_leaves=LEAVES)


@contract
class Said:
    text: str
    number: int
    wanted: int
    good: bool


@infer(intent="Say it", ensure=lambda said: said.good, retries=0, max_output_tokens=500)
def say(leaf: str) -> Said: ...


@refine(until=lambda said: said.number >= said.wanted, feedback=lambda said: f"after {said.number}", max_iterations=3)
@infer(intent="Say it better", ensure=lambda said: said.good, retries=0, max_output_tokens=500)
def improve(leaf: str) -> Said: ...


@infer(intent="Say it together", quorum=3, agree_on="text", threshold=2, retries=0, max_output_tokens=500)
def agree(leaf: str) -> Said: ...


@compute
async def work(seconds: float, text: str, fails: bool) -> str:
    await trio.sleep(seconds)
    if fails:
        raise Told(text)
    return text


def model() -> Callable[[Received], Reply]:
    """Answers as the leaf in its prompt says; where a quorum is to fail, each sample differently."""
    asked = 0

    def answer(received: Received) -> Reply:
        nonlocal asked
        asked += 1
        leaf = json.loads(received.inputs.partition("leaf: ")[2].partition("\n")[0])
        before = received.inputs.partition("Previous output: ")[2].partition("\n")[0]
        number = json.loads(before)["number"] + 1 if before else 1
        text = f"{leaf['text']}-{asked}" if leaf["kind"] == "quorum" and leaf["fails"] else leaf["text"]
        good = leaf["kind"] == "quorum" or not leaf["fails"]
        said = Said(text=text, number=number, wanted=leaf["times"], good=good)
        return Reply(value=said, delay_s=leaf["seconds"])

    return answer


class Tree:
    """A tree with a name and a duration of its own for each of its leaves."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        """Of the flows that have begun."""
        self._count = 0

    def _own(self, seconds: int) -> tuple[float, str]:
        self._count += 1
        return seconds + 0.25**self._count, f"leaf {self._count}"

    def built(self, node: Any) -> tuple[Callable[[], Any], float, Success[Any] | Failure]:
        """How to run it, and how long it takes and ends if nothing else is in the world."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        if isinstance(node, Hurried):
            return self._hurried(node)
        if isinstance(node, Within):
            return self._within(node)
        children = [self.built(child) for child in node.children]
        runs = [run for run, _, _ in children]
        if node.require == "race":
            return (lambda: race(*[run() for run in runs])), *_reference(children, "any")

        def together() -> Any:
            return cast(Any, parallel)(*[run() for run in runs], require=node.require)

        return together, *_reference(children, node.require)

    def _leaf(self, leaf: Leaf) -> tuple[Callable[[], Any], float, Success[Any] | Failure]:
        seconds, text = self._own(leaf.seconds)
        ended = Failure(Told(text)) if leaf.fails else Success(text)
        if leaf.kind == "compute":
            return (lambda: work(seconds, text, leaf.fails)), seconds, ended
        told = {"text": text, "kind": leaf.kind, "fails": leaf.fails, "times": leaf.times, "seconds": seconds}
        step = {"infer": say, "refine": improve, "quorum": agree}[leaf.kind]

        async def call() -> str:
            try:
                return (await step(json.dumps(told))).text
            except BudgetExceeded:
                raise
            except Exception as error:
                raise Told(text) from error

        took = seconds * leaf.times if leaf.kind == "refine" and not leaf.fails else seconds
        return call, took, ended

    def _hurried(self, node: Hurried) -> tuple[Callable[[], Any], float, Success[Any] | Failure]:
        run, took, ended = self.built(node.child)
        seconds, text = self._own(node.seconds)

        async def hurried() -> Any:
            with trio.move_on_after(seconds):
                return await run()
            raise Told(text)

        return hurried, min(took, seconds), ended if took < seconds else Failure(Told(text))

    def _within(self, node: Within) -> tuple[Callable[[], Any], float, Success[Any] | Failure]:
        run, took, ended = self.built(node.child)
        budget = Budget(
            usd=None if node.cents is None else node.cents / 100,
            tokens=node.tokens,
            ms=None if node.seconds is None else node.seconds * 1000,
            on_exhaustion="drain" if node.drains else "cancel",
        )

        @flow(budget=budget)
        async def within() -> None:
            self.begun()
            await run()

        return within, took, ended

    def begun(self) -> None:
        """To be called at the beginning of each flow."""
        place = current_place.get()
        assert place is not None
        self.scopes.append(place.envelope.scope)


def _reference(children: list[Any], require: Any) -> tuple[float, Success[Any] | Failure]:
    """One after the other, by when each would end."""
    count = len(children)
    if require == 0:
        return max(took for _, took, _ in children), Success([_shown(ended) for _, _, ended in children])
    need: int = count if require == "all" else 1 if require == "any" else require
    won: list[int] = []
    failures = 0
    for number in sorted(range(count), key=lambda number: children[number][1]):
        _, took, ended = children[number]
        if isinstance(ended, Success):
            won.append(number)
            if len(won) == need:
                values = [children[each][2].value for each in sorted(won)]
                return took, Success(values[0] if require == "any" else tuple(values) if require == "all" else values)
        else:
            failures += 1
            if count - failures < need:
                return took, ended
    raise AssertionError("decided once all have ended")


def _shown(ended: Success[Any] | Failure) -> Any:
    """Comparable: exceptions are not."""
    return Success(_plain(ended.value)) if isinstance(ended, Success) else f"failed: {ended.error}"


def _plain(value: Any) -> Any:
    if isinstance(value, (Success, Failure)):
        return _shown(cast("Success[Any] | Failure", value))
    if isinstance(value, (list, tuple)):
        each_plain = [_plain(each) for each in cast("list[Any]", value)]
        return each_plain if isinstance(value, list) else tuple(each_plain)
    return value


@settings(max_examples=100)
@given(tree=trees)
def test_a_tree_gives_what_it_gives_one_after_the_other(tree: Any) -> None:
    """CASES E1, E2, E3, E4, E5, E8, E11, E14: the same result, at the same moment, and nothing left behind."""
    run, took, expected = Tree().built(tree)

    @flow
    async def whole() -> None:
        try:
            found: Success[Any] | Failure = Success(await run())
        except Told as error:
            found = Failure(error)
        results.append((_shown(found), trio.current_time()))

    results: list[tuple[Any, float]] = []

    async def main() -> None:
        async with nothing_left(), open_runtime(provider=scripted(otherwise=model()), journal=None):
            await whole()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert results == [(_shown(expected), pytest.approx(took, abs=1e-9))]


@settings(max_examples=100)
@given(tree=trees, cents=st.integers(0, 20), stop_after=st.one_of(st.none(), st.integers(0, 12)))
def test_no_tree_overspends_however_it_is_stopped(tree: Any, cents: int, stop_after: int | None) -> None:
    """CASES D3, D12: settled, in flight and in doubt are never above the limit; nobody is left behind."""
    run, _, _ = Tree().built(tree)
    limit = cents * 10**9  # tenths of a cent: a call reserves about half of one
    provider = scripted(otherwise=model())
    counted: list[int] = []

    @flow(budget=Budget(usd=limit / 10**12))
    async def whole() -> None:
        await run()

    def book(_: str, record: object) -> None:
        match record:
            case Reserved():
                open_now[record.reservation] = record.picousd
            case Settled():
                open_now[record.reservation] = record.picousd
            case Released():
                del open_now[record.reservation]
            case LeftInDoubt() | _:
                return
        counted.append(sum(open_now.values()))

    open_now: dict[str, int] = {}

    async def main() -> None:
        async with nothing_left(), open_runtime(provider=provider, journal=None) as runtime:
            with runtime.events.listen(book), trio.move_on_after(math.inf if stop_after is None else stop_after):
                try:
                    await whole()
                except (Told, BudgetExceeded):
                    pass
            assert provider.in_flight == 0

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert max(counted, default=0) <= limit
    billed = sum(usage.input_tokens * 2_000_000 + usage.output_tokens * 8_000_000 for usage in provider.billed)
    assert billed <= limit


class Books(trio.abc.Instrument):
    """Looks at every budget after each step of any task, and cancels `stop` before the `number`-th."""

    def __init__(self, tree: Tree, stop: trio.CancelScope, number: int | None) -> None:
        self.wrong: list[str] = []
        self._tree = tree
        self._stop = stop
        self._left = math.inf if number is None else number

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._stop.cancel()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        for scope in self._tree.scopes:
            used = scope.settled + scope.in_doubt + scope.in_flight
            if scope.limits.exceeded_by(used) is not None or Amount().exceeds(scope.in_flight):
                self.wrong.append(f"{scope}: {used}, of which in flight {scope.in_flight}")


@settings(max_examples=150)
@given(tree=trees_of_flows, cents=st.integers(0, 20), stop_at=moments)
def test_no_budget_within_another_is_ever_overdrawn_however_it_is_stopped(
    tree: Any, cents: int, stop_at: int | None
) -> None:
    """BUDGETS I1, I2: at every moment, of every flow; nothing stays reserved, and the journal tells the same, resumed or not."""
    trio.run(nested, tree, cents, stop_at, None, clock=MockClock(autojump_threshold=0))


@settings(max_examples=15)
@given(tree=trees_of_flows, cents=st.integers(0, 20), stop_at=moments)
def test_nor_where_each_reservation_waits_for_the_disk(tree: Any, cents: int, stop_at: int | None) -> None:
    """The clock jumps while the disk is at work: deadlines come at moments of their own."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "stratum.db"
        trio.run(nested, tree, cents, stop_at, journal, clock=MockClock(autojump_threshold=0))
        assert verify_journal(journal).faults == ()


async def nested(node: Any, cents: int, stop_at: int | None, journal: Path | None) -> None:
    tree = Tree()
    run, _, _ = tree.built(node)
    provider = scripted(otherwise=model())

    @flow(budget=Budget(usd=cents / 1000))
    async def whole() -> None:
        tree.begun()
        await run()

    async with nothing_left(), open_runtime(provider=provider, journal=journal) as runtime:
        await watched(tree, whole, stop_at)
        await settled(tree, runtime, provider)
        (begun,) = [each for each in await runtime.journal.runs() if each.target == whole.target]
        if begun.state != "succeeded":
            await watched(tree, lambda: whole.resume(begun.run, runtime.place), None)
            await settled(tree, runtime, provider)


async def watched(tree: Tree, call: Callable[[], Awaitable[None]], stop_at: int | None) -> None:
    stop = trio.CancelScope()
    books = Books(tree, stop, stop_at)
    with stop:
        trio.lowlevel.add_instrument(books)
        try:
            await call()
        except* (Told, BudgetExceeded):
            pass
        finally:
            trio.lowlevel.remove_instrument(books)
    assert books.wrong == []


async def settled(tree: Tree, runtime: Runtime, provider: Scripted) -> None:
    session = runtime.place.envelope.scope
    assert provider.in_flight == 0
    assert {scope.in_flight for scope in (session, *tree.scopes)} == {Amount()}
    for run in await runtime.journal.runs():
        await runtime.journal.verify(run.run)
        for scope in replay(await runtime.journal.read(run.run)).scopes.values():
            assert scope.in_flight == Amount()
            assert scope.limits.exceeded_by(scope.counted) is None
    bill = sum(PRICE.cost(usage) for usage in provider.billed)
    assert bill <= (session.settled + session.in_doubt).picousd
