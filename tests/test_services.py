"""The example services as their users start them: processes, real HTTP, a model on the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from stratum.cli.reading import list_journal
from tests.fakes.openai_server import ServerProcess, serve_process

ROOT = Path(__file__).parents[1]
ANSWER = '{"queue": "billing", "reason": "an invoice"}'
PATIENCE_S = 120


@contextmanager
def service(
    kind: str, folder: Path, model: ServerProcess, **environ: str
) -> Generator[tuple[httpx2.Client, subprocess.Popen[bytes]]]:
    # Bound here and handed down: a port that was let go of in between could be another program's by then.
    listening = socket.create_server(("127.0.0.1", 0))
    port, descriptor = listening.getsockname()[1], str(listening.fileno())
    command = {
        "fastapi": ["-m", "uvicorn", "--app-dir", str(ROOT / "examples"), "--fd", descriptor, "service_fastapi:app"],
        "trio": [str(ROOT / "examples/service_trio.py"), f"fd://{descriptor}"],
    }[kind]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "STRATUM_BASE_URL": model.url,
        "OPENAI_API_KEY": "key",
        "STRATUM_MODEL": "house",
        "STRATUM_PRICE": "1/1",
        **environ,
    }
    with (
        listening,
        subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, pass_fds=[listening.fileno()]
        ) as process,
    ):
        listening.close()
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
                until(lambda: answers(client), "the service answers")
                yield client, process
        finally:
            process.kill()


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/nothing").status_code == 404
    except httpx2.ConnectError:
        return False


def until(holds: object, what: str) -> None:
    """Other processes give no event to wait for."""
    assert callable(holds)
    last = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < last, f"waited in vain: {what}"
        time.sleep(0.02)


def ask(client: httpx2.Client, customer: str = "acme") -> httpx2.Response:
    return client.post("/messages", json={"text": "my invoice"}, headers={"x-customer": customer})


def states(folder: Path) -> list[str]:
    journal = folder / ".stratum" / "stratum.db"
    return [run.state for run in list_journal(journal, limit=99)] if journal.exists() else []


@pytest.mark.parametrize("kind", ["fastapi", "trio"])
def test_a_service_answers_and_a_customer_who_is_over_budget_is_told(kind: str, tmp_path: Path) -> None:
    with (
        serve_process(tmp_path / "bills", "--arguments", ANSWER, "--usage", "100,50") as model,
        service(kind, tmp_path, model, USD_PER_CUSTOMER="0.0004") as (client, _),
    ):
        first = ask(client)
        assert (first.status_code, first.json()["queue"]) == (200, "billing")
        assert first.json()["customer_usd"] > 0
        statuses = [ask(client).status_code for _ in range(9)]
        assert 402 in statuses and statuses == sorted(statuses)
        assert ask(client, "another customer").status_code == 200


@pytest.mark.parametrize("kind", ["fastapi", "trio"])
def test_a_client_that_hangs_up_stops_its_flow(kind: str, tmp_path: Path) -> None:
    with (
        serve_process(tmp_path / "bills", "--arguments", ANSWER, "--latency-ms", "60000") as model,
        service(kind, tmp_path, model) as (client, _),
    ):
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
            connection.sendall(
                b"POST /messages HTTP/1.1\r\nHost: localhost\r\nX-Customer: acme\r\n"
                b'Content-Type: application/json\r\nContent-Length: 22\r\n\r\n{"text": "my invoice"}'
            )
            until(lambda: states(tmp_path) == ["running"], "the flow has begun")
        until(lambda: states(tmp_path) == ["cancelled"], "the flow is cancelled")


@pytest.mark.parametrize("kind", ["fastapi", "trio"])
def test_sigterm_lets_requests_under_way_finish(kind: str, tmp_path: Path) -> None:
    with (
        serve_process(tmp_path / "bills", "--arguments", ANSWER, "--latency-ms", "4000") as model,
        service(kind, tmp_path, model) as (client, process),
        ThreadPoolExecutor() as threads,
    ):
        under_way = [threads.submit(ask, client) for _ in range(3)]
        until(lambda: states(tmp_path) == ["running"] * 3, "three requests are under way")
        process.send_signal(signal.SIGTERM)
        assert [asked.result().status_code for asked in under_way] == [200] * 3
        process.wait(PATIENCE_S)
    assert states(tmp_path) == ["succeeded"] * 3
