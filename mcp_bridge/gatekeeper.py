"""Who may speak to the HTTP server: Host, Origin and bearer token, checked before anything else sees a request.

Ours, because the SDK's checks take any local page's Origin, take a client without a token, and are off as soon as the server is bound
elsewhere than loopback.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
MIN_TOKEN: Final = 20
"""Characters: what 120 random bits take in base64."""


class Gatekeeper:
    """ASGI: lets a request through only with a known token, under a known name, and from no foreign page.

    Each token stands for one opener: the SDK answers for a session only to the token that opened it.
    """

    def __init__(
        self, app: ASGIApp, *, tokens: Sequence[str], hosts: Iterable[str], origins: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]
        self._hosts = frozenset(host.lower() for host in hosts)
        # Only we serve pages of our own origin: a page at another port of this machine is as foreign as any.
        own = (f"{scheme}://{host}" for host in self._hosts for scheme in ("http", "https"))
        self._origins = frozenset((*own, *(origin.lower().rstrip("/") for origin in origins)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        opener = self._opener(headers)
        if opener is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="stratum"'}
            response = PlainTextResponse("Send Authorization: Bearer TOKEN.", status_code=401, headers=challenge)
            await response(scope, receive, send)
            return
        user = AuthenticatedUser(AccessToken(token="", client_id=opener, scopes=[]))
        await self._app({**scope, "user": user}, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        # A header that is given twice may be read as its first here and as its last elsewhere.
        if any(len(headers.getlist(name)) > 1 for name in ("host", "origin", "authorization")):
            return PlainTextResponse("Send Host, Origin and Authorization once.", status_code=400)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return PlainTextResponse(
                "This server does not go by that name; start it with --allow-host.", status_code=421
            )
        if origin is not None and origin.lower() not in self._origins:
            return PlainTextResponse("Pages may not call this server; start it with --allow-origin.", status_code=403)
        return None

    def _opener(self, headers: Headers) -> str | None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        offered = given.strip().encode()
        # All are compared, each in constant time: how long it takes tells nothing.
        matching = [token for token in self._tokens if hmac.compare_digest(token, offered)]
        return sha256(matching[0]).hexdigest()[:16] if matching else None


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
