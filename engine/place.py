"""Where in a run the current task is: the one ambient value."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from stratum.engine.active_call import ActiveCall
    from stratum.engine.envelope import Envelope
    from stratum.engine.run import Run
    from stratum.engine.workplace import Workplace


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a call made here belongs to."""

    run: Run
    envelope: Envelope
    """The innermost budget: what the call draws from, along with all its ancestors."""
    step: str = ""
    """The id of the step that is running; empty directly under the run."""
    flow_id: str = ""
    branch: str = ""
    """Of the fan-out around it, from `0`; empty outside of any."""
    judged: ActiveCall | None = None
    """The call in one of whose conditions this is; it waits for what is called here."""
    away: Workplace | None = None
    """Where the function that makes the call runs, if not in this process: what it calls runs there as well."""


current_place: ContextVar[Place | None] = ContextVar("stratum_place", default=None)
