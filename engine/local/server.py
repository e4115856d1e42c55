"""The embedded model as something to send requests to: a child process, started when first needed and kept warm.

Above: the `local` provider, which asks for the `Endpoint` before each request. Below: `llama_child.py`, the process.

A model takes seconds to load, so it belongs to this process and not to one `trio.run`: `local_model(weights)` gives
every runtime the same one, and it lives until the process ends. That is why starting it is ordinary blocking code
under a thread lock, run in a worker thread. A caller that is cancelled meanwhile leaves it starting, for the next.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import trio

from stratum.contracts.errors import ModelUnavailable

# On 2 cores, qwen-0.5b, tokens/s of all streams together, 2026-11-22, with other work on the machine: 1 decoding thread 16 to 21
# whether 1 or 8 streams; 2 threads 13 with 1 stream, 18 with 3, 20 with 4. So slots gain little there; they keep a short
# request from waiting for a long one. Spinning threads made 32 alone and under 3 beside other work: hence OMP passive.
SLOTS = 4
CONTEXT_TOKENS = 4_096
"""Of each slot: prompt and answer together."""
RESTARTS = 3
RESTART_WINDOW_S = 60.0
"""More deaths than `RESTARTS` in this time, and the model is given up until some have aged."""
LAST_LINES = 8

CHILD = Path(__file__).with_name("llama_child.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where the model answers, in OpenAI's chat dialect."""

    base_url: str
    """`http://127.0.0.1:PORT/v1`"""
    token: str = field(repr=False)
    """Sent as `Authorization: Bearer ...`; without it the answer is 401."""
    model: str
    context_tokens: int
    """Prompt and answer of one request; a longer prompt is refused with status 400."""
    slots: int
    """Requests worked on at once; more of them wait inside the server."""


class LocalModel:
    """One model's process. Used from any task of any thread; restarted by the next call when it has died."""

    def __init__(self, weights: Path, *, slots: int = SLOTS, context_tokens: int = CONTEXT_TOKENS) -> None:
        self._weights = weights
        self._slots = slots
        self._context_tokens = context_tokens
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._endpoint: Endpoint | None = None
        self._starts: deque[float] = deque(maxlen=RESTARTS + 1)

    async def endpoint(self) -> Endpoint:
        """The running process's address, started first where it does not run.

        Checkpoints. Cancellation does not stop a start under way: the next call finds it done.

        Raises:
            ModelUnavailable: the extra is missing, the weights do not load, or the process keeps dying.
        """
        if self._endpoint is not None and self.running:
            await trio.lowlevel.checkpoint()
            return self._endpoint
        return await trio.to_thread.run_sync(self._ensure_started, abandon_on_cancel=True)

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        """Kill the process and wait until it is gone, some milliseconds. Nothing in it is worth saving."""
        self._discard()
        self._starts.clear()

    def _ensure_started(self) -> Endpoint:
        with self._starting:
            if self._endpoint is not None and self.running:
                return self._endpoint
            self._refuse_if_it_keeps_dying()
            self._discard()
            self._endpoint = self._start()
            return self._endpoint

    def _discard(self) -> None:
        process, self._process, self._endpoint = self._process, None, None
        stderr, self._stderr = self._stderr, None
        if process is not None:
            process.kill()
            process.wait()
            _close(process.stdin, process.stdout, stderr)

    def _refuse_if_it_keeps_dying(self) -> None:
        # The clock of the machine, not trio's: this object outlives a run and its clock.
        now = time.monotonic()
        if len(self._starts) > RESTARTS and now - self._starts[0] < RESTART_WINDOW_S:
            raise ModelUnavailable(
                message=f"{self._weights.name} died {len(self._starts)} times in a minute{self._last_words()}",
                fix="look at the memory that is free, or take a smaller model",
            )
        self._starts.append(now)

    def _start(self) -> Endpoint:
        if not installed():
            raise ModelUnavailable(
                message="the embedded model is not installed", fix="pip install 'stratum-runtime[local]'"
            )
        token = secrets.token_urlsafe(32)
        config = {
            "weights": str(self._weights),
            "model": self._weights.stem,
            "token": token,
            "slots": self._slots,
            "context_tokens": self._context_tokens,
        } | _threads()
        # Not a pipe: nobody would be reading when it fills.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by _discard
        process = self._process = _spawn(self._stderr)
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(config).encode() + b"\n")
            answer = process.stdout.readline()
        except OSError:
            answer = b""
        if not answer:
            code = process.wait()
            raise ModelUnavailable(
                message=f"{self._weights.name} did not start (exit code {code}){self._last_words()}",
                fix="check the file, the memory that is free, and that it is a model llama.cpp knows",
            )
        return Endpoint(
            base_url=json.loads(answer)["address"] + "/v1",
            token=token,
            model=self._weights.stem,
            context_tokens=self._context_tokens,
            slots=self._slots,
        )

    def _last_words(self) -> str:
        if self._stderr is None:
            return ""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        return "".join(f"\n    {line}" for line in lines[-LAST_LINES:])


_models: dict[Path, LocalModel] = {}
_models_lock = threading.Lock()


def local_model(weights: Path) -> LocalModel:
    """This process's model of these weights: the same object each time, nothing started yet.

    It is killed when the process exits, and ends by itself when the process is killed.
    """
    with _models_lock:
        key = weights.resolve()
        if key not in _models:
            _models[key] = LocalModel(weights)
            atexit.register(_models[key].close)
        return _models[key]


def installed() -> bool:
    """Whether the `local` extra is there; found without importing it."""
    return importlib.util.find_spec("xllamacpp") is not None


def _spawn(stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    # By path and with -P: neither Stratum's imports nor a file of the working directory get into the process.
    return subprocess.Popen(
        [sys.executable, "-P", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        bufsize=0,
    )


def _close(*files: IO[bytes] | None) -> None:
    for file in files:
        if file is not None:
            file.close()


def _threads() -> dict[str, int]:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return {"prefill_threads": min(cores, 8), "decode_threads": max(1, min(cores // 2, 8))}
