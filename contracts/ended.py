"""`Success` and `Failure`: how one branch of a fan-out ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """A branch of a fan-out that has its result."""

    value: T


@dataclass(frozen=True, slots=True)
class Failure:
    """A branch of a fan-out that raised."""

    error: Exception
