"""A `command` step: a program, run in the workspace."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.plan import Command
from stratum.contracts.plans.step_result import CommandResult
from stratum.contracts.records import CommandStarted
from stratum.contracts.violation import Violation
from stratum.engine.plans.doers.command import CommandRun
from stratum.engine.plans.doers.command_evidence import unsuccessful
from stratum.engine.plans.doers.doer import Outcome

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.step_history import StepHistory
    from stratum.engine.plans.steps import PlanSteps


class CommandDoer:
    """Runs the program for each attempt. Where its plan asks nothing of the result, it has to succeed."""

    def __init__(self, run: PlanRun, steps: PlanSteps, number: int, past: StepHistory) -> None:
        self._run = run
        self._steps = steps
        self._number = number
        self._past = past
        self._step = steps.compiled.plan.steps[number]

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        command = self._command()
        log = self._run.log
        key = self._past.command.key if self._past.command is not None else self._key()
        log.append(CommandStarted(elapsed_ms=log.elapsed_ms, call=self._past.id, key=key))
        # What has effects is not begun before it is known that it may have been.
        await log.synced()
        run = await log.runtime.timed("command", self._run.workspace.run(command, key=key))
        self._steps.gathering.note(self._past.id, command, run)
        return self._outcome(command, run)

    def _command(self) -> Command:
        program = self._step.program
        assert program is not None, "a command step has a command"
        argv = tuple(self._steps.values.text(argument) for argument in program.argv)
        return msgspec.structs.replace(program, argv=argv)

    def _key(self) -> str:
        """Another for each time that the program is to have its effect; the same where nobody knows whether it had."""
        return f"{self._run.id}/{self._past.id}/{len(self._past.carried) + len(self._past.attempts) + 1}"

    def _outcome(self, command: Command, run: CommandRun) -> Outcome:
        asked = self._step.conditions or self._step.output
        problem = run.problem if run.ending != "exited" else "" if asked else unsuccessful(command.argv, run)
        if problem:
            return Outcome(violations=(_violation(command, problem),))
        codec = self._steps.values.codec(self._number)
        if codec.annotation is CommandResult:
            return Outcome(result=run.result)
        return self._read(command, run, codec)

    def _read(self, command: Command, run: CommandRun, codec: Any) -> Outcome:
        """Its output is said to be JSON."""
        if run.problem:
            return Outcome(violations=(_violation(command, unsuccessful(command.argv, run)),))
        if run.result.truncated:
            return Outcome(violations=(_violation(command, f"its output of {run.stdout_bytes:,} bytes is too long"),))
        try:
            return Outcome(result=codec.decode_value(run.result.stdout.encode()))
        except ContractViolation as error:
            return Outcome(violations=tuple(error.violations))


def _violation(command: Command, problem: str) -> Violation:
    return Violation(kind="answer", condition=shlex.join(command.argv), detail=problem)
