from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.plans.accumulated import Accumulated, accumulated
from stratum.contracts.plans.plan import Accumulate

BY_ID = Accumulate(field="found", key="id")


def found(*ids: int) -> dict[str, Any]:
    return {"found": [{"id": id, "place": place} for place, id in enumerate(ids)]}


def test_each_item_is_kept_once_as_it_was_found_first() -> None:
    """CASES H34."""
    whole = accumulated([found(1, 2), found(2, 3, 3)], BY_ID)
    assert whole.items == [{"id": 1, "place": 0}, {"id": 2, "place": 1}, {"id": 3, "place": 1}]
    without_key = accumulated([{"found": [{"a": 1, "b": 2}]}, {"found": [{"b": 2, "a": 1}]}], Accumulate(field="found"))
    assert without_key == Accumulated(items=[{"a": 1, "b": 2}], dry=1)


def test_a_time_whose_items_cannot_be_told_counts_neither_way() -> None:
    """CASES H34."""
    for unclear in ({"found": None}, {}, None, 3, {"found": [{"name": "no id"}]}, {"found": [{"id": 9}, 9]}):
        assert accumulated([found(1), found(1), unclear], BY_ID) == accumulated([found(1), found(1)], BY_ID)
        assert accumulated([found(1), unclear, found(1)], BY_ID).dry == 1


@given(st.lists(st.lists(st.integers(0, 5))))
def test_the_dry_times_are_those_after_the_last_new_item(times: list[list[int]]) -> None:
    whole = accumulated([found(*ids) for ids in times], BY_ID)
    news = [time for time, ids in enumerate(times) if set(ids) - {id for earlier in times[:time] for id in earlier}]
    assert whole.dry == len(times) - 1 - (news[-1] if news else -1)
    assert [item["id"] for item in whole.items] == list(dict.fromkeys(id for ids in times for id in ids))
