"""What the agent's steps cost: measured between the call that hands a step out and the one that reports it.

Above: the tools. Below: Codex's session files. For any other client, and wherever the files do not say, nothing is measured and
the step's cost stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import trio

from stratum.contracts.price import Usage

if TYPE_CHECKING:
    from stratum.mcp_bridge.codex_sessions import CodexSessions, ToolCall


class Spending:
    """One server's. Steps that were handed out by a server before it are not measured."""

    def __init__(self) -> None:
        self._handed: dict[str, ToolCall] = {}
        self._booked: set[str] = set()
        self._sessions: CodexSessions | None = None
        self._turn = trio.Lock()

    def handed(self, meta: object, tickets: Iterable[str]) -> None:
        """The answer to the call with this `_meta` hands out these assignments; those told before keep the call that told them."""
        made = _tool_call(meta)
        if made is not None:
            for ticket in tickets:
                self._handed.setdefault(ticket, made)

    async def measured(self, meta: object, ticket: str) -> tuple[Usage | None, str]:
        """What this report's step took, and the model, where its price is known; each of the model's responses counts once."""
        since, until = self._handed.get(ticket), _tool_call(meta)
        if since is None or until is None:
            return None, ""
        # Reports that come together share responses: the first to be booked has them.
        async with self._turn:
            spend = await self._opened().spent_soon(since, until, booked=self._booked)
            self._booked.update(spend.responses)
        priced = spend.picousd is not None and len(spend.models) == 1
        return spend.usage, spend.models[0] if priced else ""

    def _opened(self) -> CodexSessions:
        from stratum.mcp_bridge.codex_sessions import CodexSessions, codex_home

        if self._sessions is None:
            self._sessions = CodexSessions(codex_home())
        return self._sessions


def _tool_call(meta: object) -> ToolCall | None:
    from stratum.mcp_bridge.codex_sessions import ToolCall  # behind the handshake: it brings the price tables

    return ToolCall.of(cast(Mapping[str, Any], meta)) if isinstance(meta, Mapping) else None
