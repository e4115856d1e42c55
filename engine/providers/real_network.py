"""Whether a provider may send anything beyond this machine: tests say no, so that no suite pays by accident."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from stratum.contracts.errors import ProviderError

network_allowed: ContextVar[bool] = ContextVar("stratum_network_allowed", default=True)


@dataclass(kw_only=True, eq=False)
class NetworkRefused(ProviderError):
    """A test would have called a real model."""

    message: str = "tests call no model over the network"
    fix: str = "script or replay the answers (stratum.testing), or mark the test `stratum_network`, or run pytest --stratum-network"


def refuse_network(provider: str, host: str) -> None:
    """Raise where the network is not for use, and `host` is not this machine."""
    if not network_allowed.get() and host not in ("localhost", "::1") and not host.startswith("127."):
        raise NetworkRefused(provider=provider)
