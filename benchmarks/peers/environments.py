"""Peers in environments of their own, and how they are run there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".bench-peers"
INSTALL_S = 600
RUN_S = 300

Measures = Literal["calls", "dags"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Somebody else's engine or framework."""

    name: str
    packages: tuple[str, ...]
    script: str
    measures: Measures
    spends: str = ""
    """The script that spends under a budget, where it has budgets."""

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
            script=peer["script"],
            measures=peer["measures"],
            spends=peer.get("spends", ""),
        )
        for name, peer in listed.items()
    }


def installed_peers(measures: Measures) -> list[Peer]:
    return [peer for peer in known_peers().values() if peer.measures == measures and peer.installed]


def install(peer: Peer) -> str:
    """Anew, from the package index; why it failed, or ""."""
    shutil.rmtree(peer.folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(peer.folder)],
        [str(peer.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages],
    ):
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            return f"not installed within {INSTALL_S} s"
        if ended.returncode:
            return _last_line(ended.stderr)
    frozen = subprocess.run(
        [str(peer.python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    versions = {package["name"].lower(): package["version"] for package in json.loads(frozen.stdout)}
    (peer.folder / "installed.json").write_text(json.dumps(versions, indent=1))
    return ""


def version_of(peer: Peer) -> str:
    """Of the package it is named for."""
    versions = json.loads((peer.folder / "installed.json").read_text())
    package = peer.packages[0].partition("[")[0].lower()
    return str(versions.get(package) or versions.get(package.replace("-", "_"), "unknown"))


def run_peer(peer: Peer, task: dict[str, Any], *, script: str = "") -> dict[str, Any]:
    """Have the peer do `task`, with another script if one is given, in a process of its own; what it measured there.

    Raises:
        PeerFailed: it failed, or took longer than `RUN_S`.
    """
    command = [str(peer.python), str(HERE / (script or peer.script)), json.dumps(task)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    except subprocess.TimeoutExpired:
        raise PeerFailed(name=peer.name, why=f"no result within {RUN_S} s") from None
    if ended.returncode:
        raise PeerFailed(name=peer.name, why=_last_line(ended.stderr))
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1][:200]
