"""What the tests of real HTTP share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sdk", "lean"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way OpenAI's requests go; a module that uses it shows that both do the same."""
    monkeypatch.setenv("STRATUM_TRANSPORT", request.param)
    return str(request.param)
