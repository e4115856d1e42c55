"""`Demand`: how the worst case and the output cap depend on each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratum.actors.ledger import Amount, Demand, Ledger, Limits

few = st.integers(0, 30)
demands = st.builds(
    Demand, input_picousd=few, picousd_per_output_token=st.integers(0, 3), input_tokens=few, cap=few, min_cap=st.just(0)
)


@given(demands, st.integers(-10, 100), st.integers(-10, 100))
def test_the_cap_within_an_amount_is_the_largest_whose_worst_case_fits(
    demand: Demand, picousd: int, tokens: int
) -> None:
    """BUDGETS 25, by trying them all."""
    left = Amount(picousd, tokens)
    fitting = [cap for cap in range(demand.cap + 1) if not demand.at(cap).exceeds(left)]
    found = demand.cap_within(left)
    assert found == max(fitting) if fitting else found < 0


def test_a_reservation_knows_how_many_input_tokens_it_was_made_for() -> None:
    """What a provider's own count is compared with, to learn how good the bound is."""
    ledger = Ledger()
    flow = ledger.open_scope("", parent=None, label="flow", limits=Limits(tokens=1100))
    held = ledger.try_reserve(flow, Demand(input_tokens=1000, cap=500, min_cap=16), reservation="a")
    assert held is not None
    assert (held.input_tokens, held.cap) == (1000, 100)
    assert "in_flight" in repr(held)
