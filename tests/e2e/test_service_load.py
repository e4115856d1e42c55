"""The FastAPI example under load: a thousand clients at once, and memory that does not grow with requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.openai_server import serve_process
from tests.fakes.service_load import ANSWER, ROOT, load, uvicorn

from stratum.cli.reading import list_journal

pytestmark = pytest.mark.e2e

AT_ONCE = 1000
REQUESTS = 12_500
ROUNDS = 3
"""After one to warm up: 50,000 requests in all."""
MOST_GROWTH_MIB = 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_a_thousand_clients_at_once_are_served_and_memory_stays_flat(tmp_path: Path) -> None:
    with (
        serve_process(tmp_path / "bills", "--arguments", ANSWER) as model,
        uvicorn(
            "service_fastapi:app",
            app_dir=ROOT / "examples",
            cwd=tmp_path,
            model_url=model.url,
        ) as service,
    ):
        sizes: list[float] = []
        slowest: list[float] = []
        for _ in range(1 + ROUNDS):
            took = load(service.port, requests=REQUESTS, at_once=AT_ONCE)
            assert len(took) == REQUESTS
            sizes.append(service.resident_mib())
            slowest.append(took[int(REQUESTS * 0.99)])
        print(f"MiB {[round(size) for size in sizes]}, p99 s {[round(seconds, 2) for seconds in slowest]}")
        assert len(model.bills()) == REQUESTS * (1 + ROUNDS)
    assert sizes[-1] - sizes[0] < MOST_GROWTH_MIB, sizes
    latest = list_journal(tmp_path / ".stratum" / "stratum.db", limit=REQUESTS)
    assert {run.state for run in latest} == {"succeeded"}
