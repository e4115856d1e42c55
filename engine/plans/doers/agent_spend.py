"""What an agent's step takes: booked once it is known, in budgets where nothing was reserved for it."""

from __future__ import annotations

import uuid

import trio

from stratum.actors.ledger import Amount, Demand, Refused
from stratum.contracts.price import Usage
from stratum.contracts.records import Reserved, Settled
from stratum.engine.envelope import Envelope, Overrun
from stratum.engine.plans.plan_log import PlanLog


async def refuse_overdrawn(envelope: Envelope) -> None:
    """Before an agent begins: in a budget that is overdrawn, perhaps before the run was resumed, nobody does."""
    for scope in envelope.scope.chain:
        if scope.overdrawn is not None:
            owner = envelope.owner(scope)
            owner.exhaust(Refused(scope, scope.overdrawn, requested=0))
            await owner.stopped.wait()
            await trio.sleep_forever()


def book_spend(log: PlanLog, envelope: Envelope, call: str, *, usage: Usage, model: str) -> int | None:
    """Book what the step took, in picodollars; `None` where its model's price is not known.

    It may overdraw the budget, which then ends.
    """
    ledger, scope = log.runtime.ledger, envelope.scope
    price = log.runtime.price(model) if model else None
    picousd = 0 if price is None else price.cost(usage)
    name = uuid.uuid4().hex[:16]
    held = ledger.try_reserve(scope, Demand(), reservation=name)
    assert held is not None, "nothing always fits in a scope that is open"
    elapsed_ms = log.elapsed_ms
    settlement = ledger.settle(held, picousd=picousd, tokens=usage.total_tokens)
    log.append(
        Reserved(
            elapsed_ms=elapsed_ms,
            reservation=name,
            scope=scope.path,
            call=call,
            attempt=1,
            model=model,
            picousd=0,
            tokens=0,
        ),
        Settled(
            elapsed_ms=elapsed_ms,
            reservation=name,
            picousd=picousd,
            tokens=usage.total_tokens,
            usage=usage,
            estimated=price is None,
        ),
    )
    for closed in settlement.closed:
        overrun = Overrun(scope=closed, actual=Amount(picousd, usage.total_tokens), reserved=Amount())
        envelope.owner(closed).exhaust(overrun)
    return None if price is None else picousd
