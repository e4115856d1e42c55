"""Which models reason, by name."""

from __future__ import annotations

import pytest

from stratum.engine.dialects.reasoning import is_reasoning_model


@pytest.mark.parametrize(
    "model",
    ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.5", "gpt-5-nano", "gpt-6.1-sol", "gpt-10",
     "openai/gpt-5-mini", "ft:gpt-5-mini:acme::x1"],
)  # fmt: skip
def test_these_reason(model: str) -> None:
    assert is_reasoning_model(model)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-5-chat-latest", "qwen-0.5b", "gpt-50b", "olmo-2", "o10b", ""],
)
def test_these_do_not(model: str) -> None:
    assert not is_reasoning_model(model)
