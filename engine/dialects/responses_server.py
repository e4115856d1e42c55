"""The provider's side of the Responses API: requests read, answers and streams written as OpenAI does.

For scripted providers and for servers in tests; judged by OpenAI's published schema there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import Finish, Received

DELTA_CHARS = 8
"""Characters in a streamed delta: about two tokens."""


class _Tool(msgspec.Struct):
    name: str
    parameters: dict[str, Any]


class _Part(msgspec.Struct):
    # Of a rejected message, too, which comes back in parts: nobody reads those here.
    type: str
    text: str = ""
    image_url: str = ""


class _Input(msgspec.Struct):
    type: str = "message"
    role: str = ""
    content: str | list[_Part] = ""
    output: str = ""

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if part.type == "input_text")

    @property
    def images(self) -> tuple[str, ...]:
        parts = () if isinstance(self.content, str) else self.content
        return tuple(part.image_url for part in parts if part.type == "input_image")


class _Request(msgspec.Struct):
    model: str
    tools: list[_Tool]
    input: list[_Input]
    max_output_tokens: int
    stream: bool = False


_decoder = msgspec.json.Decoder(_Request)


def read_request(body: bytes) -> Received:
    """The request that `ResponsesDialect` wrote.

    Raises:
        ValueError: it is not one.
    """
    request = _decoder.decode(body)
    told = [item.output or item.text for item in request.input if item.role == "user" or item.output]
    if not told or not request.tools:
        raise ValueError("not a request of this dialect: it wants one tool and a user message")
    inputs, attachment, messages = split_told(told)
    return Received(
        model=request.model,
        tool=request.tools[0].name,
        schema=request.tools[0].parameters,
        instructions="".join(item.text for item in request.input if item.role == "developer"),
        inputs=inputs,
        attachment=attachment,
        images=tuple(image for item in request.input for image in item.images),
        messages=messages,
        max_output_tokens=request.max_output_tokens,
        streamed=request.stream,
    )


def split_told(told: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """What we told the model, in order, as inputs, attachment (a JSON object, or none) and retry messages."""
    inputs, *rest = told
    attachment = rest.pop(0) if rest and rest[0].startswith("{") else ""
    return inputs, attachment, tuple(rest)


def answer_body(
    *,
    tool: str,
    arguments: bytes | None,
    usage: Usage | None,
    model: str,
    text: str,
    finish: Finish,
    extra: Mapping[str, Any],
) -> bytes:
    """A whole response object: a call of `tool` if there are `arguments`, else a message."""
    identity = str(extra.get("id", "resp_1"))
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
    status = "incomplete" if cut else "completed"
    item = (
        _message_item(identity, text, refused=finish == "refusal", status=status)
        if arguments is None
        else _call_item(identity, tool, arguments.decode(errors="replace"), status=status)
    )
    answer: dict[str, Any] = {
        "id": identity,
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [item],
        "parallel_tool_calls": False,
        "temperature": 1.0,
        "tool_choice": {"type": "function", "name": tool},
        "tools": [],
        "top_p": 1.0,
        **extra,
    }
    if usage is not None:
        answer["usage"] = _usage(usage)
    return msgspec.json.encode(answer)


def _call_item(identity: str, tool: str, arguments: str, *, status: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{identity}",
        "call_id": f"call_{identity}",
        "name": tool,
        "arguments": arguments,
        "status": status,
    }


def _message_item(identity: str, text: str, *, refused: bool, status: str) -> dict[str, Any]:
    part: dict[str, Any] = (
        {"type": "refusal", "refusal": text}
        if refused
        else {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    )
    return {"type": "message", "id": f"msg_{identity}", "role": "assistant", "status": status, "content": [part]}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def stream_events(body: bytes) -> Sequence[bytes]:
    """`body` as the events of a stream, the whole of it again in the last one."""
    answer = msgspec.json.decode(body, type=dict[str, Any])
    started: dict[str, Any] = {**answer, "status": "in_progress", "output": [], "incomplete_details": None}
    started.pop("usage", None)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for index, item in enumerate(answer["output"]):
        events += _item_events(index, item)
    events.append({"type": f"response.{answer['status']}", "response": answer})
    return [msgspec.json.encode({**event, "sequence_number": number}) for number, event in enumerate(events)]


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    where: dict[str, Any] = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "function_call":
        kind, text = "function_call_arguments", item["arguments"]
        begun: dict[str, Any] = {**item, "arguments": "", "status": "in_progress"}
        done: dict[str, Any] = {"arguments": text, "name": item["name"]}
    else:
        part = item["content"][0]
        kind, text = ("refusal", part["refusal"]) if part["type"] == "refusal" else ("output_text", part["text"])
        where["content_index"] = 0
        begun = {**item, "content": [], "status": "in_progress"}
        done = {"refusal": text} if kind == "refusal" else {"text": text, "logprobs": []}
    logprobs: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    deltas = [text[at : at + DELTA_CHARS] for at in range(0, len(text), DELTA_CHARS)]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *({"type": f"response.{kind}.delta", **where, "delta": delta, **logprobs} for delta in deltas),
        {"type": f"response.{kind}.done", **where, **done},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]
