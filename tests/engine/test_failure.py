"""What goes wrong below HTTP, in words."""

from __future__ import annotations

import errno
import resource

import httpx2
import pytest

from stratum.engine.providers.limits import MOST_CONNECTIONS, affordable_connections
from stratum.engine.providers.sdk_failure import transport_failure


def caused(error: Exception, *causes: BaseException) -> Exception:
    """`error`, raised from the group of `causes`, as connecting to several addresses fails."""
    error.__cause__ = OSError("all attempts to connect failed")
    error.__cause__.__cause__ = BaseExceptionGroup("attempts", list(causes))
    return error


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_no_descriptor_left_is_found_behind_any_number_of_errors(code: int) -> None:
    failure = transport_failure(
        caused(httpx2.ConnectError("failed"), ConnectionRefusedError(), OSError(code, "too many")), host="h"
    )
    assert str(failure) == "no file descriptor left for a connection"
    assert (failure.sent, failure.retryable) == (False, True)


def test_a_refused_connection_says_what_the_system_said() -> None:
    failure = transport_failure(caused(httpx2.ConnectError(""), ConnectionRefusedError(111, "refused")), host="h")
    assert str(failure) == "cannot connect to h: [Errno 111] refused"
    assert not failure.sent


def test_a_proxy_that_refuses_is_named_as_such() -> None:
    failure = transport_failure(httpx2.ProxyError("407 Proxy Authentication Required"), host="h")
    assert str(failure) == "the proxy refused to reach h: 407 Proxy Authentication Required"
    assert "HTTPS_PROXY" in failure.fix
    assert not failure.sent


def test_a_url_of_no_known_kind_was_not_sent_and_is_not_tried_again() -> None:
    failure = transport_failure(httpx2.UnsupportedProtocol("ftp://user:secret@h"), host="h")
    assert (failure.sent, failure.retryable) == (False, False)
    assert "secret" not in str(failure)


@pytest.mark.parametrize(
    "error", [httpx2.ReadError(""), httpx2.WriteError("broken pipe"), httpx2.RemoteProtocolError("x")]
)
def test_whatever_breaks_later_may_have_been_sent(error: Exception) -> None:
    failure = transport_failure(error, host="h")
    assert (failure.sent, failure.retryable) == (True, True)
    assert str(failure).startswith("the connection to h broke: ")


def test_errors_that_refer_to_each_other_end() -> None:
    error = httpx2.ReadError("first")
    error.__cause__ = httpx2.ReadError("second")
    error.__cause__.__context__ = error
    assert str(transport_failure(error, host="h")) == "the connection to h broke: second"


@pytest.mark.parametrize(
    ("limit", "affordable"), [(64, 32), (1, 1), (10**6, MOST_CONNECTIONS), (resource.RLIM_INFINITY, MOST_CONNECTIONS)]
)
def test_half_of_the_file_descriptors_are_for_connections(
    monkeypatch: pytest.MonkeyPatch, limit: int, affordable: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))  # pyright: ignore
    assert affordable_connections() == affordable
