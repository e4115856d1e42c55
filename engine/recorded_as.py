"""`RecordedAs`: what the journal says a step is, where it is no decorated function: a fan-out, a question, a plan's step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from stratum.contracts.signature import Signature
from stratum.contracts.trace import CallKind

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class RecordedAs(Generic[R]):
    """For `StepRecord`."""

    kind: CallKind
    signature: Signature[R]
