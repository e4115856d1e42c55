"""`Guard`: what every request passes before a page sees it, and what every answer is sent with."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stratum.mcp_bridge.host_check import HostCheck
from stratum.ui.shell import notice_page
from stratum.ui.visitors import Visitors

OPEN: Final = ("/enter", "/page.css", "/live.js", "/icon.svg")
"""What is answered to anybody."""
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would make the browser send forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
NOT_LET_IN: Final = (
    "Open the address that <code>stratum ui</code> printed. Each address lets one browser in; it prints the next one."
)


class Guard:
    """ASGI: lets a request through under a known name, from no foreign page, with a visitor's cookie."""

    def __init__(self, app: ASGIApp, *, check: HostCheck, visitors: Visitors, cookie: str) -> None:
        self._app = app
        self._check = check
        self._visitors = visitors
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # the only other kind: to be refused before it is accepted
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        visitor = _cookie_of(headers, self._cookie)
        answer = self._check.refusal(headers) or self._refusal(scope, headers, visitor)
        if answer is not None:
            await answer(scope, receive, send_guarded)
            return
        await self._app({**scope, "visitor": visitor}, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers, visitor: str) -> Response | None:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("There is nothing to do with that here.", status_code=405)
        # Every browser says where a form comes from; what does not say it is none.
        if scope["method"] == "POST" and headers.get("origin") is None:
            return PlainTextResponse("Forms have to come from the page itself.", status_code=403)
        if scope["path"] in OPEN or (visitor and self._visitors.knows(visitor)):
            return None
        return HTMLResponse(notice_page("Not let in", NOT_LET_IN), status_code=401)


def _cookie_of(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value
