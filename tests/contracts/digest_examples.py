"""Contracts whose digests are pinned; needs no test library, so that any Python can compute them."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.opaque import opaque


class Color(enum.StrEnum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """How bad it is.

    From nothing to everything.
    """

    LOW = 1
    HIGH = 2


@contract
class RiskAssessment:
    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str]
    recommendation: str


@contract
class Node:
    """A node.

    With children.
    """

    value: int = 0
    children: list[Node] = Field(default_factory=list["Node"])


@contract
class Everything:
    text: Annotated[str, Field(min_length=1, description="some text")]
    day: date
    raw: bytes
    money: Annotated[Decimal, Field(ge=0, max_digits=5)]
    ident: UUID
    color: Color
    level: Level
    maybe: int | None
    pair: tuple[int, str]
    tags: set[str]
    counts: dict[str, RiskAssessment]
    node: Node
    hidden: opaque[str] = ""


@contract
class Model(BaseModel):
    """A model."""

    name: str


def digests() -> dict[str, str]:
    annotations: list[Any] = [RiskAssessment, Everything, Node, Model, list[int], int | None]
    compiled = [codec(annotation, owner="f", field="return") for annotation in annotations]
    return {each.name: each.digest for each in compiled}
