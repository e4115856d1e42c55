"""Chat completions: OpenAI's older API, and what almost every other server speaks.

The contract is a strict function tool whose call is forced, or, where a server constrains only
that (llama.cpp), a JSON schema that the whole answer follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from stratum.contracts.image import Image
from stratum.contracts.price import Usage
from stratum.engine.dialects.broken_text import read_broken
from stratum.engine.dialects.chat_server import answer_body, read_request, stream_events
from stratum.engine.dialects.chat_stream import ChatStreamReader
from stratum.engine.dialects.error_body import error_message, mask_secrets
from stratum.engine.dialects.protocol import CallShape, Completion, Finish, Prompt, Received, Status
from stratum.engine.dialects.reasoning import is_reasoning_model
from stratum.engine.dialects.usage import NULL, as_text, chat_usage

Output = Literal["tool", "json_schema"]
CapField = Literal["max_completion_tokens", "max_tokens"]


_NO_ID = "call_0"
"""For servers that give a call no id; its answer has to name one."""


class ChatDialect:
    """`POST /chat/completions`.

    `cap_field` is what the server calls the output cap: OpenAI's reasoning models refuse
    `max_tokens`, and some other servers ignore `max_completion_tokens`. `takes_images=False` says that
    no model of the server sees.
    """

    path = "/chat/completions"
    overhead_tokens = 64
    min_output_tokens = 1

    def __init__(
        self,
        output: Output = "tool",
        *,
        cap_field: CapField = "max_completion_tokens",
        takes_images: bool = True,
    ) -> None:
        self.name = f"chat/{output}/{cap_field}"
        self.takes_images = takes_images
        self._output: Output = output
        self._cap_field: CapField = cap_field

    def reasons(self, model: str) -> bool:
        return is_reasoning_model(model)

    def compile(self, shape: CallShape) -> ChatCall:
        head: dict[str, Any] = {"model": shape.model}
        schema = msgspec.Raw(shape.schema)
        if self._output == "tool":
            function = {"name": shape.tool, "description": shape.description, "strict": True, "parameters": schema}
            head["tools"] = [{"type": "function", "function": function}]
            head["tool_choice"] = {"type": "function", "function": {"name": shape.tool}}
            head["parallel_tool_calls"] = False
        else:
            form = {"name": shape.tool, "description": shape.description, "strict": True, "schema": schema}
            head["response_format"] = {"type": "json_schema", "json_schema": form}
        if shape.service_tier is not None:
            head["service_tier"] = shape.service_tier
        if shape.temperature is not None:
            head["temperature"] = shape.temperature
        if shape.reasoning_effort is not None:
            head["reasoning_effort"] = shape.reasoning_effort
        return ChatCall(
            head=msgspec.json.encode(head)[:-1], instructions=shape.instructions, cap_field=self._cap_field.encode()
        )

    def read(self, body: bytes) -> Completion:
        try:
            return read_broken(self._completion, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Completion(status="unreadable", text=f"not a chat completion: {error}")

    def _completion(self, body: bytes) -> Completion:
        answer = _decoder.decode(body)
        return msgspec.structs.replace(
            _verdict(answer, output=self._output),
            usage=chat_usage(answer.usage),
            response_id=as_text(answer.id),
            model=as_text(answer.model),
            service_tier=as_text(answer.service_tier),
        )

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        return error_message(status, body)

    def stream_reader(self) -> ChatStreamReader:
        return ChatStreamReader()

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
        if self._output == "json_schema" and arguments is not None:
            text, arguments = arguments.decode(errors="replace"), None
        return answer_body(
            tool=tool, arguments=arguments, usage=usage, model=model, text=text, finish=finish, extra=extra or {}
        )

    def write_stream(self, body: bytes) -> Sequence[bytes]:
        return stream_events(body)


class ChatCall(msgspec.Struct, frozen=True):
    """A function's requests: `head`, the cap, the conversation."""

    head: bytes
    instructions: str
    cap_field: bytes

    def conversation(self, prompt: Prompt) -> bytes:
        instructions = self.instructions if prompt.instructions is None else prompt.instructions
        # A message of its own: many servers take no content but a string.
        attachment = _message("user", prompt.attachment) if prompt.attachment else b""
        return _join(_message("system", instructions), _message("user", _content(prompt)), attachment)

    def retry(self, conversation: bytes, rejected: Completion | str, message: str) -> bytes:
        if isinstance(rejected, str):
            # A turn of its own: templates of some models want user and assistant to alternate.
            said = _message("assistant", rejected) if rejected else b""
            return _join(conversation, said, _message("user", message))
        # Every tool call must be answered by a tool message; where the answer follows a schema there is none.
        answer = (
            msgspec.json.encode({"role": "tool", "tool_call_id": rejected.call_id, "content": message})
            if rejected.call_id
            else _message("user", message)
        )
        return _join(conversation, rejected.rejected, answer)

    def taken_over(self, conversation: bytes) -> bytes:
        return conversation

    def body(self, conversation: bytes, *, max_output_tokens: int, streamed: bool = False) -> bytes:
        stream = b',"stream":true,"stream_options":{"include_usage":true}' if streamed else b""
        return b'%b,"%b":%d%b,"messages":[%b]}' % (
            self.head,
            self.cap_field,
            max_output_tokens,
            stream,
            conversation,
        )


def _content(prompt: Prompt) -> str | list[dict[str, Any]]:
    """Text alone as a string: many servers take nothing else."""
    if not prompt.images:
        return prompt.inputs
    return [{"type": "text", "text": prompt.inputs}, *(_image(image) for image in prompt.images)]


def _image(image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": image.wire_url, "detail": image.detail}}


def _message(role: str, content: str | list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode({"role": role, "content": content})


def _join(*messages: bytes) -> bytes:
    return b",".join(message for message in messages if message)


class _Function(msgspec.Struct):
    name: str | None = ""
    arguments: str | None = ""


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = ""


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Failure(msgspec.Struct):
    message: str | None = None


class _ChatCompletion(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: Any = ""
    model: Any = ""
    usage: msgspec.Raw = NULL
    error: _Failure | None = None
    service_tier: Any = None


_decoder = msgspec.json.Decoder(_ChatCompletion)


def _verdict(answer: _ChatCompletion, *, output: Output) -> Completion:
    if answer.error is not None:
        # OpenRouter and others report a failure behind status 200.
        return Completion(status="failed", text=mask_secrets(answer.error.message or "the provider did not say why"))
    if not answer.choices:
        return Completion(status="unreadable", text="not a chat completion: it has no `choices`")
    choice = answer.choices[0]
    message = choice.message
    call = message.tool_calls[0] if message.tool_calls else None
    said = message.refusal or message.content or ""
    passed = call.function.arguments if call else message.content if output == "json_schema" else None
    status = _status(choice, called=bool(call or passed))
    return Completion(
        status=status,
        text=said,
        arguments=(passed or "").encode(),
        call_id=(call.id or _NO_ID) if call else "",
        tool=(call.function.name or "") if call else "",
        rejected=_rejected(message, call, said),
    )


def _status(choice: _Choice, *, called: bool) -> Status:
    if choice.finish_reason == "length":
        return "truncated"
    if choice.finish_reason == "content_filter":
        return "filtered"
    if choice.message.refusal:
        return "refused"
    return "called" if called else "no_call"


def _rejected(message: _Message, call: _ToolCall | None, said: str) -> bytes:
    if call is None:
        return _message("assistant", said) if said else b""
    function = {"name": call.function.name, "arguments": call.function.arguments or ""}
    calls = [{"id": call.id or _NO_ID, "type": "function", "function": function}]
    return msgspec.json.encode({"role": "assistant", "content": message.content, "tool_calls": calls})
