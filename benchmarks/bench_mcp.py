"""What does a tool call cost the MCP server, over standard input and output?

The baseline, `ping`, is the SDK and the pipe alone. CPU is user and system time of the server's process, all of its threads;
the client is this script, which speaks the protocol by itself. A step is planned, approved, handed out, reported, verified and recorded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.options import common_options, parser
from benchmarks.peers.peak import peak_mb
from benchmarks.timing import Measured, Row, report, row_of
from stratum.engine.plans.approval.approvals import Approvals

BASELINE = "ping"


def listing(name: str) -> dict[str, Any]:
    """The schema of an object with a list of that name."""
    listed = {"type": "array", "items": {"type": "string"}}
    return {"type": "object", "properties": {name: listed}, "required": [name]}


class Client:
    """One client of one server."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {"STRATUM_STATE_HOME": str(folder / "state")}
        command = [sys.executable, "-m", "stratum", "mcp"]
        self.server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.approvals = Approvals(folder, folder=folder / "state")
        self._id = 0
        about: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}}
        self.request("initialize", {**about, "clientInfo": {"name": "bench", "version": "1"}})
        self._send({"method": "notifications/initialized"})
        self.tool("stratum_status")

    def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """Its result."""
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        assert self.server.stdout is not None
        return json.loads(self.server.stdout.readline())["result"]

    def tool(self, name: str, **arguments: Any) -> Any:
        result = self.request("tools/call", {"name": name, "arguments": arguments})
        assert not result.get("isError"), result
        return result["structuredContent"]

    def cpu_s(self) -> float:
        """What the server has used so far."""
        # Linux's number for the clock of another process, clock_getcpuclockid(3): /proc counts in hundredths of a second, in
        # which a few pings come to nothing.
        return time.clock_gettime(~self.server.pid << 3 | 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.server.kill()
        self.server.communicate(timeout=60)

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.server.stdin.flush()


class Work:
    """What is measured: each method makes `calls` calls."""

    def __init__(self, client: Client, calls: int) -> None:
        self.client = client
        self.calls = calls
        self._contracts = 0
        self.running = self._started()

    def ping(self) -> None:
        for _ in range(self.calls):
            self.client.request("ping", {})

    def status(self) -> None:
        for _ in range(self.calls):
            self.client.tool("stratum_status", plan=self.running)

    def plan(self) -> None:
        """With contracts that no plan before had."""
        for _ in range(self.calls):
            self._contracts += 1
            self._proposed("A plan", 2, files=f"files{self._contracts}")

    def like_plan(self) -> None:
        """With the contracts of the plan before, as one has that is revised."""
        for number in range(self.calls):
            self._proposed(f"Plan {number}", 2)

    def refused_report(self) -> None:
        """Schema violations: a step with as many retries as there are calls."""
        plan, given = self._handed_out(retries=100)
        for number in range(self.calls):
            if number % 100 == 99:
                plan, given = self._handed_out(retries=100)
            given = self._done(plan, given, {"files": number})["again"]

    def accepted_report(self) -> None:
        """A chain of steps, each handed out by the report before."""
        plan = self._proposed("A chain", self.calls + 1)
        (given,) = self.client.tool("stratum_execute", plan=plan)["assignments"]
        for _ in range(self.calls):
            (given,) = self._done(plan, given, {"files": ["a.py"]})["run"]["assignments"]

    def _done(self, plan: str, given: Mapping[str, Any], result: Any) -> Any:
        return self.client.tool(
            "stratum_step_done", plan=plan, step=given["step"], ticket=given["ticket"], result=result
        )

    def _handed_out(self, *, retries: int) -> tuple[str, Any]:
        plan = self._proposed("A step", 1, retries=retries)
        return plan, self.client.tool("stratum_execute", plan=plan)["assignments"][0]

    def _started(self) -> str:
        plan = self._proposed("Running", 3)
        self.client.tool("stratum_execute", plan=plan)
        return plan

    def _proposed(self, task: str, length: int, *, files: str = "files", **more: Any) -> str:
        """A plan's id, once it is approved."""
        steps = [
            {"id": f"s{n}", "fn": "change", "output": "Files", "ensure": f"len(result.{files}) > 0", **more}
            | ({"depends_on": [f"s{n - 1}"]} if n else {})
            for n in range(length)
        ]
        plan = self.client.tool("stratum_plan", task=task, steps=steps, contracts={"Files": listing(files)})
        self.client.approvals.approve(plan["digest"], by="bench", how="python")
        return str(plan["plan"])


def measured(client: Client, contenders: Mapping[str, Callable[[], None]], *, units: int, rounds: int) -> list[Row]:
    """As `benchmarks.timing.compare`, with the server's CPU time instead of ours."""
    taken: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            wall_s, cpu_s = time.perf_counter(), client.cpu_s()
            run()
            cpu_us, wall_us = (client.cpu_s() - cpu_s) / units * 1e6, (time.perf_counter() - wall_s) / units * 1e6
            if number:
                taken[name].append(Measured(cpu_us=cpu_us, wall_us=wall_us))
    setting = f"{units} calls, one after the other"
    return [row_of(setting, name, taken, baseline=BASELINE) for name in contenders]


def main() -> None:
    assert __doc__ is not None
    options = common_options(parser(__doc__).parse_args())
    if sys.platform != "linux":
        sys.exit("mcp: left out: the CPU time and the memory of another process are read as only Linux has them")
    calls = 20 if options.quick else 300
    with tempfile.TemporaryDirectory() as folder, Client(Path(folder)) as client:
        work = Work(client, calls)
        contenders: dict[str, Callable[[], None]] = {
            BASELINE: work.ping,
            "stratum_status": work.status,
            "stratum_plan, 2 steps": work.plan,
            "stratum_plan, like the last": work.like_plan,
            "stratum_step_done, refused": work.refused_report,
            "stratum_step_done, accepted": work.accepted_report,
        }
        rows = measured(client, contenders, units=calls, rounds=options.rounds)
        peak = peak_mb(client.server.pid)
    report(
        __doc__,
        rows,
        options,
        packages=("mcp", "trio", "pydantic"),
        unit="call",
        also={"peak MB of the server": peak or 0},
    )


if __name__ == "__main__":
    main()
