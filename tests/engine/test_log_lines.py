"""The logger `stratum`, as a program that configured logging sees it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from stratum import Budget, BudgetExceeded, compute, flow, infer, open_runtime
from stratum.testing import scripted


@infer(intent="Name a colour", ensure=lambda r: r != "secret", retries=1)
def colour() -> str: ...


@compute(inline=True)
def loud(word: str) -> str:
    return word.upper()


@flow(budget=Budget(usd=1))
async def paint() -> str:
    return await loud(await colour())


@flow(budget=Budget(usd=0.0000001))
async def pauper() -> str:
    return await colour()


def fields(record: logging.LogRecord) -> Mapping[str, object]:
    return vars(record)


async def test_what_ran_is_logged_with_fields_and_without_what_the_model_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stratum"):
        async with open_runtime(provider=scripted("secret", "red"), journal=None) as runtime:
            await runtime.run(paint)
    texts = [record.getMessage() for record in caplog.records if record.name == "stratum"]
    assert 'attempt 1 of colour#1 rejected: r != "secret"' in texts
    (step,) = [record for record in caplog.records if record.getMessage().startswith("step ")]
    found = fields(step)
    assert (found["step_id"], found["function"], found["attempts"], found["outcome"]) == ("colour#1", "colour", 2, "ok")
    assert isinstance(found["cost_usd"], float) and len(str(found["run_id"])) == 12
    assert "actual" not in caplog.text


async def test_an_exhausted_budget_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stratum"):
        async with open_runtime(provider=scripted("red"), journal=None) as runtime:
            with pytest.raises(BudgetExceeded):
                await runtime.run(pauper)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["budget of the run exhausted: usd", "run exhausted: BudgetExceeded"]


async def test_where_nobody_listens_at_info_nothing_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "stratum"):
        async with open_runtime(provider=scripted("red"), journal=None) as runtime:
            await runtime.run(paint)
    assert caplog.records == []
