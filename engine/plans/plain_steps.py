"""`PlainSteps`: the steps of a plan that only compute, on the event loop, and of which nothing else is asked.

They are most of a large plan, and cost so little that a record, a scope and a task switch each would be several times the
step. One is called where it is ready, and recorded with hundreds of others; all else goes the long way, failures too, and
those that turn out to call other steps.

Above: `PlanSteps`, of which these are some. Below: `PlainCall`. What is done for each step stands in one frame, its names looked
up once: that is most of what such a step costs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING

import trio

from stratum.contracts.plans.plan import Step
from stratum.engine.place import Place, current_place
from stratum.engine.plans.plain_call import PlainCall, plain_calls
from stratum.engine.plans.step_work import StepWork
from stratum.engine.scheduling.lane import Lane
from stratum.engine.scheduling.scheduler import RunAtOnce, RunStep, StartOver
from stratum.engine.step_record import StepRecord

if TYPE_CHECKING:
    from stratum.engine.plans.steps import PlanSteps


class PlainSteps:
    """Those of one plan, this time."""

    def __init__(self, steps: PlanSteps) -> None:
        self._steps = steps
        self._log = steps.run.log
        self._calls = plain_calls(steps.compiled, steps.run.functions)
        self._plain = self._log.past.plain.of_plan(steps.prefix, steps.compiled.index)
        self.run_at_once = self._at_once()
        """Does a plain step that is not awaited, and says whether it was one; `None`: none is."""
        self._stopwatch = _stopwatch()
        self._recorded: dict[int, StepRecord] = {}
        """Of steps that turned out to do more than compute, and have not ended."""

    def begin_or(self, run_step: RunStep) -> RunStep:
        """Begins a plain step that has to be awaited, and has any other done by `run_step`."""
        calls = self._calls
        if not calls:
            return run_step
        compiled, prefix, log = self._steps.compiled, self._steps.prefix, self._log
        steps, bare, plain, by_id = compiled.plan.steps, compiled.bare, self._plain, log.past.by_id
        do = self._do() if any(call.awaited for call in calls.values()) else None

        def begin_step(number: int, lane: Lane) -> Awaitable[StartOver | None]:
            step = steps[number]
            call = calls.get(step.fn)
            if call is None or not bare[number]:
                return run_step(number, lane)
            id = prefix + step.id
            if plain[number] is not None or id in by_id:  # of one that began before, every attempt is recorded
                return run_step(number, lane)
            return self._once_there_is_room(number) if do is None or not call.awaited else do(call, step, id, number)

        return begin_step

    def _at_once(self) -> RunAtOnce | None:
        still = {name: call for name, call in self._calls.items() if not call.awaited}
        if not still:
            return None
        compiled, prefix, log, values = self._steps.compiled, self._steps.prefix, self._log, self._steps.values
        steps, bare, plain, by_id = compiled.plan.steps, compiled.bare, self._plain, log.past.by_id
        standing, results, touch = self._steps.standing, values.results, self._steps.run.touch

        @trio.lowlevel.enable_ki_protection
        def run_at_once(number: int) -> bool:
            step = steps[number]
            call = still.get(step.fn)
            if call is None or not bare[number] or log.crowded:
                return False
            id = prefix + step.id
            if plain[number] is not None or id in by_id:
                return False
            began_ns = perf_counter_ns()
            try:
                result, output = call.outcome(step, values)
            except BaseException as error:
                self._begun(number, trio.current_time()).failed(error)
                raise
            plain[number] = output
            log.step_done(id, output, duration_us=(perf_counter_ns() - began_ns) // 1000)
            results[number] = result
            standing[number] = "done"
            touch()
            return True

        return run_at_once

    def record(self, number: int, began_ns: int) -> None:
        """Record the beginning, by the stopwatch, of a step that calls another after all."""
        self._recorded[number] = self._begun(number, self._on_the_loop(began_ns))

    def _do(self) -> Callable[[PlainCall, Step, str, int], Awaitable[None]]:
        values, standing, log, clock = self._steps.values, self._steps.standing, self._log, self._steps.own_clock
        touch, now, computing = self._steps.run.touch, self._stopwatch, log.computing
        results, plain, outer = values.results, self._plain, self._steps.place
        # Where all steps are bare, and no plan is around them, none waits for a person: the clock never stands.
        clocked = 0 in self._steps.compiled.bare or bool(self._steps.prefix)

        @trio.lowlevel.enable_ki_protection
        async def do(call: PlainCall, step: Step, id: str, number: int) -> None:
            while log.crowded:
                await log.room()
            began_ns = now()
            standing[number] = "running"
            touch()
            computing[id] = self, number, began_ns
            here = Place(
                run=log,
                envelope=outer.envelope,
                step=id,
                flow_id=outer.flow_id,
                branch=outer.branch,
                judged=outer.judged,
            )
            token = current_place.set(here)
            if clocked:
                clock.begins()
            try:
                result, output = await call.outcome_awaited(step, values)
            except BaseException as error:
                if computing.pop(id, None) is not None:
                    self.record(number, began_ns)
                self._recorded.pop(number).failed(error)
                raise
            finally:
                if clocked:
                    clock.ends()
                current_place.reset(token)
            if computing.pop(id, None) is not None:
                plain[number] = output
                log.step_done(id, output, duration_us=(now() - began_ns) // 1000)
            else:
                record = self._recorded.pop(number)
                StepWork(self._steps, number).completed(record, result, since_s=self._on_the_loop(began_ns))
            results[number] = result
            standing[number] = "done"
            touch()

        return do

    async def _once_there_is_room(self, number: int) -> None:
        while self._log.crowded:
            await self._log.room()
        assert self.run_at_once is not None, "there are steps that are not awaited"
        self.run_at_once(number)

    def _on_the_loop(self, stopwatch_ns: int) -> float:
        """The moment as `trio.current_time` had it."""
        return trio.current_time() - (self._stopwatch() - stopwatch_ns) / 1e9

    def _begun(self, number: int, began_s: float) -> StepRecord:
        return StepWork(self._steps, number).record(since_s=began_s)


def _stopwatch() -> Callable[[], int]:
    """Nanoseconds of the loop's clock, from some moment on. trio's own adds a number to this one, which takes twice as long."""
    clock = trio.lowlevel.current_clock()
    return perf_counter_ns if type(clock).__name__ == "SystemClock" else lambda: round(clock.current_time() * 1e9)
