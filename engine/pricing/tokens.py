"""Upper bounds of a request's input tokens, known before it is sent.

In two stages: bytes first, which cost nothing; the exact count only where bytes do not fit a budget. Both count the
whole request body: the tool's schema and every item of the conversation are input. Images in it are counted by what the
model makes of them at most, whatever their bytes.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import math
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Final, Protocol, cast

from stratum.contracts.image import Image

REQUEST_TOKENS: Final = 64
"""What a server may add around a request's text: roles, separators, the tool's wrapping. Published examples stay below 20."""
EXACT_MARGIN: Final = 1.02
"""The server writes the tool's schema in a form of its own; it is shorter than JSON wherever that was measured."""
OVERRUN_MARGIN: Final = 1.1
"""What is added to a model's observed excess: the next request may be undercounted a little more."""
CL100K_MODELS: Final = ("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding")
"""Prefixes; `gpt-4` itself uses cl100k too, and every later model o200k."""

# OpenAI's guide to images and vision, 2026-11, and what its users measured. Tiles: the base and 8 of them, as many as there are in
# 2048 by 768 pixels. Patches: the most that a model is given, times its factor; 1.2 where none is published, as was billed for gpt-5.2.
IMAGE_TOKENS: Final = {
    "gpt-4.1-mini": 2_489,
    "gpt-4.1-nano": 3_779,
    "gpt-4.1": 1_844,
    "gpt-4o-mini": 48_169,
    "gpt-4o": 1_445,
    "gpt-5-mini": 2_489,
    "gpt-5-nano": 3_779,
    "gpt-5": 1_844,
    "gpt-5.1": 1_844,
    "gpt-5.2": 1_844,
    "gpt-5.4-mini": 2_489,
    "gpt-5.4-nano": 3_779,
    "gpt-5.4": 3_000,
    "o1": 1_844,
    "o3": 1_844,
    "o4-mini": 2_642,
}
"""By the head of a model's name, longer ones first: tokens of the largest image."""
PATCH_PIXELS: Final = 32
LOW_DETAIL_PATCHES: Final = 256
"""Such an image is scaled to 512 by 512 pixels."""
MOST_PATCHES: Final = 30_000
"""gpt-5.6 and later take images as they are, and none of more patches."""
TOKENS_PER_PATCH: Final = 2.46
"""The largest factor that is known."""
LEAST_IMAGE_TOKENS: Final = 6_404
"""For any other model a small image counts as much: servers that scale all images up count so (Llama 3.2: four tiles of 1,601)."""

MOST_EXCESS: Final = 256.0
"""One answer that claims any number must not make a model unaffordable: what exceeds this is an overrun each time."""

_excess: dict[str, float] = {}
"""By model: what both bounds are multiplied with, learnt from overruns, for the life of the process."""


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


def input_bound(model: str, body: bytes, images: Sequence[Image] = ()) -> int:
    """An upper bound from the body's length alone, `images` being those in it.

    Every token of a byte-level encoding is at least one byte, and JSON escapes only make text longer.
    """
    text = len(body) - sum(len(image.wire_url) for image in images)
    return _raised(model, text + _image_tokens(model, images) + REQUEST_TOKENS)


def exact_bound(model: str, body: bytes, images: Sequence[Image] = ()) -> int:
    """The tokenizer's count of the body, with margins; at most `input_bound`.

    The first call for a model loads its vocabulary: 0.3 s of CPU.
    """
    text = body
    for image in images:
        text = text.replace(image.wire_url.encode(), b"", 1)  # a text that has its URL too is text
    counted = _encoding(_encoding_name(model)).count(text.decode(errors="replace")) * EXACT_MARGIN
    exact = _raised(model, counted + _image_tokens(model, images) + REQUEST_TOKENS)
    return min(exact, input_bound(model, body, images))


def image_tokens(model: str, image: Image) -> int:
    """An upper bound of the input tokens that `model` makes of an image: of one known, that of its largest; else by its size."""
    name = _own_name(model)
    known = (tokens for prefix, tokens in IMAGE_TOKENS.items() if name == prefix or name.startswith(f"{prefix}-"))
    found = next(known, None)
    return max(LEAST_IMAGE_TOKENS, math.ceil(_patches(image) * TOKENS_PER_PATCH)) if found is None else found


def _image_tokens(model: str, images: Sequence[Image]) -> int:
    return sum(image_tokens(model, image) for image in images)


def _patches(image: Image) -> int:
    if image.detail == "low":
        return LOW_DETAIL_PATCHES
    if image.size is None:
        return MOST_PATCHES
    width, height = image.size
    return min(math.ceil(width / PATCH_PIXELS) * math.ceil(height / PATCH_PIXELS), MOST_PATCHES)


def excess(model: str) -> float:
    """What the bounds of `model` are multiplied with now."""
    return _excess.get(model, 1)


def note_overrun(model: str, *, bound: int, actual: int, excess_then: float) -> None:
    """A request to `model` held `actual` input tokens where at most `bound` were expected: expect more from now on.

    `excess_then` is the `excess` that `bound` was counted with: of a hundred calls in flight, all of which tell of the same
    system prompt that a gateway adds, the second must not raise what the first has raised already.
    """
    if actual > bound:
        needed = excess_then * actual / max(bound, 1) * OVERRUN_MARGIN
        _excess[model] = min(max(excess(model), needed), MOST_EXCESS)


def _raised(model: str, tokens: float) -> int:
    return math.ceil(tokens * excess(model))


def _own_name(model: str) -> str:
    return model.rsplit("/", 1)[-1].removeprefix("ft:")


def _encoding_name(model: str) -> str:
    name = _own_name(model)
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
