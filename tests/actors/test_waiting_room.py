"""The waiting room: several orders over the same people, who come, move on and leave from anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratum.actors.ledger import Amount, Demand, Limits, Scope, Waiter
from stratum.actors.waiting_room import WaitingRoom

OUTER = Scope(path="", parent=None, label="outer", limits=Limits())
INNER = Scope(path="inner", parent=OUTER, label="inner", limits=Limits())


def waiter(ticket: int, *, picousd: int, tokens: int) -> Waiter:
    demand = Demand(input_picousd=picousd, input_tokens=tokens)
    return Waiter(ticket=ticket, scope=INNER, demand=demand, reservation=str(ticket), decided=lambda _: None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "move"]), st.integers(0, 10**6), st.integers(0, 5)), max_size=60
    )
)
def test_the_first_and_the_neediest_are_always_found(events: list[tuple[str, int, int]]) -> None:
    """Against plain sorting."""
    room = WaitingRoom()
    here: list[Waiter] = []
    for ticket, (event, pick, need) in enumerate(events):
        if event == "enter":
            here.append(waiter(ticket, picousd=need, tokens=pick % 7))
            room.enter(here[-1], OUTER if pick % 2 else INNER)
        elif here and event == "leave":
            gone = here.pop(pick % len(here))
            assert room.leave(gone) in (OUTER, INNER)
            assert gone.at is None
        elif (first := room.first(INNER)) is not None:
            room.move_first(INNER, OUTER)
            assert first.at is OUTER
        for scope in (OUTER, INNER):
            standing = sorted((each for each in here if each.at is scope), key=lambda each: each.ticket)
            assert room.first(scope) is (standing[0] if standing else None)
            needs = [each.demand.least for each in here]
            assert room.greatest_need(scope) == (
                Amount(max(each.picousd for each in needs), max(each.tokens for each in needs)) if here else None
            )
        assert bool(room.lines) == bool(here)


@given(st.permutations(range(24)), st.permutations(range(24)))
def test_the_order_survives_people_leaving_from_the_middle(needs: list[int], leaving: list[int]) -> None:
    """A heap with its dead removed is not yet a heap."""
    room = WaitingRoom()
    here = {ticket: waiter(ticket, picousd=need, tokens=0) for ticket, need in enumerate(needs)}
    for each in here.values():
        room.enter(each, INNER)
    for ticket in leaving[:-1]:
        room.leave(here.pop(ticket))
        assert room.first(INNER) is here[min(here)]
        assert room.neediest(OUTER, "usd") is max(here.values(), key=lambda each: each.demand.input_picousd)


def test_whoever_gives_up_is_forgotten_though_the_first_stays_for_ever() -> None:
    """A service whose callers time out behind one long wait must not grow."""
    room = WaitingRoom()
    room.enter(waiter(0, picousd=9, tokens=9), OUTER)
    for ticket in range(1, 1000):
        impatient = waiter(ticket, picousd=ticket % 5, tokens=ticket % 3)
        room.enter(impatient, OUTER)
        room.leave(impatient)
        lines = room.lines[OUTER]
        assert max(len(lines.arrivals), len(lines.by_picousd), len(lines.by_tokens)) <= 4
    assert room.first(OUTER) is not None
