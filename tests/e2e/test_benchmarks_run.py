"""Every benchmark still runs, and says what it measured as JSON and as a chart. How fast it was is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py"))
WITH_PEERS = ("call", "dag", "overshoot")


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    if name == "cluster" and find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'stratum-runtime[cluster]'")
    alone = ["--alone"] if name in WITH_PEERS else []
    command = [sys.executable, "-m", "benchmarks", name, "--quick", "--json", "--plot", str(tmp_path), *alone]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=True)
    report = json.loads(ended.stdout.splitlines()[-1])
    assert report.get("rows") or report.get("counts")
    assert report["machine"]["python"]
    assert (tmp_path / f"bench_{name}.svg").exists()
