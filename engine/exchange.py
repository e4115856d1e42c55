"""`Exchange`: one request and its answer, paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratum.contracts.records import Settled
from stratum.engine.dialects.protocol import Completion
from stratum.engine.envelope import Envelope, Overrun


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One answered request, settled in the ledger; `settled` is not yet journalled."""

    completion: Completion
    body: bytes
    settled: Settled
    request_bytes: int
    overrun: bool
    """The provider billed more than the worst case it was sent."""
    overruns: Sequence[Overrun]
    """One for each scope that this took past its limit."""
    duration_ms: int = 0
    transport_retries: int = 0

    def exhaust_overrun(self, envelope: Envelope) -> None:
        """Close what the provider overdrew: the owners raise, the answer itself is kept."""
        for overrun in self.overruns:
            envelope.owner(overrun.scope).exhaust(overrun)
