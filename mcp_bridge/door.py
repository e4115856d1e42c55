"""`Door`: where a server on this machine listens; and how it is served there, by hypercorn's trio worker."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType]  # its WSGI types are bare dicts
from starlette.types import ASGIApp

DEFAULT_PORT: Final = 8321
_GRACE_S: Final = 3.0


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens, and to whom."""

    tokens: tuple[str, ...] = ()
    """Each opens sessions of its own."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any that is free."""
    allowed_hosts: tuple[str, ...] = ()
    """Names besides its own by which it is reached, as behind a proxy."""
    allowed_origins: tuple[str, ...] = ()
    """Pages that may call it, as `http://localhost:6274`."""


def listen(door: Door) -> socket.socket:
    """A socket that takes connections at the door.

    Raises:
        OSError: the address cannot be had.
    """
    return socket.create_server((door.host, door.port), family=socket.AF_INET6 if ":" in door.host else socket.AF_INET)


async def serve_app(app: ASGIApp, listening: socket.socket, *, until: Callable[[], Awaitable[object]]) -> None:
    """Serve at `listening`, which it closes, until `until` returns; requests in flight then have a few seconds."""
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # hypercorn closes it
    config.graceful_timeout = _GRACE_S
    config.include_server_header = False
    config.errorlog = None
    await serve(app, config, shutdown_trigger=until)  # type: ignore[arg-type]  # starlette's ASGI types are not hypercorn's


async def told_to_stop() -> str:
    """Wait for SIGINT, SIGTERM or, when a terminal closes, SIGHUP: which of them came."""
    # Whoever starts us by nohup wants us to outlive the terminal.
    # Windows has no such signal.
    hangup = getattr(signal, "SIGHUP", None)
    closes = () if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else (hangup,)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, *closes) as signals:
        async for number in signals:
            return signal.Signals(number).name
    raise AssertionError("signals do not end")
