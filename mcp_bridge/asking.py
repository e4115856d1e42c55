"""Asking the person behind a client, by a form with a required choice.

Two protocol eras: a client of 2025-11-25 or before is asked while the call waits; from 2026-07-28 on the call is answered with
the question, and made again with the person's answer. An accept without a choice is no answer: Codex sends one where a
form is empty or it has full access. Codex also refuses a schema with a `title` at its root.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import NoBackChannelError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_KEY: Final = "decision"
MAX_COMMENT: Final = 2_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the person answered."""

    action: Literal["accept", "decline", "cancel"]
    choice: str = ""
    """One of the choices; empty unless the person made it."""
    comment: str = ""


def can_ask(ctx: Context[Any, Any]) -> bool:
    """Whether this client says that it shows forms; one that lists no modes means forms."""
    capabilities = ctx.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def ask(
    ctx: Context[Any, Any], message: str, *, about: str, choices: Sequence[str], comment: str = ""
) -> Answer | InputRequiredResult | None:
    """Ask for one of `choices`, and for a comment if that has a label.

    `about` names the question: an answer to another one is not taken for this one's. An `InputRequiredResult` is what the
    tool has to return. `None`: nobody can be asked through this client.
    """
    if not can_ask(ctx):
        return None
    schema = _schema(choices, comment)
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        given = (ctx.input_responses or {}).get(_KEY)
        if not isinstance(given, ElicitResult) or ctx.request_state != about:
            params = ElicitRequestFormParams(message=message, requested_schema=schema)
            return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=params)}, request_state=about)
        return _answer(given, choices)
    try:
        given = await ctx.session.elicit_form(
            message=message, requested_schema=schema, related_request_id=ctx.request_id
        )
    except NoBackChannelError:
        return None
    return _answer(given, choices)


def _schema(choices: Sequence[str], comment: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        _KEY: {"type": "string", "title": "Decision", "description": "Choose one.", "enum": list(choices)}
    }
    if comment:
        properties["comment"] = {"type": "string", "title": "Comment", "description": comment, "maxLength": MAX_COMMENT}
    return {"type": "object", "properties": properties, "required": [_KEY]}


def _answer(given: ElicitResult, choices: Sequence[str]) -> Answer:
    content = given.content or {}
    choice, comment = content.get(_KEY), content.get("comment")
    return Answer(
        action=given.action,
        choice=choice if given.action == "accept" and isinstance(choice, str) and choice in choices else "",
        comment=comment[:MAX_COMMENT] if isinstance(comment, str) else "",
    )
