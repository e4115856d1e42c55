"""The page from its start to the signal that ends it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from stratum.actors.journal import open_journal
from stratum.actors.page_address import page_session
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.functions import Functions
from stratum.mcp_bridge.door import serve_app, told_to_stop
from stratum.mcp_bridge.host_check import HostCheck, names
from stratum.ui.guard import Guard
from stratum.ui.project import Project
from stratum.ui.site import Site
from stratum.ui.visitors import Visitors

HOST = "127.0.0.1"


async def serve_page(
    folder: Path,
    journal: Path,
    listening: socket.socket,
    *,
    functions: Callable[[Sequence[str]], Functions],
    invited: Callable[[str], None],
    approvals: Approvals | None = None,
    until: Callable[[], Awaitable[object]] = told_to_stop,
) -> None:
    """Serve the page of the project in `folder` at `listening`, which is closed in the end.

    `invited` is told every address that lets a browser in: the first, and another whenever one was used.

    Raises:
        JournalError: the journal cannot be opened, or not be written any more.
    """
    port = listening.getsockname()[1]
    visitors = Visitors()

    def invite() -> None:
        invited(f"http://{HOST}:{port}/enter?key={visitors.invite()}")

    # The session's name tells others where the page is: `page_address`.
    async with open_journal(journal, session=page_session(port)) as opened:
        project = Project(opened, approvals or Approvals(folder), functions=functions)
        cookie = f"stratum-{port}"
        site = Site(project, visitors, cookie=cookie, entered=invite, folder=str(folder))
        guard = Guard(site.app(), check=HostCheck(hosts=names(HOST, port)), visitors=visitors, cookie=cookie)
        invite()
        await serve_app(guard, listening, until=until)
