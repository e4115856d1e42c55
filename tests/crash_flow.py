"""A flow of 40 calls to be killed, the model that answers it, and the ways to break it that the crash harness must notice.

The flow runs in forked children (tests/fakes/forks.py); the model in a process of its own, which keeps the bill:
`python -m tests.crash_flow model LOG`. Every call's answer follows from its input alone, so that all lives of all runs agree.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zlib import crc32

import msgspec
import trio

from stratum import Budget, BudgetExceeded, Price, compute, contract, flow, infer, open_runtime
from stratum.actors.journal import Ticket
from stratum.actors.ledger import Ledger, Reservation
from stratum.contracts.records import Record, Reserved
from stratum.engine.line import Line
from stratum.engine.place import current_place
from stratum.engine.providers.openai import OpenAI
from stratum.engine.run import Run
from stratum.engine.step_record import StepRecord
from tests.fakes.behaviours import counted
from tests.fakes.forks import say, serve
from tests.fakes.openai_server import Bill, Exchange, open_server

PRICE = Price.per_million(input=2, output=8)
AMPLE_USD = 1.0
AMPLE = Budget(usd=AMPLE_USD, ms=600_000)
TIGHT = Budget(usd=0.0265, ms=600_000)
"""Just enough for the whole flow where nothing is left in doubt but what the model drops."""


@contract
class Mark:
    about: str
    weight: int


def is_heavy(mark: Mark) -> bool:
    """A condition that runs in a thread and takes its time: what was paid for must survive a kill in here."""
    time.sleep(0.01)
    return mark.weight > 0


@infer(intent="Mark the text", max_output_tokens=64)
def mark(about: str) -> Mark: ...


is_weighed: Callable[[Mark], bool] = lambda r: r.weight > 0  # only a lambda is judged on the loop


@infer(intent="Weigh the text", ensure=is_weighed, max_output_tokens=64)
def weigh(about: str) -> Mark: ...


@infer(intent="Weigh the text at length", ensure=is_heavy, max_output_tokens=64)
def ponder(about: str) -> Mark: ...


@compute(inline=True)
def total(marks: list[Mark]) -> int:
    return sum(one.weight for one in marks)


NOTHING = "nothing"
"""A tool that the model answers for free."""

STEPS = {step.signature.name: step for step in (mark, weigh, ponder)}

MARKS = [f"mark {number:02}" for number in range(12)]
PONDERED = [f"ponder {number:02}" for number in range(10)]
SECTIONS = {name: [f"weigh {name}{number}" for number in range(5)] for name in "ab"}
TAIL = [f"weigh {number:02}" for number in range(8)]
CALLS = [*MARKS, *PONDERED, *SECTIONS["a"], *SECTIONS["b"], *TAIL]
"""Each call by its function and what else it is about."""


def attempts_of(call: str) -> int:
    """How often a call has to ask: every third answer of those that are judged is rejected once."""
    return 2 if not call.startswith("mark") and crc32(call.encode()) % 3 == 0 else 1


def dropped(call: str) -> bool:
    """Whether the model drops the first request of this call, and bills it all the same."""
    return call in ("mark 05", "ponder 03", "weigh a2")


def weight_of(call: str) -> int:
    return crc32(call.encode()) % 1000 + 1


async def ask(title: str, call: str) -> Mark:
    answer = await STEPS[call.split()[0]](f"{title}/{call}")
    say(f"done {call}")
    return answer


async def together(title: str, calls: list[str]) -> list[Mark]:
    answers: dict[str, Mark] = {}

    async def one(call: str) -> None:
        answers[call] = await ask(title, call)

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(one, call)
    return [answers[call] for call in calls]


@flow(budget=Budget(usd=0.5))
async def section(title: str, name: str) -> int:
    return await total(await together(title, SECTIONS[name]))


@flow(budget=AMPLE)
async def book(title: str) -> list[int]:
    place = current_place.get()
    assert place is not None
    say(f"started {place.run.id}")
    sums = [await total(await together(title, MARKS))]
    pondered: list[Mark] = []

    async def ponder_all() -> None:
        pondered.extend(await together(title, PONDERED))

    async def one_section(name: str) -> None:
        sums.append(await section(title, name) if name == "a" else 2 * await section(title, name))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ponder_all)
        nursery.start_soon(one_section, "a")
        nursery.start_soon(one_section, "b")
    return [*sorted(sums), await total(pondered), *[(await ask(title, call)).weight for call in TAIL]]


FLOWS = {"ample": book, "tight": flow(budget=TIGHT)(book.function)}


async def live(url: str, journal: str, title: str, budget: str, run: str | None, raised: float | None) -> None:
    """One life of a run, from its beginning or resumed, up to its result if nothing ends it before."""
    provider = OpenAI("key", url, price=PRICE, default_model="gpt-4o")
    telling = FLOWS[budget]
    try:
        # A jitter of -1 leaves nothing of a backoff: what the model drops is asked again at once.
        async with open_runtime(provider=provider, journal=journal, jitter=lambda: -1.0) as runtime:
            if run is None:
                result = await telling(title)
            else:
                more = None if raised is None else Budget(usd=raised)
                result = await telling.resume(run, runtime.place, raised=more)
        say(f"result {json.dumps(result)}")
    except BudgetExceeded as error:
        say(f"exhausted {error}")


class Asked(Bill, frozen=True, kw_only=True):
    """A bill that says what for."""

    call: str
    """`title/call`."""
    attempt: int
    was_dropped: bool


class Model:
    """Answers by what it is asked, after a little while that differs from call to call."""

    def __init__(self) -> None:
        self._dropped: set[str] = set()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.received.tool == NOTHING:
            await exchange.respond(b"{}")
            return
        asked = exchange.received.inputs.removeprefix("about: ")
        call = asked.partition("/")[2]
        attempt = exchange.received.attempt
        weight = 0 if attempt < attempts_of(call) else weight_of(call)
        arguments = msgspec.json.encode({"about": asked, "weight": weight})
        usage = counted(exchange, arguments)
        drop = dropped(call) and asked not in self._dropped
        exchange.server.bill(
            Asked(
                number=exchange.number,
                model=exchange.received.model,
                tool=exchange.received.tool,
                usage=usage,
                call=asked,
                attempt=attempt,
                was_dropped=drop,
            )
        )
        await trio.sleep(0.005 + crc32(f"{call}{attempt}".encode()) % 30 / 1000)
        if drop:
            self._dropped.add(asked)
            await exchange.stream.aclose()
            return
        body = exchange.dialect.write(
            tool=exchange.received.tool, arguments=arguments, usage=usage, model=exchange.received.model
        )
        await exchange.respond(body)


async def serve_model(log: Path) -> None:
    async with open_server(Model(), log=log) as server:
        say(json.dumps({"url": server.url}))
        async with trio.lowlevel.FdStream(sys.stdin.fileno()) as parent:
            while await parent.receive_some():
                pass


def reserve_only_afterwards() -> None:
    """A mutant: a request leaves before anything of its reservation is in the journal."""
    append = Run.append
    held: dict[str, Reserved] = {}

    def late(self: Run, *records: Record) -> Ticket:
        (first, *_) = records
        if isinstance(first, Reserved):
            held[first.reservation] = first
            return Ticket(0)
        earlier = held.pop(getattr(first, "reservation", ""), None)
        return append(self, *((earlier,) if earlier else ()), *records)

    Run.append = late  # type: ignore[method-assign]


def reserve_without_waiting() -> None:
    """A mutant: the reservation is in order, but not on disk when the request leaves."""

    async def durable(self: Run, ticket: Ticket) -> None:
        await trio.lowlevel.checkpoint()

    async def commit_result(self: Run, ticket: Ticket) -> None:
        with trio.CancelScope(shield=True):
            await self.runtime.journal.durable(ticket)

    Run.durable = durable  # type: ignore[method-assign]
    Run.commit_result = commit_result  # type: ignore[method-assign]


def free_on_resume() -> None:
    """A mutant: what was in flight when the run was killed counts no more."""

    def forget(self: Ledger, held: object, scope: object, state: object) -> None:
        pass

    Ledger._take_over = forget  # type: ignore[method-assign]


def free_what_is_lost() -> None:
    """A mutant: no answer, no bill."""
    lost = Line._lost  # pyright: ignore[reportPrivateUsage]

    def freed(self: Line, reservation: Reservation, failure: Exception) -> object:
        failure.sent = False  # type: ignore[attr-defined]
        return lost(self, reservation, failure)  # type: ignore[arg-type]

    Line._lost = freed  # type: ignore[assignment, method-assign]


def finish_lazily() -> None:
    """A mutant: a call returns before its result is on disk."""

    async def commit_result(self: Run, ticket: Ticket) -> None:
        await trio.lowlevel.checkpoint()

    Run.commit_result = commit_result  # type: ignore[method-assign]


def forget_what_completed() -> None:
    """A mutant: a resumed run does everything again."""

    def nothing(self: StepRecord) -> None:
        return None

    StepRecord._recorded_output = nothing  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        reserve_only_afterwards,
        reserve_without_waiting,
        free_on_resume,
        free_what_is_lost,
        finish_lazily,
        forget_what_completed,
    )
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["model"]:
        trio.run(partial(serve_model, Path(sys.argv[2])))
    else:
        # What a provider imports when it is opened; a second that no life should pay.
        import stratum.engine.providers.sdk as _  # noqa: F401

        serve({"live": live}, MUTANTS)
