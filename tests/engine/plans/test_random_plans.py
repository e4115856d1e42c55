"""Random plans, with steps that fail, need several attempts, send their violations back, and sessions that end in the middle.

Held against a reference that does one step after the other and knows nothing of time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from stratum import compute, open_runtime
from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import Ensure, ExecutionPlan, Step
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plan_view import ShownSteps
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted

RETRIES = 3


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a step is to do."""

    before: tuple[int, ...]
    tenths: int
    """Of a second that each attempt takes; 0: it does not suspend."""
    breaks: bool = False
    """It raises, always."""
    attempts: int = 1
    """Of which all but the last are rejected by its own condition."""
    repairs: int = -1
    """The step that it sends its first violation to."""
    require: int = 0
    """So many of those before must have succeeded; 0: all."""


@dataclass
class World:
    """What the steps did."""

    tasks: list[Task]
    running: set[int] = field(default_factory=set[int])
    runs: Counter[int] = field(default_factory=Counter[int])
    ended: list[int] = field(default_factory=list[int])
    rejected: Counter[int] = field(default_factory=Counter[int])
    complained: set[int] = field(default_factory=set[int])
    wrong: list[str] = field(default_factory=list[str])

    async def work(self, number: int, given: Sequence[int | None]) -> int:
        task = self.tasks[number]
        if number in self.running:
            self.wrong.append(f"{number} runs twice at once")
        there = sum(value is not None for value in given)
        if len(given) != len(task.before) or there < (task.require or len(task.before)):
            self.wrong.append(f"{number} ran before what it waits for: {given}")
        self.running.add(number)
        self.runs[number] += 1
        try:
            if task.tenths:
                await trio.sleep(task.tenths / 10)
            if task.breaks:
                raise LookupError(f"step {number} breaks")
        finally:
            self.running.discard(number)
        self.ended.append(number)
        if self.rejected[number] < task.attempts - 1:
            self.rejected[number] += 1
            return -1
        if task.repairs >= 0 and number not in self.complained:
            self.complained.add(number)
            return -2
        return 1 + sum(value or 0 for value in given)


world = World([])


@compute
async def work(number: int, given: list[int | None]) -> int:
    return await world.work(number, given)


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    count = draw(st.integers(1, 9))
    drawn: list[Task] = []
    ancestors: list[set[int]] = []
    for number in range(count):
        before = tuple(sorted(draw(st.sets(st.sampled_from(range(number)), max_size=3)))) if number else ()
        above = set(before).union(*(ancestors[other] for other in before)) if before else set[int]()
        ancestors.append(above)
        kind = draw(st.sampled_from(["plain", "plain", "plain", "breaks", "breaks", "again", "repairs"]))
        drawn.append(
            Task(
                before=before,
                tenths=draw(st.sampled_from([0, 0, 1, 3, 10])),
                breaks=kind == "breaks",
                attempts=draw(st.integers(2, RETRIES + 1)) if kind == "again" else 1,
                repairs=draw(st.sampled_from(sorted(above))) if kind == "repairs" and above else -1,
                require=draw(st.integers(0, len(before))),
            )
        )
    return drawn


def plan_of(drawn: list[Task], *, cap: int | None) -> ExecutionPlan:
    return ExecutionPlan(
        fail_fast=False,
        max_in_flight=cap,
        steps=tuple(
            Step(
                id=str(number),
                fn="work",
                inputs={"number": number, "given": [f"$.steps.{other}.output" for other in task.before]},
                ensure=(Ensure(expr="result > 0"),) if task.attempts > 1 or task.repairs >= 0 else (),
                retries=RETRIES,
                repair="" if task.repairs < 0 else str(task.repairs),
                require=task.require or "all",
            )
            for number, task in enumerate(drawn)
        ),
    )


def reference(drawn: list[Task]) -> dict[str, str | int]:
    """By step: its value, `failed` or `blocked`."""
    known: dict[str, str | int] = {}
    for number, task in enumerate(drawn):
        values = [known[str(other)] for other in task.before]
        there = [int(value) for value in values if not isinstance(value, str)]
        if not task.require and len(there) < len(values):
            known[str(number)] = "blocked"
        elif task.breaks or len(there) < task.require:
            known[str(number)] = "failed"
        else:
            known[str(number)] = 1 + sum(there)
    return known


async def watched(live: PlanRun) -> None:
    """Until it has ended. What is shown of its steps, of which only the changed ones are made anew, is what they are."""
    while not live.ended.is_set():
        status = live.status()
        if live.steps is not None:
            assert status.steps == ShownSteps().all(live.steps, live.log.past)
        await live.until_changed(status.version)


def may_fail(drawn: list[Task], number: int) -> bool:
    """Whether only steps come after it that can do without."""
    after = [other for other, task in enumerate(drawn) if number in task.before]
    return bool(after) and all(drawn[other].require or may_fail(drawn, other) for other in after)


@settings(max_examples=60, deadline=None)
@given(tasks(), st.sampled_from([None, None, 1, 2]), st.lists(st.integers(0, 30), max_size=3))
def test_a_plan_does_what_a_reference_does_however_often_its_session_ends(
    drawn: list[Task], cap: int | None, ends: list[int]
) -> None:
    """CASES H36. Each number in `ends` is when a session ends, in tenths of a second from its beginning."""
    global world
    world = World(drawn)
    expected = reference(drawn)

    async def main(folder: Path) -> None:
        approvals = Approvals(folder, folder=folder / "state")
        async with open_runtime(provider=scripted(), journal=None) as runtime:
            run = ""
            for end in [*ends, None]:
                async with open_plans(
                    runtime, functions=Functions([work]), workspace=folder, approvals=approvals
                ) as plans:
                    if not run:
                        draft = await plans.propose(plan_of(drawn, cap=cap), by="test")
                        approvals.approve(draft.digest, by="test", how="python")
                        run = draft.run
                    if (await plans.status(run)).state in ("succeeded", "failed"):
                        break
                    before = await plans.status(run)
                    done = {int(step.id) for step in before.steps if step.standing == "done"}
                    runs = Counter(world.runs)
                    live = await plans.start(run)
                    with trio.move_on_after(float("inf") if end is None else end / 10):
                        await watched(live)
                repaired = {task.repairs for task in drawn if task.repairs >= 0}
                if not repaired:
                    again = [number for number in done if world.runs[number] > runs[number]]
                    assert not again, f"done, and done again: {again}"
                assert world.wrong == []
                assert not world.running
            async with open_plans(runtime, functions=Functions([work]), workspace=folder, approvals=approvals) as plans:
                status = await plans.status(run)
                standings: dict[str, Any] = {step.id: step.standing for step in status.steps}
                assert {
                    id: standing if standing in ("failed", "blocked") else "done" for id, standing in standings.items()
                } == {id: value if isinstance(value, str) else "done" for id, value in expected.items()}
                for number in world.complained:
                    if world.runs[drawn[number].repairs]:  # else it was blocked, or too few before it had succeeded
                        assert world.runs[drawn[number].repairs] > 1, "whoever is complained of does it again"
                failed = any(value == "failed" and not may_fail(drawn, int(id)) for id, value in expected.items())
                assert status.state == ("failed" if failed else "succeeded")
                if not failed:
                    assert status.output == expected[str(len(drawn) - 1)]

    with TemporaryDirectory() as folder:
        trio.run(main, Path(folder), clock=MockClock(autojump_threshold=0))


@settings(max_examples=40, deadline=None)
@given(tasks())
def test_a_plan_takes_exactly_as_long_as_its_longest_path(drawn: list[Task]) -> None:
    """Where nothing fails or is repaired; each attempt takes its time again."""
    global world
    calm = [
        Task(before=task.before, tenths=task.tenths, attempts=task.attempts, require=task.require) for task in drawn
    ]
    world = World(calm)
    weights = [task.tenths * task.attempts for task in calm]
    longest = max(Dag.of([task.before for task in calm]).path_lengths([float(weight) for weight in weights]))

    async def main(folder: Path) -> float:
        approvals = Approvals(folder, folder=folder / "state")
        async with (
            open_runtime(provider=scripted(), journal=None) as runtime,
            open_plans(runtime, functions=Functions([work]), workspace=folder, approvals=approvals) as plans,
        ):
            draft = await plans.propose(plan_of(calm, cap=None), by="test")
            approvals.approve(draft.digest, by="test", how="python")
            started_at = trio.current_time()
            live = await plans.start(draft.run)
            await live.result()
            return trio.current_time() - started_at

    with TemporaryDirectory() as folder:
        took_s = trio.run(main, Path(folder), clock=MockClock(autojump_threshold=0))
    assert round(took_s * 10, 3) == longest
    assert all(world.runs[number] == task.attempts for number, task in enumerate(calm))


def test_the_reference_blocks_what_comes_after_a_failure() -> None:
    drawn = [Task(before=(), tenths=0, breaks=True), Task(before=(0,), tenths=0), Task(before=(), tenths=0)]
    assert reference(drawn) == {"0": "failed", "1": "blocked", "2": 1}


def test_the_reference_lets_a_join_do_without() -> None:
    drawn = [
        Task(before=(), tenths=0, breaks=True),
        Task(before=(0,), tenths=0),
        Task(before=(), tenths=0),
        Task(before=(1, 2), tenths=0, require=1),
        Task(before=(1, 2), tenths=0, require=2),
    ]
    assert reference(drawn) == {"0": "failed", "1": "blocked", "2": 1, "3": 2, "4": "failed"}
    assert [may_fail(drawn, number) for number in range(5)] == [True, True, True, False, False]
