"""Real complaints through a real model: each is classified under a contract, checked, retried where it fails, and routed.

    stratum run examples/triage.py:triage --input path=examples/tickets.jsonl

The postcondition is one that a small model does violate, and that can be checked without asking another one: a complaint that goes to
a queue must say at least one word of what that queue is about. The texts and their source: tickets.README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import trio

from stratum import Budget, CallFailed, compute, contract, flow, infer

Queue = Literal["mortgage", "credit report", "debt collection", "bank account", "credit card"]

SPEAKS_OF: dict[Queue, tuple[str, ...]] = {
    "mortgage": ("mortgage", "my home", "foreclos", "escrow", "loan modification"),
    "credit report": ("credit report", "credit file", "credit bureau", "inquiry", "credit score"),
    "debt collection": ("debt", "collect"),
    "bank account": ("account", "deposit", "check", "wire", "transfer"),
    "credit card": ("card",),
}


@contract
class Ticket:
    id: str
    text: str


@contract
class Triage:
    queue: Queue
    urgency: Literal["low", "normal", "high"]


@contract
class Route:
    ticket: str
    desk: str
    urgent: bool


def belongs(result: Triage, text: str) -> str | None:
    """What the model is told when the complaint says nothing of the queue it chose."""
    spoken_of = [queue for queue, words in SPEAKS_OF.items() if any(word in text.lower() for word in words)]
    if not spoken_of or result.queue in spoken_of:
        return None
    return f"the complaint says nothing of a {result.queue}; choose one of: {', '.join(spoken_of)}"


@infer(
    intent="Choose the queue that this complaint to a financial regulator belongs in, and how urgent it is.",
    ensure=belongs,
    temperature=1.0,
    retries=2,
)
def classify(text: str) -> Triage: ...


@compute(inline=True)
def route(ticket: Ticket, triage: Triage) -> Route:
    """Which desk answers; one that speaks of crime is urgent whatever the model made of it."""
    crime = any(word in ticket.text.lower() for word in ("forged", "fraud", "stolen", "scam", "identity theft"))
    return Route(ticket=ticket.id, desk=triage.queue, urgent=crime or triage.urgency == "high")


@compute
def load(path: str) -> list[Ticket]:
    return [Ticket(**json.loads(line)) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@flow(budget=Budget(ms=240_000, usd=0.05, tokens=100_000))
async def triage(path: str) -> list[Route]:
    """Route every ticket, in parallel; one that the model cannot place goes to a person."""
    tickets = await load(path)
    routes: dict[str, Route] = {}

    async def place(ticket: Ticket) -> None:
        try:
            routes[ticket.id] = await route(ticket, await classify(ticket.text))
        except CallFailed:
            routes[ticket.id] = Route(ticket=ticket.id, desk="a person", urgent=False)

    async with trio.open_nursery() as nursery:
        for ticket in tickets:
            nursery.start_soon(place, ticket)
    return [routes[ticket.id] for ticket in tickets]
