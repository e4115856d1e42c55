"""What the attempt loop asks of a wire dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from stratum.contracts.image import Image
from stratum.contracts.price import Usage

Status = Literal["called", "no_call", "refused", "truncated", "filtered", "failed", "unreadable"]
Finish = Literal["stop", "length", "content_filter", "refusal"]


class CallShape(msgspec.Struct, frozen=True, kw_only=True):
    """All that is the same in every request of one function on one model; compiled to bytes once."""

    tool: str
    """The function tool whose call is forced; 1-64 of [A-Za-z0-9_-]."""
    description: str
    instructions: str
    """Intent and context."""
    schema: bytes
    """The contract's strict wire schema, as JSON."""
    model: str
    temperature: float | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from call to call: the inputs, the images among them, and the opaque attachment as JSON text."""

    inputs: str
    images: tuple[Image, ...] = ()
    """In the order in which the text counts them."""
    attachment: str = ""
    instructions: str | None = None
    """Replaces the shape's where the intent names an argument in braces."""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, read."""

    status: Status
    """`called`: `arguments` is what the model passed to the tool, not yet validated."""
    arguments: bytes = b""
    text: str = ""
    """What the model said instead, refusal or plain content; where it is `failed` or `unreadable`, why."""
    usage: Usage | None = None
    response_id: str = ""
    model: str = ""
    service_tier: str = ""
    """How the provider says it was served, which is what it bills; empty where it does not say."""
    rejected: bytes = b""
    """JSON items, comma-separated, that put this answer into the conversation of a retry as it came."""
    call_id: str = ""
    tool: str = ""
    """The function the model called; empty where the answer is not a tool call. A server may name another than it was told."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read back: what a scripted provider, a recording or a server in a test sees of it."""

    model: str
    tool: str
    schema: dict[str, Any]
    """The contract's wire schema."""
    instructions: str
    inputs: str
    attachment: str
    """JSON text of the opaque arguments; empty where there are none."""
    images: tuple[str, ...] = ()
    """The URLs of the images, in order; `data:` URLs have all of one."""
    messages: tuple[str, ...]
    """The retry messages so far: one for each rejected answer in the conversation."""
    max_output_tokens: int
    streamed: bool

    @property
    def attempt(self) -> int:
        """From 1."""
        return len(self.messages) + 1


class CompiledCall(Protocol):
    """A function on a model, ready to be written as requests."""

    def conversation(self, prompt: Prompt) -> bytes:
        """The input items of attempt 1: JSON, comma-separated, without brackets."""
        ...

    def retry(self, conversation: bytes, rejected: Completion | str, message: str) -> bytes:
        """`conversation` plus the rejected answer plus `message` as its result, and nothing else.

        `rejected`: the answer, or what is left of one that is no whole call, as text.
        """
        ...

    def taken_over(self, conversation: bytes) -> bytes:
        """The conversation of another model, without what only that one can read."""
        ...

    def body(self, conversation: bytes, *, max_output_tokens: int, streamed: bool = False) -> bytes:
        """The request body. `conversation` comes last, so that a retry's body starts with the one before."""
        ...


class Dialect(Protocol):
    """A wire format."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str:
        """Below the base URL: `/responses`."""
        ...

    @property
    def overhead_tokens(self) -> int:
        """An upper bound of what the server adds around one request's text (roles, tool wrapping)."""
        ...

    @property
    def min_output_tokens(self) -> int:
        """The smallest cap the server accepts."""
        ...

    @property
    def takes_images(self) -> bool:
        """Whether an image can be sent; else a call that has one is refused."""
        ...

    def reasons(self, model: str) -> bool:
        """Whether this model thinks before it answers: its output cap has to leave room for that."""
        ...

    def compile(self, shape: CallShape) -> CompiledCall: ...

    def read(self, body: bytes) -> Completion:
        """Read an answer of status 2xx. Never raises: what cannot be read is `unreadable`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        """The provider's own message in an answer of another status."""
        ...

    def stream_reader(self) -> StreamReader:
        """Collects one streamed answer."""
        ...

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
        """An answer as the provider would write it: for scripted providers and servers in tests.

        `extra` replaces top-level fields of the answer, `id` among them, from which the call's id is derived.
        """
        ...

    def write_stream(self, body: bytes) -> Sequence[bytes]:
        """The same answer as the `data` of server-sent events."""
        ...

    def receive(self, body: bytes) -> Received:
        """Read a request that `compile` wrote: the other side of the wire.

        Raises:
            ValueError: not a request of this dialect.
        """
        ...


class StreamReader(Protocol):
    """One streamed answer, event by event."""

    def feed(self, event: bytes) -> None: ...

    @property
    def output_deltas(self) -> int:
        """Content events so far: each holds at least one token, so this is a lower bound of the output's tokens."""
        ...

    @property
    def arguments(self) -> str:
        """What the model has passed to the tool so far; empty where it calls none."""
        ...

    @property
    def finished(self) -> bool:
        """The final event came: usage is known."""
        ...

    def body(self) -> bytes:
        """The answer as `Dialect.read` takes it, as far as it came."""
        ...
