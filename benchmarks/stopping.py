"""Ctrl-C and SIGTERM in the middle of a benchmark: what it started ends with it, its folders go, and nobody reads a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

TIDYING_S = 3
"""For a benchmark to stop its servers and peers, before it is taken not to know that it has to."""


def stop_in_order() -> None:
    """From now on SIGTERM is as good as Ctrl-C, and neither is told as an error."""
    # A shell's script has it ignored in what it starts with `&`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    sys.excepthook = _told


def run_to_its_end(command: Sequence[str], *, folder: Path) -> int:
    """The exit status of a process; one that is stopped with this one is waited for: `subprocess.run` kills it after 0.25 s."""
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # A terminal has told it, too, and twice would hit it while it tidies up; whoever stops this process alone has not.
            try:
                process.wait(TIDYING_S)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
            raise


def _told(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # Not at the head: what is loaded before `stop_in_order` cannot be stopped in order.
    from stratum.contracts.error_groups import leaves

    if not any(isinstance(each, KeyboardInterrupt) for each in leaves(error)):
        sys.__excepthook__(kind, error, traceback)
