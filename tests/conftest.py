"""What every test shares."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stratum.engine.pricing import tokens
from tests.fakes.openai_server import serve_process

# One machine speed for all: CI has two cores, and no test may depend on how busy they are.
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Started in the background of a script, the suite has Ctrl-C ignored, and so would every process it starts and interrupts:
# being ignored is inherited, a handler is not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Whoever runs the suite may have a key, a model, a git repository or colours in the environment: no test may see them.
# Where weights are had from stays, for tests that fetch some.
for name in list(os.environ):
    if name.startswith(("STRATUM_", "OPENAI_", "GIT_")) and not name.startswith("STRATUM_LOCAL_"):
        del os.environ[name]
os.environ["GIT_CONFIG_GLOBAL"] = str(Path(__file__).with_name("fakes") / "gitconfig")
os.environ["GIT_CONFIG_SYSTEM"] = os.devnull
for name in (
    "COLUMNS",
    "LINES",
    "FORCE_COLOR",
    "NO_COLOR",
    "PY_COLORS",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "PYTEST_ADDOPTS",
):
    os.environ.pop(name, None)
# Nor has a proxy, which may be needed to fetch them, anything to do with servers of the tests and with names that are none.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost", ".invalid"]))


@pytest.fixture(autouse=True)
def nothing_learnt() -> Generator[None]:
    """What a process has learnt of a model's bills outlives a test, and every bound is raised by it."""
    yield
    tokens._excess.clear()  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(scope="module")
def house_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a model that always gives the same verdict."""
    bill = tmp_path_factory.mktemp("server") / "bill"
    with serve_process(bill, "--arguments", '{"label": "y", "score": 1}') as server:
        yield server.url


@pytest.fixture
def house_model(house_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of that model, which the environment names."""
    monkeypatch.setenv("STRATUM_BASE_URL", house_server)
    monkeypatch.setenv("STRATUM_MODEL", "house-model")
    monkeypatch.setenv("STRATUM_PRICE", "1/2")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.delenv("STRATUM_JOURNAL", raising=False)
    return house_server
