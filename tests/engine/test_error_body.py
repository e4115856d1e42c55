"""What providers say in their errors."""

from __future__ import annotations

import pytest

from stratum.engine.dialects.error_body import error_message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"Rate limit reached","type":"requests","code":null}}', "Rate limit reached"),
        (b'{"error":"model not loaded"}', "model not loaded"),
        (b'{"message":"not found"}', "not found"),
        (b'{"detail":[{"loc":["body"],"msg":"bad"}]}', '[{"loc":["body"],"msg":"bad"}]'),
        (b"<html>\n<h1>502 Bad Gateway</h1></html>", "<html> <h1>502 Bad Gateway</h1></html>"),
        (b"", "Bad Gateway"),
        (b"{}", "Bad Gateway"),
        (b"[" * 200_000, "[" * 500),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_message_is_the_providers_own(body: bytes, message: str) -> None:
    assert error_message(502, body) == message


def test_a_status_without_a_name_is_told_by_number() -> None:
    assert error_message(599, b"") == "HTTP status 599"


def test_a_key_that_the_server_quotes_is_masked() -> None:
    quoted = b'{"error":{"message":"Incorrect API key provided: sk-proj-abcdef_123456. Sent: Bearer abcdef123456"}}'
    assert error_message(401, quoted) == "Incorrect API key provided: sk-*** Sent: Bearer ***"


def test_a_long_page_is_cut() -> None:
    assert len(error_message(500, b"x" * 100_000)) == 500
