"""What does it cost to be there: an import, and an MCP server's start?

The baseline is `import openai`. `import stratum` loads no name before it is used; `stratum, used` is a program that imports what contracts,
calls and flows take, decorates a function, and opens a runtime; `stratum mcp` is the time from starting the server's process to its answer to
`initialize`, wall rather than CPU being what its client waits for. All in processes of their own, whose start is counted: `nothing` is
that alone. `peak` is theirs.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from typing import Any

from benchmarks.options import common_options, parser
from benchmarks.peers.peak import peak_mb
from benchmarks.timing import Measured, compare, report

BASELINE = "import openai"
USED = """
import trio
from stratum import Budget, contract, flow, infer, open_runtime
from stratum.testing import scripted

@infer(intent="Say it")
def say(about: str) -> str: ...

async def main():
    async with open_runtime(provider=scripted(), journal=None):
        pass

trio.run(main)
"""
IMPORTS = {
    BASELINE: "import openai",
    "nothing": "",
    "trio, pydantic, msgspec": "import trio, pydantic, msgspec",
    "import stratum": "import stratum",
    "stratum, used": USED,
    "import mcp": "import mcp",
}
# Inline, for an import more would be measured with the others.
TELL_PEAK = "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
"""In kB, on Linux; what the system says of a process that has ended begins with what its parent held."""
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


def importing(code: str) -> Measured:
    """In a process of its own, until that has ended."""
    started = time.perf_counter()
    on_linux = sys.platform == "linux"
    command = [sys.executable, "-c", f"{code}\n{TELL_PEAK}" if on_linux else code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        told = child.stdout.read()
        used = _ended(child)
    return Measured(
        cpu_us=(used.ru_utime + used.ru_stime) * 1e6,
        wall_us=(time.perf_counter() - started) * 1e6,
        peak_mb=int(told) * 1024 / 1e6 if on_linux else used.ru_maxrss / 1e6,
    )


def answering(*arguments: str) -> Measured:
    """Run Python with these arguments, until it has answered `initialize`."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline())
        assert "result" in answer, answer
        answered, peak = time.perf_counter(), peak_mb(child.pid)
        child.stdin.close()
        child.stdout.read()
        used = _ended(child)
    return Measured(cpu_us=(used.ru_utime + used.ru_stime) * 1e6, wall_us=(answered - started) * 1e6, peak_mb=peak)


def _ended(child: subprocess.Popen[Any]) -> resource.struct_rusage:
    """What it used, now that it has."""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, child.args
    return used


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    contenders = {name: partial(importing, code) for name, code in IMPORTS.items()}
    contenders["stratum mcp"] = partial(answering, "-m", "stratum", "mcp")
    rows = compare("a new process", contenders, baseline=BASELINE, units=1, rounds=options.rounds, by="wall")
    report(__doc__ or "", rows, options, packages=("openai", "mcp", "trio", "pydantic"), unit="start")


if __name__ == "__main__":
    main()
