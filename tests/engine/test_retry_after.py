"""How long a provider asks to be left alone, in every form that servers use, and in those they should not."""

from __future__ import annotations

import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.engine.retry_after import retry_after_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after-ms": "1e999"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Thu, 01 Jan 0001 00:00:00 -0000"}, 0.0),
    ],
)
def test_what_makes_sense_is_honoured_and_the_rest_ignored(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers) == wait_s


def test_a_date_is_waited_for() -> None:
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    wait_s = retry_after_s({"retry-after": in_a_minute})
    assert wait_s is not None
    assert 50 < wait_s <= 60


@given(st.text(), st.text())
def test_no_header_breaks_it(seconds: str, milliseconds: str) -> None:
    wait_s = retry_after_s({"retry-after": seconds, "retry-after-ms": milliseconds})
    assert wait_s is None or 0 <= wait_s < float("inf")
