"""What a step that an agent did has cost, by Codex's own session files.

Codex appends a line for each thing that happens in a thread to `$CODEX_HOME/sessions/Y/M/D/rollout-TIME-THREAD.jsonl`: its calls of
tools, and for each response of the model a `token_usage_record`. A step's responses are those behind the one that was handed
the step, up to the one that reports it. Where the file does not say, nothing is said: a cost is measured or unknown.

    sessions = CodexSessions(codex_home())
    since, until = ToolCall.of(meta of stratum_execute), ToolCall.of(meta of stratum_step_done)
    spend = await sessions.spent_soon(since, until, booked=already)
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from stratum.contracts.price import Price, Usage
from stratum.engine.pricing.published_price import price_of

_THREAD: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ORDINAL: Final = re.compile(rb'"ordinal":(\d{1,15})\b')
"""Each line's number in its thread; it stands among the first fields."""
_MARKS: Final = (b'"token_usage_record"', b'"turn_context"', b'"session_meta"', b'_call"')
"""One of these is in every line that counts here."""
MAX_LINE: Final = 8_000_000
"""Longer ones hold images or the output of tools; they are passed over."""
MAX_EVENTS: Final = 500_000
_POLL_S: Final = 0.05
PENDING: Final = "Codex has not written it yet"


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """Where in Codex's threads one call of our tools stands: from the `_meta` that Codex sends with it."""

    thread: str
    item: str
    """The model's own id of the call; of the script, where it was made by one."""
    call: str = ""
    session: str = ""

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> ToolCall | None:
        """`None`: the client is not Codex, or a Codex that does not say."""
        named = (meta.get(key) for key in ("threadId", "itemId", "callId", "sessionId"))
        thread, item, call, session = (value if isinstance(value, str) else "" for value in named)
        if not _THREAD.fullmatch(thread) or not (item or call):
            return None
        return cls(thread=thread, item=item, call=call, session=session)


class StepSpend(msgspec.Struct, frozen=True, kw_only=True):
    """What was used between two calls, or why that is unknown."""

    usage: Usage | None = None
    picousd: int | None = None
    """`None`: unknown usage, or a model without a price."""
    models: tuple[str, ...] = ()
    responses: tuple[str, ...] = ()
    """The ids of the responses counted: book each once."""
    why: str = ""
    """Why something is unknown; else empty."""


def codex_home(environ: Mapping[str, str] = os.environ) -> Path:
    """`$CODEX_HOME`, else `~/.codex`. A server is given the former by `env_vars` in Codex's configuration."""
    named = environ.get("CODEX_HOME")
    return Path(named) if named else Path.home() / ".codex"


class CodexSessions:
    """The session files below one home. Any thread may ask; each file is read once, and then only what was added."""

    def __init__(self, home: Path, *, prices: Mapping[str, Price] | None = None) -> None:
        self._folder = home / "sessions"
        self._prices = prices or {}
        self._tails: dict[Path, _Tail] = {}
        self._lock = threading.Lock()

    async def spent_soon(
        self, since: ToolCall, until: ToolCall, *, booked: Collection[str] = (), wait_s: float = 1.0
    ) -> StepSpend:
        """`spent`, asked again while Codex has yet to write it: a call reaches us before its response is written down."""
        with trio.move_on_after(wait_s):
            while True:
                found = await trio.to_thread.run_sync(lambda: self.spent(since, until, booked=booked))
                if found.why != PENDING:
                    return found
                await trio.sleep(_POLL_S)
        return StepSpend(why=PENDING)

    def spent(self, since: ToolCall, until: ToolCall, *, booked: Collection[str] = ()) -> StepSpend:
        """What the thread used behind the response with the call `since`, up to the one with `until`.

        Responses in `booked` are left out: steps that are done side by side share them.
        """
        if since.thread != until.thread:
            return StepSpend(why="it was handed to one thread and reported by another")
        try:
            with self._lock:
                events = self._events(since.thread)
                if events is None:
                    return StepSpend(why="there is no session file of this thread below CODEX_HOME")
                return self._window(events, since, until, booked)
        except OSError as error:
            return StepSpend(why=f"the session file cannot be read: {error.strerror or error}")
        except _Unreadable as error:
            return StepSpend(why=str(error))

    def _window(self, events: list[_Event], since: ToolCall, until: ToolCall, booked: Collection[str]) -> StepSpend:
        start, end = _place(events, since), _place(events, until)
        if start is None or end is None:
            return StepSpend(why=PENDING)
        first, last = _response_with(events, start), _response_with(events, end)
        if first is None or last is None:
            return StepSpend(why=PENDING)
        if last < first:
            return StepSpend(why="it was reported before it was handed out")
        for event in events[start : last + 1]:
            if isinstance(event, _Bad):
                raise _Unreadable(event.why)
        within = events[first : last + 1]
        responses = [event for event in within if isinstance(event, _Response)]
        _require_whole(responses)
        if self._has_others(since):
            return StepSpend(why="other agents of the same session worked too; whose step that was is not told")
        counted = [each for each in responses[1:] if each.id not in booked]
        return self._total(counted, events, model=responses[-1].model)

    def _total(self, responses: list[_Response], events: list[_Event], *, model: str) -> StepSpend:
        provider = next((event.provider for event in events if isinstance(event, _Session)), "")
        models = tuple(dict.fromkeys(each.model for each in responses if each.model)) or (model,)
        costs = [
            None if (price := self._price(each.model, provider)) is None else price.cost(each.usage)
            for each in responses
        ]
        known = [cost for cost in costs if cost is not None]
        unpriced = len(known) < len(costs)
        return StepSpend(
            usage=sum((each.usage for each in responses), Usage(input_tokens=0, output_tokens=0)),
            picousd=None if unpriced else sum(known),
            models=models,
            responses=tuple(each.id for each in responses),
            why=f"no price is known for {', '.join(models) or 'the model'}" if unpriced else "",
        )

    def _price(self, model: str, provider: str) -> Price | None:
        if model in self._prices:
            return self._prices[model]
        # Another provider may serve a model of the same name at another price.
        return price_of(model, provider="openai") if model and provider == "openai" else None

    def _events(self, thread: str) -> list[_Event] | None:
        """All that counts of one thread, over all of its files, oldest first; `None`: it has no file."""
        files = list(self._folder.glob(f"*/*/*/rollout-*-{thread}.jsonl")) if _THREAD.fullmatch(thread) else []
        found: list[_Event] = []
        for path in sorted(files, key=lambda path: path.name):
            found += self._tails.setdefault(path, _Tail(path)).read()
        return found if files else None

    def _has_others(self, call: ToolCall) -> bool:
        """Whether another thread of the session has a file: a sub-agent, or a reviewer."""
        own = {path for path in self._tails if call.thread in path.name}
        for folder in {path.parent for path in own}:
            for path in folder.glob("rollout-*.jsonl"):
                if (
                    path not in own
                    and (session := _session_of(path))
                    and session in (call.session or call.thread, call.thread)
                ):
                    return True
        return False


class _Unreadable(Exception):
    """The file says something that cannot be so."""


class _Session(msgspec.Struct, frozen=True):
    provider: str


class _Call(msgspec.Struct, frozen=True):
    item: str
    call: str


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    model: str
    usage: Usage
    total: int
    """Tokens of the whole thread so far, as Codex counts them; -1: it does not say."""


class _Bad(msgspec.Struct, frozen=True):
    """A place where the file cannot be trusted."""

    why: str


_Event = _Session | _Call | _Response | _Bad


class _Line(msgspec.Struct):
    type: str
    payload: msgspec.Raw


class _SessionLine(msgspec.Struct):
    id: str = ""
    session_id: str = ""
    model_provider: str = ""


class _TurnLine(msgspec.Struct):
    turn_id: str
    model: str


class _ItemLine(msgspec.Struct):
    type: str = ""
    id: str | None = None
    call_id: str | None = None


class _Counts(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = -1


class _UsageLine(msgspec.Struct):
    turn_id: str
    response_id: str
    usage: _Counts
    thread_token_usage: _Counts | None = None


class _Tail:
    """One file, and how far it was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._next: int | None = None
        """The ordinal that the next line must have."""
        self._events: list[_Event] = []
        self._models: dict[str, str] = {}

    def read(self) -> list[_Event]:
        """All events of the file; a last line without its end is left for the next time."""
        descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _Unreadable("the session file is not a file")
            if self._inode != status.st_ino or status.st_size < self._offset:
                self._forget(status.st_ino)  # another file, or one that was cut
            file.seek(self._offset)
            while line := file.readline(MAX_LINE):
                if not line.endswith(b"\n"):
                    if len(line) < MAX_LINE:
                        break
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    line = b""
                self._offset = file.tell()
                self._add(line)
        return self._events

    def _forget(self, inode: int) -> None:
        self._inode, self._offset, self._next = inode, 0, None
        self._events, self._models = [], {}

    def _add(self, line: bytes) -> None:
        if len(self._events) >= MAX_EVENTS:
            raise _Unreadable("the session file is too long")
        self._follow(line)
        if not any(mark in line for mark in _MARKS):
            return
        try:
            decoded = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        self._events += self._read(decoded)

    def _follow(self, line: bytes) -> None:
        """Note where lines are missing."""
        number = _ORDINAL.search(line[:200])
        if number is None:
            self._next = None if self._next is None else self._next + 1
            return
        ordinal = int(number[1])
        if self._next is not None and ordinal != self._next:
            self._events.append(_Bad("lines of the session file are missing"))
        self._next = ordinal + 1

    def _read(self, line: _Line) -> Iterator[_Event]:
        try:
            match line.type:
                case "session_meta":
                    yield _Session(msgspec.json.decode(line.payload, type=_SessionLine).model_provider)
                case "turn_context":
                    turn = msgspec.json.decode(line.payload, type=_TurnLine)
                    self._models[turn.turn_id] = turn.model
                case "response_item":
                    item = msgspec.json.decode(line.payload, type=_ItemLine)
                    if item.type.endswith("_call"):
                        yield _Call(item.id or "", item.call_id or "")
                case "token_usage_record":
                    yield self._response(msgspec.json.decode(line.payload, type=_UsageLine))
                case _:
                    pass
        except (msgspec.DecodeError, ValueError, RecursionError):
            if line.type == "token_usage_record":
                yield _Bad("a record of usage in the session file cannot be read")

    def _response(self, line: _UsageLine) -> _Response:
        counts = line.usage
        return _Response(
            id=line.response_id,
            model=self._models.get(line.turn_id, ""),
            usage=Usage(
                input_tokens=counts.input_tokens,
                output_tokens=counts.output_tokens,
                cached_tokens=counts.cached_input_tokens,
                cache_write_tokens=counts.cache_write_input_tokens,
                reasoning_tokens=counts.reasoning_output_tokens,
            ),
            total=-1 if line.thread_token_usage is None else line.thread_token_usage.total_tokens,
        )


def _place(events: list[_Event], call: ToolCall) -> int | None:
    return next(
        (
            at
            for at, event in enumerate(events)
            if isinstance(event, _Call)
            and ((call.item and event.item == call.item) or (call.call and event.call == call.call))
        ),
        None,
    )


def _response_with(events: list[_Event], at: int) -> int | None:
    """The response that made the call at `at`: its usage is written when it has ended, before the next one begins."""
    for number in range(at, len(events)):
        if isinstance(events[number], _Response):
            return number
    return None


def _require_whole(responses: list[_Response]) -> None:
    """Refuse a window in which lines are missing: Codex's own running total must add up."""
    for before, after in pairwise(responses):
        if -1 not in (before.total, after.total) and after.total - before.total != after.usage.total_tokens:
            raise _Unreadable("the session file's total does not add up: lines are missing")


def _session_of(path: Path) -> str:
    """The session that the file's first line names."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            line = msgspec.json.decode(file.readline(MAX_LINE), type=_Line)
        return msgspec.json.decode(line.payload, type=_SessionLine).session_id if line.type == "session_meta" else ""
    except (OSError, msgspec.DecodeError, RecursionError):
        return ""
