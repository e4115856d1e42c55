"""Upper bounds of a request's input tokens, known before it is sent.

In two stages: bytes first, which cost nothing; the exact count only where bytes do not fit a budget. Both count the
whole request body: the tool's schema and every item of the conversation are input.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import math
from functools import cache
from types import ModuleType
from typing import Final, Protocol, cast

REQUEST_TOKENS: Final = 64
"""What a server may add around a request's text: roles, separators, the tool's wrapping. Published examples stay below 20."""
EXACT_MARGIN: Final = 1.02
"""The server writes the tool's schema in a form of its own; it is shorter than JSON wherever that was measured."""
OVERRUN_MARGIN: Final = 1.1
"""What is added to a model's observed excess: the next request may be undercounted a little more."""
CL100K_MODELS: Final = ("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding")
"""Prefixes; `gpt-4` itself uses cl100k too, and every later model o200k."""

_excess: dict[str, float] = {}
"""By model: what both bounds are multiplied with, learnt from overruns, for the life of the process."""


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


def input_bound(model: str, body: bytes) -> int:
    """An upper bound from the body's length alone.

    Every token of a byte-level encoding is at least one byte, and JSON escapes only make text longer.
    """
    return _raised(model, len(body) + REQUEST_TOKENS)


def exact_bound(model: str, body: bytes) -> int:
    """The tokenizer's count of the body, with margins; at most `input_bound`.

    The first call loads a vocabulary: 0.3 s of CPU, unless `load_encoding` was called before.
    """
    counted = _encoding(_encoding_name(model)).count(body.decode(errors="replace"))
    return min(_raised(model, counted * EXACT_MARGIN + REQUEST_TOKENS), input_bound(model, body))


def load_encoding(model: str) -> None:
    """Load the vocabulary of `model` now; may be called in a thread."""
    _encoding(_encoding_name(model))


def note_overrun(model: str, *, bound: int, actual: int) -> None:
    """A request to `model` held `actual` input tokens where at most `bound` were expected: expect more from now on.

    A gateway that adds a system prompt of its own does this.
    """
    if actual > bound:
        _excess[model] = _excess.get(model, 1) * actual / max(bound, 1) * OVERRUN_MARGIN


def _raised(model: str, tokens: float) -> int:
    return math.ceil(tokens * _excess.get(model, 1))


def _encoding_name(model: str) -> str:
    name = model.rsplit("/", 1)[-1].removeprefix("ft:")
    return "cl100k_base" if name == "gpt-4" or name.startswith(CL100K_MODELS) else "o200k_base"


@cache
def _encoding(name: str) -> _Encoding:
    return cast("_Encoding", _bindings().tokenizer_for_encoding(name))


@cache
def _bindings() -> ModuleType:
    # The package's own __init__ parses every vocabulary in Python, for decoding: 0.9 s and 100 MB that counting
    # does without. Its extension module alone has all that is needed.
    package = importlib.util.find_spec("bpe_openai")
    locations = package.submodule_search_locations if package else None
    spec = importlib.machinery.PathFinder.find_spec("bpe_openai._bindings", locations)
    if spec is None or spec.loader is None:  # pragma: no cover - a broken installation
        raise ImportError("bpe-openai is installed without its extension module; reinstall it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
