"""Measuring and reporting, the same way in every benchmark.

The contenders take turns within a round, so that a slow phase of the machine hits them all; a
ratio is the median over rounds of a contender's time by the baseline's in the same round.
Absolute times are for orientation, ratios for comparing. What runs in a process of its own, such as a peer,
measures itself and returns `Measured`.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from benchmarks.options import Options
from benchmarks.peers.environments import PeerFailed
from benchmarks.peers.peak import peak_mb
from benchmarks.plot import Bar, draw

ROUNDS_ELSEWHERE = 3


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median with the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        if len(samples) == 1:
            return cls(median=samples[0], low=samples[0], high=samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)

    def __str__(self) -> str:
        if self.low == self.high:
            return _number(self.median)
        return f"{_number(self.median)} [{_number(self.low)}-{_number(self.high)}]"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a contender found by itself, per unit of work."""

    cpu_us: float
    wall_us: float
    peak_mb: float | None = None
    """Of the process it ran in."""


@dataclass(frozen=True)
class Elsewhere:
    """A contender in a process of its own, which warms up there, and takes long to start: it runs in `ROUNDS_ELSEWHERE` only."""

    run: Callable[[], Measured]

    def __call__(self) -> Measured:
        return self.run()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender in one setting."""

    setting: str
    contender: str
    baseline: str
    cpu_us: Spread
    """CPU time per unit, user and system, of the process that does the work."""
    wall_us: Spread
    ratio: Spread
    """CPU time by the baseline's; where that is not what is asked, wall time by its wall time; round by round."""
    by: Literal["cpu", "wall"]
    """What the ratio is of."""
    peak_mb: float | None = None
    """Where it ran in a process of its own."""


def compare(
    setting: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    units: int,
    rounds: int,
    by: Literal["cpu", "wall"] = "cpu",
) -> list[Row]:
    """Run every contender once to warm up, then `rounds` times in turn; times are per unit of work.

    One that raises `PeerFailed` is left out, and that is said.
    """
    taken: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in list(taken):
            if isinstance(contenders[name], Elsewhere) and not 0 < number <= ROUNDS_ELSEWHERE:
                continue
            try:
                measured = timed(contenders[name], units=units)
            except PeerFailed as failure:
                print(f"{setting}: left out: {failure}", file=sys.stderr)
                del taken[name]
                continue
            if number:
                taken[name].append(measured)
    return [row_of(setting, name, taken, baseline=baseline, by=by) for name in taken]


def row_of(
    setting: str,
    name: str,
    taken: Mapping[str, Sequence[Measured]],
    *,
    baseline: str,
    by: Literal["cpu", "wall"] = "cpu",
) -> Row:
    """One contender of all that were measured."""
    own, base = taken[name], taken[baseline]
    ratios = [
        one.cpu_us / other.cpu_us if by == "cpu" else one.wall_us / other.wall_us
        for one, other in zip(own, base, strict=False)  # those elsewhere ran in the first rounds only
    ]
    peaks = [measured.peak_mb for measured in own if measured.peak_mb is not None]
    return Row(
        setting=setting,
        contender=name,
        baseline=baseline,
        cpu_us=Spread.of([measured.cpu_us for measured in own]),
        wall_us=Spread.of([measured.wall_us for measured in own]),
        ratio=Spread.of(ratios),
        by=by,
        peak_mb=statistics.median(peaks) if peaks else None,
    )


def peak_bytes(run: Callable[[], object], *, units: int) -> float:
    """Memory that `run` holds at its height, per unit of work, as Python's allocator sees it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - before) / units


def report(
    question: str,
    rows: Sequence[Row],
    options: Options,
    *,
    packages: Sequence[str],
    unit: str,
    also: Mapping[str, float] | None = None,
) -> None:
    """Print the rows with what they were measured on, and draw them where that was asked for; `also` is what is no row."""
    machine = environment(packages, options)
    if options.plot is not None:
        bars = [Bar(group=row.setting, name=row.contender, value=row.ratio.median) for row in rows]
        title = question.strip().splitlines()[0]
        draw(options.plot / f"{benchmark_name()}.svg", bars, title=title, axis="times the baseline, logarithmic")
    if options.as_json:
        json.dump(
            {
                "benchmark": benchmark_name(),
                "question": question,
                "machine": machine,
                "unit": unit,
                "rows": [asdict(r) for r in rows],
                "also": dict(also or {}),
            },
            sys.stdout,
        )
        print()
        return
    print(question.strip().splitlines()[0])
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    setting = None
    for row, (head, line) in zip(rows, _table(rows, unit=unit), strict=True):
        if row.setting != setting:
            setting = row.setting
            print(f"\n{setting}\n{head}")
        print(line)
    for name, value in (also or {}).items():
        print(f"\n{name}: {_number(value)}")


def _table(rows: Sequence[Row], *, unit: str) -> Iterator[tuple[str, str]]:
    """The head above each row, and the row."""
    heads = [("", f"CPU us/{unit}", f"wall us/{unit}", _ratio_of(row), "") for row in rows]
    lines = [
        (
            row.contender,
            str(row.cpu_us),
            str(row.wall_us),
            str(row.ratio),
            "" if row.peak_mb is None else f"peak {row.peak_mb:.0f} MB",
        )
        for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*heads, *lines, strict=True)]
    for head, line in zip(heads, lines, strict=True):
        yield _aligned(head, widths), _aligned(line, widths)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *others = (
        cell.rjust(width) if number else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(["", name, *others]).rstrip()


def _ratio_of(row: Row) -> str:
    return f"x {row.baseline}" + (", wall" if row.by == "wall" else "")


def environment(packages: Sequence[str], options: Options) -> dict[str, str]:
    """Machine, Python and package versions, and how it was measured."""
    found = {
        "machine": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in dict.fromkeys(("stratum-runtime", *packages)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if (peak := peak_mb()) is not None:
        found["peak MB of this process"] = f"{peak:.0f}"
    found["rounds"] = str(options.rounds)
    found["options"] = " ".join(sys.argv[1:]) or "none"
    return found


def timed(run: Callable[[], object], *, units: int) -> Measured:
    """What `run` took, per unit of work; what it measured itself counts instead."""
    gc.collect()  # garbage of the contender before is not this one's cost
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    cpu_us, wall_us = (time.process_time() - cpu) / units * 1e6, (time.perf_counter() - wall) / units * 1e6
    return result if isinstance(result, Measured) else Measured(cpu_us=cpu_us, wall_us=wall_us)


async def measured(work: Callable[[], Awaitable[object]], *, units: int) -> Measured:
    """What awaiting `work()` takes, per unit of it: what is open by then, such as an event loop or a client, is not counted."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    cpu_us, wall_us = (time.process_time() - cpu) / units * 1e6, (time.perf_counter() - wall) / units * 1e6
    return Measured(cpu_us=cpu_us, wall_us=wall_us)


def benchmark_name() -> str:
    """Of the module that was run: `bench_call`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.rpartition(".")[2] if spec else Path(sys.argv[0]).stem


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
