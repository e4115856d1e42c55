r"""Patterns as every engine on the other side reads them: pydantic's Rust, OpenAI's ECMA, llama.cpp's grammars.

They agree on literals, `.`, sets, groups, alternatives and repeats of a pattern anchored at both ends. Of escapes they agree on
those of punctuation; `\d`, `\w` and `\s` can be spelt out (narrower than Rust's, which are Unicode's: what the model then writes
matches here too).
"""

from __future__ import annotations

import re
from typing import Final

_ANCHORED: Final = re.compile(r"\^(\\.|[^\\])*\$", re.DOTALL)
_TOKEN: Final = re.compile(r"\\.|\(\?:|\[\^?|[\s\S]")
_SPELT_OUT: Final = {r"\d": "0-9", r"\w": "A-Za-z0-9_", r"\s": r" \t\n\r"}
# Narrower than Rust's own, these are wider in a set that excludes them.
_EXCLUDED_CLASS: Final = re.compile(r"\[\^[^\]]*\\[dws]")
# Named groups and flags, other escapes, Rust's sets within sets and operations on them.
_READ_DIFFERENTLY: Final = re.compile(r"\(\?(?!:)|\\[A-Za-z0-9]|\[[^\]]*\[|&&|~~|--")
_ESCAPED: Final = re.compile(r"\\([^A-Za-z0-9]|[tnr])")
_SET: Final = re.compile(r"\[[^\]]*\]")


def portable_pattern(pattern: str) -> str | None:
    """`pattern` in words that all engines share; `None` where there are none."""
    if _ANCHORED.fullmatch(pattern) is None or _EXCLUDED_CLASS.search(pattern):
        return None
    said = "".join(_spelt_out(pattern[1:-1]))
    unescaped = _ESCAPED.sub("", said)
    if _READ_DIFFERENTLY.search(unescaped) or re.search(r"[\^$\]]", _SET.sub("", unescaped)):
        return None
    return f"^{said}$"


def _spelt_out(pattern: str) -> list[str]:
    """The pattern's tokens, classes of characters written as ranges and groups captured: which is as good, and shorter."""
    said: list[str] = []
    in_set = False
    for token in _TOKEN.findall(pattern):
        if token in _SPELT_OUT:
            said.append(_SPELT_OUT[token] if in_set else f"[{_SPELT_OUT[token]}]")
            continue
        if token.startswith("[") and not in_set:
            in_set = True
        elif token == "]":
            in_set = False
        said.append("(" if token == "(?:" and not in_set else token)
    return said
