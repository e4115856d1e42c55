"""`Outages`: which models could not be reached lately, so that calls that name others as well do not all wait to find out."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import trio

from stratum.contracts.errors import ProviderError

REST_S: Final = 30.0
"""How long a model is passed over. Its own transport retries, which the next call then makes again, take about as long."""


@dataclass(slots=True)
class _Outage:
    since_s: float
    reason: str
    probed: bool = False
    """A call is asking at the moment."""


class Outages:
    """Of one provider's models; kept as long as the session."""

    def __init__(self) -> None:
        self._known: dict[str, _Outage] = {}

    def spare(self, model: str) -> str:
        """Why the model is not to be asked now; empty where it is: after the rest by one call at a time."""
        outage = self._known.get(model)
        if outage is None:
            return ""
        ago_s = trio.current_time() - outage.since_s
        if ago_s >= REST_S and not outage.probed:
            return ""
        return f"not asked, {ago_s:.0f} s after {outage.reason}"

    @contextmanager
    def watch(self, model: str) -> Generator[None]:
        """Around a call: learns whether the model can be reached. A call that is stopped teaches nothing."""
        probed = self._known.get(model)
        if probed is not None:
            probed.probed = True
        try:
            yield
        except ProviderError as error:
            if error.retryable:
                self._known[model] = _Outage(trio.current_time(), error.message)
            else:
                self._known.pop(model, None)  # it does answer
            raise
        else:
            self._known.pop(model, None)
        finally:
            if probed is not None:
                probed.probed = False
