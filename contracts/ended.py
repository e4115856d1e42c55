"""`Success` and `Failure`: how one branch of a fan-out ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """The branch has its result."""

    value: T


@dataclass(frozen=True, slots=True)
class Failure:
    """The branch raised."""

    error: Exception
