"""Steps as a user writes them: `@infer` and `@compute` have one type, which both checkers must see."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from stratum import Budget, compute, contract, flow, infer


@contract
class Category:
    name: str


def is_named(category: Category) -> bool:
    return len(category.name) > 2


@infer(intent="Classify the text", ensure=is_named, budget=Budget(usd=0.01))
def classify(text: str, *, limit: int = 3) -> Category: ...


@compute
def look_up(text: str, *, limit: int = 3) -> Category:
    return Category(name=text[:limit])


@flow(budget=Budget(usd=0.1))
async def triage(text: str) -> list[Category]:
    call: Coroutine[Any, Any, Category] = classify(text)
    assert_type(await call, Category)
    assert_type(await classify(text, limit=1), Category)
    assert_type(await look_up(text, limit=1), Category)
    await classify(3)  # type: ignore[arg-type]
    await classify()  # type: ignore[call-arg]
    await look_up(text, other=1)  # type: ignore[call-arg]
    return [await classify(text), await look_up(text)]


async def flows_are_called_like_functions() -> None:
    assert_type(await triage("x"), list[Category])


def every_step_can_be_called_from_a_script() -> None:
    assert_type(classify.sync("x"), Category)
    assert_type(look_up.sync("x", limit=2), Category)
    assert_type(triage.sync("x"), list[Category])


def one_can_stand_for_the_other() -> None:
    step = classify
    step = look_up
    assert_type(step.sync("x"), Category)
