"""The ledger against the reference, over random trees of scopes and random histories, kills included.

What each run's journal would say is written as the engine writes it, and replayed after every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.actors.reference_ledger import NOTHING, Booking, Node, Reference, Standing

from stratum.actors.ledger import Amount, Demand, Ledger, Limits, Refused, Reservation, Scope, Spendable, replay
from stratum.contracts.records import (
    LeftInDoubt,
    LimitRaised,
    Reconciled,
    Record,
    Released,
    Reserved,
    RunResumed,
    ScopeOpened,
    Settled,
)

T = TypeVar("T")

# A request needs up to 60 of either; two to six of them fit, so that waiting is as common as being admitted.
amounts = st.integers(60, 200)
limits = st.one_of(
    st.builds(Limits, amounts, st.none()),
    st.builds(Limits, amounts, amounts),
    st.builds(Limits, st.none() | amounts, st.none() | amounts),
)
any_limits = st.builds(Limits, st.none() | st.integers(0, 400), st.none() | st.integers(0, 400))
picks = st.integers(0, 10**6)
"""Which of the things there are, modulo their number."""


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    cap = draw(st.integers(0, 10))
    return Demand(
        input_picousd=draw(st.integers(0, 30)),
        picousd_per_output_token=draw(st.integers(0, 3)),
        input_tokens=draw(st.integers(0, 50)),
        cap=cap,
        min_cap=draw(st.integers(0, cap)),
    )


class LedgerHistories(RuleBasedStateMachine):
    """One session after another, killed in between; two runs, and scopes in them."""

    def __init__(self) -> None:
        super().__init__()
        self.reference = Reference()
        self.journals: list[list[Record]] = [[], []]
        self.decisions: list[tuple[str, Reservation | Refused]] = []
        self.requests = self.requests_before_kill = 0
        self.reconciling = False
        self.spent_before: dict[Node, tuple[Amount, Amount]] = {}

    @initialize(session_limits=limits, inner_limits=st.lists(limits, min_size=5, max_size=5))
    def begin(self, session_limits: Limits, inner_limits: list[Limits]) -> None:
        self.ledger = Ledger()
        self.session = self._open_session(session_limits.raised_to(Limits(400, 400)))
        runs = [self._open_new("", self.session, run, inner_limits.pop()) for run in range(2)]
        flow = self._open_new("flow", runs[0], 0, inner_limits.pop())
        for name in ("flow/a", "flow/b"):
            self._open_new(name, flow, 0, inner_limits.pop())

    # What may happen

    @rule(pick=picks, wanted=limits)
    def open_scope(self, pick: int, wanted: Limits) -> None:
        parent = _pick([node for node in self._open_nodes() if node.run is not None], pick)
        assert parent.run is not None
        name = f"s{len(self.reference.nodes)}"
        self._open_new(f"{parent.path}/{name}" if parent.path else name, parent, parent.run, wanted)

    @rule(pick=picks, wanted=st.lists(demands(), min_size=1, max_size=8))
    def request(self, pick: int, wanted: list[Demand]) -> None:
        node = _pick(self._open_nodes(), pick)
        for demand in wanted:
            self._request(node, demand)

    @rule(wanted=st.lists(st.tuples(picks, demands()), min_size=2, max_size=8))
    def request_here_and_there(self, wanted: list[tuple[int, Demand]]) -> None:
        for pick, demand in wanted:
            self._request(_pick(self._open_nodes(), pick), demand)

    def _request(self, node: Node, demand: Demand) -> None:
        self.requests += 1
        name = f"r{self.requests}"
        refuser = self.reference.refuser(node, demand)
        try:
            held = self.ledger.try_reserve(node.scope, demand, reservation=name)
        except Refused as refusal:
            assert refuser is not None
            assert (refusal.scope, refusal.resource) == (refuser.live, self.reference.lacks(refuser, demand))
            return
        assert refuser is None
        cap, at = self.reference.prospect(node, demand, self.reference.standing)
        if held is not None:
            assert at is None
            self._admitted(self.reference.hold(name, node, demand, cap), held)
            return
        assert at is not None
        waiter = self.ledger.wait(
            node.scope, demand, reservation=name, decided=lambda decision: self.decisions.append((name, decision))
        )
        self.reference.standing.append(Standing(name, node, demand, waiter, at))

    @precondition(lambda self: self._in_flight())
    @rule(pick=picks, how=st.sampled_from(["settle", "settle", "settle", "release", "doubt", "overrun"]), beyond=picks)
    def end_a_call(self, pick: int, how: str, beyond: int) -> None:
        booking = _pick(self._in_flight(), pick)
        assert booking.held is not None
        if how == "doubt":
            self._leave_in_doubt(booking, booking.held)
        elif how == "release":
            self._release(booking, booking.held)
        else:
            if how == "overrun":
                booking.bill = booking.amount + Amount(beyond % 40, beyond % 3)
            self._settle(booking, booking.held)
        self._check_decisions(booking.charged)

    def _settle(self, booking: Booking, held: Reservation) -> None:
        bill = booking.bill
        settlement = self.ledger.settle(held, picousd=bill.picousd, tokens=bill.tokens)
        self._book(booking)
        assert (settlement.overrun is not None) == bill.exceeds(booking.amount)
        assert list(settlement.closed) == self._overdrawn_by(booking)
        self._append(booking.node, Settled(reservation=booking.id, picousd=bill.picousd, tokens=bill.tokens))

    def _release(self, booking: Booking, held: Reservation) -> None:
        booking.bill = NOTHING
        self.ledger.release(held)
        self._book(booking)
        self._append(booking.node, Released(reservation=booking.id, reason="429"))

    def _leave_in_doubt(self, booking: Booking, held: Reservation) -> None:
        self.ledger.leave_in_doubt(held)
        booking.state = "in_doubt"
        self._append(booking.node, LeftInDoubt(reservation=booking.id, reason="reset"))

    @precondition(lambda self: self._in_doubt())
    @rule(pick=picks, beyond=st.just(0) | st.integers(0, 30))
    def reconcile(self, pick: int, beyond: int) -> None:
        booking = _pick(self._in_doubt(), pick)
        if beyond:
            booking.bill = booking.amount + Amount(beyond, 0)
        self.ledger.reconcile(booking.id, picousd=booking.bill.picousd, tokens=booking.bill.tokens)
        self.reconciling = True
        self._book(booking)
        self._overdrawn_by(booking)
        self._append(
            booking.node,
            Reconciled(reservation=booking.id, picousd=booking.bill.picousd, tokens=booking.bill.tokens),
        )
        self._check_decisions([node for node in booking.charged if node.live is not None])

    @rule(pick=picks, wanted=any_limits)
    def raise_limits(self, pick: int, wanted: Limits) -> None:
        node = _pick(self._open_nodes(), pick)
        self.ledger.raise_limits(node.scope, wanted)
        node.limits = node.limits.raised_to(wanted)
        node.overdrawn = self.reference.over(node, self.reference.counted(node))
        self._append(node, LimitRaised(scope=node.path, limits=_named(wanted)))
        self._check_decisions([node])

    @precondition(lambda self: self.requests - self.requests_before_kill > 8)
    @rule(pick=picks, resource=st.sampled_from(["usd", "tokens"]))
    def seal(self, pick: int, resource: Spendable) -> None:
        node = _pick([node for node in self._open_nodes() if node.run is not None], pick)
        self.ledger.seal(node.scope, resource)
        node.sealed = resource
        self._check_decisions([node])

    @precondition(lambda self: self.reference.standing)
    @rule(pick=picks)
    def withdraw(self, pick: int) -> None:
        standing = _pick(self.reference.standing, pick)
        self.ledger.withdraw(standing.waiter)
        self.reference.standing.remove(standing)
        self._check_decisions([], vacated=[standing.at])

    @precondition(lambda self: any(node.path for node in self._open_nodes()))
    @rule(pick=picks)
    def close_scope(self, pick: int) -> None:
        node = _pick([node for node in self._open_nodes() if node.path], pick)
        inside = [other for other in self._open_nodes() if node in other.chain and other is not node]
        waiting = [standing for standing in self.reference.standing if node in standing.node.chain]
        in_use = bool(inside or waiting or self.reference.held(node, "in_flight") != NOTHING)
        try:
            self.ledger.close_scope(node.scope)
        except ValueError:
            assert in_use
        else:
            assert not in_use
            node.closed = True

    @precondition(lambda self: self.requests - self.requests_before_kill > 12)
    @rule(session_limits=limits, declared=limits)
    def kill_and_resume(self, session_limits: Limits, declared: Limits) -> None:
        self.requests_before_kill = self.requests
        self.ledger = Ledger()
        self.decisions.clear()
        self.reference.standing.clear()
        self.reference.nodes.remove(self.session)
        for booking in self.reference.bookings:
            booking.held = None
            booking.charged = [node for node in booking.charged if node is not self.session]
            if booking.state == "in_flight":
                booking.state = "in_doubt"
        # Calls of the session's own, outside any run, have no journal here.
        self.reference.bookings = [booking for booking in self.reference.bookings if booking.charged]
        for node in self.reference.nodes:
            node.live = node.sealed = None
        self.session = self._open_session(session_limits.raised_to(Limits(400, 400)))
        for node in [node for node in self.reference.nodes if node.path == "" and node.run is not None]:
            assert node.run is not None
            node.parent = self.session
            node.live = self.ledger.open_scope("", parent=self.session.scope, label="", limits=declared)
            self.ledger.restore(node.live, replay(self.journals[node.run]))
            self.journals[node.run].append(RunResumed(session="next"))

    @precondition(lambda self: self._to_reopen())
    @rule(pick=picks, declared=limits)
    def open_again(self, pick: int, declared: Limits) -> None:
        node = _pick(self._to_reopen(), pick)
        assert node.parent is not None
        node.live = self.ledger.open_scope(node.path, parent=node.parent.scope, label="", limits=declared)

    # What always holds

    @invariant()
    def numbers_are_those_of_the_reference(self) -> None:
        for node in self._live_nodes():
            scope = node.scope
            assert scope.settled == self.reference.settled(node)
            assert scope.in_flight == self.reference.held(node, "in_flight")
            assert scope.in_doubt == self.reference.held(node, "in_doubt")
            assert (scope.limits, scope.overdrawn, scope.sealed) == (node.limits, node.overdrawn, node.sealed)
        for standing in self.reference.standing:
            assert standing.waiter.at is standing.at.live

    @invariant()
    def no_scope_counts_more_than_its_limit(self) -> None:
        """I1; a provider that ignores the cap breaks it, and closes the scope."""
        for node in self._live_nodes():
            assert node.overdrawn or self.reference.over(node, node.scope.counted) is None

    @invariant()
    def the_provider_has_billed_no_more_than_is_counted(self) -> None:
        """I2, however early or late it charges."""
        for node in self._live_nodes():
            bill = self.reference.billed(node)
            assert not bill.exceeds(node.scope.counted)

    @invariant()
    def what_is_spent_never_falls(self) -> None:
        """I3; spent or in doubt falls by reconcile alone."""
        before, self.spent_before = self.spent_before, {}
        for node in self._live_nodes():
            spent, at_most = node.scope.settled, node.scope.settled + node.scope.in_doubt
            self.spent_before[node] = spent, at_most
            spent_before, at_most_before = before.get(node, (NOTHING, NOTHING))
            assert not spent_before.exceeds(spent)
            assert self.reconciling or not at_most_before.exceeds(at_most)
        self.reconciling = False

    @invariant()
    def memory_equals_the_replayed_journal(self) -> None:
        states = [replay(journal) for journal in self.journals]
        for node in self._live_nodes():
            if node.run is not None:
                state, scope = states[node.run].scopes[node.path], node.scope
                assert (state.settled, state.in_flight, state.in_doubt) == (
                    scope.settled,
                    scope.in_flight,
                    scope.in_doubt,
                )
                assert (state.limits, state.overdrawn) == (scope.limits, scope.overdrawn)

    @invariant()
    def whoever_waits_waits_for_a_call_in_flight(self) -> None:
        """No deadlock: calls in flight end, and end every wait."""
        for standing in self.reference.standing:
            assert self.reference.held(standing.at, "in_flight") != NOTHING

    # How it is told

    def _open_session(self, wanted: Limits) -> Node:
        live = self.ledger.open_scope("", parent=None, label="session", limits=wanted)
        node = Node("", None, wanted, None, live)
        self.reference.nodes.append(node)
        return node

    def _open_new(self, path: str, parent: Node, run: int, wanted: Limits) -> Node:
        live = self.ledger.open_scope(path, parent=parent.scope, label="", limits=wanted)
        node = Node(path, parent, wanted, run, live)
        self.reference.nodes.append(node)
        self.journals[run].append(ScopeOpened(scope=path, label="", limits=_named(wanted)))
        return node

    def _book(self, booking: Booking) -> None:
        booking.state, booking.actual = "closed", booking.bill

    def _overdrawn_by(self, booking: Booking) -> list[Scope | None]:
        """Mark what an overrun broke."""
        if not booking.actual.exceeds(booking.amount):
            return []
        broken = [
            node for node in booking.charged if self.reference.over(node, self.reference.counted(node)) is not None
        ]
        for node in broken:
            node.overdrawn = self.reference.over(node, self.reference.counted(node))
        return [node.live for node in broken]

    def _check_decisions(self, changed: list[Node], vacated: list[Node] | None = None) -> None:
        """The ledger told exactly those that the reference decides, and in order of arrival."""
        order = [standing.id for standing in self.reference.standing]
        refused = self.reference.refused_by(list(reversed(changed)))
        moving = [*changed, *(standing.at for standing, _ in refused), *(vacated or [])]
        arrived = len(self.reference.bookings)
        admitted = self.reference.admitted_by(moving)
        told, self.decisions = dict(self.decisions), []
        assert set(told) == {standing.id for standing, _ in refused + admitted}
        if vacated is None:
            assert list(told) == sorted(told, key=order.index)
        for standing, node in refused:
            refusal = told[standing.id]
            assert isinstance(refusal, Refused)
            assert (refusal.scope, refusal.resource) == (node.live, self.reference.lacks(node, standing.demand))
        for booking in self.reference.bookings[arrived:]:
            held = told[booking.id]
            assert isinstance(held, Reservation)
            self._admitted(booking, held)

    def _admitted(self, booking: Booking, held: Reservation) -> None:
        assert (held.cap, held.amount) == (booking.cap, booking.amount)
        booking.held = held
        self._append(
            booking.node,
            Reserved(
                reservation=booking.id,
                scope=booking.node.path,
                call="",
                attempt=1,
                model="m",
                picousd=held.picousd,
                tokens=held.tokens,
            ),
        )

    def _append(self, node: Node, record: Record) -> None:
        if node.run is not None:
            self.journals[node.run].append(record)

    def _live_nodes(self) -> list[Node]:
        return [node for node in self.reference.nodes if node.live is not None]

    def _open_nodes(self) -> list[Node]:
        return [node for node in self._live_nodes() if not node.closed]

    def _to_reopen(self) -> list[Node]:
        return [
            node
            for node in self.reference.nodes
            if node.live is None and not node.closed and node.parent in self._open_nodes()
        ]

    def _in_flight(self) -> list[Booking]:
        return [booking for booking in self.reference.bookings if booking.state == "in_flight"]

    def _in_doubt(self) -> list[Booking]:
        return [booking for booking in self.reference.bookings if booking.state == "in_doubt"]


def _pick(things: Sequence[T], pick: int) -> T:
    return things[pick % len(things)]


def _named(wanted: Limits) -> dict[str, int]:
    axes = {"usd": wanted.picousd, "tokens": wanted.tokens}
    return {resource: limit for resource, limit in axes.items() if limit is not None}


test_any_history_leaves_the_ledger_as_the_reference_has_it = LedgerHistories.TestCase
test_any_history_leaves_the_ledger_as_the_reference_has_it.settings = settings(stateful_step_count=40)
