"""Kill -9 a run at random moments, resume it, and compare its journal with what its provider billed.

What must hold, of every run and at every kill:

- no call that the journal has as completed is asked for again, and no answer that was recorded: the bills of a later life are
  exactly those of the calls that were not completed;
- what the journal counts (settled, in flight, in doubt) is never below the provider's bill, nor above a limit, and every request
  that was billed has a reservation;
- what the process said was done is in the journal;
- the database is intact, and the chain of records whole;
- the result is that of a run that nobody disturbed.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import msgspec

from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_file import holds_anything, open_read_only
from stratum.actors.journal_records import read_run
from stratum.actors.ledger_state import LedgerState, ScopeState, replay
from stratum.contracts.records import Answered, CallFinished, Record, Reserved
from stratum.engine.dialects.protocol import CallShape, Prompt
from stratum.engine.dialects.responses import ResponsesDialect
from tests.crash_flow import AMPLE_USD, CALLS, NOTHING, PRICE, Asked, attempts_of, dropped, weight_of
from tests.fakes.forks import INTERRUPTED, ROOT, Forks

MOST_KILLS = 3
"""Of one run; then it is left in peace."""

_ENDS = {signal.SIGKILL: f"end {-signal.SIGKILL}", signal.SIGINT: f"end {INTERRUPTED}"}
_BILL = msgspec.json.Decoder(Asked)
_SHAPE = ResponsesDialect().compile(
    CallShape(tool=NOTHING, description="", instructions="", schema=b"{}", model="none")
)
_NOTHING = _SHAPE.body(_SHAPE.conversation(Prompt(inputs="about: nothing")), max_output_tokens=16)


@dataclass
class ModelProcess:
    """The model, its bill, and a way to know that the bill is complete."""

    url: str
    log: Path

    def bills(self, title: str) -> list[Asked]:
        """Everything billed to one run so far."""
        lines = self.log.read_bytes().split(b"\n")[:-1]
        return [bill for line in lines if (bill := _BILL.decode(line)).call.startswith(f"{title}/")]

    def settled_bills(self, title: str) -> list[Asked]:
        """The same once all that a killed process had sent has been read; the kernel still holds some of it."""
        for _ in range(2):
            self._ask_for_nothing()
        return self.bills(title)

    def _ask_for_nothing(self) -> None:
        """One more request, which is read after those before it; billed to nobody."""
        where = urlsplit(self.url)
        head = f"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: {len(_NOTHING)}\r\n\r\n"
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=60) as connection:
            connection.sendall(head.encode() + _NOTHING)
            assert connection.recv(4096)


@contextmanager
def open_model(log: Path) -> Generator[ModelProcess, None, None]:
    """The model in a process of its own, ended when the block is left or this process dies."""
    log.touch()
    command = [sys.executable, "-m", "tests.crash_flow", "model", str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield ModelProcess(url=json.loads(process.stdout.readline())["url"], log=log)
        finally:
            process.terminate()


@dataclass
class Tally:
    """What a series of kills hit."""

    kills: int = 0
    lives: int = 0
    exhausted: int = 0
    completed_at_kill: list[int] = field(default_factory=list[int])
    in_flight_at_kill: list[int] = field(default_factory=list[int])


class Crasher:
    """Kills runs of the flow, one after the other, and says what was wrong."""

    def __init__(
        self,
        forks: Forks,
        model: ModelProcess,
        folder: Path,
        *,
        mutant: str | None = None,
        by: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.tally = Tally()
        self.result: list[int] = []
        """Of a run that nobody disturbed."""
        self._forks = forks
        self._model = model
        self._folder = folder
        self._mutant = mutant
        self.by = by
        self._duration_s = 0.0

    def undisturbed(self) -> None:
        """One run in peace: what the others are compared with, and how long they may take to kill."""
        life = Life(self, title="peace", budget="ample", run=None, raised=None)
        life.start(mutant=None)
        life.listen(until="started", times=1)
        started = time.monotonic()
        life.end()
        self._duration_s = time.monotonic() - started
        assert life.result is not None
        self.result = life.result
        weights = [weight_of(call) for call in CALLS]
        assert self.result[-8:] == weights[-8:]

    def crash_until(self, kills: int, *, seed: int) -> list[str]:
        """What went wrong first; runs are killed until there were that many kills."""
        self.undisturbed()
        while self.tally.kills < kills:
            if wrong := self.crash(seed):
                return wrong
            seed += 1
        return []

    def crash(self, seed: int) -> list[str]:
        """What went wrong with one run that was killed up to three times."""
        random = Random(seed)
        title = f"{self._mutant or 'run'}-{seed}"
        budget = random.choice(["ample", "tight"])
        kills = random.choice([1, 1, 2, MOST_KILLS])
        run: str | None = None
        raised: float | None = None
        while True:
            life = Life(self, title=title, budget=budget, run=run, raised=raised)
            life.start(mutant=self._mutant)
            if kills:
                life.kill_somewhen(random, within_s=self._duration_s)
                kills -= 1
            life.end()
            self.tally.lives += 1
            if wrong := life.wrong():
                return [f"{title}, {budget}, life {self.tally.lives}: {what}" for what in wrong]
            run = life.run
            if life.exhausted:
                self.tally.exhausted += 1
                if raised is not None:
                    return [f"{title}: exhausted although the limit was raised"]
                raised = AMPLE_USD
            elif life.result is not None:
                return [] if life.result == self.result else [f"{title}: {life.result} instead of {self.result}"]

    @property
    def path(self) -> Path:
        return self._folder / "stratum.db"

    @property
    def forks(self) -> Forks:
        return self._forks

    @property
    def model(self) -> ModelProcess:
        return self._model


class Life:
    """One process that runs the flow, or goes on with it."""

    def __init__(self, crasher: Crasher, *, title: str, budget: str, run: str | None, raised: float | None) -> None:
        self.run = run
        self.result: list[int] | None = None
        self.exhausted = False
        self._crasher = crasher
        self._title = title
        self._budget = budget
        self._raised = raised
        self._said: list[str] = []
        self._killed = False
        self._before = self._records()
        self._billed_before = Counter[str]()

    def start(self, *, mutant: str | None) -> None:
        self._billed_before = self._billed()
        self._crasher.forks.start(
            "live",
            mutant=mutant,
            url=self._crasher.model.url,
            journal=str(self._crasher.path),
            title=self._title,
            budget=self._budget,
            run=self.run,
            raised=self._raised,
        )

    def kill_somewhen(self, random: Random, *, within_s: float) -> None:
        """At any time, the moment a call returned, or the moment a request arrived; always after `started`."""
        if not self.listen(until="started", times=1):
            return
        how = random.choice(["time", "done", "billed"])
        if how == "time":
            time.sleep(random.uniform(0, within_s))
        elif how == "done":
            self.listen(until="done", times=random.randrange(1, len(CALLS)))
        else:
            self._await_bills(
                sum(self._billed_before.values()) + random.randrange(1, len(CALLS)), within_s=2 * within_s
            )
        if not self._ended:
            self._crasher.forks.kill(self._crasher.by)
            self._killed = True
            self._crasher.tally.kills += 1

    def end(self) -> None:
        """Listen until the process is gone."""
        while not self._ended:
            self._said.append(self._crasher.forks.line())
        for line in self._said:
            what, _, text = line.partition(" ")
            if what == "started":
                self.run = text
            elif what == "result":
                self.result = json.loads(text)
            elif what == "exhausted":
                self.exhausted = True
        if self.run is not None and self._records() == []:
            self.run = None  # killed before even its beginning was on disk; nothing may have been billed

    def wrong(self) -> list[str]:
        """What this life left behind that it should not."""
        bills = self._crasher.model.settled_bills(self._title)
        after = self._records()
        wrong = list(verify_journal(self._crasher.path).faults)
        if self._said[-1] not in ("end 0", *([_ENDS[self._crasher.by]] if self._killed else [])):
            wrong.append(f"the process ended by itself: {self._said[-1]}")
        wrong += self._forgotten(after)
        wrong += _beyond_limits(after)
        wrong += _below_bill(after, bills)
        wrong += _unreserved(after, bills)
        wrong += self._asked_again(bills)
        if self._killed:
            self._crasher.tally.completed_at_kill.append(len(_completed(after)))
            self._crasher.tally.in_flight_at_kill.append(len(replay(after).open))
        return wrong

    def _forgotten(self, after: Sequence[Record]) -> Iterator[str]:
        """What the process said was done, and the journal does not know."""
        completed = _completed(after)
        for line in self._said:
            if line.startswith("done ") and line.removeprefix("done ") not in completed:
                yield f"{line}, and is not in the journal"

    def _asked_again(self, bills: Sequence[Asked]) -> Iterator[str]:
        """The bills of this life, against what was left to do when it began."""
        asked = Counter(_request(bill) for bill in bills) - self._billed_before
        left = Counter(_requests_left(self._before)) - Counter(
            {request: 1 for request in self._billed_before if request.endswith("dropped")}
        )
        for request in sorted((asked - left).elements()):
            yield f"asked again: {request}"
        if self.result is not None:
            for request in sorted((left - asked).elements()):
                yield f"never asked: {request}"

    def listen(self, *, until: str, times: int) -> bool:
        while not self._ended:
            if sum(line.startswith(f"{until} ") for line in self._said) >= times:
                return True
            self._said.append(self._crasher.forks.line())
        return False

    def _await_bills(self, count: int, *, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while len(self._crasher.model.bills(self._title)) < count and time.monotonic() < deadline:
            time.sleep(0.0005)

    @property
    def _ended(self) -> bool:
        return bool(self._said) and self._said[-1].startswith("end ")

    def _billed(self) -> Counter[str]:
        return Counter(_request(bill) for bill in self._crasher.model.bills(self._title))

    def _records(self) -> list[Record]:
        path = self._crasher.path
        if self.run is None or not holds_anything(path):
            return []
        with closing(open_read_only(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_runs'").fetchone():
                return []
            if not connection.execute("SELECT 1 FROM _runs WHERE run = ?", (self.run,)).fetchone():
                return []
            return read_run(connection, self.run)


def _request(bill: Asked) -> str:
    call = _call(bill.call)
    return f"{call} dropped" if bill.was_dropped else f"{call} attempt {bill.attempt}"


def _requests_left(records: Sequence[Record]) -> Iterator[str]:
    """What a run with these records still has to ask."""
    completed, answered = _completed(records), _answered(records)
    for call in CALLS:
        if call not in completed:
            if dropped(call):
                yield f"{call} dropped"
            for attempt in range(answered[call] + 1, attempts_of(call) + 1):
                yield f"{call} attempt {attempt}"


def _completed(records: Sequence[Record]) -> set[str]:
    return {
        _call(record.trace.inputs["about"])
        for record in records
        if isinstance(record, CallFinished) and record.outcome == "ok" and record.trace.kind == "infer"
    }


def _answered(records: Sequence[Record]) -> Counter[str]:
    """How many answers of each call are on record; what they are about is in them."""
    read = ResponsesDialect().read
    answers = (record.body.encode() for record in records if isinstance(record, Answered))
    return Counter(_call(msgspec.json.decode(read(answer).arguments)["about"]) for answer in answers)


def _call(about: str) -> str:
    return about.partition("/")[2]


def _beyond_limits(records: Sequence[Record]) -> Iterator[str]:
    """Every limit, after every record."""
    state = LedgerState()
    for number, record in enumerate(records, 1):
        state.fold(record)
        for path, scope in state.scopes.items():
            if scope.limits.exceeded_by(scope.counted) is not None:
                yield f"record {number}: {scope.counted} of {scope.limits} counts in {path!r}"
                return


def _unreserved(records: Sequence[Record], bills: Sequence[Asked]) -> Iterator[str]:
    """Each request that was billed has a reservation of its own: sharper than the sums, which have slack."""
    reserved = Counter(
        record.call.rpartition("/")[2].partition("#")[0] for record in records if isinstance(record, Reserved)
    )
    for function, count in Counter(bill.tool for bill in bills).items():
        if count > reserved[function]:
            yield f"{function}: {count} requests were billed, and {reserved[function]} are reserved in the journal"


def _below_bill(records: Sequence[Record], bills: Sequence[Asked]) -> Iterator[str]:
    billed = sum(PRICE.cost(bill.usage) for bill in bills)
    run = replay(records).scopes.get("", ScopeState())
    if run.counted.picousd < billed:
        yield f"{billed} picodollars were billed, and {run.counted.picousd} are in the journal"
