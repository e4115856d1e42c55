"""What does it cost to be there: an import, and an MCP server's start?

The baseline is `import openai`. `import stratum` loads no name before it is used; `stratum, used` imports what a program with contracts,
calls and flows uses; `stratum mcp` is the time from starting the server's process to its answer to `initialize`, wall rather
than CPU being what its client waits for. All in processes of their own; `peak` is theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial

from benchmarks.timing import Measured, common_options, compare, parser, report

BASELINE = "import openai"
IMPORTS = {
    BASELINE: "import openai",
    "trio, pydantic, msgspec": "import trio, pydantic, msgspec",
    "import stratum": "import stratum",
    "stratum, used": "from stratum import Budget, contract, flow, infer, open_runtime",
    "import mcp": "import mcp",
}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def process(*arguments: str, until_answered: bool = False) -> Measured:
    """Run Python with these arguments; with `until_answered`, until it has answered `initialize`."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        if until_answered:
            child.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            assert "result" in answer, answer
        answered = time.perf_counter() if until_answered else None
        child.stdin.close()
        child.stdout.read()
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
    return Measured(
        cpu_us=(used.ru_utime + used.ru_stime) * 1e6,
        wall_us=((answered or time.perf_counter()) - started) * 1e6,
        peak_mb=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
    )


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    contenders = {name: partial(process, "-c", code) for name, code in IMPORTS.items()}
    contenders["stratum mcp"] = partial(process, "-m", "stratum", "mcp", until_answered=True)
    rows = compare("a new process", contenders, baseline=BASELINE, units=1, rounds=options.rounds, by="wall")
    report(__doc__ or "", rows, options, packages=("openai", "mcp", "trio", "pydantic"), unit="start")


if __name__ == "__main__":
    main()
