"""What went wrong below HTTP, in words that say what to do; the same words whichever transport was used."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stratum.contracts.error_groups import is_group
from stratum.engine.providers.protocol import TransportFailure


class Explanation(NamedTuple):
    reason: str
    """Names no URL, since URLs can hold credentials."""
    retryable: bool
    """Whether another try may help."""
    fix: str = ""


def not_connected(error: BaseException, *, host: str) -> TransportFailure:
    """`error` came before the first byte of a request: while resolving, connecting or shaking hands."""
    causes = causes_of(error)
    return _failure(explained(causes, host=host) or cannot_connect(causes, host=host), sent=False)


def broken(error: BaseException, *, host: str) -> TransportFailure:
    """`error` came after a request had left."""
    causes = causes_of(error)
    return _failure(explained(causes, host=host) or broke(causes, host=host), sent=True)


def too_slow_to_connect(*, host: str) -> TransportFailure:
    return _failure(no_connection_in_time(host=host), sent=False)


def refused_by_proxy(answer: str, *, host: str) -> TransportFailure:
    """A proxy that was asked for a tunnel said `answer` instead."""
    return _failure(proxy_refused(answer, host=host), sent=False)


def explained(causes: Sequence[BaseException], *, host: str) -> Explanation | None:
    """By the innermost cause that explains anything."""
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return Explanation(
                "no file descriptor left for a connection",
                True,
                "raise `ulimit -n`, or pass a lower max_connections=",
            )
        if isinstance(cause, socket.gaierror):
            # EAI_AGAIN is a resolver that cannot be reached now; a name that does not exist stays away.
            again = cause.errno == socket.EAI_AGAIN
            return Explanation(f"cannot resolve {host}: {cause.strerror}", again, "check base_url and the network")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Explanation(
                f"the certificate of {host} is not trusted: {cause.verify_message}",
                False,
                "set SSL_CERT_FILE to the certificate of the authority that signed it",
            )
        if isinstance(cause, ssl.SSLError):
            return Explanation(
                f"no TLS with {host}: {cause.reason or cause}",
                False,
                "check that base_url begins with the right scheme",
            )
    return None


def no_connection_in_time(*, host: str) -> Explanation:
    return Explanation(f"no connection to {host} within the connect timeout", True, "check base_url and the network")


def proxy_refused(answer: object, *, host: str) -> Explanation:
    return Explanation(f"the proxy refused to reach {host}: {answer}", True, "check HTTPS_PROXY and NO_PROXY")


def cannot_connect(causes: Sequence[BaseException], *, host: str) -> Explanation:
    return Explanation(f"cannot connect to {host}: {_innermost(causes)}", True, "check base_url and the network")


def broke(causes: Sequence[BaseException], *, host: str) -> Explanation:
    return Explanation(f"the connection to {host} broke: {_innermost(causes)}", True)


def causes_of(error: BaseException) -> list[BaseException]:
    """`error` and everything behind it, outermost first; connecting to several addresses fails in a group."""
    return list(_causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        cause = queue.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        queue += [cause.__cause__, cause.__context__]
        if is_group(cause):
            queue += cause.exceptions


def _innermost(causes: Sequence[BaseException]) -> str:
    texts = [str(cause) or type(cause).__name__ for cause in causes if not is_group(cause)]
    return texts[-1]


def _failure(explanation: Explanation, *, sent: bool) -> TransportFailure:
    return TransportFailure(reason=explanation.reason, sent=sent, retryable=explanation.retryable, fix=explanation.fix)
