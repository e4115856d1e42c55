"""`Gathering`: the evidence of a plan's steps: what was run to check them, and what they changed in the workspace."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from stratum.contracts.plans.plan import Command
from stratum.contracts.plans.status import Question
from stratum.contracts.records import GateAnswered, GateOpened
from stratum.engine.plans.askings import Asking
from stratum.engine.plans.case import Exhibit, Judged
from stratum.engine.plans.doers.captured import shortened
from stratum.engine.plans.doers.command import CommandRun

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.steps import PlanSteps

OUTPUT_CHARS = 6000
"""Of a command's output as an exhibit; its beginning and its end."""


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
        work = self._run.workspace.run(command, key=f"{self._run.id}/{step}/ensure")
        return await self._run.log.runtime.timed("command", work)

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
