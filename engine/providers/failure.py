"""What went wrong below HTTP, in words that say what to do."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import cast

import httpx2

from stratum.engine.providers.protocol import TransportFailure

# Raised before the first byte of the request: while resolving, connecting, shaking hands, or asking a proxy for a tunnel.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


def transport_failure(error: BaseException, *, host: str) -> TransportFailure:
    """`error`, of the SDK or of httpx2, as the engine knows it.

    `sent` is False only where the exception's type proves it; the reason names no URL, since
    URLs can hold credentials.
    """
    causes = list(_causes(error))
    reason, retryable, fix = _explanation(causes, host=host)
    return TransportFailure(
        reason=reason,
        sent=not any(isinstance(cause, _NOT_SENT) for cause in causes),
        retryable=retryable,
        fix=fix,
    )


def _explanation(causes: list[BaseException], *, host: str) -> tuple[str, bool, str]:
    """Reason, whether another try may help, and what to do: of the innermost cause that explains anything."""
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return (
                "no file descriptor left for a connection",
                True,
                "raise `ulimit -n`, or pass a lower max_connections=",
            )
        if isinstance(cause, socket.gaierror):
            # EAI_AGAIN is a resolver that cannot be reached now; a name that does not exist stays away.
            again = cause.errno == socket.EAI_AGAIN
            return f"cannot resolve {host}: {cause.strerror}", again, "check base_url and the network"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {host} is not trusted: {cause.verify_message}",
                False,
                "set SSL_CERT_FILE to the certificate of the authority that signed it",
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"no TLS with {host}: {cause.reason or cause}",
                False,
                "check that base_url begins with the right scheme",
            )
    return _plain(causes, host=host)


def _plain(causes: list[BaseException], *, host: str) -> tuple[str, bool, str]:
    for cause in causes:
        if isinstance(cause, httpx2.ConnectTimeout):
            return f"no connection to {host} within the connect timeout", True, "check base_url and the network"
        if isinstance(cause, httpx2.ProxyError):
            return f"the proxy refused to reach {host}: {cause}", True, "check HTTPS_PROXY and NO_PROXY"
        if isinstance(cause, httpx2.ConnectError):
            return f"cannot connect to {host}: {_innermost(causes)}", True, "check base_url and the network"
        if isinstance(cause, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
            return "base_url is not a URL that can be called", False, "pass one like https://host/v1"
    return f"the connection to {host} broke: {_innermost(causes)}", True, ""


def _innermost(causes: list[BaseException]) -> str:
    texts = [str(cause) or type(cause).__name__ for cause in causes if not isinstance(cause, BaseExceptionGroup)]
    return texts[-1]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything behind it, outermost first; connecting to several addresses fails in a group."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        cause = queue.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        queue += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            queue += cast("BaseExceptionGroup[BaseException]", cause).exceptions
