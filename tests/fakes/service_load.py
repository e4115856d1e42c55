"""The example service as a process, another one to compare it with, and many clients at once."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANSWER = '{"queue": "billing", "reason": "an invoice"}'
BODY = b'{"text": "my invoice"}'
START_S = 60.0
SERVE = """
import socket, sys, uvicorn
descriptor, folder, app = sys.argv[1:]
sys.path.insert(0, folder)
server = uvicorn.Server(uvicorn.Config(app, log_level="warning", backlog=4096))
server.run([socket.socket(fileno=int(descriptor))])
"""
"""Not `uvicorn --fd`: that takes any socket for a Unix one, and answers of TCP then wait 40 ms for the client's acknowledgement."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running one."""

    port: int
    pid: int

    def resident_mib(self) -> float:
        """What its process holds in memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def uvicorn(app: str, *, app_dir: Path, cwd: Path, model_url: str, **environ: str) -> Generator[Service]:
    """`app` under uvicorn, in a process of its own, calling the model at `model_url`."""
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "STRATUM_BASE_URL": model_url,
        "OPENAI_API_KEY": "key",
        "STRATUM_MODEL": "house",
        "STRATUM_PRICE": "1/1",
        "USD_PER_CUSTOMER": "1000",
        **environ,
    }
    # Bound here and handed down: a port that was let go of in between could be another program's by then.
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        port, descriptor = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-c", SERVE, str(descriptor), str(app_dir), app]
        with subprocess.Popen(command, cwd=cwd, env=environment, pass_fds=[descriptor]) as process:
            try:
                listening.close()
                _until_answering(port, process)
                yield Service(port=port, pid=process.pid)
            finally:
                process.kill()


def _until_answering(port: int, process: subprocess.Popen[bytes]) -> None:
    """The socket takes connections from the first moment on; the service answers once it has started."""
    last = time.monotonic() + START_S
    while True:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_S) as client:
                client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if client.recv(1):
                    return
        except OSError:
            if time.monotonic() > last:
                raise
        time.sleep(0.05)


def load(port: int, *, requests: int, at_once: int) -> list[float]:
    """Ask so often, so many at a time, each on a connection that is kept; the seconds that each took.

    Raises:
        AssertionError: an answer is not 200.
    """
    return asyncio.run(_load(port, requests=requests, at_once=at_once))


async def _load(port: int, *, requests: int, at_once: int) -> list[float]:
    took: list[float] = []
    numbers = iter(range(requests))
    head = (
        "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Customer: acme\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in numbers:
            started = time.perf_counter()
            writer.write(head + BODY)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            assert answer.startswith(b"HTTP/1.1 200"), (answer, body)
            took.append(time.perf_counter() - started)
        writer.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(at_once):
            clients.create_task(client())
    return sorted(took)
