"""Peers in environments of their own, and how they are run there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".bench-peers"
INSTALL_S = 600
RUN_S = 120
# No key, proxy, tracing or PYTHONPATH of whoever measures: a peer talks to the loopback interface only.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT")
WHY_MOST = 300
"""Characters of a reason."""

Task = Literal["calls", "dags", "spends", "retries"]
TASKS: tuple[Task, ...] = ("calls", "dags", "spends", "retries")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Somebody else's engine or framework."""

    name: str
    packages: tuple[str, ...]
    scripts: Mapping[Task, str]
    """What it can do, and how."""
    needs: tuple[int, ...] = ()
    """The oldest Python that it runs on."""

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def installed(self) -> bool:
        # Written last, so that half an installation does not pass for one.
        return (self.folder / "installed.json").exists()

    @property
    def unsupported(self) -> str:
        """Why this Python can't have it, or ""."""
        if sys.version_info[: len(self.needs)] >= self.needs:
            return ""
        oldest = ".".join(str(number) for number in self.needs)
        return f"needs Python {oldest}: python{oldest} -m benchmarks.peers {self.name}"


@dataclass(frozen=True, kw_only=True)
class PeerFailed(Exception):
    """It did not come to a result; a comparison goes on without it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@cache
def known_peers() -> dict[str, Peer]:
    listed = tomllib.loads((HERE / "peers.toml").read_text())
    return {
        name: Peer(
            name=name,
            packages=tuple(peer["packages"]),
            scripts={task: peer[task] for task in TASKS if task in peer},
            needs=tuple(int(number) for number in peer["python"].split(".")) if "python" in peer else (),
        )
        for name, peer in listed.items()
    }


def installed_peers(task: Task) -> list[Peer]:
    """Those that do this; says which are left out for want of being installed."""
    able = [peer for peer in known_peers().values() if task in peer.scripts]
    _say_missing(tuple(peer.name for peer in able if not peer.installed))
    return [peer for peer in able if peer.installed]


@cache  # once a process is enough
def _say_missing(names: tuple[str, ...]) -> None:
    if names:
        print(f"left out, not installed: {', '.join(names)}; `make bench-peers` installs them", file=sys.stderr)


def install(peer: Peer) -> str:
    """Anew, from the package index; why it failed, or ""."""
    if peer.unsupported:
        return peer.unsupported
    shutil.rmtree(peer.folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(peer.folder)],
        [str(peer.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages],
    ):
        try:
            ended = _run(command, timeout_s=INSTALL_S)
        except subprocess.TimeoutExpired:
            return f"not installed within {INSTALL_S} s"
        if ended.returncode:
            return _why(ended)
    listed = _run([str(peer.python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"], timeout_s=60)
    versions = {package["name"].lower(): package["version"] for package in json.loads(listed.stdout)}
    (peer.folder / "installed.json").write_text(json.dumps(versions, indent=1))
    return ""


def version_of(peer: Peer) -> str:
    """Of the package it is named for."""
    versions = json.loads((peer.folder / "installed.json").read_text())
    package = peer.packages[0].partition("[")[0].lower()
    return str(versions.get(package) or versions.get(package.replace("-", "_"), "unknown"))


def run_peer(peer: Peer, task: Task, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Have the peer do what is asked, in a process of its own and a folder that is gone afterwards; what it measured there.

    Raises:
        PeerFailed: it failed, or took longer than `RUN_S`.
    """
    command = [str(peer.python), str(HERE / peer.scripts[task]), json.dumps(asked)]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            ended = _run(command, timeout_s=RUN_S, folder=folder, environment=environment)
        except subprocess.TimeoutExpired:
            raise PeerFailed(name=peer.name, why=f"no result within {RUN_S} s") from None
    if ended.returncode:
        raise PeerFailed(name=peer.name, why=_why(ended))
    try:
        measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise PeerFailed(name=peer.name, why=f"no result: {ended.stdout[-WHY_MOST:]!r}") from None
    return measured


def _run(
    command: list[str], *, timeout_s: float, folder: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A process and all that it starts, which end with it: a server that outlives its peer would be measured with the next."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            _kill(process)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _kill(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all of them have ended


def _why(ended: subprocess.CompletedProcess[str]) -> str:
    """Its last word; of pip, every error, for the last one alone says no more than that there was one."""
    lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}, and no message"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "; ".join(errors or lines[-1:])[:WHY_MOST]
