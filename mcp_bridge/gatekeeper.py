"""Who may speak to the HTTP server: Host, Origin and bearer token, checked before anything else sees a request.

Ours, because the SDK's checks take any local page's Origin, take a client without a token, and are off as soon as the server is bound
elsewhere than loopback.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stratum.mcp_bridge.host_check import HostCheck


class Gatekeeper:
    """ASGI: lets a request through only with a known token, under a known name, and from no foreign page.

    Each token stands for one opener: the SDK answers for a session only to the token that opened it.
    """

    def __init__(self, app: ASGIApp, *, tokens: Sequence[str], hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]
        self._check = HostCheck(hosts=hosts, origins=origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        headers = Headers(scope=scope)
        refusal = self._check.refusal(headers)
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

    def _opener(self, headers: Headers) -> str | None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        offered = given.strip().encode()
        # All are compared, each in constant time: how long it takes tells nothing.
        matching = [token for token in self._tokens if hmac.compare_digest(token, offered)]
        return sha256(matching[0]).hexdigest()[:16] if matching else None
