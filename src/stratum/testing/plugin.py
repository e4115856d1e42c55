"""The pytest plugin: a runtime for each test, recordings, and no network by accident."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

try:
    trio_fixture = import_module("pytest_trio").trio_fixture
except ImportError:  # a suite of synchronous tests, or of asyncio ones: without `stratum_runtime`
    trio_fixture = None

if TYPE_CHECKING:
    from stratum.engine.providers.protocol import Provider
    from stratum.engine.runtime import Runtime

NETWORK = "stratum_network"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stratum")
    group.addoption(
        "--stratum-record",
        action="store_true",
        help="ask the model that the environment names for what is not recorded yet, and record it",
    )
    group.addoption("--stratum-network", action="store_true", help="let tests call models over the network")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{NETWORK}: the test may call a model over the network")


@pytest.fixture(autouse=True)
def _no_model_by_accident(request: pytest.FixtureRequest) -> Generator[None]:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    """Calls that would leave this machine raise `NetworkRefused`."""
    options = request.config
    allowed = options.getoption("stratum_record") or options.getoption("stratum_network")
    from stratum.engine.providers.real_network import network_allowed

    # Set either way: a suite that is run inside of a test has its own rules.
    token = network_allowed.set(bool(allowed or request.node.get_closest_marker(NETWORK)))
    try:
        yield
    finally:
        network_allowed.reset(token)


@pytest.fixture
def stratum_provider(request: pytest.FixtureRequest) -> Provider:
    """Who answers in this test: its recording, if it has one. Override this fixture to script the answers."""
    from stratum.contracts.errors import NoRecording
    from stratum.engine.providers.replay import replay
    from stratum.engine.providers.scripted import scripted

    recording = recording_of(request)
    if request.config.getoption("stratum_record"):
        return replay(recording, record=True)
    if recording.exists():
        return replay(recording)
    missing = NoRecording(
        message=f"{recording} does not exist",
        fix="run pytest --stratum-record once, or script the answers in a fixture `stratum_provider`",
    )
    return scripted(otherwise=missing)


def recording_of(request: pytest.FixtureRequest) -> Path:
    """`recordings/MODULE/TEST.jsonl` beside the test's module."""
    name = re.sub(r"[^\w.-]+", "_", request.node.name)
    return request.path.parent / "recordings" / request.path.stem / f"{name}.jsonl"


async def _runtime(stratum_provider: Any) -> AsyncGenerator[Runtime]:
    """A runtime around the test, its journal in memory: steps can be awaited directly."""
    from stratum.engine.runtime import open_runtime

    async with open_runtime(provider=stratum_provider, journal=None) as runtime:
        yield runtime


if trio_fixture is not None:
    stratum_runtime = trio_fixture(_runtime)
