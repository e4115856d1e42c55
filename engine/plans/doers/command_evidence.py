"""`command_source`: answers `command_succeeds` and `command` conditions, by running the command.

What a person approved is what is run: the words stand in the plan. Exit status 0 alone is no evidence of passing tests: a
runner that collected nothing has it too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from stratum.contracts.expressions.evidence import Evidence, Source
from stratum.contracts.plans.plan import Command
from stratum.contracts.violation import one_line
from stratum.engine.plans.doers.command import CommandRun
from stratum.engine.plans.doers.runner_report import not_passing, runner_report

Run = Callable[[Command], Awaitable[CommandRun]]
Keep = Callable[[Command, CommandRun], object]
"""Called with each command that was run, for the record."""


def command_source(run_command: Run, keep: Keep) -> Source:
    """A source for expressions. Raises what `run_command` does."""

    async def command_succeeds(*words: str) -> Evidence:
        command = Command(argv=words)
        run = await run_command(command)
        keep(command, run)
        problem = unsuccessful(words, run)
        return Evidence(holds=not problem, detail=problem)

    return command_succeeds


def unsuccessful(argv: Sequence[str], run: CommandRun) -> str:
    """Why a command did not do what it was to do, in its own last words; empty where it did."""
    problem = run.problem or not_passing(argv, run.result.stdout + "\n" + run.result.stderr)
    return f"{problem}{_last_words(run)}" if problem else ""


def _last_words(run: CommandRun) -> str:
    """The end of what it wrote, where programs say what was wrong: test runners on standard output."""
    said = (run.result.stderr, run.result.stdout)
    for text in said if runner_report(run.result.stdout) is None else reversed(said):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return f": {one_line('; '.join(lines[-3:])[-300:])}"
    return ""
