"""The issue's figure: a plan of 200 command steps, killed at 200 random moments; and the proof that faults would be noticed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.crash_plan import MUTANTS, STEPS
from tests.fakes.forks import Forks, open_forks

from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_file import open_read_only
from stratum.actors.journal_records import read_run
from stratum.contracts.records import CommandStarted, Record
from stratum.engine.plans.plan_history import PlanHistory

pytestmark = pytest.mark.e2e

KILLS_A_RUN = 25
WITHIN_S = 0.6
"""Most kills come within this; a whole undisturbed run takes several times as long."""


class Victim:
    """One run of the plan, from its first life to its last."""

    def __init__(self, forks: Forks, folder: Path, *, mutant: str | None = None) -> None:
        self.kills = 0
        self._forks = forks
        self._folder = folder
        self._workspace = folder / "project"
        self._workspace.mkdir(parents=True)
        self._mutant = mutant
        self._run = ""
        self._done_at: dict[str, int] = {}
        """By step: a time, in nanoseconds, at which the journal had it as done."""

    def crash(self, random: Random, *, kills: int) -> list[str]:
        """Kill it so often, then let it end; what was wrong."""
        for _ in range(kills):
            if self._live(random.uniform(0, WITHIN_S)):
                break
            self.kills += 1
            if wrong := [*self._wrong()]:
                return wrong
        else:
            assert self._live(None)
        return [*self._wrong(), *self._wrong_at_the_end()]

    def _live(self, kill_after_s: float | None) -> bool:
        """One life; whether it came to the plan's end."""
        self._forks.start("live", folder=str(self._workspace), run=self._run, mutant=self._mutant)
        while (line := self._forks.line()) != "started":
            assert line.startswith("run "), line
            self._run = line.removeprefix("run ")
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            self._forks.kill()
        said = self._forks.rest()
        past = PlanHistory(self._records())
        for id in map(str, range(STEPS)):
            if past.done(id):
                self._done_at.setdefault(id, time.time_ns())
        # Killed between the two, it has not said what the journal has.
        return "succeeded" in said or past.finished is not None

    def _wrong(self) -> Iterator[str]:
        if faults := verify_journal(self._folder / "stratum.db").faults:
            yield f"the journal: {faults}"
        begun = {record.call for record in self._records() if isinstance(record, CommandStarted)}
        for id, at in self._runs():
            if id not in begun:
                yield f"step {id} ran, and the journal does not know that it began"
            if at > self._done_at.get(id, at):
                yield f"step {id} was done, and ran again"

    def _wrong_at_the_end(self) -> Iterator[str]:
        times: dict[str, int] = {}
        for id, _ in self._runs():
            times[id] = times.get(id, 0) + 1
        if len(times) != STEPS:
            yield f"{len(times)} steps ran"
        if again := [id for id, count in times.items() if count > 1 + self.kills]:
            yield f"steps ran more often than there were kills: {again}"
        for step in (self._workspace / "effects" / self._run).iterdir():
            if len(list(step.iterdir())) != 1:
                yield f"step {step.name} had its effect under several keys"

    def _records(self) -> list[Record]:
        with closing(open_read_only(self._folder / "stratum.db")) as file:
            return read_run(file, self._run)

    def _runs(self) -> list[tuple[str, int]]:
        log = self._workspace / "runs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(id, int(at)) for id, at in (line.split() for line in lines)]


def test_two_hundred_kills(tmp_path: Path) -> None:
    random, kills, number = Random(1), 0, 0
    with open_forks("tests.crash_plan") as forks:
        while kills < 200:
            victim = Victim(forks, tmp_path / str(number))
            assert victim.crash(random, kills=KILLS_A_RUN) == []
            kills += victim.kills
            number += 1
    print(f"{kills} kills in {number} runs")


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_fault_would_be_noticed(tmp_path: Path, mutant: str) -> None:
    random = Random(2)
    with open_forks("tests.crash_plan") as forks:
        for number in range(3):
            if Victim(forks, tmp_path / str(number), mutant=mutant).crash(random, kills=8):
                return
    pytest.fail("nobody noticed")
