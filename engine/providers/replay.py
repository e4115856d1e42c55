"""Recorded exchanges, given again byte for byte: a test suite on real answers that never pays twice."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import NoRecording, ProviderError
from stratum.contracts.price import Price
from stratum.engine.dialects.error_body import mask_secrets
from stratum.engine.dialects.named import dialect_named
from stratum.engine.providers.choose import choose_provider
from stratum.engine.providers.protocol import Answer, Provider, Request, StatusError

FORMAT = 1
_CAPS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_IMAGE = re.compile(r'("(?:image_url|url)":"data:image/[a-z]+;base64,)([A-Za-z0-9+/=]+)')
_PASSING = frozenset((408, 409, 425, 429))
"""Statuses that say "later": replaying one would only make a test wait."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a file: who was recorded."""

    recordings: int
    provider: str
    dialect: str
    default_model: str | None
    price: Price | None = None
    """What every call cost, where that is not looked up: or a budget in USD could not be replayed."""


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange, without headers."""

    digest: str
    """Of the request but for its output cap: how much money is left must not decide whether it is known."""
    function: str
    request: str
    status: int
    answer: str = ""
    encoded: bool = False
    """`answer` is base64, because it was not UTF-8."""
    events: tuple[str, ...] | None = None
    """Of a streamed answer, each one's data."""

    def as_answer(self) -> Answer:
        body = base64.b64decode(self.answer) if self.encoded else self.answer.encode()
        return Answer(status=self.status, headers={}, body=body)


def replay(path: str | os.PathLike[str], *, record: Provider | bool = False, price: Price | None = None) -> Replay:
    """A provider that answers from the file at `path`.

    A request that was recorded several times gets those answers in turn, then from the first again. With `record`
    (a provider, or True for the one the environment names) a request beyond what is recorded is sent there and its
    exchange added to the file: secrets masked, headers left out, transport failures and statuses that ask for patience
    not kept. Calls cost what the recorded provider's do, so budgets behave as they did.

    Raises:
        NoRecording: there is no such file, and nothing to record from.
        ProviderError: the file is not one of recordings.
    """
    source = choose_provider(os.environ) if record is True else record or None
    return Replay(Path(path), source=source, price=price)


class Replay:
    """What `replay` makes."""

    free = False

    def __init__(self, path: Path, *, source: Provider | None, price: Price | None) -> None:
        self._path = path
        self._source = source
        self._known: defaultdict[str, list[Recording]] = defaultdict(list)
        self._next: defaultdict[str, int] = defaultdict(int)
        origin = self._load()
        self.name = origin.provider
        self.dialect = dialect_named(origin.dialect)
        self.default_model = origin.default_model
        self.price = price or (source.price if source else origin.price)
        self.streams = bool(source and source.streams)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        self._next.clear()
        if self._source is None:
            yield
            return
        async with self._source.open():
            yield

    async def ready(self) -> None:
        if self._source is not None:
            await self._source.ready()

    async def send(self, request: Request) -> Answer:
        recording = self._take(request)
        if recording is None:
            answer = await self._live.send(request)
            self._keep(request, answer)
            return answer
        await trio.lowlevel.checkpoint()
        return recording.as_answer()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        recording = self._take(request)
        if recording is None:
            async with aclosing(self._recorded_stream(request)) as events:
                yield events
            return
        if recording.events is None:
            raise StatusError(answer=recording.as_answer())
        async with aclosing(_replayed(recording.events)) as events:
            yield events

    async def _recorded_stream(self, request: Request) -> AsyncGenerator[bytes]:
        events: list[bytes] = []
        try:
            async with self._live.stream(request) as live:
                async for event in live:
                    events.append(event)
                    yield event
        except StatusError as error:
            self._keep(request, error.answer)
            raise
        self._keep(request, Answer(status=200, headers={}, body=b""), events=events)

    @property
    def _live(self) -> Provider:
        assert self._source is not None, "`_take` found a recording or raised"
        return self._source

    def _take(self, request: Request) -> Recording | None:
        """The next recording of this request; `None` where it has to be sent."""
        digest = _digest(request)
        known = self._known[digest]
        turn = self._next[digest]
        self._next[digest] += 1
        if turn < len(known):
            return known[turn]
        if self._source is not None:
            return None
        if not known:
            received = self.dialect.receive(request.body)
            raise NoRecording(
                message=f"{self._path} has no attempt {received.attempt} of {received.tool} with these inputs"
            )
        return known[turn % len(known)]

    def _keep(self, request: Request, answer: Answer, *, events: Sequence[bytes] | None = None) -> None:
        if answer.status in _PASSING or answer.status >= 500:
            return
        text, encoded = _as_text(answer.body)
        recording = Recording(
            digest=_digest(request),
            function=self.dialect.receive(request.body).tool,
            request=_without_images(_masked(request.body.decode())),
            status=answer.status,
            answer=text,
            encoded=encoded,
            events=None if events is None else tuple(_masked(event.decode()) for event in events),
        )
        self._known[recording.digest].append(recording)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(recording) + b"\n")

    def _load(self) -> Origin:
        """Read the file; begin it where there is none and something to record from."""
        if not self._path.exists():
            if self._source is None:
                raise NoRecording(message=f"there is no file {self._path}")
            return self._begin(self._source)
        first, *lines = self._path.read_bytes().splitlines() or [b""]
        try:
            origin = msgspec.json.decode(first, type=Origin)
            for line in lines:
                recording = msgspec.json.decode(line, type=Recording)
                self._known[recording.digest].append(recording)
        except msgspec.MsgspecError as error:
            raise ProviderError(
                provider="replay", message=f"{self._path} is not a file of recordings: {error}", fix="record it anew"
            ) from error
        return origin

    def _begin(self, source: Provider) -> Origin:
        origin = Origin(
            recordings=FORMAT,
            provider=source.name,
            dialect=source.dialect.name,
            default_model=source.default_model,
            price=source.price,
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(msgspec.json.encode(origin) + b"\n")
        return origin


async def _replayed(events: Sequence[str]) -> AsyncGenerator[bytes]:
    for event in events:
        await trio.lowlevel.checkpoint()
        yield event.encode()


def _digest(request: Request) -> str:
    body = msgspec.json.decode(request.body, type=dict[str, Any])
    named = {name: part for name, part in body.items() if name not in _CAPS}
    return hashlib.sha256(request.path.encode() + canonical_json(named)).hexdigest()[:32]


def _without_images(request: str) -> str:
    """What is kept to be read by people; the digest is over all of it."""
    return _IMAGE.sub(lambda match: f"{match[1]}sha256:{hashlib.sha256(match[2].encode()).hexdigest()[:12]}", request)


def _as_text(body: bytes) -> tuple[str, bool]:
    try:
        return _masked(body.decode()), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _masked(text: str) -> str:
    key = os.environ.get("OPENAI_API_KEY", "")
    return mask_secrets(text.replace(key, "***") if key else text)
