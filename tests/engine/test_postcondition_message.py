"""`A or "message"`: a condition that brings its own words."""

# Conditions are written as users write them, wrong ones too.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from stratum.contracts.contract import contract
from stratum.engine.postconditions.postcondition import Postcondition


@contract
class Answer:
    level: str
    confidence: float


CONDITIONS: list[tuple[Callable[[Any], object], str]] = [
    (lambda r: r.confidence > 0.75 or "be surer", "ensure: r.confidence > 0.75 (be surer)"),
    (
        lambda r: r.confidence > 0.75 or r.level == "high" or f"not {r.level}",
        'ensure: r.confidence > 0.75 or r.level == "high" (not low)',
    ),
    (lambda r: (r.confidence > 0.75) or ("be surer"), "ensure: r.confidence > 0.75 (be surer)"),
    (
        lambda r: r.level == "mid" or r.level == "high",
        'ensure: r.level == "mid" or r.level == "high" (actual: \'low\')',
    ),
]


@pytest.mark.parametrize(("condition", "told"), CONDITIONS)
def test_the_message_is_the_detail_and_not_quoted_as_the_condition(
    condition: Callable[[Any], object], told: str
) -> None:
    compiled = Postcondition.compile(condition, function="f", parameters=(), returns=Answer)
    (violation,) = trio.run(compiled.check, Answer(level="low", confidence=0.4), {})
    assert violation.for_prompt == told
