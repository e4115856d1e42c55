"""Who the server says it is. Imported before the handshake: nothing heavy here."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

NAME: Final = "stratum"
TITLE: Final = "Stratum"

FRAMING: Final = (
    "For any task of more than one step, call stratum_plan before touching anything. Show the user the plan, then call "
    "stratum_execute, do the steps it hands you, and report each with stratum_step_done."
)
"""The first line of the instructions: all that is seen of them while the tools are deferred, and cut at about 250 characters."""

INSTRUCTIONS: Final = f"""{FRAMING}

- A plan is approved by the user, not by you: stratum_execute asks them. Nothing runs before.
- Steps that are handed out together do not depend on each other; do them in parallel where you can.
- Report what you did as the step's schema says. It is verified here: by the schema, by expressions, by commands that we
  run, or by a judge that looks at the work tree. If it is not accepted you get the violation: fix that, and report again.
- The budget is a hard stop. When it is used up, tell the user what is done and what is left; only they can raise it.
- Runs outlive a call and this session: stratum_status without arguments lists them.
- When the run has ended, show the user stratum_audit.
"""


def server_version() -> str:
    """The installed distribution's."""
    return version("stratum-runtime")
