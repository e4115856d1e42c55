"""An exception of the program's own code, as it is shown: where that raised, without the frames of what called it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from typing import Final

import click
import outcome
import trio

import stratum
from stratum.contracts.error_groups import is_group

_CALLERS: Final = tuple(str(Path(module.__file__ or "").parent) for module in (stratum, trio, outcome, click))
_PLUMBING: Final = (contextlib.__file__, sys.argv[0])


def own_traceback(error: Exception) -> str:
    """The traceback from the first frame on that is not ours, and of what caused the error, likewise."""
    told = TracebackException.from_exception(error)
    around = error.__context__
    if is_group(around) and error in around.exceptions:
        told.__context__ = None  # nurseries wrapped the very same error on its way
    # A file that cannot be parsed has no frame: Python shows its line besides.
    _without_callers(told, unparsed=isinstance(error, SyntaxError))
    return "".join(told.format())


def _without_callers(told: TracebackException, *, unparsed: bool = False) -> None:
    frames = list(told.stack)
    own = next((number for number, frame in enumerate(frames) if not _calls(frame)), len(frames) if unparsed else 0)
    told.stack = StackSummary.from_list(frames[own:])
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _without_callers(other)


def _calls(frame: FrameSummary) -> bool:
    return frame.filename.startswith((*_CALLERS, "<frozen ")) or frame.filename in _PLUMBING
