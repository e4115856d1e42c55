"""The ledger, case by case as the budget rules number them; prices: input 2, cached 0.50, output 8 USD per million."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum.actors.ledger import Amount, Demand, Ledger, Limits, Refused, Reservation, Scope, replay
from stratum.contracts.budget import Budget
from stratum.contracts.price import FREE, Price, Usage
from stratum.contracts.records import Reserved, ScopeOpened, Settled

PRICE = Price.per_million(input=2, cached=0.5, output=8)
MILLI = 10**9
"""A thousandth of a dollar, in picodollars."""


def demand(*, input_tokens: int = 1000, cap: int = 500, min_cap: int | None = None, price: Price = PRICE) -> Demand:
    """The worst case of a request; by default 0.006 USD, and it may not be shrunk."""
    return Demand(
        input_picousd=price.worst_case(input_tokens=input_tokens, output_tokens=0),
        picousd_per_output_token=price.output_rate(input_tokens=input_tokens),
        input_tokens=input_tokens,
        cap=cap,
        min_cap=cap if min_cap is None else min_cap,
    )


def money(millis: float) -> Demand:
    """A demand for so many thousandths of a dollar, and no tokens."""
    return Demand(input_picousd=round(millis * MILLI))


def budget(ledger: Ledger, usd: float | None = None, *, tokens: int | None = None) -> Scope:
    """A run with this limit."""
    return ledger.open_scope("", parent=None, label="flow", limits=Limits.of(Budget(usd=usd, tokens=tokens)))


def within(ledger: Ledger, parent: Scope, path: str, usd: float | None = None) -> Scope:
    return ledger.open_scope(path, parent=parent, label=path or "flow", limits=Limits.of(Budget(usd=usd)))


def hold(ledger: Ledger, scope: Scope, wanted: Demand, reservation: str = "r") -> Reservation:
    """Reserve what fits at once."""
    held = ledger.try_reserve(scope, wanted, reservation=reservation)
    assert held is not None, "it would have to wait"
    return held


def settle(ledger: Ledger, held: Reservation, millis: float) -> None:
    ledger.settle(held, picousd=round(millis * MILLI), tokens=held.tokens)


def free_millis(scope: Scope) -> float:
    return (scope.limit_picousd - scope.counted_picousd) / MILLI


class Asking:
    """Requests made from tasks of their own, and what each got."""

    def __init__(self, nursery: trio.Nursery, ledger: Ledger) -> None:
        self._nursery = nursery
        self._ledger = ledger
        self.held: dict[str, Reservation] = {}
        self.refused: dict[str, Refused] = {}

    async def ask(self, name: str, scope: Scope, wanted: Demand) -> None:
        """Returns once everything has come to rest."""
        self._nursery.start_soon(self._reserve, name, scope, wanted)
        await wait_all_tasks_blocked()

    async def _reserve(self, name: str, scope: Scope, wanted: Demand) -> None:
        try:
            self.held[name] = await self._ledger.reserve(scope, wanted, reservation=name)
        except Refused as refusal:
            self.refused[name] = refusal


def test_a_reservation_holds_its_worst_case() -> None:
    """BUDGETS 1."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    held = hold(ledger, flow, demand())
    assert held.amount == Amount(6 * MILLI, 1500)
    assert flow.in_flight == Amount(6 * MILLI, 1500)
    assert free_millis(flow) == 0


def test_settling_less_than_reserved_returns_the_rest() -> None:
    """BUDGETS 2."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    held = hold(ledger, flow, demand())
    ledger.settle(held, picousd=PRICE.cost(Usage(input_tokens=1000, output_tokens=100)), tokens=1100)
    assert flow.settled == Amount(2_800_000_000, 1100)
    assert flow.in_flight == Amount()
    assert free_millis(flow) == 3.2


def test_what_can_never_fit_is_refused_at_once() -> None:
    """BUDGETS 3."""
    ledger = Ledger()
    flow = budget(ledger, 0.0059)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(flow, demand(), reservation="a")
    assert (refusal.value.scope, refusal.value.resource, refusal.value.requested) == (flow, "usd", 6 * MILLI)
    assert flow.counted == Amount()


async def test_a_third_call_waits_for_room_and_runs_once_there_is(autojump_clock: MockClock) -> None:
    """BUDGETS 4, 5."""
    ledger = Ledger()
    flow = budget(ledger, 0.012)
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        for name in ("a", "b", "c"):
            await asking.ask(name, flow, demand())
        assert set(asking.held) == {"a", "b"}

        settle(ledger, asking.held["a"], 3)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"a", "b"}
        settle(ledger, asking.held["b"], 3)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"a", "b", "c"}
    assert flow.settled.picousd + flow.in_flight.picousd == 12 * MILLI


def test_what_is_in_doubt_is_not_waited_for_and_leaves_by_reconcile() -> None:
    """BUDGETS 6, 7."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    ledger.leave_in_doubt(hold(ledger, flow, demand(), "lost"))
    with pytest.raises(Refused):
        ledger.try_reserve(flow, demand(), reservation="next")

    ledger.reconcile("lost", picousd=0, tokens=0)
    assert flow.in_doubt == Amount()
    hold(ledger, flow, demand(), "next")


def test_a_call_that_was_certainly_not_billed_gives_all_of_it_back() -> None:
    """BUDGETS 8."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    ledger.release(hold(ledger, flow, demand()))
    assert flow.counted == Amount()
    hold(ledger, flow, demand(), "again")


def test_an_overrun_is_booked_in_full_and_closes_the_scope_it_breaks() -> None:
    """BUDGETS 9."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    settlement = ledger.settle(hold(ledger, flow, demand()), picousd=7_500_000_000, tokens=1500)
    assert settlement.overrun == Amount(1_500_000_000, 0)
    assert settlement.closed == [flow]
    assert flow.settled.picousd == 7_500_000_000
    assert flow.overdrawn == "usd"
    with pytest.raises(Refused):
        ledger.try_reserve(flow, demand(price=FREE), reservation="next")


def test_an_overrun_within_the_limit_is_flagged_and_the_scope_stays_open() -> None:
    """BUDGETS 10."""
    ledger = Ledger()
    flow = budget(ledger, 1)
    settlement = ledger.settle(hold(ledger, flow, demand()), picousd=7_500_000_000, tokens=1500)
    assert settlement.overrun == Amount(1_500_000_000, 0)
    assert settlement.closed == []
    hold(ledger, flow, demand(), "next")


def test_cached_input_is_settled_at_its_own_price() -> None:
    """BUDGETS 11."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    usage = Usage(input_tokens=1000, cached_tokens=800, output_tokens=500)
    ledger.settle(hold(ledger, flow, demand()), picousd=PRICE.cost(usage), tokens=usage.total_tokens)
    assert flow.settled.picousd == 4_800_000_000


def test_an_answer_without_usage_costs_the_whole_reservation() -> None:
    """BUDGETS 12."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    held = hold(ledger, flow, demand())
    ledger.settle(held, picousd=held.picousd, tokens=held.tokens)
    assert flow.settled == held.amount


async def test_calls_wait_for_whichever_scope_around_them_lacks_room(autojump_clock: MockClock) -> None:
    """BUDGETS 13, 14, 15."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits.of(Budget(usd=0.010)))
    first_flow = within(ledger, session, "", 0.008)
    steps = [within(ledger, first_flow, name, 0.006) for name in ("one", "two")]
    second_flow = within(ledger, session, "", 0.009)
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("one", steps[0], demand())
        await asking.ask("two", steps[1], demand())
        await asking.ask("other", second_flow, demand())
        assert set(asking.held) == {"one"}

        settle(ledger, asking.held["one"], 2)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"one", "two"}
        await asking.ask("one again", steps[0], demand())
        assert asking.refused["one again"].scope is steps[0]

        settle(ledger, asking.held["two"], 6)
        await wait_all_tasks_blocked()
        assert asking.refused["other"].scope is session


async def test_nobody_overtakes_in_a_line(autojump_clock: MockClock) -> None:
    """BUDGETS 16, 17."""
    ledger = Ledger()
    flow = budget(ledger, 0.012)
    running = hold(ledger, flow, money(6), "running")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("large", flow, money(10))
        await asking.ask("small", flow, money(1))
        assert asking.held == {}

        settle(ledger, running, 1)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"large", "small"}
    assert free_millis(flow) == 0


@pytest.mark.parametrize(("limit", "each", "calls"), [(0.5, 0.05, 10), (0.3, 0.1, 3)])
def test_floats_that_do_not_add_up_still_fit_exactly(limit: float, each: float, calls: int) -> None:
    """BUDGETS 18, 19."""
    ledger = Ledger()
    flow = budget(ledger, limit)
    for number in range(calls):
        held = hold(ledger, flow, Demand(input_picousd=Budget(usd=each).picousd or 0), str(number))
        ledger.settle(held, picousd=held.picousd, tokens=0)
    assert flow.settled.picousd == flow.limit_picousd
    assert flow.exhausted


@pytest.mark.parametrize("usd", [-1, math.nan, math.inf, "abc", True])
def test_what_is_not_an_amount_of_money_is_refused(usd: float) -> None:
    """BUDGETS 20."""
    with pytest.raises(ValueError, match="pass"):
        Budget(usd=usd)


def test_a_budget_of_nothing_admits_what_costs_nothing() -> None:
    """BUDGETS 21."""
    ledger = Ledger()
    flow = budget(ledger, 0)
    with pytest.raises(Refused):
        ledger.try_reserve(flow, demand(), reservation="priced")
    hold(ledger, flow, demand(price=FREE), "free")


def test_a_killed_run_goes_on_with_what_it_had_open_in_doubt() -> None:
    """BUDGETS 22."""
    reserved = [
        Reserved(reservation=name, scope="", call=name, attempt=1, model="m", picousd=6 * MILLI, tokens=1500)
        for name in ("a", "b", "c")
    ]
    state = replay(
        [
            ScopeOpened(scope="", label="flow", limits={"usd": 20 * MILLI}),
            *reserved,
            Settled(reservation="a", picousd=6 * MILLI, tokens=1500),
        ]
    )
    ledger = Ledger()
    flow = budget(ledger, 0.02)
    ledger.restore(flow, state)
    assert flow.settled.picousd == 6 * MILLI
    assert flow.in_doubt.picousd == 12 * MILLI
    assert flow.in_flight == Amount()
    with pytest.raises(Refused):
        ledger.try_reserve(flow, demand(), reservation="next")


@pytest.mark.parametrize(("usd", "picousd"), [("0.0025", 2_500), ("0.05", 50_000), ("0.00013", 130)])
def test_prices_per_million_are_whole_picodollars_a_token(usd: str, picousd: int) -> None:
    """BUDGETS 23."""
    assert Price.per_million(input=float(usd), output=Decimal(usd)).rates.input == picousd
    assert Price.per_million(input=float(usd), output=Decimal(usd)).rates.output == picousd


def test_every_attempt_draws_on_the_same_budget() -> None:
    """BUDGETS 24, CASES D12."""
    ledger = Ledger()
    call = budget(ledger, 0.018)
    for attempt in range(3):
        settle(ledger, hold(ledger, call, demand(), str(attempt)), 6)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(call, demand(), reservation="fourth")
    assert refusal.value.exceeded().settled == 18 * MILLI


def test_the_cap_is_lowered_to_what_is_left() -> None:
    """BUDGETS 25."""
    ledger = Ledger()
    flow = budget(ledger, 0.005)
    held = hold(ledger, flow, demand(min_cap=16))
    assert held.cap == 375
    assert free_millis(flow) == 0


async def test_a_waiter_is_refused_as_soon_as_it_can_never_fit(autojump_clock: MockClock) -> None:
    """BUDGETS rule 3; also one that stands behind others, and one that stands in an outer scope's line."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits.of(Budget(usd=0.1)))
    flow = within(ledger, session, "", 0.05)
    elsewhere = hold(ledger, session, money(70), "elsewhere")
    here = hold(ledger, flow, money(20), "here")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("small", session, money(15))
        await asking.ask("large", flow, money(30))
        assert not asking.held
        assert not asking.refused

        ledger.settle(here, picousd=20 * MILLI + 1, tokens=0)
        await wait_all_tasks_blocked()
        assert asking.held == {}
        assert asking.refused["large"].scope is flow
        settle(ledger, elsewhere, 0)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"small"}


def test_whoever_stood_behind_one_that_was_refused_moves_up() -> None:
    """Also where the refusal came from another scope than the one they stood at."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call", 0.006)
    decided: list[Reservation | Refused] = []
    hold(ledger, call, money(3), "running")
    sibling = hold(ledger, flow, money(1), "sibling")
    ledger.wait(call, money(5), reservation="large", decided=decided.append)
    ledger.wait(call, money(1), reservation="small", decided=decided.append)
    settle(ledger, sibling, 5.5)
    refused, admitted = decided
    assert isinstance(refused, Refused) and refused.scope is flow
    assert isinstance(admitted, Reservation) and admitted.id == "small"


def test_what_is_left_in_doubt_refuses_who_waited_for_it() -> None:
    """BUDGETS rules 3 and 5: it will not be given back."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    decided: list[Reservation | Refused] = []
    running = hold(ledger, flow, demand(), "running")
    ledger.wait(flow, demand(), reservation="next", decided=decided.append)
    ledger.leave_in_doubt(running)
    assert [type(decision) for decision in decided] == [Refused]


def test_the_innermost_scope_refuses_a_waiter_too() -> None:
    """BUDGETS Words."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call", 0.010)
    decided: list[Reservation | Refused] = []
    running = hold(ledger, call, demand(), "running")
    ledger.wait(call, demand(), reservation="next", decided=decided.append)
    ledger.leave_in_doubt(running)
    assert isinstance(decided[0], Refused) and decided[0].scope is call


def test_of_two_lines_that_move_at_once_whoever_came_first_goes_first() -> None:
    """Room that opens in an inner and an outer scope is not taken from the one who has waited longer."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits.of(Budget(usd=0.010)))
    flow = within(ledger, session, "", 0.006)
    decided: list[Reservation | Refused] = []
    hold(ledger, session, money(1), "sibling")
    running = hold(ledger, flow, demand(), "running")
    ledger.wait(flow, money(3), reservation="early", decided=decided.append)
    ledger.wait(session, money(7), reservation="late", decided=decided.append)
    ledger.release(running)
    assert [decision.id for decision in decided if isinstance(decision, Reservation)] == ["early"]


def test_decisions_are_told_in_order_of_arrival() -> None:
    """Refusals and admissions alike."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    decided: list[Reservation | Refused] = []
    running = hold(ledger, flow, money(10), "running")
    for name, millis in (("a", 2), ("b", 9), ("c", 3)):
        ledger.wait(flow, money(millis), reservation=name, decided=decided.append)
    settle(ledger, running, 4)
    assert [decision.id if isinstance(decision, Reservation) else "refused" for decision in decided] == [
        "a",
        "refused",
        "c",
    ]


async def test_the_cap_shrinks_to_what_has_settled_rather_than_to_what_is_in_flight(autojump_clock: MockClock) -> None:
    """BUDGETS rule 3: a waiter takes its full cap if it can have it by waiting."""
    ledger = Ledger()
    flow = budget(ledger, 0.012)
    running = hold(ledger, flow, money(9), "running")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("a", flow, demand(min_cap=16))
        assert asking.held == {}
        settle(ledger, running, 8)
        await wait_all_tasks_blocked()
        assert asking.held["a"].cap == 250
    assert free_millis(flow) == 0


def test_a_cap_below_the_smallest_worth_sending_is_refused() -> None:
    """BUDGETS rule 3."""
    ledger = Ledger()
    flow = budget(ledger, 0.005)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(flow, demand(min_cap=376), reservation="a")
    assert refusal.value.requested == PRICE.worst_case(input_tokens=1000, output_tokens=376)


async def test_tokens_are_reserved_waited_for_and_refused_like_money(autojump_clock: MockClock) -> None:
    """CASES D16."""
    ledger = Ledger()
    flow = budget(ledger, tokens=3000)
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        for name in ("a", "b", "c"):
            await asking.ask(name, flow, demand())
        assert set(asking.held) == {"a", "b"}
        ledger.settle(asking.held["a"], picousd=0, tokens=1600)
        await wait_all_tasks_blocked()
        assert (asking.refused["c"].resource, asking.refused["c"].requested) == ("tokens", 1500)
    assert flow.overdrawn == "tokens"


def test_the_cap_shrinks_to_the_tokens_left() -> None:
    """CASES D16."""
    ledger = Ledger()
    flow = budget(ledger, tokens=1100)
    held = hold(ledger, flow, demand(min_cap=16))
    assert held.cap == 100
    ledger.settle(held, picousd=0, tokens=1100)
    assert flow.exhausted


def test_spending_exactly_the_limit_exhausts_it_and_a_picodollar_less_does_not() -> None:
    """CASES D13."""
    for left in (0, 1):
        ledger = Ledger()
        flow = budget(ledger, 0.006)
        held = hold(ledger, flow, demand())
        assert not flow.exhausted, "it may turn out to cost less"
        ledger.settle(held, picousd=6 * MILLI - left, tokens=1500)
        assert flow.exhausted is (left == 0)


def test_a_hundred_calls_at_once_send_exactly_what_fits() -> None:
    """CASES D3: 100 branches against a budget that affords 10."""
    ledger = Ledger()
    flow = budget(ledger, 0.06)
    decided: list[Reservation | Refused] = []
    running: list[Reservation] = []
    for number in range(100):
        held = ledger.try_reserve(flow, demand(), reservation=str(number))
        if held is not None:
            running.append(held)
        else:
            ledger.wait(flow, demand(), reservation=str(number), decided=decided.append)
    assert [held.id for held in running] == [str(number) for number in range(10)]
    for held in running:
        settle(ledger, held, 6)
    assert all(isinstance(decision, Refused) for decision in decided)
    assert len(decided) == 90


def test_a_nested_budget_draws_on_all_around_it_and_can_only_tighten() -> None:
    """CASES D5, D6."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call", 1)
    settle(ledger, hold(ledger, call, money(6), "a"), 6)
    assert call.settled == flow.settled == Amount(6 * MILLI)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(call, money(5), reservation="b")
    assert refusal.value.scope is flow


def test_without_any_limit_everything_fits_and_is_counted() -> None:
    """CASES D7."""
    ledger = Ledger()
    flow = budget(ledger)
    settle(ledger, hold(ledger, flow, money(10**9)), 10**9)
    assert flow.settled.picousd == 10**18
    assert not flow.exhausted


def test_the_innermost_scope_that_cannot_afford_it_refuses() -> None:
    """BUDGETS Words: the error belongs to the owner of the scope whose own limit refuses."""
    ledger = Ledger()
    flow = budget(ledger, 0.001)
    call = within(ledger, flow, "call", 0.002)
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(call, money(3), reservation="a")
    assert refusal.value.scope is call


def test_a_refusal_tells_its_owner_all_the_numbers() -> None:
    """BUDGETS Words."""
    ledger = Ledger()
    flow = budget(ledger, 0.02)
    settle(ledger, hold(ledger, flow, money(5), "paid"), 5)
    ledger.leave_in_doubt(hold(ledger, flow, money(4), "lost"))
    hold(ledger, flow, money(3), "running")
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(flow, money(12), reservation="next")
    error = refusal.value.exceeded(remaining=["next"])
    assert (error.resource, error.limit, error.requested) == ("usd", 20 * MILLI, 12 * MILLI)
    assert (error.settled, error.in_flight, error.in_doubt) == (5 * MILLI, 3 * MILLI, 4 * MILLI)
    assert (error.step, error.remaining) == ("flow", ["next"])


def test_a_refusal_in_tokens_tells_its_numbers_in_tokens() -> None:
    """BUDGETS Words."""
    ledger = Ledger()
    flow = budget(ledger, tokens=2000)
    hold(ledger, flow, demand())
    with pytest.raises(Refused) as refusal:
        ledger.try_reserve(flow, demand(cap=1500), reservation="next")
    error = refusal.value.exceeded()
    assert (error.resource, error.limit, error.in_flight, error.requested) == ("tokens", 2000, 1500, 2500)


async def test_a_cancelled_wait_holds_nothing_and_lets_the_next_one_through(autojump_clock: MockClock) -> None:
    """BUDGETS rule 3: a wait ends by settlement, refusal, cancel or deadline."""
    ledger = Ledger()
    flow = budget(ledger, 0.012)
    running = hold(ledger, flow, money(6), "running")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        with trio.move_on_after(1) as deadline:
            nursery.start_soon(asking.ask, "small", flow, money(5))
            await ledger.reserve(flow, money(10), reservation="large")
        assert deadline.cancelled_caught
        assert trio.current_time() == 1
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"small"}
    settle(ledger, running, 6)
    settle(ledger, asking.held["small"], 5)
    assert flow.counted.picousd == 11 * MILLI
    ledger.close_scope(flow)


async def test_one_that_was_admitted_before_it_was_cancelled_still_gets_its_reservation(
    autojump_clock: MockClock,
) -> None:
    """Whoever reserved has to end the reservation: it must not be lost between the two."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    running = hold(ledger, flow, demand(), "running")
    got: list[Reservation] = []

    async def wait_for_room() -> None:
        got.append(await ledger.reserve(flow, demand(), reservation="next"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_room)
        await wait_all_tasks_blocked()
        ledger.release(running)
        nursery.cancel_scope.cancel()
    assert flow.in_flight == got[0].amount


async def test_reserving_what_fits_does_not_checkpoint(autojump_clock: MockClock) -> None:
    """Also in a cancelled scope: whether to go on is the caller's decision."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    with trio.testing.assert_no_checkpoints():
        await ledger.reserve(flow, demand(), reservation="a")


def test_withdrawing_twice_is_harmless() -> None:
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    hold(ledger, flow, demand(), "running")
    waiter = ledger.wait(flow, demand(), reservation="next", decided=lambda _: None)
    ledger.withdraw(waiter)
    ledger.withdraw(waiter)
    assert not ledger.fits(flow, demand())


def test_who_waits_for_one_flow_does_not_hold_up_another() -> None:
    """A waiter stands behind others only for a scope that lacks room for them."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits.of(Budget(usd=1)))
    full, other = within(ledger, session, "", 0.006), within(ledger, session, "", 0.006)
    hold(ledger, full, demand(), "running")
    ledger.wait(full, demand(), reservation="waiting", decided=lambda _: None)
    assert ledger.fits(session, demand()) is False
    assert ledger.try_reserve(other, demand(), reservation="other") is not None


def test_a_large_demand_is_not_starved_by_small_ones_that_come_later() -> None:
    """No starvation: what is ahead of it only ends, nothing joins ahead of it."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    running = [hold(ledger, flow, money(1), f"early {number}") for number in range(10)]
    decided: list[Reservation | Refused] = []
    ledger.wait(flow, money(5), reservation="large", decided=decided.append)
    ended = 0
    while not decided:
        ledger.release(running[ended])
        ended += 1
        if not decided:
            assert ledger.try_reserve(flow, money(1), reservation="late") is None
    assert ended == 5, "half of what was ahead of it had to end, and nothing that came later"


def test_ten_thousand_waiters_are_admitted_in_order_of_arrival() -> None:
    """A waiter is a record, not a task; a settlement costs O(log n)."""
    ledger = Ledger()
    flow = budget(ledger, 0.060)
    waiting: list[Reservation | Refused] = []
    running = [hold(ledger, flow, demand(), str(number)) for number in range(10)]
    for number in range(10, 10_000):
        ledger.wait(flow, demand(), reservation=str(number), decided=waiting.append)
    order: list[str] = []
    while running:
        held = running.pop(0)
        order.append(held.id)
        ledger.release(held)
        running += [decision for decision in waiting if isinstance(decision, Reservation)]
        waiting.clear()
    assert order == [str(number) for number in range(10_000)]
    assert flow.counted == Amount()


def test_whoever_is_told_may_use_the_ledger_at_once() -> None:
    """Decisions are told after the books are in order."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    order: list[str] = []

    def settle_at_once(decision: Reservation | Refused) -> None:
        assert isinstance(decision, Reservation)
        order.append(decision.id)
        ledger.release(decision)

    running = hold(ledger, flow, demand(), "running")
    for name in ("a", "b", "c"):
        ledger.wait(flow, demand(), reservation=name, decided=settle_at_once)
    ledger.release(running)
    assert order == ["a", "b", "c"]
    assert flow.counted == Amount()


async def test_a_sealed_scope_refuses_waiters_and_newcomers_and_lets_calls_in_flight_end(
    autojump_clock: MockClock,
) -> None:
    """BUDGETS Words, `drain`."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits.of(Budget(usd=0.012)))
    flow = within(ledger, session, "")
    running = hold(ledger, flow, demand(), "running")
    other = hold(ledger, session, demand(), "other")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("waiting", flow, demand())
        await asking.ask("outside", session, demand())
        ledger.seal(flow, "tokens")
        await wait_all_tasks_blocked()
        assert (asking.refused["waiting"].scope, asking.refused["waiting"].resource) == (flow, "tokens")
        await asking.ask("new", flow, money(0))
        assert asking.refused["new"].scope is flow
        settle(ledger, other, 0)
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"outside"}
    settle(ledger, running, 6)
    assert flow.settled.picousd == 6 * MILLI
    assert flow.exhausted


async def test_raising_a_limit_admits_who_waits_for_it(autojump_clock: MockClock) -> None:
    """BUDGETS rule 10; an axis that is not named stays as it is."""
    ledger = Ledger()
    flow = budget(ledger, 0.006, tokens=10_000)
    hold(ledger, flow, demand(), "running")
    async with trio.open_nursery() as nursery:
        asking = Asking(nursery, ledger)
        await asking.ask("next", flow, demand())
        assert asking.held == {}
        ledger.raise_limits(flow, Limits(picousd=12 * MILLI))
        await wait_all_tasks_blocked()
        assert set(asking.held) == {"next"}
    assert flow.limits == Limits(12 * MILLI, 10_000)


def test_raising_a_limit_past_an_overrun_opens_the_scope_again() -> None:
    """BUDGETS rule 10."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    settle(ledger, hold(ledger, flow, demand(), "a"), 7)
    ledger.raise_limits(flow, Limits(picousd=7 * MILLI - 1))
    assert not flow.admits
    ledger.raise_limits(flow, Limits(picousd=13 * MILLI))
    assert flow.admits
    hold(ledger, flow, demand(), "b")


def test_a_limit_below_what_counts_closes_the_scope() -> None:
    """BUDGETS rule 10: L < S + D."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    settle(ledger, hold(ledger, flow, demand(), "a"), 5)
    ledger.raise_limits(flow, Limits(picousd=4 * MILLI))
    with pytest.raises(Refused):
        ledger.try_reserve(flow, demand(price=FREE), reservation="free")


def test_a_sealed_scope_stays_sealed_whatever_is_raised() -> None:
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    ledger.seal(flow)
    ledger.raise_limits(flow, Limits(picousd=10**12))
    assert not flow.admits


def test_an_overrun_closes_each_scope_it_breaks_and_no_other() -> None:
    """BUDGETS rule 6."""
    ledger = Ledger()
    session = ledger.open_scope("", parent=None, label="session", limits=Limits())
    flow = within(ledger, session, "", 0.010)
    call = within(ledger, flow, "call", 0.006)
    hold(ledger, flow, money(4), "sibling")
    settlement = ledger.settle(hold(ledger, call, demand(), "a"), picousd=7 * MILLI, tokens=1500)
    assert settlement.closed == [flow, call]
    assert session.admits


def test_a_broken_scope_stays_closed_when_siblings_turn_out_cheaper() -> None:
    """BUDGETS rule 6: closed is closed, until a person raises the limit."""
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    sibling = hold(ledger, flow, money(4), "sibling")
    settle(ledger, hold(ledger, flow, demand(), "a"), 7)
    ledger.release(sibling)
    assert flow.counted.picousd < flow.limit_picousd
    with pytest.raises(Refused):
        ledger.try_reserve(flow, money(1), reservation="next")


def test_reconciling_at_more_than_was_reserved_is_an_overrun() -> None:
    """BUDGETS rules 5 and 6."""
    ledger = Ledger()
    flow = budget(ledger, 0.006)
    ledger.leave_in_doubt(hold(ledger, flow, demand(), "lost"))
    settlement = ledger.reconcile("lost", picousd=7 * MILLI, tokens=1)
    assert settlement.overrun == Amount(MILLI, 0)
    assert settlement.closed == [flow]
    assert flow.settled == Amount(7 * MILLI, 1)
    assert flow.in_doubt == Amount()


def test_only_what_is_in_doubt_can_be_reconciled() -> None:
    ledger = Ledger()
    hold(ledger, budget(ledger, 0.006), demand(), "running")
    for name in ("running", "unknown"):
        with pytest.raises(ValueError, match="in doubt"):
            ledger.reconcile(name, picousd=0, tokens=0)


def test_a_reservation_ends_once() -> None:
    ledger = Ledger()
    flow = budget(ledger, 1)
    ended, lost = hold(ledger, flow, demand(), "a"), hold(ledger, flow, demand(), "b")
    settle(ledger, ended, 1)
    ledger.leave_in_doubt(lost)
    for held in (ended, lost):
        with pytest.raises(ValueError, match="not in flight"):
            ledger.release(held)
        with pytest.raises(ValueError, match="not in flight"):
            ledger.leave_in_doubt(held)
        with pytest.raises(ValueError, match="not in flight"):
            settle(ledger, held, 1)
    assert flow.counted.picousd == 7 * MILLI


@pytest.mark.parametrize(("picousd", "tokens"), [(-1, 0), (0, -1)])
def test_nothing_costs_less_than_nothing(picousd: int, tokens: int) -> None:
    """I3: what is settled never falls."""
    ledger = Ledger()
    flow = budget(ledger, 1)
    held = hold(ledger, flow, demand())
    with pytest.raises(ValueError, match="cannot have cost"):
        ledger.settle(held, picousd=picousd, tokens=tokens)
    assert flow.in_flight == held.amount


def test_a_reservation_has_an_id_of_its_own() -> None:
    ledger = Ledger()
    flow = budget(ledger, 1)
    hold(ledger, flow, demand(), "a")
    with pytest.raises(ValueError, match="unique"):
        ledger.try_reserve(flow, demand(), reservation="a")


def test_there_is_nothing_to_wait_for_where_it_fits() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="try_reserve"):
        ledger.wait(budget(ledger, 1), demand(), reservation="a", decided=lambda _: None)


def test_a_closed_scope_stays_counted_around_it_and_admits_nothing() -> None:
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call", 0.006)
    settle(ledger, hold(ledger, call, demand()), 5)
    ledger.close_scope(call)
    assert flow.settled.picousd == 5 * MILLI
    with pytest.raises(ValueError, match="closed"):
        ledger.try_reserve(call, money(1), reservation="late")
    with pytest.raises(ValueError, match="closed"):
        within(ledger, call, "call/inner", 1)
    with pytest.raises(ValueError, match="closed already"):
        ledger.close_scope(call)


def test_a_doubt_left_in_a_closed_scope_can_still_be_reconciled() -> None:
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call", 0.006)
    ledger.leave_in_doubt(hold(ledger, call, demand(), "lost"))
    ledger.close_scope(call)
    ledger.reconcile("lost", picousd=MILLI, tokens=1)
    assert flow.counted == Amount(MILLI, 1)


def test_a_scope_in_use_cannot_be_closed() -> None:
    ledger = Ledger()
    flow = budget(ledger, 0.010)
    call = within(ledger, flow, "call")
    running = hold(ledger, call, money(10), "running")
    waiter = ledger.wait(call, demand(), reservation="next", decided=lambda _: None)
    for scope in (flow, call):
        with pytest.raises(ValueError, match="end those first"):
            ledger.close_scope(scope)
    ledger.withdraw(waiter)
    with pytest.raises(ValueError, match="end those first"):
        ledger.close_scope(call)
    ledger.release(running)
    ledger.close_scope(call)
    ledger.close_scope(flow)


@pytest.mark.parametrize(("path", "inner"), [("a", "b"), ("a", "ab/c"), ("a/b", "a")])
def test_a_scope_lies_below_its_parent(path: str, inner: str) -> None:
    ledger = Ledger()
    outer = within(ledger, budget(ledger), path)
    with pytest.raises(ValueError, match="below"):
        within(ledger, outer, inner)


@pytest.mark.parametrize(
    "wrong",
    [{"input_picousd": -1}, {"picousd_per_output_token": -1}, {"input_tokens": -1}, {"min_cap": -1}, {"min_cap": 6}],
)
def test_a_demand_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="pass"):
        Demand(**{"cap": 5} | wrong)


@pytest.mark.parametrize("wrong", [{"picousd": -1}, {"tokens": -1}])
def test_a_negative_limit_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Limits(**wrong)
