"""`run_command`: a plan's program, run in the workspace, and everything about how it ended.

Above: command steps, `command` conditions and `command_succeeds`. Below: `command_guard.py`, a process that ends whatever the
program started, and `Sandbox`.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from stratum.contracts.errors import CommandRefused
from stratum.contracts.plans.plan import Command
from stratum.contracts.plans.step_result import CommandResult
from stratum.contracts.rendering import show
from stratum.engine.plans.doers.captured import Captured
from stratum.engine.plans.doers.sandbox import Sandbox

ENVIRONMENT: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""What a program gets of ours; secrets such as API keys stay here unless the plan names them."""
KEY: Final = "STRATUM_STEP_KEY"
"""The variable with the step's idempotency key: the same when a step whose end is unknown is run again."""
OUTPUT_BYTES: Final = 64 * 1024
"""Kept of each of standard output and standard error."""
GRACE_S: Final = 5.0
"""Between SIGTERM and SIGKILL."""
_STOPPING_S: Final = 10.0
"""The guard's own time, on top of the grace."""
_STRAGGLERS_S: Final = 1.0
"""For output after the end: where something could leave the group, it may hold the pipe."""

_GUARD: Final = Path(__file__).with_name("command_guard.py")

Ending = Literal["exited", "signalled", "timed_out", "not_started"]


class CommandRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a program was run and how it ended."""

    result: CommandResult
    ending: Ending
    problem: str
    """Why it did not succeed: `exit status 1`, `killed by SIGSEGV`; empty where it exited with 0."""
    stdout_bytes: int
    """All that it wrote, kept or not."""
    stderr_bytes: int
    duration_ms: int
    sandboxed: bool


async def run_command(
    command: Command,
    *,
    workspace: Path,
    key: str,
    timeout_s: float | None = None,
    extra_env: Mapping[str, str] | None = None,
    sandbox: Sandbox | None = None,
    limit_bytes: int = OUTPUT_BYTES,
    grace_s: float = GRACE_S,
) -> CommandRun:
    """Run a program to its end; what it leaves running is ended too.

    At the timeout, and when cancelled, it and everything it started get SIGTERM, then SIGKILL. The same happens by itself
    when this process is killed. A program that fails, is not found or takes too long is a result, not an error.

    Raises:
        CommandRefused: it cannot be run as it is written; nothing was started.
    """
    root, cwd = await trio.to_thread.run_sync(_places, command, workspace)
    argv = _argv(command)
    environment = _environment(command, key=key, extra=extra_env or {})
    if sandbox is not None:
        argv = sandbox.around(argv, workspace=root, cwd=cwd, network=command.network)
    began = trio.current_time()
    guarded = _Guarded(limit_bytes, grace_s)
    ended, timed_out = await guarded.run(
        argv, cwd=cwd, environment=environment, timeout_s=timeout_s, sandboxed=sandbox is not None
    )
    return guarded.outcome(
        ended,
        timed_out_s=timeout_s if timed_out else None,
        duration_ms=round((trio.current_time() - began) * 1000),
        sandboxed=sandbox is not None,
        program=command.argv[0],
    )


class _Guarded:
    """One program behind its guard, and what it wrote."""

    def __init__(self, limit_bytes: int, grace_s: float) -> None:
        self._stdout = Captured(limit_bytes)
        self._stderr = Captured(limit_bytes)
        self._grace_s = grace_s

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_s: float | None,
        sandboxed: bool,
    ) -> tuple[str, bool]:
        """The guard's word on how it ended, and whether it had taken too long."""
        with ExitStack() as stack:
            status, told = os.pipe()
            stack.callback(os.close, status)
            guard = [sys.executable, "-I", "-S", str(_GUARD), str(told), str(self._grace_s), str(int(sandboxed)), *argv]
            process: trio.Process | None = None
            try:
                # Shielded: a process that was started and is not known here could not be ended.
                with trio.CancelScope(shield=True):
                    process = await trio.lowlevel.open_process(
                        guard,
                        cwd=cwd,
                        env=environment,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        pass_fds=(told,),
                        start_new_session=True,
                    )
            except OSError as error:
                raise CommandRefused(program=argv[0], problem=f"cannot be run: {error.strerror}") from error
            finally:
                os.close(told)
            assert process is not None, "a shield does not end by itself"
            timed_out = await self._attend(process, timeout_s)
            os.set_blocking(status, False)
            try:
                return os.read(status, 64).decode(), timed_out
            except BlockingIOError:  # pragma: no cover - the guard had to be killed, and something holds its end
                return "", timed_out

    async def _attend(self, process: trio.Process, timeout_s: float | None) -> bool:
        """Wait for its end, or bring it about; whether it took too long."""
        async with trio.open_nursery() as nursery:
            # Reading goes on while it is being stopped: what it says then is often the reason.
            reading = trio.CancelScope(shield=True)
            nursery.start_soon(self._read, process, reading)
            try:
                with trio.move_on_after(float("inf") if timeout_s is None else timeout_s) as limit:
                    await process.wait()
            finally:
                await self._stop(process)
                reading.deadline = trio.current_time() + _STRAGGLERS_S
        return limit.cancelled_caught

    async def _read(self, process: trio.Process, reading: trio.CancelScope) -> None:
        assert process.stdout is not None and process.stderr is not None
        with reading:
            async with process.stdout, process.stderr, trio.open_nursery() as nursery:
                nursery.start_soon(_copy, process.stdout, self._stdout)
                nursery.start_soon(_copy, process.stderr, self._stderr)

    async def _stop(self, process: trio.Process) -> None:
        """End it, if it has not ended: closing its input tells the guard to."""
        assert process.stdin is not None
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            with trio.move_on_after(self._grace_s + _STOPPING_S):
                await process.wait()
            if process.returncode is None:  # pragma: no cover - the guard waits for what the system holds
                process.kill()
                await process.wait()

    def outcome(
        self, ended: str, *, timed_out_s: float | None, duration_ms: int, sandboxed: bool, program: str
    ) -> CommandRun:
        how, _, number = ended.partition(" ")
        ending, code, problem = _ending(how, int(number or 0), program)
        if timed_out_s is not None:
            ending, problem = "timed_out", f"not done within {timed_out_s:g} s"
        return CommandRun(
            result=CommandResult(
                exit_code=code,
                stdout=self._stdout.text(),
                stderr=self._stderr.text(),
                truncated=self._stdout.truncated or self._stderr.truncated,
            ),
            ending=ending,
            problem=problem,
            stdout_bytes=self._stdout.seen_bytes,
            stderr_bytes=self._stderr.seen_bytes,
            duration_ms=duration_ms,
            sandboxed=sandboxed,
        )


async def _copy(stream: trio.abc.ReceiveStream, captured: Captured) -> None:
    async for chunk in stream:
        captured.add(bytes(chunk))


def _ending(how: str, number: int, program: str) -> tuple[Ending, int, str]:
    """How it ended, its exit code as `subprocess` counts them (a signal is negative), and what was wrong."""
    if how == "exit":
        return "exited", number, _exit_problem(number)
    if how == "error":
        return "not_started", 127 if number == errno.ENOENT else 126, f"{show(program)}: {os.strerror(number)}"
    if how == "signal":
        return "signalled", -number, f"killed by {_signal_name(number)}"
    return "signalled", -signal.SIGKILL, "killed, with the process that guards it"


def _exit_problem(code: int) -> str:
    if code == 0:
        return ""
    # Shells and sandboxes report the signal that ended what they ran in this way.
    named = _signal_name(code - 128) if code > 128 else ""
    return f"exit status {code} ({named})" if named.startswith("SIG") else f"exit status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _argv(command: Command) -> list[str]:
    argv = list(command.argv)
    if not argv or not argv[0]:
        raise CommandRefused(program="", problem="no program is named")
    for argument in argv:
        _refuse_unencodable(argument, argv[0], "an argument")
    if command.shell:
        return ["sh", "-c", argv[0], "sh", *argv[1:]]
    return argv


def _environment(command: Command, *, key: str, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment = {**inherited, **extra, **command.env, KEY: key}
    for name, value in environment.items():
        if not name or "=" in name:
            raise CommandRefused(program=command.argv[0], problem=f"{show(name)} cannot be an environment variable")
        _refuse_unencodable(name + value, command.argv[0], f"the environment variable {show(name)}")
    return environment


def _refuse_unencodable(text: str, program: str, what: str) -> None:
    if "\0" in text:
        raise CommandRefused(program=program, problem=f"{what} holds a NUL character")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise CommandRefused(program=program, problem=f"{what} cannot be written in the system's encoding") from None


def _places(command: Command, workspace: Path) -> tuple[Path, Path]:
    """The workspace and the folder to run in, links resolved."""
    program = command.argv[0] if command.argv else ""
    try:
        root = workspace.resolve(strict=True)
        cwd = (root / command.cwd).resolve(strict=True)
    except FileNotFoundError:
        raise CommandRefused(program=program, problem=f"there is no folder {show(command.cwd)}") from None
    except (OSError, ValueError, RuntimeError):
        raise CommandRefused(program=program, problem=f"{show(command.cwd)} cannot be its folder") from None
    if not cwd.is_relative_to(root):
        raise CommandRefused(program=program, problem=f"the folder {show(command.cwd)} is outside the workspace")
    if not cwd.is_dir():
        raise CommandRefused(program=program, problem=f"{show(command.cwd)} is not a folder")
    return root, cwd
