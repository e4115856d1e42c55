"""Reporting what is counted rather than timed: calls paid for, bytes sent, the grain of a task."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.plot import Bar, draw
from benchmarks.timing import Options, benchmark_name, environment


@dataclass(frozen=True, kw_only=True)
class Count:
    """What one contender came to in one setting."""

    setting: str
    contender: str
    value: float
    note: str = ""


def report_counts(
    question: str, counts: Sequence[Count], options: Options, *, packages: Sequence[str], unit: str
) -> None:
    """Print the counts with what they were taken on, and draw them where that was asked for."""
    machine = environment(packages)
    if options.plot is not None:
        bars = [Bar(group=count.setting, name=count.contender, value=count.value) for count in counts]
        title = question.strip().splitlines()[0]
        draw(options.plot / f"{benchmark_name()}.svg", bars, title=title, axis=f"{unit}, logarithmic")
    if options.as_json:
        rows = [asdict(count) for count in counts]
        report = {"benchmark": benchmark_name(), "question": question, "machine": machine, "unit": unit, "counts": rows}
        json.dump(report, sys.stdout)
        print()
        return
    print(question.strip().splitlines()[0])
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    width = max(len(count.contender) for count in counts)
    setting = None
    for count in counts:
        if count.setting != setting:
            setting = count.setting
            print(f"\n{setting}\n  {'':{width}}  {unit:>12}")
        print(f"  {count.contender:{width}}  {count.value:>12.4g}  {count.note}".rstrip())
