"""Measuring and reporting, the same way in every benchmark.

The contenders take turns within a round, so that a slow phase of the machine hits them all; a
ratio is the median over rounds of a contender's time by the baseline's in the same round.
Absolute times are for orientation, ratios for comparing.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version


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
        return f"{self.median:.3g} [{self.low:.3g}-{self.high:.3g}]"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender in one setting."""

    setting: str
    contender: str
    cpu_us: Spread
    """CPU time per unit, user and system, of this process."""
    wall_us: Spread
    ratio: Spread
    """CPU time by the baseline's."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every benchmark can be asked for."""

    quick: bool
    as_json: bool
    rounds: int


def parser(question: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have; add a benchmark's own to it."""
    options = argparse.ArgumentParser(description=question, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="smallest sizes, two rounds: does it still run?")
    options.add_argument("--json", action="store_true", dest="as_json", help="machine-readable output")
    options.add_argument("--rounds", type=int, default=7, help="measured rounds after one warm-up (default 7)")
    return options


def common_options(arguments: argparse.Namespace) -> Options:
    rounds = 2 if arguments.quick else arguments.rounds
    return Options(quick=arguments.quick, as_json=arguments.as_json, rounds=rounds)


def compare(
    setting: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    units: int,
    rounds: int,
) -> list[Row]:
    """Run every contender once to warm up, then `rounds` times in turn; times are per unit of work."""
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            cpu_us, wall_us = _timed(run, units=units)
            if number:
                cpu[name].append(cpu_us)
                wall[name].append(wall_us)
    return [
        Row(
            setting=setting,
            contender=name,
            cpu_us=Spread.of(cpu[name]),
            wall_us=Spread.of(wall[name]),
            ratio=Spread.of([own / base for own, base in zip(cpu[name], cpu[baseline], strict=True)]),
        )
        for name in contenders
    ]


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


def report(question: str, rows: Sequence[Row], *, as_json: bool, packages: Sequence[str], unit: str) -> None:
    """Print the rows with what they were measured on."""
    machine = environment(packages)
    if as_json:
        json.dump(
            {"question": question, "machine": machine, "unit": unit, "rows": [asdict(r) for r in rows]}, sys.stdout
        )
        print()
        return
    print(question.strip().splitlines()[0])
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    name_width = max(len(row.contender) for row in rows)
    setting = None
    for row in rows:
        if row.setting != setting:
            setting = row.setting
            print(
                f"\n{setting}\n  {'':{name_width}}  {'CPU us/' + unit:>24}  {'wall us/' + unit:>24}  {'x baseline':>20}"
            )
        print(f"  {row.contender:{name_width}}  {row.cpu_us!s:>24}  {row.wall_us!s:>24}  {row.ratio!s:>20}")


def environment(packages: Sequence[str]) -> dict[str, str]:
    """Machine, Python and package versions."""
    found = {"machine": _processor(), "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _timed(run: Callable[[], object], *, units: int) -> tuple[float, float]:
    gc.collect()  # garbage of the contender before is not this one's cost
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return (time.process_time() - cpu) / units * 1e6, (time.perf_counter() - wall) / units * 1e6


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
