"""OpenAI's Responses API: a contract is a strict function tool whose call is forced.

Instructions are sent as the first input item, not as the field of that name: a call whose
instructions name an argument then differs from its siblings in the conversation only, and all
that stands before `input` is the same bytes in every request of a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.image import Image
from stratum.contracts.price import Usage
from stratum.engine.dialects.broken_text import read_broken
from stratum.engine.dialects.error_body import error_message, mask_secrets
from stratum.engine.dialects.protocol import CallShape, Completion, Finish, Prompt, Received
from stratum.engine.dialects.reasoning import is_reasoning_model
from stratum.engine.dialects.responses_server import answer_body, read_request, stream_events
from stratum.engine.dialects.responses_stream import ResponsesStreamReader
from stratum.engine.dialects.usage import NULL, as_text, responses_usage


class ResponsesDialect:
    """`POST /responses`, with nothing stored by the provider."""

    name = "responses"
    path = "/responses"
    overhead_tokens = 64
    takes_images = True
    # The smallest `max_output_tokens` of OpenAI's published request schema, version 2.3.0 of 2026-08.
    min_output_tokens = 16

    def reasons(self, model: str) -> bool:
        return is_reasoning_model(model)

    def compile(self, shape: CallShape) -> ResponsesCall:
        head: dict[str, Any] = {
            "model": shape.model,
            "tools": [
                {
                    "type": "function",
                    "name": shape.tool,
                    "description": shape.description,
                    "parameters": msgspec.Raw(shape.schema),
                    "strict": True,
                }
            ],
            "tool_choice": {"type": "function", "name": shape.tool},
            "parallel_tool_calls": False,
            "store": False,
        }
        if shape.service_tier is not None:
            head["service_tier"] = shape.service_tier
        if shape.temperature is not None:
            head["temperature"] = shape.temperature
        if shape.reasoning_effort is not None:
            head["reasoning"] = {"effort": shape.reasoning_effort}
        if is_reasoning_model(shape.model):
            # What the model thought goes back with a rejected call; encrypted, since nothing is stored.
            head["include"] = ["reasoning.encrypted_content"]
        return ResponsesCall(head=msgspec.json.encode(head)[:-1], instructions=shape.instructions)

    def read(self, body: bytes) -> Completion:
        try:
            return read_broken(_completion, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Completion(status="unreadable", text=f"not a Responses answer: {error}")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        return error_message(status, body)

    def stream_reader(self) -> ResponsesStreamReader:
        return ResponsesStreamReader()

    def receive(self, body: bytes) -> Received:
        return read_request(body)

    def write(
        self,
        *,
        tool: str,
        arguments: bytes | None,
        usage: Usage | None,
        model: str,
        text: str = "",
        finish: Finish = "stop",
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        return answer_body(
            tool=tool, arguments=arguments, usage=usage, model=model, text=text, finish=finish, extra=extra or {}
        )

    def write_stream(self, body: bytes) -> Sequence[bytes]:
        return stream_events(body)


class ResponsesCall(msgspec.Struct, frozen=True):
    """A function's requests: `head`, the cap, the conversation."""

    head: bytes
    instructions: str

    def conversation(self, prompt: Prompt) -> bytes:
        instructions = self.instructions if prompt.instructions is None else prompt.instructions
        attachment = _item("user", prompt.attachment) if prompt.attachment else b""
        return _join(_item("developer", instructions), _item("user", _content(prompt)), attachment)

    def retry(self, conversation: bytes, rejected: Completion | str, message: str) -> bytes:
        if isinstance(rejected, str):
            said = _item("assistant", rejected) if rejected else b""
            return _join(conversation, said, _item("user", message))
        # Every function_call must be answered by its output.
        output = {"type": "function_call_output", "call_id": rejected.call_id, "output": message}
        return _join(conversation, rejected.rejected, msgspec.json.encode(output))

    def taken_over(self, conversation: bytes) -> bytes:
        items = msgspec.json.decode(b"[%b]" % conversation, type=list[msgspec.Raw])
        # What a model thought is encrypted for itself.
        return _join(*(bytes(item) for item in items if _kind.decode(item).type != "reasoning"))

    def body(self, conversation: bytes, *, max_output_tokens: int, streamed: bool = False) -> bytes:
        stream = b',"stream":true' if streamed else b""
        return b'%b,"max_output_tokens":%d%b,"input":[%b]}' % (self.head, max_output_tokens, stream, conversation)


def _content(prompt: Prompt) -> str | list[dict[str, str]]:
    """Text alone as a string, as ever: prompt caches go by the bytes."""
    if not prompt.images:
        return prompt.inputs
    return [{"type": "input_text", "text": prompt.inputs}, *(_image(image) for image in prompt.images)]


def _image(image: Image) -> dict[str, str]:
    return {"type": "input_image", "image_url": image.wire_url, "detail": image.detail}


def _item(role: str, content: str | list[dict[str, str]]) -> bytes:
    return msgspec.json.encode({"role": role, "content": content})


def _join(*items: bytes) -> bytes:
    return b",".join(item for item in items if item)


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    content: list[_Part] | None = None


class _Failure(msgspec.Struct):
    message: str | None = None
    code: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    output: list[msgspec.Raw] | None = None
    status: str | None = "completed"
    id: Any = ""
    model: Any = ""
    usage: msgspec.Raw = NULL
    error: _Failure | None = None
    incomplete_details: _Incomplete | None = None
    service_tier: Any = None


class _Typed(msgspec.Struct):
    type: str = "message"


_decoder = msgspec.json.Decoder(_Response)
_kind = msgspec.json.Decoder(_Typed)
_item_decoder = msgspec.json.Decoder(_Item)


def _completion(body: bytes) -> Completion:
    response = _decoder.decode(body)
    return msgspec.structs.replace(
        _verdict(response),
        usage=responses_usage(response.usage),
        response_id=as_text(response.id),
        model=as_text(response.model),
        service_tier=as_text(response.service_tier),
    )


def _verdict(response: _Response) -> Completion:
    if response.error is not None:
        why = response.error.message or response.error.code or "the provider failed and did not say why"
        return Completion(status="failed", text=mask_secrets(why))
    if response.output is None:
        return Completion(status="unreadable", text="not a Responses answer: it has no `output`")
    items = [_item_decoder.decode(raw) for raw in response.output]
    chosen = _chosen(items)
    item = items[chosen] if items else _Item(type="none")
    said = "".join(part.refusal or part.text or "" for part in item.content or ())
    answer = Completion(
        status="no_call",
        text=said,
        arguments=item.arguments.encode(),
        call_id=item.call_id,
        tool=item.name,
        rejected=_rejected(response.output, items, chosen),
    )
    if response.status == "incomplete":
        return _cut(answer, response.incomplete_details)
    if response.status not in ("completed", None):
        return Completion(status="failed", text=f"the response was left {response.status}")
    if item.type == "function_call":
        return msgspec.structs.replace(answer, status="called")
    refused = any(part.type == "refusal" for part in item.content or ())
    return msgspec.structs.replace(answer, status="refused") if refused else answer


def _chosen(items: Sequence[_Item]) -> int:
    """The first call, else the last message."""
    calls = (n for n, item in enumerate(items) if item.type == "function_call")
    messages = (n for n in reversed(range(len(items))) if items[n].type == "message")
    return next(calls, next(messages, 0))


def _rejected(raw: Sequence[msgspec.Raw], items: Sequence[_Item], chosen: int) -> bytes:
    """The chosen call and the reasoning that led to it, byte for byte as they came.

    Other calls are left out: each would want an output of its own. So is reasoning that no call
    follows: the API refuses it ("provided without its required following item").
    """
    if not items or items[chosen].type != "function_call" or not items[chosen].call_id:
        return b""
    kept = [bytes(raw[n]) for n in range(chosen + 1) if n == chosen or items[n].type in ("reasoning", "message")]
    return _join(*kept)


def _cut(answer: Completion, details: _Incomplete | None) -> Completion:
    filtered = details is not None and details.reason == "content_filter"
    return msgspec.structs.replace(answer, status="filtered" if filtered else "truncated")
