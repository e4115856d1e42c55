"""The provider's side of chat completions: requests read, answers and streams written as OpenAI does.

For scripted providers and for servers in tests; judged by OpenAI's published schema there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import Finish, Received
from stratum.engine.dialects.responses_server import DELTA_CHARS, split_told

DONE = b"[DONE]"
"""The last event's data."""


class _Function(msgspec.Struct):
    name: str
    parameters: dict[str, Any]


class _Tool(msgspec.Struct):
    function: _Function


class _Schema(msgspec.Struct):
    name: str
    schema: dict[str, Any]


class _Format(msgspec.Struct):
    json_schema: _Schema


class _ImageURL(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    image_url: _ImageURL | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    @property
    def images(self) -> tuple[str, ...]:
        parts = self.content if isinstance(self.content, list) else ()
        return tuple(part.image_url.url for part in parts if part.image_url is not None)


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    tools: list[_Tool] = []
    response_format: _Format | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stream: bool = False


_decoder = msgspec.json.Decoder(_Request)


def read_request(body: bytes) -> Received:
    """The request that `ChatDialect` wrote.

    Raises:
        ValueError: it is not one.
    """
    request = _decoder.decode(body)
    tool, schema = _contract(request)
    told = [message.text for message in request.messages if message.role in ("user", "tool")]
    cap = request.max_completion_tokens or request.max_tokens
    if not told or cap is None:
        raise ValueError("not a request of this dialect: it wants a user message and an output cap")
    inputs, attachment, messages = split_told(told)
    return Received(
        model=request.model,
        tool=tool,
        schema=schema,
        instructions="".join(message.text for message in request.messages if message.role == "system"),
        inputs=inputs,
        attachment=attachment,
        images=tuple(image for message in request.messages for image in message.images),
        messages=messages,
        max_output_tokens=cap,
        streamed=request.stream,
    )


def _contract(request: _Request) -> tuple[str, dict[str, Any]]:
    if request.tools:
        return request.tools[0].function.name, request.tools[0].function.parameters
    if request.response_format is not None:
        return request.response_format.json_schema.name, request.response_format.json_schema.schema
    raise ValueError("not a request of this dialect: it wants a tool or a response_format")


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
    """A whole chat completion: a call of `tool` if there are `arguments`, else content."""
    identity = str(extra.get("id", "chatcmpl_1"))
    refused = finish == "refusal"
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused or arguments is not None else text,
        "refusal": text if refused else None,
    }
    reason = "stop" if refused else str(finish)
    if arguments is not None:
        function = {"name": tool, "arguments": arguments.decode(errors="replace")}
        message["tool_calls"] = [{"id": f"call_{identity}", "type": "function", "function": function}]
    answer: dict[str, Any] = {
        "id": identity,
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        **extra,
    }
    if usage is not None:
        answer["usage"] = _usage(usage)
    return msgspec.json.encode(answer)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def stream_events(body: bytes) -> Sequence[bytes]:
    """`body` as the chunks of a stream, usage in one of its own, then `[DONE]`."""
    answer = msgspec.json.decode(body, type=dict[str, Any])
    frame = {"id": answer["id"], "object": "chat.completion.chunk", "created": 0, "model": answer["model"]}
    if "service_tier" in answer:
        frame["service_tier"] = answer["service_tier"]
    choice = answer["choices"][0]
    chunks = [
        {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in _deltas(choice["message"])
    ]
    chunks.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if "usage" in answer:
        chunks.append({**frame, "choices": [], "usage": answer["usage"]})
    return [*(msgspec.json.encode(chunk) for chunk in chunks), DONE]


def _deltas(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for call in message.get("tool_calls", ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        begun = {"index": 0, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [begun]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in _parts(arguments)]
    for key in ("content", "refusal"):
        deltas += [{key: part} for part in _parts(message[key] or "")]
    return deltas


def _parts(text: str) -> list[str]:
    return [text[at : at + DELTA_CHARS] for at in range(0, len(text), DELTA_CHARS)]
