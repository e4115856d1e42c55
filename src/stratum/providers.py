"""Who answers a call: `open_runtime(provider=...)` takes any of these.

`OpenAI` speaks to OpenAI and to any server with its API; `Local` is the embedded model; `scripted` and `replay` are for tests and
for work without a bill: the one answers what it is told, the other what was recorded. The other names are for a provider of one's own.
"""

from __future__ import annotations

from stratum.engine.providers.local import Local
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Answer, Provider, Request, StatusError, TransportFailure
from stratum.engine.providers.replay import Replay, replay
from stratum.engine.providers.scripted import Reply, Scripted, scripted

__all__ = [
    "Answer",
    "Local",
    "OpenAI",
    "Provider",
    "Replay",
    "Reply",
    "Request",
    "Scripted",
    "StatusError",
    "TransportFailure",
    "replay",
    "scripted",
]
