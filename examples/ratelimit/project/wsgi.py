"""A small web API without dependencies: `python -m wsgiref.simple_server` serves it, `routing.py` says what it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import routing

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    answer = routing.ROUTES.get(environ.get("PATH_INFO", ""))
    status = "404 Not Found" if answer is None else "200 OK"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
