"""`Probabilistic[T]`: what a call answers when it is asked several times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stratum.contracts.errors import StabilityAssertionError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Probabilistic(Generic[T]):
    """Samples of one call: one in production, `sample_n` under a runtime that tests stability.

    Raises:
        ValueError: no samples.
    """

    samples: tuple[T, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("no samples; a call gives at least one")

    @property
    def value(self) -> T:
        """The most frequent sample; of several, the one that came first."""
        return self._most_frequent(_itself)[0]

    @property
    def share(self) -> float:
        """How many of the samples equal it, from 0 to 1."""
        return self._most_frequent(_itself)[1]

    def assert_stable(self, threshold: float = 0.9, *, by: Callable[[T], Any] | None = None) -> T:
        """The most frequent sample, if at least this share of all are equal to it, compared as a whole or `by` a part.

        Raises:
            StabilityAssertionError: they are not.
        """
        value, share = self._most_frequent(by or _itself)
        if share < threshold:
            raise StabilityAssertionError(threshold=threshold, actual=share)
        return value

    def _most_frequent(self, by: Callable[[T], Any]) -> tuple[T, float]:
        # By equality alone: a sample need not be hashable.
        parts = [by(sample) for sample in self.samples]
        counts = [parts.count(part) for part in parts]
        most = max(counts)
        return self.samples[counts.index(most)], most / len(parts)


def _itself(sample: Any) -> Any:
    return sample
