"""Token counts of answers: read where they can be true, else none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stratum.contracts.price import Usage
from stratum.engine.dialects.usage import NULL, chat_usage, responses_usage

RESPONSES: dict[str, Any] = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 100},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 200},
    "total_tokens": 1500,
}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def test_cached_written_and_reasoning_tokens_are_read() -> None:
    """BUDGETS 11."""
    assert responses_usage(raw(RESPONSES)) == Usage(
        input_tokens=1000, output_tokens=500, cached_tokens=800, cache_write_tokens=100, reasoning_tokens=200
    )


def test_chat_completions_name_the_same_counts_otherwise() -> None:
    reported = {
        "prompt_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens": 500,
        "completion_tokens_details": {"reasoning_tokens": 200},
    }
    assert chat_usage(raw(reported)) == Usage(
        input_tokens=1000, output_tokens=500, cached_tokens=800, reasoning_tokens=200
    )


def test_details_may_be_absent_or_null() -> None:
    plain = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": None}
    assert chat_usage(raw(plain)) == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize(
    "change",
    [
        {"input_tokens": -1},
        {"output_tokens": 1.5},
        {"output_tokens": "500"},
        {"output_tokens": True},
        {"input_tokens": 10**30},
        {"input_tokens": 10**8 + 1},
        {"input_tokens": 0, "output_tokens": 0, "input_tokens_details": None},
        {"input_tokens": None},
        {"input_tokens": 899},  # less than what is said to be cached and written
        {"input_tokens_details": []},
    ],
)
def test_counts_that_cannot_be_true_are_no_usage(change: dict[str, Any]) -> None:
    """BUDGETS 12: such an answer then costs its whole reservation."""
    assert responses_usage(raw({**RESPONSES, **change})) is None


def test_the_largest_count_that_is_believed() -> None:
    """From there on its cost might not fit a column of the journal."""
    assert responses_usage(raw({**RESPONSES, "input_tokens": 10**8})) is not None


def test_no_usage_is_none() -> None:
    assert responses_usage(NULL) is None
    assert chat_usage(NULL) is None
