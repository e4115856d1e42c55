from __future__ import annotations

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from stratum.mcp_bridge.gatekeeper import Gatekeeper
from stratum.mcp_bridge.host_check import names

TOKEN, OTHER = "a" * 40, "b" * 40
GOOD = {"Host": "127.0.0.1:8321", "Authorization": f"Bearer {TOKEN}"}


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["user"].username)(scope, receive, send)


def keeper() -> Gatekeeper:
    return Gatekeeper(greet, tokens=[TOKEN, OTHER], hosts=names("127.0.0.1", 8321), origins=["http://localhost:6274"])


async def status(headers: dict[str, str] | list[tuple[str, str]]) -> int:
    transport = httpx2.ASGITransport(app=keeper())  # type: ignore[arg-type]  # starlette's ASGI types are not httpx2's
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client:
        return (await client.get("/mcp", headers=headers)).status_code


async def opener(token: str) -> str:
    transport = httpx2.ASGITransport(app=keeper())  # type: ignore[arg-type]  # starlette's ASGI types are not httpx2's
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client:
        return (await client.get("/mcp", headers={"Authorization": f"Bearer {token}"})).text


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:8321", "[::1]:8321", "LOCALHOST:8321"])
async def test_every_name_of_this_machine_is_ours(host: str) -> None:
    assert await status({**GOOD, "Host": host}) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:8321.evil.example", "evil.example:8321", ""]
)
async def test_another_name_is_refused(host: str) -> None:
    """A page whose name was rebound to this machine sends its own."""
    assert await status({**GOOD, "Host": host}) == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:80", "http://localhost:3000", "null", "", "http://localhost:62740"],
)
async def test_a_page_is_refused_though_it_is_local_and_has_the_token(origin: str) -> None:
    assert await status({**GOOD, "Origin": origin}) == 403


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1:8321", "https://localhost:8321"])
async def test_a_page_that_was_allowed_or_that_only_we_could_serve_may_call(origin: str) -> None:
    assert await status({**GOOD, "Origin": origin}) == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN]
)
async def test_without_the_token_nobody_gets_in(authorization: str) -> None:
    assert await status({"Host": GOOD["Host"], "Authorization": authorization}) == 401


async def test_a_header_that_is_given_twice_is_refused() -> None:
    for name, value in (*GOOD.items(), ("Origin", "http://localhost:6274")):
        assert await status([*GOOD.items(), (name, value), (name, value)]) == 400


async def test_who_has_another_token_is_somebody_else() -> None:
    assert await opener(TOKEN) != await opener(OTHER)
    assert TOKEN not in await opener(TOKEN)
