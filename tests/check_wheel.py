"""`make wheel`: what people install works where only that is installed.

Builds the wheel, installs it in an empty environment, and there: imports it without its heavy parts, runs `stratum doctor`, and runs
the demo's flow on recorded answers, to its audit. Prints what it did; exits with the first failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        python = install_wheel(work)
        check_import(python)
        check_commands(work / "empty" / "bin" / "stratum", work)
    print("the wheel works: 1 passed, 0 failed")


def install_wheel(work: Path, *beside: str) -> Path:
    """Build the wheel and install it in an empty environment in `work`, with the packages `beside` it: that one's Python."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(ROOT)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = work.glob("*.whl")
    print(f"built {wheel.name}")
    venv.create(work / "empty", with_pip=True)
    python = work / "empty" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel), *beside], check=True)
    return python


def check_import(python: Path) -> None:
    program = "import stratum, sys; print([m for m in ('openai', 'mcp', 'httpx2', 'sqlite3') if m in sys.modules])"
    loaded = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    assert loaded == "[]", f"import stratum loads {loaded}"
    print("import stratum loads none of openai, mcp, httpx2, sqlite3")


def check_commands(stratum: Path, work: Path) -> None:
    for name in ("triage.py", "tickets.jsonl", "triage.recorded.jsonl"):
        shutil.copy(EXAMPLES / name, work)
    environment = {"PATH": os.environ["PATH"], "HOME": str(work), "STRATUM_REPLAY": "triage.recorded.jsonl"}

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [stratum, *arguments], cwd=work, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"stratum {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    print(call("doctor"), end="")
    routes = json.loads(call("run", "triage.py:triage", "--input", "path=tickets.jsonl"))
    tickets = (work / "tickets.jsonl").read_text().splitlines()
    assert len(routes) == len(tickets), routes
    audit = call("audit")
    assert audit.splitlines()[-1].startswith("Total: "), audit
    print(f"{len(routes)} tickets routed from recorded answers; {audit.splitlines()[-1]}")


if __name__ == "__main__":
    main()
