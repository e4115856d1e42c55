"""Child processes made by fork, to be killed: a process imports everything once, and each child begins where it stands.

So a kill hits what is tested and not an import, and a life costs no second of start-up. A module of children ends with
`serve(ACTIONS, MUTANTS)`; a test opens it with `open_forks(module)`. Children say what they got done, a line each.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = 130
"""The status of a child that Ctrl-C ended; as shells have it."""
SILENCE_S = 180
"""A child that says nothing for this long is stuck."""


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


class Order(msgspec.Struct):
    """What a child is to do."""

    action: str
    arguments: dict[str, Any]
    mutant: str | None = None
    """A fault to build in first: what the test is worth is what it then finds."""


class Forks:
    """Where children are forked; one at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._said = b""
        self.pid = 0

    def start(self, action: str, *, mutant: str | None = None, **arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(Order(action, arguments, mutant)) + b"\n")
        self._process.stdin.flush()
        self.pid = int(self.line().removeprefix("pid "))

    def line(self) -> str:
        """The next line the child said."""
        assert self._process.stdout is not None
        while b"\n" not in self._said:
            assert select.select([self._process.stdout], [], [], SILENCE_S)[0], "the child is stuck"
            self._said += os.read(self._process.stdout.fileno(), 65536)
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        """Kill or interrupt the child, unless it has just ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, by)

    def rest(self) -> list[str]:
        """Everything up to the child's end, that included: `end STATUS`."""
        lines = [self.line()]
        while not lines[-1].startswith("end "):
            lines.append(self.line())
        return lines

    def run(self, action: str, *, mutant: str | None = None, **arguments: object) -> list[str]:
        self.start(action, mutant=mutant, **arguments)
        return self.rest()


@contextmanager
def open_forks(module: str) -> Generator[Forks, None, None]:
    """The process of `python -m module`, ended when the block is left or this process dies."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield Forks(process)
        assert process.stdin is not None
        process.stdin.close()


def serve(actions: Mapping[str, Callable[..., Awaitable[object]]], mutants: Mapping[str, Callable[[], object]]) -> None:
    """Fork a child for each order, until there are no more; to be called without any thread running."""
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            order = msgspec.json.decode(line, type=Order)
            if order.mutant:
                mutants[order.mutant]()
            _carry_out(partial(actions[order.action], **order.arguments))
        say(f"pid {child}")
        _, status = os.waitpid(child, 0)
        say(f"end {os.waitstatus_to_exitcode(status)}")


def _carry_out(action: Callable[[], Awaitable[object]]) -> None:
    try:
        trio.run(action)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except BaseException as error:  # noqa: BLE001 - whatever it was, a child must not go on in its parent's loop
        sys.excepthook(type(error), error, error.__traceback__)
        os._exit(1)
    os._exit(0)
