"""Real complaints through a real model: each is classified under a contract, checked, retried where it fails, and routed.

    stratum run examples/triage.py:triage --input path=examples/tickets.jsonl

The postcondition is one that a small model does violate, and that can be checked without asking another one: the word that it
says decided its choice must occur in the complaint. The texts and their source: tickets.README.md.
"""

from __future__ import annotations

import json
import re
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
    queue: Literal["mortgage", "credit report", "debt collection", "bank account", "credit card"]
    word: Annotated[str, Field(max_length=40)]


@contract
class Route:
    ticket: str
    desk: str
    because: str
    urgent: bool = False


def in_the_text(result: Triage, text: str) -> str | None:
    """What the model is told when it made its word up: that it did, and words that it might have meant."""
    if result.word.lower() in text.lower():
        return None
    long_words = dict.fromkeys(re.findall(r"\b[a-z]{6,}\b", text))
    return f"the complaint does not contain {result.word!r}; some words of it: {', '.join([*long_words][:6])}"


@infer(
    intent="Triage this complaint to a financial regulator: its queue, and one word of the complaint that decides it.",
    ensure=in_the_text,
    temperature=1.0,
    retries=2,
)
def classify(text: str) -> Triage: ...


@compute(inline=True)
def route(ticket: Ticket, triage: Triage) -> Route:
    """Which desk answers; one that speaks of crime is urgent whatever the model made of it."""
    crime = any(word in ticket.text.lower() for word in ("forged", "fraud", "stolen", "scam", "identity theft"))
    return Route(ticket=ticket.id, desk=triage.queue, because=triage.word, urgent=crime)


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
        except CallFailed as error:
            routes[ticket.id] = Route(ticket=ticket.id, desk="a person", because=error.violations[0].for_audit)

    async with trio.open_nursery() as nursery:
        for ticket in tickets:
            nursery.start_soon(place, ticket)
    return [routes[ticket.id] for ticket in tickets]
