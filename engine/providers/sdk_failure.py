"""What the SDK and httpx2 raise, as the engine knows it."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from stratum.engine.providers.failure import (
    Explanation,
    broke,
    cannot_connect,
    causes_of,
    explained,
    no_connection_in_time,
    proxy_refused,
)
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
    """`sent` is False only where the exception's type proves it."""
    causes = causes_of(error)
    explanation = explained(causes, host=host) or _by_type(causes, host=host)
    return TransportFailure(
        reason=explanation.reason,
        sent=not any(isinstance(cause, _NOT_SENT) for cause in causes),
        retryable=explanation.retryable,
        fix=explanation.fix,
    )


def _by_type(causes: Sequence[BaseException], *, host: str) -> Explanation:
    for cause in causes:
        if isinstance(cause, httpx2.ConnectTimeout):
            return no_connection_in_time(host=host)
        if isinstance(cause, httpx2.ProxyError):
            return proxy_refused(cause, host=host)
        if isinstance(cause, httpx2.ConnectError):
            return cannot_connect(causes, host=host)
        if isinstance(cause, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
            return Explanation("base_url is not a URL that can be called", False, "pass one like https://host/v1")
    return broke(causes, host=host)
