"""The process between us and a plan's command: nothing that the command started outlives it, or us.

    python -I -S command_guard.py STATUS_FD GRACE_S SPARE_LEADER PROGRAM ARGUMENT...

Standard library only, since it starts anew for every command. It is told to stop by the end of its standard input, which comes
by itself when we are killed; no signal to us is needed, and none can be forgotten. What became of the command it writes to
`STATUS_FD`: `exit N`, `signal N` or `error ERRNO`.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SWEEP_S = 5.0
"""How long what does not die of SIGKILL, for the system has it, is waited for."""
LINUX = sys.platform == "linux"


def main() -> None:
    status, grace_s, spare_leader, argv = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:]
    os.set_inheritable(status, False)
    # What ends us ends the command first: only the end of the input does.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, _noted)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what leaves the group by daemonizing becomes our child, and is found
    child, error = _spawn(argv)
    if error:
        os.write(status, b"error %d" % error)
        return
    ended = _until_ended(child, woken, stop=0)
    if ended is None:
        _signal_all(child, signal.SIGTERM, spare_leader=spare_leader)
        ended = _until_ended(child, woken, deadline=time.monotonic() + grace_s)
    ended = _sweep(child, ended)
    if ended is not None:
        code = os.waitstatus_to_exitcode(ended)
        os.write(status, b"exit %d" % code if code >= 0 else b"signal %d" % -code)


def _noted(number: int, frame: object) -> None:
    """For a signal that only has to wake us."""


def _spawn(argv: list[str]) -> tuple[int, int]:
    """Start the command in a group of its own: its process id, and 0 or why it could not be started."""
    told, tell = os.pipe()  # closed by a successful exec
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # this process has one thread, so its end is meant
            signal.set_wakeup_fd(-1)
            for number in (
                signal.SIGTERM,
                signal.SIGINT,
                signal.SIGHUP,
                signal.SIGCHLD,
                signal.SIGPIPE,
                signal.SIGXFSZ,
            ):
                signal.signal(number, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.execvp(argv[0], argv)
        except OSError as error:
            os.write(tell, b"%d" % (error.errno or 0))
        finally:
            os._exit(127)
    os.close(tell)
    try:
        os.setpgid(child, child)
    except OSError:
        pass  # it was quicker, or has ended
    # The write ends of the command's output must not stay open here: its reader waits for all of them.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    failure = os.read(told, 16)
    os.close(told)
    if failure:
        os.waitpid(child, 0)
    return child, int(failure or b"0")


def _until_ended(child: int, woken: int, *, stop: int | None = None, deadline: float | None = None) -> int | None:
    """The command's wait status; `None` once `stop` has ended or the deadline has passed."""
    while True:
        while True:
            try:
                pid, ended = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == child:
                return ended
            if pid == 0:
                break
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return None
        ready, _, _ = select.select([woken] if stop is None else [woken, stop], [], [], left)
        if woken in ready:
            os.read(woken, 4096)
        if stop in ready and not os.read(0, 4096):
            return None


def _sweep(child: int, ended: int | None) -> int | None:
    """Kill whatever the command has left, until nothing is; its wait status, where that was not known yet."""
    deadline = time.monotonic() + SWEEP_S
    while time.monotonic() < deadline:
        _signal_all(child, signal.SIGKILL)
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == child:
            ended = status
        elif pid == 0:
            time.sleep(0.005)
    return ended


def _signal_all(child: int, number: int, *, spare_leader: bool = False) -> None:
    """Signal the command's group and, on Linux, all that descends from it.

    `spare_leader`: not its first process. A sandbox's ends everything inside at once when it is told to end.
    """
    found = _descendants() if LINUX else []
    if not spare_leader:
        _kill(-child, number)
    for pid in found:
        if not (spare_leader and pid == child):
            _kill(pid, number)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # gone, or not ours


def _descendants() -> list[int]:
    """All processes below this one."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it has ended meanwhile
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    unseen = [os.getpid()]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def _prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
