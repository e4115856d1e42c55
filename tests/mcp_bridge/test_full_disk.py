"""A server whose disk is full: the real one, over its standard input and output, whose files may not grow."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.mcp_bridge.test_handshake import INITIALIZE
from tests.mcp_bridge.test_stdio import Process

NOTHING = 4096
"""Bytes that a file may have: less than any of the journal's has."""
PLAN: dict[str, Any] = {
    "task": "Change the code",
    "steps": [{"id": "1", "fn": "read"}, {"id": "2", "fn": "write", "depends_on": ["1"]}],
}


class Server(Process):
    """And the person behind its client, who approves everything."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.journal = folder / ".stratum" / "stratum.db"
        asks: dict[str, Any] = {**INITIALIZE["params"], "capabilities": {"elicitation": {}}}
        self.send({**INITIALIZE, "params": asks}, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.receive()

    def call(self, tool: str, **arguments: Any) -> tuple[bool, Any]:
        """Whether it was done, and its structured answer or why it was not."""
        self.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        reply = self.receive()
        while reply.get("method") == "elicitation/create":
            approval = {"action": "accept", "content": {"decision": "approve"}}
            self.send({"jsonrpc": "2.0", "id": reply["id"], "result": approval})
            reply = self.receive()
        result = reply["result"]
        refused = result.get("isError", False)
        return not refused, result["content"][0]["text"] if refused else result["structuredContent"]

    def read(self, uri: str) -> str:
        self.send({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}})
        reply = self.receive()
        assert "result" in reply, reply
        return str(reply["result"]["contents"][0]["text"])

    def done(self, tool: str, **arguments: Any) -> Any:
        done, said = self.call(tool, **arguments)
        assert done, said
        return said

    def may_write(self, file_bytes: int) -> None:
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))

    def records(self) -> list[Any]:
        with closing(sqlite3.connect(self.journal)) as connection:
            return connection.execute("SELECT run, n, kind, body FROM _records ORDER BY seq").fetchall()


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server]:
    if not hasattr(resource, "prlimit"):  # pragma: no cover  # Linux alone has it
        pytest.skip("no other process's limits can be set here")
    process = Server(tmp_path)
    yield process
    process.child.kill()
    process.child.communicate()


def test_a_plan_proposed_on_a_full_disk_is_refused_and_kept_once_there_is_room(server: Server) -> None:
    server.done("stratum_plan", **PLAN)
    before = server.records()
    server.may_write(NOTHING)
    refused = [server.call("stratum_plan", **PLAN) for _ in range(3)]
    after = server.records()
    server.may_write(resource.RLIM_INFINITY)
    proposed = server.done("stratum_plan", **PLAN)

    for done, told in refused:
        assert not done
        assert "stratum.db: " in told and "space" in told and "make this call again" in told
    assert after == before
    assert proposed["state"] == "draft"
    assert len(server.done("stratum_status")["plans"]) == 2


def test_a_report_on_a_full_disk_is_refused_and_accepted_once_there_is_room(server: Server) -> None:
    plan = server.done("stratum_plan", **PLAN)["plan"]
    (mine,) = server.done("stratum_execute", plan=plan)["assignments"]
    report = {"plan": plan, "step": "1", "ticket": mine["ticket"], "result": "x" * 10_000}
    before = server.records()
    server.may_write(NOTHING)
    refused = [server.call("stratum_step_done", **report), server.call("stratum_step_done", **report)]
    after = server.records()
    server.may_write(resource.RLIM_INFINITY)
    accepted = server.done("stratum_step_done", **report)

    for done, told in refused:
        assert not done
        assert "space" in told and "make this call again" in told
    assert after == before
    assert accepted["accepted"] is True
    (mine,) = accepted["run"]["assignments"]
    assert mine["step"] == "2"
    report = {"plan": plan, "step": "2", "ticket": mine["ticket"], "result": "done"}
    assert server.done("stratum_step_done", **report)["run"]["state"] == "succeeded"
    assert server.leave() == (0, "stratum mcp: ended: the client has left")
    assert not server.journal.with_name("stratum.db-wal").exists()


def test_a_full_disk_keeps_nobody_from_reading_and_runs_go_on_once_there_is_room(server: Server) -> None:
    plan = server.done("stratum_plan", **PLAN)["plan"]
    (mine,) = server.done("stratum_execute", plan=plan)["assignments"]
    report = {"plan": plan, "step": "1", "ticket": mine["ticket"], "result": "x" * 10_000}
    server.may_write(NOTHING)
    refused, _ = server.call("stratum_step_done", **report)
    before = server.records()
    read: list[Any] = []
    for _ in range(2):
        read += [server.done("stratum_status", plan=plan)["run"], server.done("stratum_status")["plans"][0]]
        assert server.done("stratum_audit", plan=plan)["plan"] == plan
        assert server.call("stratum_execute", plan=plan)[0] is False
    unknown = server.call("stratum_status", plan="nothing")
    resources = [server.read(f"stratum://{uri}") for uri in (f"plans/{plan}", f"runs/{plan}", f"runs/{plan}/audit")]
    after = server.records()
    server.may_write(resource.RLIM_INFINITY)
    now = server.done("stratum_status", plan=plan, wait_s=20)["run"]

    assert refused is False
    assert [each["state"] for each in read] == ["interrupted"] * 4
    assert [(step["id"], step["standing"]) for step in read[0]["steps"]] == [("1", "handed_out"), ("2", "waiting")]
    assert read[0]["next"].startswith("Nothing can be recorded now: ")
    assert "space" in read[0]["next"] and f'stratum_execute(plan="{plan}") goes on with it' in read[0]["next"]
    assert unknown[0] is False and "not in this journal" in unknown[1]
    assert '"Change the code"' in resources[0] and '"interrupted"' in resources[1] and "Total: " in resources[2]
    assert after == before
    assert now["state"] == "running"
    (mine,) = now["assignments"]
    assert server.done("stratum_step_done", **{**report, "ticket": mine["ticket"]})["accepted"] is True
