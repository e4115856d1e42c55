"""Asks every route of the API more often than anybody should, and says which are not limited and which must not be."""

from __future__ import annotations

import sys
from typing import Any

import routing
import wsgi

EXCLUDED = ("/api/health", "/api/metrics")
MANY = 200


def limited(path: str) -> bool:
    """Whether so many requests at once get a 429."""
    seen: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> Any:
        seen.append(status)

    for _ in range(MANY):
        b"".join(wsgi.application({"PATH_INFO": path, "REMOTE_ADDR": "192.0.2.7"}, start_response))
    return any(status.startswith("429") for status in seen)


def problems() -> list[str]:
    found: list[str] = []
    for path in routing.ROUTES:
        prefix = "/".join(path.split("/")[:3]) + "/"
        if path in EXCLUDED:
            if limited(path):
                found.append(f"middleware applied to {path}")
        elif path.startswith("/api/") and not limited(path):
            found.append(f"middleware not applied to {prefix} prefix")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print("\n".join(problems()))
    sys.exit(bool(problems()))
