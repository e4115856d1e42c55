"""`Gathering`: the evidence of a plan's steps: what was run to check them, and what they changed in the workspace."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from stratum.contracts.plans.owned_files import strays
from stratum.contracts.plans.plan import Command
from stratum.contracts.plans.status import Question
from stratum.contracts.records import GateAnswered, GateOpened, SnapshotTaken
from stratum.contracts.violation import Violation
from stratum.engine.plans.askings import Asking
from stratum.engine.plans.case import Exhibit, Judged
from stratum.engine.plans.doers.captured import shortened
from stratum.engine.plans.doers.command import CommandRun

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.steps import PlanSteps

OUTPUT_CHARS = 6000
"""Of a command's output as an exhibit; its beginning and its end."""


def stray(found: Sequence[str], files: Sequence[str]) -> Violation:
    """A step changed files that are not its own."""
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return Violation(
        kind="ensure",
        condition=f"changes only {', '.join(files)}",
        detail=f"also changed: {', '.join(found[:5])}{more}",
    )


class Gathering:
    """Of one plan's steps, or of a plan's within it."""

    def __init__(self, run: PlanRun, steps: PlanSteps) -> None:
        self._run = run
        self._steps = steps
        self._ran: defaultdict[str, list[Exhibit]] = defaultdict(list)

    @property
    def workspace(self) -> Path:
        return self._run.workspace.folder

    @property
    def attests(self) -> bool:
        """The user's policy takes the word of agents."""
        return self._run.policy.attest

    async def run(self, step: str, command: Command) -> CommandRun:
        """Run a condition's command."""
        return await self._run.workspace.run(command, key=f"{self._run.id}/{step}/ensure")

    def note(self, step: str, command: Command, run: CommandRun) -> None:
        """Keep what a command wrote."""
        said = "\n".join(text for text in (run.result.stdout, run.result.stderr) if text)
        ended = run.problem or "exit status 0"
        title = f"command `{shlex.join(command.argv)}`: {ended}"
        self._ran[step].append(Exhibit(title=title, text=shortened(said, OUTPUT_CHARS)))

    def forget(self, step: str) -> None:
        """Another attempt begins: what was found out about the last is of no use."""
        self._ran.pop(step, None)

    async def exhibits(self, step: str) -> Sequence[Exhibit]:
        """What the step changed since its snapshot, and what was run."""
        changed = await self._run.workspace.changed_since(self._run.log.past.of(step).before)
        exhibits = list(self._ran[step])
        if self._run.log.past.of(step).before:
            exhibits.insert(0, Exhibit(title="what changed in the workspace", text=changed or "(nothing)"))
        return exhibits

    async def strayed(self, number: int) -> tuple[Violation, ...]:
        """What the step changed besides its files; not what another may have changed that can be at work at the same time."""
        step = self._steps.compiled.plan.steps[number]
        before = self._run.log.past.of(self._steps.id(number)).before
        if not step.files or not before:
            return ()
        others = self._steps.beside(number)
        if () in others:
            return ()  # that one may change anything
        allowed = [*step.files, *(name for files in others for name in files)]
        found = strays(await self._run.workspace.files_changed_since(before), allowed)
        return (stray(found, step.files),) if found else ()

    async def ask(self, step: str, number: int, condition: str) -> Judged:
        """Ask a person whether the condition holds."""
        question = Question(
            step=step, question=f"Does this hold? {condition}", options=("approve", "revise", "kill"), round=1
        )
        asking = Asking(question=question)
        log = self._run.log
        log.append(GateOpened(elapsed_ms=log.elapsed_ms, call=step, round=1, question=question.question))
        await log.synced()  # whoever sees the question may answer it from another process
        await self._steps.ask(number, asking)
        assert asking.answer is not None, "it was answered"
        decision, by, comment = asking.answer
        log.append(GateAnswered(elapsed_ms=log.elapsed_ms, call=step, decision=decision, by=by, comment=comment))
        if decision == "kill":
            self._run.cancel(f"{by} ended it, asked about step {step}" + (f": {comment}" if comment else ""))
            await trio.sleep_forever()
        return Judged(holds=decision == "approve", detail=comment or f"{by} says no" if decision == "revise" else "")

    async def keep_before(self, step: str) -> None:
        """A snapshot of the workspace before the step, where it has none yet."""
        if self._run.log.past.of(step).before or not self._run.workspace.kept:
            return
        commit = await self._run.workspace.keep(self._run.id, step, "before")
        log = self._run.log
        log.append(SnapshotTaken(elapsed_ms=log.elapsed_ms, call=step, commit=commit, when="before"))

    async def keep_after(self, step: str) -> Sequence[SnapshotTaken]:
        """A snapshot of the workspace as the step leaves it, to be recorded with its result."""
        if not self._run.workspace.kept:
            return ()
        commit = await self._run.workspace.keep(self._run.id, step, "after")
        return (SnapshotTaken(elapsed_ms=self._run.log.elapsed_ms, call=step, commit=commit, when="after"),)
