"""A streamed chat completion, put together chunk by chunk."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from stratum.engine.dialects.broken_text import paired, read_broken
from stratum.engine.dialects.chat_server import DONE
from stratum.engine.dialects.usage import NULL


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: Any = None
    model: Any = None
    service_tier: Any = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decoder = msgspec.json.Decoder(_Chunk)


class ChatStreamReader:
    """Keeps the first choice: one answer is all that is ever asked for."""

    def __init__(self) -> None:
        self.output_deltas = 0
        self._done = False
        self._id = ""
        self._model = ""
        self._service_tier: Any = None
        self._content: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _ToolCall] = {}
        self._finish_reason: str | None = None
        self._usage = NULL
        self._error = NULL

    @property
    def finished(self) -> bool:
        # Servers that send no [DONE] do send a finish reason; its usage comes in a chunk after it.
        return self._done or self._error != NULL or (self._finish_reason is not None and self._usage != NULL)

    @property
    def arguments(self) -> str:
        return paired(self._calls[min(self._calls)].function.arguments or "") if self._calls else ""

    def feed(self, event: bytes) -> None:
        if event == DONE:
            self._done = self._finish_reason is not None
            return
        try:
            self._take(_chunk(event))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # What cannot be read cannot finish the answer either: the stream then ends unfinished.
            return

    def body(self) -> bytes:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": paired("".join(self._content)) or None,
            "refusal": paired("".join(self._refusal)) or None,
        }
        calls = [self._calls[index] for index in sorted(self._calls)]
        if calls:
            message["tool_calls"] = [_whole(call) for call in calls]
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason, "logprobs": None}
        answer: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion",
            "created": 0,
            "model": self._model,
            "service_tier": self._service_tier,
            "choices": [choice],
            "usage": self._usage,
        }
        if self._error != NULL:
            answer["error"] = self._error
        elif not self.finished:
            answer["error"] = {"message": "the stream ended before the answer did"}
        return msgspec.json.encode(answer)

    def _take(self, chunk: _Chunk) -> None:
        self._id = chunk.id or self._id
        self._model = chunk.model or self._model
        self._service_tier = chunk.service_tier or self._service_tier
        # Copied, since a Raw is a view that would keep every chunk it came in alive.
        self._usage = chunk.usage.copy() if chunk.usage != NULL else self._usage
        self._error = chunk.error.copy() if chunk.error != NULL else self._error
        for choice in (chunk.choices or ())[:1]:
            self._finish_reason = choice.finish_reason or self._finish_reason
            self._grow(choice.delta)

    def _grow(self, delta: _Delta) -> None:
        grown = [delta.content, delta.refusal]
        self._content.append(delta.content or "")
        self._refusal.append(delta.refusal or "")
        for part in delta.tool_calls or ():
            grown.append(part.function.arguments)
            call = self._calls.setdefault(part.index, _ToolCall(index=part.index, function=_Function(arguments="")))
            call.id = call.id or part.id
            call.function.name = call.function.name or part.function.name
            call.function.arguments = (call.function.arguments or "") + (part.function.arguments or "")
        self.output_deltas += any(grown)


def _chunk(event: bytes) -> _Chunk:
    chunk = read_broken(_decoder.decode, event)
    if chunk.choices and b"\\ud" in event.lower():
        # One half of a pair may be in this chunk, and the other in the next: both are kept until all is put together.
        chunk.choices = msgspec.convert(json.loads(event.decode(errors="replace"))["choices"], list[_Choice])
    return chunk


def _whole(call: _ToolCall) -> dict[str, Any]:
    function = {"name": call.function.name, "arguments": paired(call.function.arguments or "")}
    return {"id": call.id, "type": "function", "function": function}
