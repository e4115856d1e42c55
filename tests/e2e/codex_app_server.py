"""`codex app-server` as an editor drives it: threads and turns over JSON lines, forms answered as a person would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import trio
from tests.e2e.codex import CodexHome

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A form's parameters to `{"action": ..., "content": ...}`."""


def approve(form: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"action": "accept", "content": {"decision": "approve"}}


def decline(form: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"action": "decline", "content": None}


@dataclass(kw_only=True)
class AppServer:
    """A running one."""

    process: trio.Process
    answer: Answer
    forms: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """What the user was asked by our server."""
    items: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    _ids: count[int] = field(default_factory=lambda: count(1))
    _replies: dict[int, trio.MemorySendChannel[Any]] = field(default_factory=dict[int, Any])
    _ended: trio.Event = field(default_factory=trio.Event)
    ended_as: str = ""

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        number = next(self._ids)
        self._replies[number], received = trio.open_memory_channel[Any](1)
        await self._send({"id": number, "method": method, "params": params})
        reply = await received.receive()
        assert "error" not in reply, reply
        return reply["result"]

    async def turn(self, prompt: str, workdir: Path) -> Turn:
        """Begin a turn of a thread of its own."""
        started = await self.request("thread/start", {"cwd": str(workdir), "approvalPolicy": "on-request"})
        return await self.next_turn(prompt, started["thread"]["id"])

    async def next_turn(self, prompt: str, thread: str) -> Turn:
        """Begin another turn of a thread, which has its MCP servers already."""
        self._ended = trio.Event()
        text = {"type": "text", "text": prompt}
        begun = await self.request("turn/start", {"threadId": thread, "input": [text]})
        return Turn(server=self, thread=thread, id=begun["turn"]["id"])

    async def read(self) -> None:
        assert self.process.stdout is not None
        buffer = b""
        async for chunk in self.process.stdout:
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    await self._take(json.loads(line))

    async def _take(self, message: Mapping[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method is None:
            await self._replies.pop(message["id"]).send(message)
        elif "id" in message:
            meta: Mapping[str, Any] = params.get("_meta") or {}
            form = method == "mcpServer/elicitation/request" and "codex_approval_kind" not in meta
            if form:
                self.forms.append(params)
            consent: dict[str, Any] = {"decision": "accept", "action": "accept", "content": {}}
            result = self.answer(params) if form else consent
            await self._send({"id": message["id"], "result": result})
        elif method == "item/completed":
            self.items.append(params["item"])
        elif method == "turn/completed":
            self.ended_as = params["turn"]["status"]
            self._ended.set()

    async def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps(message).encode() + b"\n")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn of a thread."""

    server: AppServer
    thread: str
    id: str

    async def ended(self) -> str:
        """How it ended."""
        await self.server._ended.wait()  # pyright: ignore[reportPrivateUsage]  # its own server's
        return self.server.ended_as

    async def interrupt(self) -> None:
        await self.server.request("turn/interrupt", {"threadId": self.thread, "turnId": self.id})


@asynccontextmanager
async def open_app_server(home: CodexHome, answer: Answer = approve) -> AsyncGenerator[AppServer]:
    """An app server that is ready for turns."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                [str(home.binary), "app-server"],
                env=home.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        )
        server = AppServer(process=process, answer=answer)
        nursery.start_soon(server.read)
        info = {"clientInfo": {"name": "stratum-tests", "version": "1"}, "capabilities": {"experimentalApi": True}}
        await server.request("initialize", info)
        await server._send({"method": "initialized"})  # pyright: ignore[reportPrivateUsage]  # its opening
        yield server
        assert process.stdin is not None
        await process.stdin.aclose()
        with trio.move_on_after(10):
            await process.wait()
        nursery.cancel_scope.cancel()
