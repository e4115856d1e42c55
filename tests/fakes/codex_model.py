"""The paid model behind the real Codex binary, played by a script: the Responses API's stream over real HTTP.

    async with open_codex_model(turns(run("ls"), say('{"done": true}'))) as model:
        ...run codex against model.url, and look at model.requests

A script is asked once for each request of a thread and gives back what the model does next. Codex shows models its tools in
three ways (by themselves, behind a search, or as JavaScript in code mode); what is scripted here works in each of them.
"""

from __future__ import annotations

import json
import re
import shlex
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from tests.fakes.openai_server import head, read_request

Item = dict[str, Any]
_PREAMBLE = re.compile(r"(?s)\A(?:Script [^\n]*\n|[A-Z][^\n:]*: ?[^\n]*\n)*Output:\n")


@dataclass(frozen=True, kw_only=True)
class CodexRequest:
    """One request of Codex to its model."""

    body: Mapping[str, Any]
    turn: int
    """From 0, within its thread."""

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def tools(self) -> set[tuple[str, str]]:
        """(namespace, name) of all that it offers."""
        found: set[tuple[str, str]] = set()
        unseen: list[tuple[str, Any]] = [("", tool) for tool in _list(self.body.get("tools"))]
        for item in _list(self.body.get("input")):
            if item.get("type") in ("additional_tools", "tool_search_output"):
                unseen += [("", tool) for tool in _list(item.get("tools"))]
        while unseen:
            namespace, tool = unseen.pop()
            if tool.get("type") == "namespace":
                unseen += [(str(tool.get("name")), inner) for inner in _list(tool.get("tools"))]
            else:
                found.add((namespace, str(tool.get("name") or tool.get("type"))))
        return found

    @property
    def said(self) -> list[str]:
        """What the user, or Codex in the user's name, said; the task comes last."""
        return [_text(item) for item in _list(self.body.get("input")) if item.get("role") == "user"]

    @property
    def outputs(self) -> list[str]:
        """What the tools that were called answered, in order, as the model is shown it."""
        items = [item for item in _list(self.body.get("input")) if str(item.get("type", "")).endswith("_call_output")]
        return [_text({"content": item.get("output")}) for item in items]

    def answer(self, number: int = -1) -> Any:
        """A tool's output as JSON, without what Codex writes around it."""
        text = _PREAMBLE.sub("", self.outputs[number])
        return json.loads(text[text.index("{") :] if not text.startswith(("{", "[")) else text)

    @property
    def thread_metadata(self) -> Mapping[str, Any]:
        return _object(json.loads(_object(self.body.get("client_metadata")).get("x-codex-turn-metadata", "{}")))


Action = Callable[[CodexRequest], Sequence[Item]]
"""What the model does with a request: the items of its answer."""


def turns(*actions: Action) -> Action:
    """One action after another, in each thread anew; the last again and again."""
    return lambda request: actions[min(request.turn, len(actions) - 1)](request)


def say(text: str | Callable[[CodexRequest], str]) -> Action:
    """A message; without anything else it ends the turn."""
    return lambda request: [_message(text if isinstance(text, str) else text(request))]


def run(command: str) -> Action:
    """A shell command, by Codex's own tool."""
    return call("exec_command", {"cmd": command})


def write(path: str, content: str) -> Action:
    """A new file: by `apply_patch`, or by the shell where the model has no such tool."""
    lines = "".join(f"+{line}\n" for line in content.splitlines())
    patch = _act("apply_patch", f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n", namespace="")
    by_shell = run(f"printf '%s\\n' {shlex.join(content.splitlines())} > {shlex.quote(path)}")
    return lambda request: (patch if {"apply_patch", "exec"} & {name for _, name in request.tools} else by_shell)(
        request
    )


def call(tool: str, arguments: Any | Callable[[CodexRequest], Any], *, server: str = "") -> Action:
    """A call of a tool, of the MCP server `server` or of Codex itself."""
    return lambda request: _act(
        tool, arguments(request) if callable(arguments) else arguments, namespace=f"mcp__{server}" if server else ""
    )(request)


def search(query: str) -> Action:
    """Look for tools that are not shown up front."""
    return lambda request: [
        {
            "type": "tool_search_call",
            "id": f"ts_{_id()}",
            "call_id": f"call_{_id()}",
            "status": "completed",
            "execution": "client",
            "arguments": {"query": query, "limit": 8},
        }
    ]


def _act(tool: str, argument: Any, *, namespace: str) -> Action:
    def act(request: CodexRequest) -> list[Item]:
        offered = request.tools
        code_mode = any(name == "exec" for _, name in offered)
        if code_mode and (namespace, tool) not in offered:
            name = f"{namespace}__{tool}" if namespace else tool
            script = f"text(JSON.stringify(await tools.{name}({json.dumps(argument)})))"
            return [_custom_call("exec", script)]
        if isinstance(argument, str):
            return [_custom_call(tool, argument)]
        item = {
            "type": "function_call",
            "id": f"fc_{_id()}",
            "call_id": f"call_{_id()}",
            "name": tool,
            "arguments": json.dumps(argument),
        }
        return [{**item, "namespace": namespace} if namespace else item]

    return act


@dataclass(kw_only=True)
class CodexModel:
    """A running model."""

    action: Action
    usage: Mapping[str, int]
    together: int = 1
    """Threads that have to have asked before any is answered."""
    url: str = ""
    requests: list[CodexRequest] = field(default_factory=list[CodexRequest])
    """Of the threads that do the work; titles and the like are answered and not kept."""
    failures: list[BaseException] = field(default_factory=list[BaseException])
    """Of the script itself: a test looks that there are none."""
    _turns: Counter[str] = field(default_factory=Counter[str])

    async def serve(self, stream: trio.abc.Stream) -> None:
        async with stream:
            try:
                request = await read_request(stream, bytearray())
                if request is None:
                    return
                path, _, body = request
                if not path.endswith("/responses"):
                    await stream.send_all(head(404, {"content-length": "0"}))
                    return
                await self._answer(stream, json.loads(body))
            except trio.BrokenResourceError:
                return  # Codex was stopped

    async def _answer(self, stream: trio.abc.Stream, body: dict[str, Any]) -> None:
        items = self._items(body)
        while 0 < len(self._turns) < self.together:
            await trio.sleep(0.01)
        await stream.send_all(head(200, {"content-type": "text/event-stream", "connection": "close"}))
        for number, event in enumerate(self._events(body, items)):
            data = json.dumps({**event, "sequence_number": number})
            await stream.send_all(f"event: {event['type']}\ndata: {data}\n\n".encode())

    def _items(self, body: dict[str, Any]) -> Sequence[Item]:
        request = CodexRequest(body=body, turn=0)
        metadata = request.thread_metadata
        if metadata.get("request_kind") == "compaction":
            return [_message("(summary)")]
        if metadata.get("thread_source") not in (None, "user", "subagent", "exec"):
            schema = _object(_object(body.get("text")).get("format")).get("schema")
            return [_message(json.dumps(_plainest(_object(schema))))]
        thread = str(metadata.get("thread_id") or body.get("prompt_cache_key"))
        request = CodexRequest(body=body, turn=self._turns[thread])
        self._turns[thread] += 1
        self.requests.append(request)
        try:
            return self.action(request)
        except Exception as error:  # noqa: BLE001 - the test that wrote the script is told, not Codex
            self.failures.append(error)
            return [_message(f"the script failed: {error!r}")]

    def _events(self, body: dict[str, Any], items: Sequence[Item]) -> list[dict[str, Any]]:
        answer = {"id": f"resp_{_id()}", "object": "response", "created_at": 0, "model": body.get("model")}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}}
        ]
        for index, item in enumerate(items):
            begun: Item = {**item, "content": []} if item["type"] == "message" else item
            events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        usage = {
            "input_tokens": self.usage["input"],
            "input_tokens_details": {"cached_tokens": self.usage.get("cached", 0)},
            "output_tokens": self.usage["output"],
            "output_tokens_details": {"reasoning_tokens": self.usage.get("reasoning", 0)},
            "total_tokens": self.usage["input"] + self.usage["output"],
        }
        done = {**answer, "status": "completed", "output": list(items), "usage": usage}
        return [*events, {"type": "response.completed", "response": done}]


@asynccontextmanager
async def open_codex_model(
    action: Action, *, usage: Mapping[str, int] | None = None, together: int = 1
) -> AsyncGenerator[CodexModel]:
    """A model on the loopback interface, until the block is left; each of its answers has that `usage`."""
    model = CodexModel(action=action, usage=usage or {"input": 1000, "output": 100}, together=together)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    model.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, model.serve, listeners))
        yield model
        nursery.cancel_scope.cancel()


def _message(text: str) -> Item:
    part: Item = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": f"msg_{_id()}", "role": "assistant", "content": [part]}


def _custom_call(tool: str, text: str) -> Item:
    return {"type": "custom_tool_call", "id": f"ctc_{_id()}", "call_id": f"call_{_id()}", "name": tool, "input": text}


def _text(item: Mapping[str, Any]) -> str:
    content = item.get("content")
    return "".join(str(part.get("text", "")) for part in _list(content)) if isinstance(content, list) else str(content)


def _plainest(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        properties = _object(schema.get("properties"))
        return {name: _plainest(properties[name]) for name in schema.get("required", ()) if name in properties}
    plain: dict[str, Any] = {"string": "Task", "integer": 0, "number": 0, "boolean": False, "array": []}
    return plain.get(str(schema.get("type")), {})


def _list(value: Any) -> list[dict[str, Any]]:
    return value or []


def _object(value: Any) -> dict[str, Any]:
    return value or {}


def _id() -> str:
    return uuid.uuid4().hex[:24]
