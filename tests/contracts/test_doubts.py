"""What is in doubt: sent, or perhaps, and nobody knows what became of it."""

from __future__ import annotations

from stratum.contracts.doubts import doubts_of, render_doubts
from stratum.contracts.records import LeftInDoubt, Reconciled, Record, Released, Reserved, RunResumed, Settled


def reserved(name: str) -> Reserved:
    return Reserved(
        elapsed_ms=0, reservation=name, scope="", call="ask#1", attempt=1, model="m", picousd=6 * 10**9, tokens=1500
    )


def in_doubt(*records: Record, alive: bool = False) -> list[str]:
    return [doubt.reservation for doubt in doubts_of(records, alive=alive)]


def test_what_was_settled_released_or_reconciled_is_in_doubt_no_more() -> None:
    held = reserved("a")
    lost = LeftInDoubt(elapsed_ms=0, reservation="a", reason="timed out")
    assert in_doubt(held, lost) == ["a"]
    assert in_doubt(held, Settled(elapsed_ms=0, reservation="a", picousd=1, tokens=1)) == []
    assert in_doubt(held, Released(elapsed_ms=0, reservation="a", reason="429")) == []
    assert in_doubt(held, lost, Reconciled(elapsed_ms=0, reservation="a", picousd=0, tokens=0)) == []


def test_what_is_under_way_is_in_doubt_once_its_process_has_ended() -> None:
    held = reserved("a")
    assert in_doubt(held, alive=True) == []
    assert in_doubt(held) == ["a"]
    assert in_doubt(held, RunResumed(elapsed_ms=0, session="s"), reserved("b"), alive=True) == ["a"]


def test_an_audit_ends_with_what_is_in_doubt_why_and_what_settles_it() -> None:
    lost = LeftInDoubt(elapsed_ms=0, reservation="b", reason="timed out")
    doubts = doubts_of([reserved("a"), reserved("b"), lost], alive=False)
    head = "In doubt: 0.012 USD besides, counted until the provider's bill is looked at"
    assert render_doubts("r1", doubts) == [
        f"{head}: `stratum reconcile r1 RESERVATION --usd ...`",
        "  a  0.006 USD  1500 tokens  ask#1, attempt 1, m: its process ended before an answer came",
        "  b  0.006 USD  1500 tokens  ask#1, attempt 1, m: timed out",
    ]
    assert render_doubts("r1", []) == []
