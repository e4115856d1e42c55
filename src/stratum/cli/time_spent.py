"""`stratum run --profile`: where the time went, for a person and for a program."""

from __future__ import annotations

from typing import Final

import msgspec

from stratum.engine.timings import TIMED_PLACES, TimedPlace, Timings

NAMES: Final[dict[TimedPlace, str]] = {
    "start": "waiting for the model to start",
    "model": "waiting for the model",
    "again": "waiting to send again",
    "budget": "waiting for room in a budget",
    "journal": "waiting for the journal",
    "ensure": "in ensure",
    "compute": "in computes",
    "command": "in commands",
    "agent": "waiting for an agent",
    "person": "waiting for a person",
}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one place took of the clock."""

    seconds: float
    times: int


class TimeSpent(msgspec.Struct, frozen=True, kw_only=True):
    """A run's time on the clock; the parts and `elsewhere` add up to `seconds`."""

    seconds: float
    parts: dict[TimedPlace, Part]
    elsewhere: float
    """No step waited or worked: the program's own code, and what the runtime adds."""
    cpu_before: float
    """Seconds that the process had worked before: Python's start, imports, opening the runtime. Not in `seconds`."""

    @classmethod
    def of(cls, timings: Timings, *, cpu_before: float) -> TimeSpent:
        """As it stands now."""
        spent, elsewhere = timings.seconds, timings.elsewhere
        return cls(
            seconds=sum(spent.values()) + elsewhere,
            parts={place: Part(seconds=spent[place], times=timings.counts[place]) for place in TIMED_PLACES},
            elsewhere=elsewhere,
            cpu_before=cpu_before,
        )

    def table(self) -> str:
        """The largest part first; parts that nothing went to are left out."""
        rows = [(NAMES[place], part.seconds, part.times) for place, part in self.parts.items() if part.times]
        rows.sort(key=lambda row: -row[1])
        lines = [f"{self.seconds:.3f} s in all, steps at the same time sharing the clock:"]
        for name, seconds, times in [*rows, ("everything else", self.elsewhere, 0)]:
            often = f"  {times:,} times" if times > 1 else "  once" if times else ""
            lines.append(f"  {name:30} {seconds:9.3f} s {self._share(seconds):4.0%}{often}")
        lines.append(f"before that, {self.cpu_before:.3f} s of CPU to start Python, import, and open the runtime")
        return "\n".join(lines)

    def _share(self, seconds: float) -> float:
        return seconds / self.seconds if self.seconds else 0.0
