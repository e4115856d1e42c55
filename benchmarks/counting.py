"""Reporting what is counted rather than timed: calls paid for, bytes sent, the grain of a task."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.options import Options
from benchmarks.plot import Bar, draw
from benchmarks.timing import Spread, benchmark_name, environment


@dataclass(frozen=True, kw_only=True)
class Count:
    """What one contender came to in one setting, round by round."""

    setting: str
    contender: str
    values: tuple[float, ...]
    note: str = ""

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)

    def ratio(self, base: Count) -> Spread:
        """By the baseline's, round by round."""
        return Spread.of([own / other for own, other in zip(self.values, base.values, strict=True)])


def report_counts(
    question: str, counts: Sequence[Count], options: Options, *, packages: Sequence[str], unit: str, baseline: str
) -> None:
    """Print the counts with what they were taken on, and draw them where that was asked for."""
    machine = environment(packages, options)
    bases = {count.setting: count for count in counts if count.contender == baseline}
    ratios = [count.ratio(bases[count.setting]) for count in counts]
    if options.plot is not None:
        bars = [Bar(group=count.setting, name=count.contender, value=count.spread.median) for count in counts]
        title = question.strip().splitlines()[0]
        draw(options.plot / f"{benchmark_name()}.svg", bars, title=title, axis=f"{unit}, logarithmic")
    if options.as_json:
        rows = [
            {
                "setting": count.setting,
                "contender": count.contender,
                "value": asdict(count.spread),
                "ratio": asdict(ratio),
                "note": count.note,
            }
            for count, ratio in zip(counts, ratios, strict=True)
        ]
        report = {
            "benchmark": benchmark_name(),
            "question": question,
            "machine": machine,
            "unit": unit,
            "baseline": baseline,
            "counts": rows,
        }
        json.dump(report, sys.stdout)
        print()
        return
    print(question.strip().splitlines()[0])
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    width = max(len(count.contender) for count in counts)
    ratio_width = max(len(baseline) + 2, 18)
    setting = None
    for count, ratio in zip(counts, ratios, strict=True):
        if count.setting != setting:
            setting = count.setting
            print(f"\n{setting}\n  {'':{width}}  {unit:>20}  {'x ' + baseline:>{ratio_width}}")
        told = f"  {count.contender:{width}}  {count.spread!s:>20}  {ratio!s:>{ratio_width}}  {count.note}"
        print(told.rstrip())
