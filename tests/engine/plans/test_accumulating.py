"""A step that is repeated and keeps what all times found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.plans.plan_fixtures import assigned, open_project, reported, started

TEXT = """
steps:
- id: hunt
  intent: Find bugs
  output: Hunt
  repeat: {until: len(result.bugs) == 0, limit: 6, score: result.sure, accumulate: {field: bugs, key: id, dry: 2}}
contracts:
  Hunt:
    type: object
    properties:
      sure: {type: number}
      bugs: {type: array, items: {type: object, properties: {id: {type: integer}, text: {type: string}}, required: [id, text]}}
    required: [sure, bugs]
"""


def hunt(sure: float, *ids: int) -> dict[str, Any]:
    return {"sure": sure, "bugs": [{"id": id, "text": f"seen at {sure}"} for id in ids]}


async def test_the_result_has_what_all_times_found(tmp_path: Path) -> None:
    """CASES H34."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, TEXT)
        for result in (hunt(0.2, 1, 2), hunt(0.9, 2, 3), hunt(0.5)):
            assert (await reported(run, "hunt", result)).accepted
        whole = await run.result()
        assert whole["sure"] == 0.9
        assert [(bug["id"], bug["text"]) for bug in whole["bugs"]] == [
            (1, "seen at 0.2"),
            (2, "seen at 0.2"),
            (3, "seen at 0.9"),
        ]
        assert (await plans.status(run.id)).output == whole


async def test_times_without_anything_new_end_it_after_a_restart_too(tmp_path: Path) -> None:
    """CASES H34."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, TEXT + "output: $.steps.hunt.output.bugs")
        await reported(run, "hunt", hunt(0.2, 1, 2))
        await reported(run, "hunt", hunt(0.3, 2))
        await assigned(run, "hunt")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        await reported(run, "hunt", hunt(0.1, 1))
        assert [bug["id"] for bug in await run.result()] == [1, 2]


async def test_a_later_step_reads_what_all_times_found_after_a_restart(tmp_path: Path) -> None:
    later = "- {id: count, intent: Count them, inputs: {bugs: $.steps.hunt.output.bugs}}\ncontracts:"
    async with open_project(tmp_path) as plans:
        run = await started(plans, TEXT.replace("contracts:", later))
        for result in (hunt(0.9, 1), hunt(0.2, 7), hunt(0.1)):
            await reported(run, "hunt", result)
        await assigned(run, "count")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        assert [bug["id"] for bug in (await assigned(run, "count")).inputs["bugs"]] == [1, 7]
