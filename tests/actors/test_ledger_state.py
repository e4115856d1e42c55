"""What a run's records say of its budgets, and how a resumed run takes it up."""

from __future__ import annotations

import pytest

from stratum.actors.ledger import Amount, Demand, Ledger, Limits, Refused, Scope, replay
from stratum.contracts.records import (
    Diverged,
    LeftInDoubt,
    LimitRaised,
    Reconciled,
    Record,
    Released,
    Reserved,
    RunResumed,
    RunStarted,
    ScopeOpened,
    Settled,
)

RUN = ScopeOpened(scope="", label="flow", limits={"usd": 100, "ms": 5000})
STEP = ScopeOpened(scope="a", label="step a", limits={"tokens": 50})


def reserved(name: str, scope: str = "", *, picousd: int = 10, tokens: int = 5, elapsed_ms: int = 0) -> Reserved:
    return Reserved(
        reservation=name,
        scope=scope,
        call=name,
        attempt=1,
        model="m",
        picousd=picousd,
        tokens=tokens,
        elapsed_ms=elapsed_ms,
    )


def settled(name: str, picousd: int, tokens: int = 5) -> Settled:
    return Settled(reservation=name, picousd=picousd, tokens=tokens)


def resumed(records: list[Record], *, declared: Limits | None = None) -> tuple[Ledger, Scope]:
    """A new session's ledger, and the run in it."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits())
    run = ledger.open_scope("", parent=session, label="flow", limits=declared or Limits(100))
    ledger.restore(run, replay(records))
    return ledger, run


def test_a_charge_lands_in_every_scope_around_it() -> None:
    """CASES D6."""
    state = replay([RUN, STEP, reserved("x", "a"), reserved("y"), settled("y", 7)])
    assert state.scopes[""].in_flight == state.scopes["a"].in_flight == Amount(10, 5)
    assert (state.scopes[""].settled, state.scopes["a"].settled) == (Amount(7, 5), Amount())
    assert state.scopes["a"].label == "step a"
    assert state.scopes[""].limits == Limits(100)
    assert state.scopes["a"].limits == Limits(None, 50)


def test_a_scope_whose_name_merely_begins_alike_is_not_charged() -> None:
    other = ScopeOpened(scope="a/b", label="", limits={})
    alike = ScopeOpened(scope="a/bc", label="", limits={})
    state = replay([RUN, other, alike, reserved("x", "a/bc")])
    assert state.scopes["a/b"].in_flight == Amount()
    assert state.scopes["a/bc"].in_flight == state.scopes[""].in_flight == Amount(10, 5)


@pytest.mark.parametrize(
    ("end", "settled_picousd", "in_doubt_picousd"),
    [
        ([settled("x", 4)], 4, 0),
        ([Released(reservation="x", reason="429")], 0, 0),
        ([LeftInDoubt(reservation="x", reason="reset")], 0, 10),
        ([RunResumed(session="s")], 0, 10),
        ([LeftInDoubt(reservation="x", reason="killed"), RunResumed(session="s")], 0, 10),
        ([RunResumed(session="s"), LeftInDoubt(reservation="x", reason="killed")], 0, 10),
        ([LeftInDoubt(reservation="x", reason="reset"), Reconciled(reservation="x", picousd=3, tokens=1)], 3, 0),
    ],
)
def test_each_end_of_a_reservation_is_folded(end: list[Record], settled_picousd: int, in_doubt_picousd: int) -> None:
    """BUDGETS rule 4, rule 5 and rule 10."""
    run = replay([RUN, reserved("x"), *end]).scopes[""]
    assert (run.settled.picousd, run.in_doubt.picousd, run.in_flight) == (settled_picousd, in_doubt_picousd, Amount())


@pytest.mark.parametrize(
    "records",
    [
        [RUN, settled("x", 1)],
        [RUN, reserved("x"), settled("x", 1), settled("x", 1)],
        [RUN, reserved("x"), reserved("x")],
        [RUN, LeftInDoubt(reservation="x", reason="")],
        [reserved("x")],
        [RUN, reserved("x", "a")],
        [LimitRaised(scope="", limits={})],
    ],
    ids=[
        "settled from nothing",
        "settled twice",
        "reserved twice",
        "doubt from nothing",
        "no run",
        "no scope",
        "raise",
    ],
)
def test_records_that_contradict_each_other_are_refused(records: list[Record]) -> None:
    with pytest.raises(ValueError, match="contradicts itself"):
        replay(records)


def test_raising_names_the_axes_that_change() -> None:
    """BUDGETS rule 10."""
    state = replay([RUN, LimitRaised(scope="", limits={"tokens": 7}), LimitRaised(scope="", limits={"usd": 200})])
    assert state.scopes[""].limits == Limits(200, 7)


def test_a_scope_opened_again_goes_on_as_it_was() -> None:
    state = replay([RUN, reserved("x"), settled("x", 7), ScopeOpened(scope="", label="flow", limits={"usd": 10**6})])
    assert state.scopes[""].settled == Amount(7, 5)
    assert state.scopes[""].limits == Limits(100)


def test_elapsed_time_is_the_latest_recorded() -> None:
    """BUDGETS rule 9."""
    assert replay([RUN, reserved("x", elapsed_ms=70), RunResumed(session="s", elapsed_ms=70)]).elapsed_ms == 70


def test_records_of_other_things_change_nothing() -> None:
    others: list[Record] = [RunStarted(session="s", name="flow"), Diverged(calls=["a"], code_changed=True)]
    assert replay(others).scopes == {}


def test_a_resumed_run_keeps_its_recorded_limit_whatever_the_code_declares_now() -> None:
    """BUDGETS rule 10: a limit changes by approval, not by an edit."""
    ledger, run = resumed([RUN, LimitRaised(scope="", limits={"usd": 200})], declared=Limits(10**6))
    assert run.limits == Limits(200)
    ledger.raise_limits(run, Limits(300))
    assert run.limits == Limits(300)


def test_the_session_that_resumes_a_run_is_not_charged_for_an_earlier_one() -> None:
    ledger, run = resumed([RUN, reserved("x"), reserved("y"), settled("y", 7)])
    assert run.counted == Amount(17, 10)
    assert run.parent is not None
    assert run.parent.counted == Amount()
    ledger.reconcile("x", picousd=9, tokens=5)
    assert run.settled == Amount(16, 10)
    assert run.parent.counted == Amount()


def test_scopes_inside_a_resumed_run_take_up_their_own_numbers() -> None:
    """BUDGETS 22, nested."""
    ledger, run = resumed([RUN, STEP, reserved("x", "a"), reserved("y", "a"), settled("y", 7)])
    step = ledger.open_scope("a", parent=run, label="step a", limits=Limits(10**6))
    assert (step.settled, step.in_doubt, step.limits) == (Amount(7, 5), Amount(10, 5), Limits(None, 50))
    ledger.reconcile("x", picousd=1, tokens=45)
    assert step.settled == run.settled == Amount(8, 50)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(step, Demand(cap=1, min_cap=1), reservation="next")
    assert refusal.value.scope is step


def test_what_was_reconciled_before_its_scope_was_opened_again_is_not_in_doubt_there() -> None:
    ledger, run = resumed([RUN, STEP, reserved("x", "a")])
    ledger.reconcile("x", picousd=2, tokens=1)
    step = ledger.open_scope("a", parent=run, label="step a", limits=Limits())
    assert (step.settled, step.in_doubt) == (Amount(2, 1), Amount())


def test_a_scope_the_run_never_had_starts_from_nothing() -> None:
    ledger, run = resumed([RUN, reserved("x")])
    assert ledger.open_scope("new", parent=run, label="new", limits=Limits(5)).counted == Amount()


def test_a_run_resumed_twice_in_one_session_has_its_doubts_once() -> None:
    """The first try ended; the second reads the same journal."""
    records: list[Record] = [RUN, reserved("x")]
    ledger, first = resumed(records)
    ledger.close_scope(first)
    second = ledger.open_scope("", parent=first.parent, label="flow", limits=Limits(100))
    ledger.restore(second, replay(records))
    assert second.in_doubt == Amount(10, 5)
    ledger.reconcile("x", picousd=4, tokens=5)
    assert second.settled == Amount(4, 5)


def test_a_run_that_an_overrun_closed_is_still_closed_when_resumed() -> None:
    """BUDGETS rules 6 and 10: siblings that turned out cheaper do not open it again, a raised limit does."""
    overrun = [RUN, reserved("x", picousd=50), reserved("y", picousd=50), settled("x", 60)]
    ledger, run = resumed([*overrun, settled("y", 0)])
    assert run.counted.picousd < 100
    with pytest.raises(Refused):
        ledger.try_reserve(run, Demand(), reservation="next")
    ledger.raise_limits(run, Limits(100))
    assert ledger.try_reserve(run, Demand(), reservation="next") is not None


def test_a_second_overrun_that_breaks_nothing_does_not_open_what_the_first_closed() -> None:
    """BUDGETS rule 6."""
    state = replay(
        [
            RUN,
            *(reserved(name, picousd=picousd) for name, picousd in (("x", 50), ("y", 45), ("z", 5))),
            settled("x", 60),
            settled("y", 0),
            settled("z", 6),
        ]
    )
    assert state.scopes[""].counted.picousd == 66
    assert state.scopes[""].overdrawn == "usd"


def test_a_scope_in_use_cannot_be_restored() -> None:
    ledger = Ledger()
    run = ledger.open_scope("", parent=None, label="flow", limits=Limits(100))
    ledger.try_reserve(run, Demand(input_picousd=1), reservation="x")
    with pytest.raises(ValueError, match="right after"):
        ledger.restore(run, replay([RUN]))
