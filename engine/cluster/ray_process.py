"""What Ray runs in a worker process: a `Worker` in a trio thread, spoken to by Ray's calls.

Ray makes calls in threads of its own. One of them waits for what there is to say, another takes what the owner says.
"""

from __future__ import annotations

import os
import socket
import threading
import traceback
from math import inf
from multiprocessing import spawn
from queue import Empty, SimpleQueue
from typing import Any, Final

import trio

from stratum.engine.cluster.worker import Worker

_OF_THE_PROGRAM: Final = ("sys_path", "sys_argv", "dir", "orig_dir", "init_main_from_name", "init_main_from_path")


def program() -> dict[str, Any]:
    """This program, as its worker processes have to know it: multiprocessing's own description, less what is of processes."""
    return {key: value for key, value in spawn.get_preparation_data("stratum worker").items() if key in _OF_THE_PROGRAM}


class RayProcess:
    """A Ray actor. Made in the worker process, with what `program` said in the owner's."""

    def __init__(self, name: str, program: dict[str, Any]) -> None:
        spawn.prepare(program)  # which imports the main module, as `__mp_main__`
        self._said: SimpleQueue[bytes | str] = SimpleQueue()
        self._heard, hears = trio.open_memory_channel[bytes](inf)
        self._token: trio.lowlevel.TrioToken
        self._name = f"{name}, process {os.getpid()} on {socket.gethostname()}"
        ready = threading.Event()
        threading.Thread(target=self._run, args=(hears, ready), name="stratum worker", daemon=True).start()
        ready.wait()

    def name(self) -> str:
        """Which process this is."""
        return self._name

    def hear(self, message: bytes) -> None:
        """The owner says something."""
        self._token.run_sync_soon(self._heard.send_nowait, message)

    def said(self) -> list[bytes]:
        """Wait for what there is to say.

        Raises:
            RuntimeError: the worker has crashed.
        """
        messages = [self._said.get()]
        while True:
            try:
                messages.append(self._said.get_nowait())
            except Empty:
                break
        for message in messages:
            if isinstance(message, str):
                raise RuntimeError(message)
        return [message for message in messages if isinstance(message, bytes)]

    def _run(self, hears: trio.MemoryReceiveChannel[bytes], ready: threading.Event) -> None:
        async def main() -> None:
            self._token = trio.lowlevel.current_trio_token()
            ready.set()
            await Worker(self._said.put, name=self._name).serve(hears)

        try:
            trio.run(main)
        except BaseException:  # noqa: BLE001 - the owner is to hear of it
            self._said.put(traceback.format_exc())
