"""The provider's own words in an answer that is an error."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, cast

import msgspec

MAX_MESSAGE = 500
"""Characters kept of a message: error pages of proxies run to many kilobytes."""

# Keys that a server echoes. OpenAI masks them itself; not every compatible server does.
_secret = re.compile(r"\b(sk-|Bearer\s+)[\w.~+/-]{8,}")


def error_message(status: int, body: bytes) -> str:
    """`Rate limit reached for gpt-5.5`, or the beginning of the body, or the status' own name."""
    try:
        text = _message(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[: 4 * MAX_MESSAGE].decode(errors="replace")
    text = " ".join(text.split()) or _phrase(status)
    return mask_secrets(text)[:MAX_MESSAGE]


def mask_secrets(text: str) -> str:
    """`text` with whatever looks like an API key replaced by `***`."""
    return _secret.sub(r"\1***", text)


def _message(answer: Any) -> str:
    # {"error": {"message": ...}} is OpenAI's; {"error": "..."}, {"message": ...} and {"detail": ...} are its imitators'.
    while isinstance(answer, dict):
        parts = cast("dict[str, Any]", answer)
        answer = next((parts[key] for key in ("error", "message", "detail") if parts.get(key)), "")
    return answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"
