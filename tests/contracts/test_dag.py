"""`Dag`: dependencies as integers."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.plans.dag import Dag

DIAMOND = Dag.of([[], [0], [0], [1, 2]])


@st.composite
def acyclic(draw: st.DrawFn, most: int = 30) -> list[set[int]]:
    size = draw(st.integers(1, most))
    return [draw(st.sets(st.integers(0, step - 1), max_size=4)) if step else set() for step in range(size)]


def test_successors_and_in_degrees_mirror_the_predecessors() -> None:
    assert DIAMOND.successors == ((1, 2), (3,), (3,), ())
    assert DIAMOND.in_degrees == (0, 1, 1, 2)
    assert DIAMOND.roots == (0,)
    assert len(DIAMOND) == 4


def test_a_dependency_named_twice_counts_once() -> None:
    assert Dag.of([[], [0, 0]]) == Dag.of([[], [0]])


@pytest.mark.parametrize("predecessors", [[[1]], [[-1], []]])
def test_a_predecessor_that_is_no_step_is_refused(predecessors: list[list[int]]) -> None:
    with pytest.raises(IndexError):
        Dag.of(predecessors)


def test_an_empty_graph_has_an_empty_order_and_no_cycle() -> None:
    assert Dag.of([]).order() == []
    assert Dag.of([]).cycle() == []


def test_a_step_that_waits_for_itself_is_a_cycle() -> None:
    """CASES G9."""
    assert Dag.of([[0]]).cycle() == [0]


def test_a_cycle_is_given_without_what_leads_to_it_or_follows() -> None:
    """CASES G9."""
    #  0 -> 1 -> 2 -> 3 -> 1, and 3 -> 4
    assert Dag.of([[], [0, 3], [1], [2], [3]]).cycle() == [1, 2, 3]


@given(acyclic(), st.data())
def test_a_closed_path_is_found_as_a_cycle_of_real_edges(predecessors: list[set[int]], data: st.DataObject) -> None:
    """CASES G9."""
    assert Dag.of(predecessors).cycle() == []
    last = data.draw(st.integers(0, len(predecessors) - 1))
    before = sorted(Dag.of(predecessors).descendants(last)) or [last]
    predecessors[last].add(data.draw(st.sampled_from(before)))

    dag = Dag.of(predecessors)
    cycle = dag.cycle()
    assert cycle
    assert len(set(cycle)) == len(cycle)
    for step, following in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        assert following in dag.successors[step]


@given(acyclic())
def test_the_order_has_every_step_once_after_all_it_waits_for(predecessors: list[set[int]]) -> None:
    """CASES H15."""
    order = Dag.of(predecessors).order()
    place = {step: index for index, step in enumerate(order)}
    assert sorted(order) == list(range(len(predecessors)))
    assert all(place[before] < place[step] for step, befores in enumerate(predecessors) for before in befores)


@given(acyclic())
def test_descendants_and_their_marks_agree_with_a_search_from_each_step(predecessors: list[set[int]]) -> None:
    dag = Dag.of(predecessors)
    ancestors: list[set[int]] = []
    for befores in predecessors:
        ancestors.append(befores.union(*(ancestors[before] for before in befores)))
    marks = dag.marked_descendants(range(len(dag)))
    for step in range(len(dag)):
        assert dag.descendants(step) == {other for other in range(len(dag)) if step in ancestors[other]}
        assert {bit for bit in range(len(dag)) if marks[step] >> bit & 1} == ancestors[step]


def test_a_step_may_be_marked_more_than_once() -> None:
    assert DIAMOND.marked_descendants([1, 0, 1]) == [0, 0b010, 0b010, 0b111]


def test_path_lengths_count_the_heaviest_way_to_an_end() -> None:
    assert DIAMOND.path_lengths() == [3, 2, 2, 1]
    assert DIAMOND.path_lengths([1, 10, 2, 5]) == [16, 15, 7, 5]


def test_a_chain_longer_than_the_recursion_limit_is_no_problem() -> None:
    size = 10 * sys.getrecursionlimit()
    chain = Dag.of([[step - 1] if step else [] for step in range(size)])
    assert chain.order() == list(range(size))
    assert chain.path_lengths()[0] == size
    assert len(chain.descendants(0)) == size - 1
    ring = Dag.of([[(step - 1) % size] for step in range(size)])
    assert ring.cycle() == list(range(size))
