"""`image_size`: width and height of a picture, from the first bytes of its file; nothing is decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_NOT_A_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Of JPEG's markers C0 to CF, which begin a frame: tables of codes and an extension."""
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def image_size(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Pixels; `None` where the file does not say, or breaks off before it does."""
    try:
        width, height = _READERS[media_type](content)
    except (IndexError, KeyError, ValueError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _number(content: bytes, start: int, count: int, *, big: bool = False) -> int:
    piece = content[start : start + count]
    if len(piece) < count:
        raise ValueError("the file ends here")
    return int.from_bytes(piece, "big" if big else "little")


def _png(content: bytes) -> tuple[int, int]:
    return _number(content, 16, 4, big=True), _number(content, 20, 4, big=True)


def _gif(content: bytes) -> tuple[int, int]:
    return _number(content, 6, 2), _number(content, 8, 2)


def _webp(content: bytes) -> tuple[int, int]:
    match content[12:16]:
        case b"VP8X":
            return _number(content, 24, 3) + 1, _number(content, 27, 3) + 1
        case b"VP8L":
            bits = _number(content, 21, 4)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return _number(content, 26, 2) & 0x3FFF, _number(content, 28, 2) & 0x3FFF
        case _:
            raise ValueError("no kind of WebP that is known")


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if content[at] != 0xFF:
            raise ValueError("no marker")
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1  # padding
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME:
            return _number(content, at + 7, 2, big=True), _number(content, at + 5, 2, big=True)
        else:
            at += 2 + max(2, _number(content, at + 2, 2, big=True))


_READERS: Final[dict[str, Callable[[bytes], tuple[int, int]]]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
}
