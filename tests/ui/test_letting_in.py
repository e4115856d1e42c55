"""Who is let in, and from where: whoever may approve plans is a person with the printed address, in a page of ours."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import trio
from tests.ui.page_fixtures import project, proposed, served, visitor

PLAN = "steps: [{id: a, command: [echo, hello]}]"
PATHS = ["/", "/runs/x", "/runs/x/edit", "/runs/x/report", "/runs/x/audit.jsonl", "/nothing"]


async def test_an_address_lets_one_browser_in_and_the_next_one_is_printed(tmp_path: Path) -> None:
    async with served(tmp_path) as page:
        assert "Plans and runs" in await page.opens("/")
        assert len(page.addresses) == 2

        async with visitor(page.url, page.addresses).http as other:
            assert (await other.get(page.addresses[0])).status_code == 401
            assert (await other.get(f"{page.url}/")).status_code == 401
            assert (await other.get(page.addresses[1])).status_code == 200
            assert (await other.get(f"{page.url}/")).status_code == 200


async def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    async with served(tmp_path) as page, httpx2.AsyncClient() as other:
        cookie = (await other.get(page.addresses[1])).headers["set-cookie"].lower()
    assert cookie.startswith(f"stratum-{page.url.rpartition(':')[2]}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}])
async def test_an_address_that_is_only_fetched_ahead_is_not_used_up(tmp_path: Path, headers: dict[str, str]) -> None:
    async with served(tmp_path) as page, httpx2.AsyncClient() as other:
        assert (await other.get(page.addresses[1], headers=headers)).status_code == 401
        assert (await other.head(page.addresses[1])).status_code == 401
        assert (await other.get(page.addresses[1])).status_code == 200


@pytest.mark.parametrize("cookie", [None, "x", "a" * 43, '"', "\udcff".encode("utf-8", "surrogateescape")])
async def test_who_was_not_let_in_sees_nothing_and_does_nothing(tmp_path: Path, cookie: str | bytes | None) -> None:
    async with served(tmp_path) as page, httpx2.AsyncClient() as stranger:
        name = f"stratum-{page.url.rpartition(':')[2]}="
        given = b"" if cookie is None else cookie if isinstance(cookie, bytes) else cookie.encode()
        headers = {b"Origin": page.url.encode()}
        if cookie is not None:
            headers[b"Cookie"] = name.encode() + given
        for path in PATHS:
            assert (await stranger.get(f"{page.url}{path}", headers=headers)).status_code == 401
        answer = await stranger.post(f"{page.url}/runs/x/approve", data={"form": "", "digest": ""}, headers=headers)
        assert answer.status_code == 401


async def test_a_page_of_another_site_can_send_nothing(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        await page.opens(f"/runs/{run}")
        path = f"{page.url}/runs/{run}/approve"
        for origin in ("http://evil.example", "http://127.0.0.1:1", "null", "file://", ""):
            assert (await page.http.post(path, data=page.fields, headers={"Origin": origin})).status_code == 403
        assert (await page.http.post(path, data=page.fields)).status_code == 403
        own = {"Origin": page.url}
        for token in ("", "0" * 64, "é"):
            assert (await page.http.post(path, data={**page.fields, "form": token}, headers=own)).status_code == 403
        rebound = {"Origin": page.url, "Host": "evil.example"}
        assert (await page.http.post(path, data=page.fields, headers=rebound)).status_code == 421
        assert (await page.http.get(f"{page.url}/", headers={"Host": "evil.example"})).status_code == 421
        assert (await plans.status(run)).state == "draft"


async def test_a_form_of_one_visitor_is_worth_nothing_to_another(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page), httpx2.AsyncClient() as other:
        run = await proposed(plans, PLAN)
        await other.get(page.addresses[-1])
        await page.opens(f"/runs/{run}")
        path, own = f"{page.url}/runs/{run}/approve", {"Origin": page.url}
        assert (await other.post(path, data=page.fields, headers=own)).status_code == 403
        assert (await plans.status(run)).state == "draft"


async def test_what_is_no_form_of_ours_is_refused(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        await page.opens(f"/runs/{run}")
        path, own = f"{page.url}/runs/{run}/approve", {"Origin": page.url}
        form = {**own, "Content-Type": "application/x-www-form-urlencoded"}
        for content, headers, status in [
            (b"{}", {**own, "Content-Type": "application/json"}, 415),
            (b"", own, 415),
            (b"form=a&form=b", form, 400),
            (b"\xff\xfe", form, 400),
            (b"a=%ff", form, 400),
            (b"no equals sign", form, 400),
        ]:
            assert (await page.http.post(path, content=content, headers=headers)).status_code == status
        assert (await page.http.put(path, headers=own)).status_code == 405
        assert (await page.http.get(path)).status_code == 405
        large = b"a=" + b"x" * (17 * 2**20)
        assert (await page.http.post(path, content=large, headers=form)).status_code == 413
        assert (await plans.status(run)).state == "draft"


async def test_what_is_not_http_or_breaks_off_leaves_the_page_as_it_was(tmp_path: Path) -> None:
    async with served(tmp_path) as page:
        port = page.url.rpartition(":")[2]
        socket = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n"
        for sent in (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{socket}\r\n",
            "nonsense\r\n\r\n",
            f"POST /runs/x/edit HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n\r\nform=",
        ):
            stream = await trio.open_tcp_stream("127.0.0.1", int(port))
            await stream.send_all(sent.encode())
            answer = b""
            while b" 40" not in answer:
                read = await stream.receive_some()
                assert read, answer
                answer += read
            await stream.aclose()
        assert "Plans and runs" in await page.opens("/")


async def test_every_answer_forbids_what_a_page_does_not_need(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        for path in ("/", f"/runs/{run}", f"/runs/{run}/report", "/page.css", "/live.js", "/nothing", "/enter"):
            headers = (await page.http.get(f"{page.url}{path}")).headers
            assert headers["content-security-policy"].startswith("default-src 'none'"), path
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "same-origin"
            assert "server" not in headers
