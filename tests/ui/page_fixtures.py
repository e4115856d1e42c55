"""What the tests of the page share: it is served for real, beside a project whose plans run in another session."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import trio
from tests.engine.plans.plan_fixtures import open_project

from stratum.contracts.plans.text import read_plan
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plans import Plans
from stratum.engine.step import Step
from stratum.mcp_bridge.door import Door, listen
from stratum.ui.serving import serve_page

# The page is served without TLS: to read the machine's certificates for each visitor took a quarter of these tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(kw_only=True)
class Visitor:
    """A browser: it keeps its cookie, and sends forms as the page that it looks at has them."""

    url: str
    addresses: list[str]
    """As they were printed, the last one unused."""
    http: httpx2.AsyncClient
    html: str = ""
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict[str, str])

    async def opens(self, path: str) -> str:
        return await self._seen(await self.http.get(f"{self.url}{path}"))

    async def sends(self, path: str, **fields: str) -> str:
        """A form of the page that is looked at, with its hidden fields."""
        sent = {**self.fields, **fields}
        headers = {"Origin": self.url}
        return await self._seen(await self.http.post(f"{self.url}{path}", data=sent, headers=headers))

    async def reads(self, path: str, text: str) -> str:
        """The page, once it says this."""
        with trio.fail_after(60):
            while text not in await self.opens(path):
                await trio.sleep(0.02)
        return self.html

    async def _seen(self, answer: httpx2.Response) -> str:
        self.status, self.html = answer.status_code, answer.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.html)
        self.fields = {name: unescape(value) for name, value in hidden}
        return self.html


def visitor(url: str, addresses: list[str]) -> Visitor:
    client = httpx2.AsyncClient(follow_redirects=True, timeout=60, verify=NO_TLS)
    return Visitor(url=url, addresses=addresses, http=client)


@asynccontextmanager
async def served(
    folder: Path, *, functions: Callable[[Sequence[str]], Functions] | None = None
) -> AsyncGenerator[Visitor]:
    """The page of the project in `folder`, and somebody who was let in."""
    listening = listen(Door(port=0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    addresses: list[str] = []
    printed, stop = trio.Event(), trio.Event()

    def invited(address: str) -> None:
        addresses.append(address)
        printed.set()

    async def serve() -> None:
        await serve_page(
            folder,
            folder / "stratum.db",
            listening,
            functions=functions or (lambda modules: Functions()),
            invited=invited,
            approvals=Approvals(folder, folder=folder / "state"),
            until=stop.wait,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(60):
            await printed.wait()
            someone = visitor(url, addresses)
            try:
                async with someone.http:
                    await someone.opens(addresses[0].removeprefix(url))
                    yield someone
            finally:
                stop.set()


@asynccontextmanager
async def project(folder: Path, *, steps: Iterable[Step[Any, Any]] = ()) -> AsyncGenerator[tuple[Plans, Visitor]]:
    """Plans of one session, and the page of another on the same journal."""
    functions = Functions(steps)
    async with open_project(folder, steps=steps) as plans, served(folder, functions=lambda modules: functions) as page:
        yield plans, page


async def proposed(plans: Plans, text: str, /, **inputs: Any) -> str:
    """A plan that waits for approval; its run."""
    return (await plans.propose(read_plan(text), inputs, by="agent")).run
