"""What does it cost to reserve and settle a call, in nested budgets, with nobody waiting and with a crowd?

The baseline is one trio checkpoint, the least that any message to another task would cost. `nested` is a call in a
step in a flow in a session, each with limits. Of a crowd, ten calls at a time fit; each waits as a record, is
admitted in order of arrival and settled: the figure is for all of that, per call.
"""

from __future__ import annotations

from collections import deque

import trio

from benchmarks.options import common_options, parser
from benchmarks.timing import compare, peak_bytes, report
from stratum.actors.ledger import Demand, Ledger, Limits, Refused, Reservation, Scope

BASELINE = "a checkpoint"
MILLI = 10**9
CALL = Demand(input_picousd=2 * MILLI, picousd_per_output_token=8_000_000, input_tokens=1000, cap=500, min_cap=500)
"""Worth 0.006 USD."""


def nested(ledger: Ledger, depth: int, *, usd_millis: int) -> Scope:
    """The innermost of `depth` scopes."""
    limits = Limits(usd_millis * MILLI, 10**12)
    scope = ledger.open_scope("", parent=None, label="session", limits=limits)
    for level in range(1, depth):
        scope = ledger.open_scope("/".join("s" * level), parent=scope, label="step", limits=limits)
    return scope


def checkpoints(calls: int) -> None:
    async def main() -> None:
        for _ in range(calls):
            await trio.lowlevel.checkpoint()

    trio.run(main)


def one_by_one(calls: int, *, depth: int) -> None:
    ledger = Ledger()
    scope = nested(ledger, depth, usd_millis=10**6)
    for _ in range(calls):
        held = ledger.try_reserve(scope, CALL, reservation="r")
        assert held is not None
        ledger.settle(held, picousd=0, tokens=0)


def crowd(calls: int) -> None:
    ledger = Ledger()
    scope = nested(ledger, 2, usd_millis=60)
    running: deque[Reservation | Refused] = deque()
    for number in range(calls):
        name = str(number)
        held = ledger.try_reserve(scope, CALL, reservation=name)
        if held is None:
            ledger.wait(scope, CALL, reservation=name, decided=running.append)
        else:
            running.append(held)
    while running:
        decided = running.popleft()
        assert isinstance(decided, Reservation)
        ledger.settle(decided, picousd=0, tokens=0)
    assert scope.counted_picousd == 0


def waiting(calls: int) -> None:
    ledger = Ledger()
    scope = nested(ledger, 2, usd_millis=6)
    ledger.try_reserve(scope, CALL, reservation="running")
    for number in range(calls):
        ledger.wait(scope, CALL, reservation=str(number), decided=lambda _: None)


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    calls = 1_000 if options.quick else 20_000
    rows = compare(
        "nobody waits",
        {
            BASELINE: lambda: checkpoints(calls),
            "one scope": lambda: one_by_one(calls, depth=1),
            "nested, 2": lambda: one_by_one(calls, depth=2),
            "nested, 4": lambda: one_by_one(calls, depth=4),
        },
        baseline=BASELINE,
        units=calls,
        rounds=options.rounds,
    )
    for size in (1_000,) if options.quick else (1_000, 10_000, 100_000):
        rows += compare(
            f"a crowd of {size:,}",
            {BASELINE: lambda size=size: checkpoints(size), "a crowd": lambda size=size: crowd(size)},
            baseline=BASELINE,
            units=size,
            rounds=options.rounds,
        )
    also = {"bytes per waiting call": peak_bytes(lambda: waiting(calls), units=calls)}
    report(__doc__ or "", rows, options, packages=["trio", "msgspec"], unit="call", also=also)


if __name__ == "__main__":
    main()
