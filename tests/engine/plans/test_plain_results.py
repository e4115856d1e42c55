"""What the steps of a run that only computed have returned."""

from __future__ import annotations

from stratum.engine.plans.plain_results import PlainResults


def test_what_a_plan_within_a_plan_notes_is_found_by_the_id_in_the_run() -> None:
    results = PlainResults()
    results.of_plan("part/", {"read": 0, "sum": 1})[1] = b"1"
    results.note("part/inner/sum", b"2")
    results.note("part", b"3")

    assert dict(results) == {"part/sum": b"1", "part/inner/sum": b"2", "part": b"3"}
    assert len(results) == 3
    assert "sum" not in results and "other/sum" not in results and "part/read" not in results


def test_what_was_noted_before_the_plan_is_at_work_is_found_under_its_steps_numbers() -> None:
    results = PlainResults()
    for name in ("sum", "read"):
        results.note(f"part/{name}", name.encode())
    numbers = {"read": 0, "count": 1, "sum": 2}

    at_work = results.of_plan("part/", numbers)

    assert at_work == [b"read", None, b"sum"]
    assert results.of_plan("part/", numbers) is at_work
    results.note("part/count", b"count")
    assert at_work == [b"read", b"count", b"sum"]


def test_a_step_that_is_forgotten_takes_with_it_what_its_plan_did_and_nothing_else() -> None:
    results = PlainResults()
    for id in ("part", "part/sum", "part/inner/sum", "part-2/sum", "parted", "other/part"):
        results.note(id, b"1")
    at_work = results.of_plan("part/", {"sum": 0})

    results.forget_within({"part"})

    assert set(results) == {"part-2/sum", "parted", "other/part"}
    # The plan at work there goes on with the same table.
    at_work[0] = b"2"
    assert results["part/sum"] == b"2"
