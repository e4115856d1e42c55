"""What users test their own flows with, without a model and without a bill.

`scripted` and `replay` are providers; `assert_spent` checks what it would have cost; the plugin gives pytest the fixture
`stratum_runtime`, `--stratum-record`, and refuses the network. Names load when they are first used: pytest loads the plugin into
every suite of an environment that has Stratum.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stratum.contracts.errors import NoRecording
    from stratum.engine.providers.protocol import Answer
    from stratum.engine.providers.real_network import NetworkRefused
    from stratum.engine.providers.replay import Replay, replay
    from stratum.engine.providers.scripted import Reply, Scripted, scripted
    from stratum.testing.spending import Spent, assert_spent, spent

__all__ = [
    "Answer",
    "NetworkRefused",
    "NoRecording",
    "Replay",
    "Reply",
    "Scripted",
    "Spent",
    "assert_spent",
    "replay",
    "scripted",
    "spent",
]

_HOME_OF: Final = {
    "Answer": "stratum.engine.providers.protocol",
    "NetworkRefused": "stratum.engine.providers.real_network",
    "NoRecording": "stratum.contracts.errors",
    "Replay": "stratum.engine.providers.replay",
    "Reply": "stratum.engine.providers.scripted",
    "Scripted": "stratum.engine.providers.scripted",
    "Spent": "stratum.testing.spending",
    "assert_spent": "stratum.testing.spending",
    "replay": "stratum.engine.providers.replay",
    "scripted": "stratum.engine.providers.scripted",
    "spent": "stratum.testing.spending",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
