"""`HostCheck`: the names under which a local server answers, and the pages that may call it.

What keeps a page of another site away: one whose name was rebound to this machine sends its own name as Host, and one that runs in the
user's browser its own Origin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_ONCE: Final = ("host", "origin", "authorization")


class HostCheck:
    """For a server that goes by `hosts`, each with its port; `origins` are other pages that may call it."""

    def __init__(self, *, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        # Only we serve pages of our own origin: a page at another port of this machine is as foreign as any.
        own = (f"{scheme}://{host}" for host in self._hosts for scheme in ("http", "https"))
        self._origins = frozenset((*own, *(origin.lower().rstrip("/") for origin in origins)))

    def refusal(self, headers: Headers) -> Response | None:
        """What a request with these headers is answered, unless it may go on."""
        # A header that is given twice may be read as its first here and as its last elsewhere.
        if any(len(headers.getlist(name)) > 1 for name in _ONCE):
            return PlainTextResponse("Send Host, Origin and Authorization once.", status_code=400)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return PlainTextResponse(
                "This server does not go by that name; start it with --allow-host.", status_code=421
            )
        if origin is not None and origin.lower() not in self._origins:
            return PlainTextResponse("Pages may not call this server; start it with --allow-origin.", status_code=403)
        return None


def names(host: str, port: int, *, also: Iterable[str] = ()) -> list[str]:
    """The Host headers under which a server bound to `host` is reached; `also` may leave out the port."""
    bound = LOOPBACK if is_loopback(host) else (f"[{host}]" if ":" in host else host,)
    named = [f"{name}:{port}" for name in bound]
    return (
        named + [name if _has_port(name) else f"{name}:{port}" for name in also] + [n for n in also if not _has_port(n)]
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to `host`."""
    return host in ("127.0.0.1", "localhost", "::1")


def _has_port(name: str) -> bool:
    return name.rpartition("]")[2].count(":") == 1
