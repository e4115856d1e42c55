"""Real complaints through a real model: each is classified under a contract, checked, retried where it fails, and routed.

    stratum run examples/triage.py:triage --input path=examples/tickets.jsonl

The postcondition is one that a small model does violate, and that can be checked without asking another model: the quote
that it gives as its reason must occur in the complaint, word for word. The texts and their source: tickets.README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import trio
from pydantic import Field

from stratum import Budget, CallFailed, compute, contract, flow, infer


@contract
class Ticket:
    id: str
    text: str


@contract
class Triage:
    queue: Literal["mortgage", "credit report", "debt collection", "bank account", "card or loan"]
    quote: Annotated[str, Field(min_length=10, max_length=160, description="words copied from the complaint")]


@contract
class Route:
    ticket: str
    desk: str
    because: str


@infer(
    intent="Decide which queue this complaint to a financial regulator belongs in, and copy the words that decide it.",
    context="quote must be copied character by character from the complaint, without any change.",
    ensure=lambda r, text: r.quote in text or "quote does not occur in the complaint",
    max_output_tokens=120,
    retries=3,
)
def classify(text: str) -> Triage: ...


@compute(inline=True)
def route(ticket: str, triage: Triage) -> Route:
    """Which desk answers: money that is gone goes first."""
    urgent = any(word in triage.quote.lower() for word in ("forged", "fraud", "stolen", "foreclos", "scam"))
    return Route(ticket=ticket, desk=f"{triage.queue}, urgent" if urgent else triage.queue, because=triage.quote)


@compute
def load(path: str) -> list[Ticket]:
    return [Ticket(**json.loads(line)) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@flow(budget=Budget(ms=240_000, usd=0.05, tokens=100_000))
async def triage(path: str) -> list[Route]:
    """Route every ticket; one that the model cannot place goes to a person."""
    tickets = await load(path)
    routes: dict[str, Route] = {}

    async def place(ticket: Ticket) -> None:
        try:
            routes[ticket.id] = await route(ticket.id, await classify(ticket.text))
        except CallFailed as error:
            reason = error.violations[0].for_audit if error.violations else "no answer"
            routes[ticket.id] = Route(ticket=ticket.id, desk="a person", because=reason)

    async with trio.open_nursery() as nursery:
        for ticket in tickets:
            nursery.start_soon(place, ticket)
    return [routes[ticket.id] for ticket in tickets]
