"""A streamed Responses answer, collected event by event."""

from __future__ import annotations

from typing import Any

import msgspec

from stratum.engine.dialects.broken_text import read_broken
from stratum.engine.dialects.usage import NULL

# Reasoning summaries are left out: their text is not the tokens that are billed.
_CONTENT = frozenset(
    (
        "response.function_call_arguments.delta",
        "response.output_text.delta",
        "response.refusal.delta",
    )
)
_FINAL = frozenset(("response.completed", "response.incomplete", "response.failed"))


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = NULL
    output_index: int = 0
    item: msgspec.Raw = NULL
    response: msgspec.Raw = NULL


_decoder = msgspec.json.Decoder(_Event)


class ResponsesStreamReader:
    """The final event holds the whole answer; until it came, the deltas are kept."""

    def __init__(self) -> None:
        self.output_deltas = 0
        self.finished = False
        self._final = b""
        self._created: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}

    def feed(self, event: bytes) -> None:
        try:
            read_broken(self._take, event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # What cannot be read cannot finish the answer either: the stream then ends unfinished.
            return

    @property
    def arguments(self) -> str:
        calls = [item for item in self._items.values() if item.get("type") == "function_call"]
        return str(calls[0].get("arguments") or "") if calls else ""

    def body(self) -> bytes:
        if self._final:
            return self._final
        # Left in progress: `read` then says "failed", and what was received is kept for the trace only.
        output = [self._items[index] for index in sorted(self._items)]
        return msgspec.json.encode({**self._created, "status": "in_progress", "output": output, "usage": None})

    def _take(self, raw: bytes) -> None:
        event = _decoder.decode(raw)
        if event.type in _CONTENT:
            self._append(event)
        elif event.type == "response.created":
            self._created = msgspec.json.decode(event.response, type=dict[str, Any])
        elif event.type in ("response.output_item.added", "response.output_item.done"):
            self._items[event.output_index] = msgspec.json.decode(event.item, type=dict[str, Any])
        elif event.type in _FINAL:
            self._final = bytes(event.response)
            self.finished = True
        elif event.type == "error":
            failure = msgspec.json.decode(raw, type=dict[str, Any])
            self._final = msgspec.json.encode({**self._created, "status": "failed", "error": failure, "output": []})
            self.finished = True

    def _append(self, event: _Event) -> None:
        delta = msgspec.json.decode(event.delta, type=str)
        self.output_deltas += bool(delta)
        item = self._items.setdefault(event.output_index, {"type": "message"})
        if item.get("type") == "function_call":
            item["arguments"] = item.get("arguments", "") + delta
        else:
            parts = item.get("content") or [{"type": "output_text", "text": ""}]
            parts[0]["text"] = parts[0].get("text", "") + delta
            item["content"] = parts
