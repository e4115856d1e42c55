"""What an owner and a worker tell each other. Values go as their contracts write them, errors pickled."""

from __future__ import annotations

from typing import Final

import msgspec


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    pass


class Perform(_Message, frozen=True, kw_only=True, tag="perform"):
    """Owner: call a step's function."""

    errand: int
    step: str
    inputs: bytes
    alone: bool
    """The worker does nothing else meanwhile, and is killed where the errand has to be stopped."""


class RunBranch(_Message, frozen=True, kw_only=True, tag="run_branch"):
    """Owner: it is the turn of a branch of a fan-out that the worker asked for."""

    errand: int
    call: int
    number: int


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """Owner: cancel an errand, and say when it is over."""

    errand: int
    reason: str


class Answered(_Message, frozen=True, kw_only=True, tag="answered"):
    """Owner: what came of a call."""

    call: int
    value: bytes = b""
    error: bytes = b""
    stopped: bool = False
    """Cancelled: by whoever made it, or because what is around it is."""


class Call(_Message, frozen=True, kw_only=True, tag="call"):
    """Worker: an errand calls a step."""

    errand: int
    call: int
    step: str
    inputs: bytes
    around: bool
    """It does nothing itself: its function runs on the worker, too."""


class FanOut(_Message, frozen=True, kw_only=True, tag="fan_out"):
    """Worker: an errand makes several calls at once."""

    errand: int
    call: int
    what: str
    """`parallel` or `race`."""
    branches: int
    need: int | None


class Withdraw(_Message, frozen=True, kw_only=True, tag="withdraw"):
    """Worker: a call is to be cancelled; it is answered all the same."""

    call: int
    reason: str


class Over(_Message, frozen=True, kw_only=True, tag="over"):
    """Worker: an errand has ended."""

    errand: int
    value: bytes = b""
    error: bytes = b""
    stopped: bool = False


class ThreadLeft(_Message, frozen=True, kw_only=True, tag="thread_left"):
    """Worker: an errand was stopped, and its thread goes on."""

    errand: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a fan-out ended, for the worker that has its branches."""

    ended: list[int]
    won: list[int]


ToWorker = Perform | RunBranch | Stop | Answered
ToOwner = Call | FanOut | Withdraw | Over | ThreadLeft

encode: Final = msgspec.msgpack.Encoder().encode
to_worker: Final = msgspec.msgpack.Decoder(ToWorker).decode
to_owner: Final = msgspec.msgpack.Decoder(ToOwner).decode
