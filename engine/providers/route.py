"""`Route`: from a base URL and the environment's proxies to an open stream, ready for HTTP/1.1."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import h11
import trio

from stratum.contracts.errors import ProviderError
from stratum.engine.providers.failure import not_connected, refused_by_proxy, too_slow_to_connect
from stratum.engine.providers.proxy import proxy_for

DEFAULT_PORTS = {"http": 80, "https": 443}
MOST_HEADER_BYTES = 100 * 1024
"""Of an answer's status line and headers; as httpx2."""

# A router that forgets a silent connection must not leave a long answer waited for in vain.
_KEEPALIVE = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 60),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
    )
    if hasattr(socket, name)
]


@dataclass(frozen=True, kw_only=True)
class Wire:
    """An open connection."""

    stream: trio.abc.Stream
    socket: trio.socket.SocketType
    """What `stream` ends in, below any TLS: closing it needs no checkpoint."""

    @property
    def receive(self) -> Callable[[int], Awaitable[bytes | bytearray]]:
        """At most so many bytes, once there are any. Raises OSError or `trio.BrokenResourceError`."""
        # A stream around a bare socket only says the one as the other; it takes a call that is stopped as long as closing it.
        return self.socket.recv if isinstance(self.stream, trio.SocketStream) else self.stream.receive_some


class Route:
    """How one server is reached. Certificates are checked against what httpx2 trusts: the system's, or SSL_CERT_FILE.

    Raises:
        ProviderError: the environment names a proxy of a kind that is not spoken here.
    """

    def __init__(self, url: str, *, connect_timeout_s: float) -> None:
        parts = urlsplit(url)
        self.host = _ascii(parts.hostname or "")
        self.authority = _authority(parts.scheme, self.host, parts.port)
        """For the header Host."""
        self.credentials = credentials(parts)
        """Of the URL, as an Authorization header's value; "" where it has none."""
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._proxy = _checked_proxy(proxy_for(parts.scheme, self.host))
        self._connect_timeout_s = connect_timeout_s
        wants_tls = parts.scheme == "https"
        self.forwarded = self._proxy is not None and not wants_tls
        """A proxy passes plain requests on by itself: it has to be told the whole URL."""
        self.proxy_credentials = "" if self._proxy is None else credentials(self._proxy)
        proxy_tls = self._proxy is not None and self._proxy.scheme == "https"
        context = _trusting_context() if wants_tls or proxy_tls else None
        self._tls = context if wants_tls else None
        self._proxy_tls = context if proxy_tls else None

    async def open(self) -> Wire:
        """Connect, through the proxy if there is one, and shake hands.

        Raises:
            TransportFailure: it could not be done, or not within the connect timeout; nothing was sent.
        """
        with trio.move_on_after(self._connect_timeout_s):
            return await self._connect()
        raise too_slow_to_connect(host=self.host)

    async def _connect(self) -> Wire:
        host, port = self.host, self._port
        if self._proxy is not None:
            host = _ascii(self._proxy.hostname or "")
            port = self._proxy.port or DEFAULT_PORTS[self._proxy.scheme]
        try:
            tcp = await trio.open_tcp_stream(host, port)
        except OSError as error:
            raise not_connected(error, host=self.host) from error
        for level, option, value in _KEEPALIVE:
            tcp.socket.setsockopt(level, option, value)
        try:
            stream: trio.abc.Stream = tcp
            if self._proxy_tls is not None:
                stream = await self._secured(stream, self._proxy_tls, host)
            if self._proxy is not None and not self.forwarded:
                await self._tunnel(stream)
            if self._tls is not None:
                stream = await self._secured(stream, self._tls, self.host)
        except BaseException:
            tcp.socket.close()
            raise
        return Wire(stream=stream, socket=tcp.socket)

    async def _secured(self, stream: trio.abc.Stream, context: ssl.SSLContext, host: str) -> trio.abc.Stream:
        tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
        try:
            await tls.do_handshake()
        except (trio.BrokenResourceError, ssl.SSLError, ssl.CertificateError) as error:
            raise not_connected(error, host=self.host) from error
        return tls

    async def _tunnel(self, stream: trio.abc.Stream) -> None:
        """Have the proxy connect us with the server."""
        target = f"{_bracketed(self.host)}:{self._port}"
        headers = [("Host", target)]
        if self.proxy_credentials:
            headers.append(("Proxy-Authorization", self.proxy_credentials))
        protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)
        try:
            await stream.send_all(protocol.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"")
            event = protocol.next_event()
            while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
                if event is h11.NEED_DATA:
                    protocol.receive_data(bytes(await stream.receive_some(65536)))
                event = protocol.next_event()
        except (trio.BrokenResourceError, h11.RemoteProtocolError) as error:
            raise refused_by_proxy(str(error), host=self.host) from error
        assert isinstance(event, h11.Response)
        if not 200 <= event.status_code < 300:
            answer = f"{event.status_code} {event.reason.decode('latin-1')}".strip()
            raise refused_by_proxy(answer, host=self.host)
        if protocol.trailing_data[0]:
            raise refused_by_proxy("it sent more than its answer", host=self.host)


def credentials(url: SplitResult) -> str:
    """What the URL says before its @, as a header of Basic authentication."""
    if not (url.username or url.password):
        return ""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _checked_proxy(url: str | None) -> SplitResult | None:
    if url is None:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ProviderError(
            provider="stratum",
            message=f"the environment names a proxy of kind {parts.scheme!r}, which the lean transport does not speak",
            fix='set HTTPS_PROXY to one of http:// or https://, or pass OpenAI(transport="sdk")',
        )
    return parts


def _trusting_context() -> ssl.SSLContext:
    # httpx2's, so that both transports trust the same; its import is only paid for where there is TLS.
    from httpx2 import create_ssl_context

    context = create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _authority(scheme: str, host: str, port: int | None) -> str:
    return _bracketed(host) if port in (None, DEFAULT_PORTS[scheme]) else f"{_bracketed(host)}:{port}"
