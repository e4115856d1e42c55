"""What every benchmark can be asked for, and what is said of what it cannot."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

QUICK_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every benchmark can be asked for."""

    quick: bool
    as_json: bool
    rounds: int
    plot: Path | None


def parser(question: str, *, rounds: int | None = 7) -> argparse.ArgumentParser:
    """The options that all benchmarks have; add a benchmark's own to it.

    `rounds` is how many there are by default; None for one that finds the same every time.
    """
    options = argparse.ArgumentParser(
        prog=f"python -m benchmarks {Path(sys.argv[0]).stem.removeprefix('bench_')}",
        description=question,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    often = f"how often each is measured, after a warm-up (default {rounds})"
    add_common(options, rounds=often if rounds else "nothing: it finds the same every time")
    options.set_defaults(default_rounds=rounds or 1)
    return options


def add_common(options: argparse.ArgumentParser, *, rounds: str) -> None:
    """`rounds` is what that option does."""
    quick = f"smallest sizes, {QUICK_ROUNDS} rounds unless --rounds says otherwise: does it still run?"
    options.add_argument("--quick", action="store_true", help=quick)
    options.add_argument("--json", action="store_true", dest="as_json", help="machine-readable output, on one line")
    options.add_argument("--plot", type=_folder, metavar="FOLDER", help="also draw a chart, as SVG, into this folder")
    options.add_argument("--rounds", type=at_least(1), metavar="N", help=rounds)


def common_options(arguments: argparse.Namespace) -> Options:
    """What was asked for."""
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else arguments.default_rounds)
    return Options(quick=arguments.quick, as_json=arguments.as_json, rounds=rounds, plot=arguments.plot)


def at_least(least: int) -> Callable[[str], int]:
    """For an option that is such a number."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"a whole number, not {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"at least {least}, not {value}")
        return value

    return number


def each_at_least(least: int) -> Callable[[str], list[int]]:
    """For an option that is some such numbers, comma-separated."""
    number = at_least(least)
    return lambda text: [number(part) for part in text.split(",")]


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """For an option that is some of these names, comma-separated."""

    def names(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
        return text.split(",")

    return names


def _folder(text: str) -> Path:
    """Made at once: to find out after a long benchmark that nothing can be written there would lose what it found."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"a folder, and {text} is a file")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"nothing can be written into {text}: {error.strerror}") from None
    return path
