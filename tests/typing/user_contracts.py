"""Contracts as a user writes them, for mypy and pyright: never imported, only read.

An `ignore` here is an error that both must report: an unused one is an error of its own.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Annotated, Literal, assert_type

import msgspec
from pydantic import BaseModel, Field

from stratum import contract, opaque


@contract
class RiskAssessment:
    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str] = Field(default_factory=list[str])
    note: str | None = None

    def urgent(self) -> bool:
        return self.level == "critical"


@contract()
class Bracketed:
    name: str


assert_type(Bracketed(name="a"), Bracketed)
Bracketed(name=1)  # type: ignore[arg-type]


@contract
class Letter:
    body: opaque[str]
    attachments: opaque[list[bytes]]


@contract
class Model(BaseModel):
    name: str
    age: int = 3


@contract
class Point(msgspec.Struct, frozen=True):
    x: int


def fields_have_their_types(risk: RiskAssessment, letter: Letter, model: Model, point: Point) -> None:
    assert_type(risk.level, Literal["low", "medium", "high", "critical"])
    assert_type(risk.confidence, float)
    assert_type(risk.factors, list[str])
    assert_type(risk.note, str | None)
    assert_type(risk.urgent(), bool)
    assert_type(letter.body, str)
    assert_type(letter.attachments, list[bytes])
    assert_type(model.age, int)
    assert_type(point.x, int)


def construction_is_by_keyword_and_checked() -> None:
    assert_type(RiskAssessment(level="low", confidence=0.5), RiskAssessment)
    assert_type(Model(name="a"), Model)
    assert_type(Point(x=1), Point)
    RiskAssessment("low", 0.5)  # type: ignore[call-arg]
    RiskAssessment(level="low")  # type: ignore[call-arg]
    RiskAssessment(level="none", confidence=0.5)  # type: ignore[arg-type]
    RiskAssessment(level="low", confidence="0.5")  # type: ignore[arg-type]


def contracts_cannot_be_changed(risk: RiskAssessment) -> None:
    risk.note = "x"  # type: ignore[misc]


def an_opaque_string_is_a_string(text: opaque[str]) -> str:
    return text
