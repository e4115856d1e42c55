"""`python -m benchmarks [--quick]`: every benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

here = Path(__file__).parent
failed = [
    name
    for name in sorted(path.stem for path in here.glob("bench_*.py"))
    if subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], cwd=here.parent, check=False
    ).returncode
]
if failed:
    sys.exit(f"failed: {', '.join(failed)}")
