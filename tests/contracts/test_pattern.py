"""Patterns as providers read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.pattern import portable_pattern


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"^\d{3}-\d+$", "^[0-9]{3}-[0-9]+$"),
        (r"^[\w.]+@[\w.]+$", "^[A-Za-z0-9_.]+@[A-Za-z0-9_.]+$"),
        (r"^a\sb$", r"^a[ \t\n\r]b$"),
        (r"^(?:low|high)$", "^(low|high)$"),
        (r"^[A-Z]{2,4}$", "^[A-Z]{2,4}$"),
        (r"^\$\d+\.\d\d$", r"^\$[0-9]+\.[0-9][0-9]$"),
        (r"^.*$", "^.*$"),
        (r"^[(?:]$", "^[(?:]$"),
        ("^$", "^$"),
        (r"^a\\\\$", r"^a\\\\$"),
    ],
)
def test_what_can_be_said_is_said(pattern: str, said: str) -> None:
    assert portable_pattern(pattern) == said


@pytest.mark.parametrize(
    "pattern",
    [
        *("abc", "^abc", "abc$", "", "^", "$", "^a$|^b$", r"^(?P<year>\d+)$", "^(?i)a$", r"^\p{L}+$", r"^\bword\b$"),
        *(
            r"^\D+$",
            r"^\W$",
            r"^\x41$",
            "^[[:alpha:]]$",
            "^[a[b]]$",
            "^[a&&b]$",
            "^a]$",
            r"^a\$",
            r"^[^\d]$",
            r"^[^a\w]$",
        ),
    ],
)
def test_what_engines_read_differently_is_not_sent(pattern: str) -> None:
    assert portable_pattern(pattern) is None


ATOMS = st.sampled_from(
    ["a", "B", "7", "_", ".", r"\d", r"\w", r"\s", "[a-c]", r"[\d.]", "[^a-c]", "(?:ab|c)", r"\.", r"\$", r"\\"]
)
PATTERNS = st.lists(st.tuples(ATOMS, st.sampled_from(["", "*", "+", "?", "{2}"])), max_size=5).map(
    lambda parts: "^" + "".join(f"{atom}{repeat}" for atom, repeat in parts) + "$"
)


@given(st.data())
def test_what_matches_the_pattern_that_is_sent_matches_the_one_that_was_written(data: st.DataObject) -> None:
    pattern = data.draw(PATTERNS)
    said = portable_pattern(pattern)
    assert said is not None
    text = data.draw(st.from_regex(re.compile(said, re.ASCII), fullmatch=True))
    assert re.fullmatch(pattern[1:-1], text)
