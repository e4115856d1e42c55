"""`Prices`: what models cost in one runtime, and whether a work tree has a say in it.

A work tree's settings file may name prices, and steps may write there: a budget in USD that is kept with such prices bounds
what its author wants it to. A user's policy approves nothing on the strength of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stratum.contracts.price import FREE, Price
from stratum.contracts.problem import visible
from stratum.engine.pricing.published_price import price_of
from stratum.engine.pricing.service_tier import STANDARD
from stratum.engine.providers.protocol import Provider
from stratum.engine.settings import Settings

_FIX: Final = "where a plan's steps may write; set STRATUM_PRICE in the environment instead"


class Prices:
    """By model: an argument's, else the settings file's, else the provider's own, else the published one."""

    def __init__(
        self, provider: Provider, *, settings: Settings | None = None, given: Mapping[str, Price] | None = None
    ) -> None:
        self._provider = provider
        self._given = dict(given or {})
        self._in_file = {} if settings is None else dict(settings.prices)
        self._file = "" if settings is None else settings.file
        # The provider was made with it; of a provider made in code with a price of its own, nobody can tell.
        self._file_prices_all = settings is not None and any(
            setting.key == "price" and setting.source == settings.file for setting in settings.found
        )

    def of(self, model: str, *, tiers: Sequence[str] = STANDARD) -> Price | None:
        """The price of a model; `None` when nobody has said. What is not published holds for every service tier."""
        if self._provider.free:
            return FREE
        for said in (self._given, self._in_file):
            if model in said:
                return said[model]
        return self._elsewhere(model, tiers)

    def doubt(self) -> str:
        """Why a budget kept with these prices bounds nothing that a policy can rely on; empty: it does."""
        if self._provider.free:
            return ""
        if self._file_prices_all and self._provider.price is not None:
            return f"{self._file} sets a price for every model, {_FIX}"
        # Of whichever model: a step's function may call any.
        for model, price in self._in_file.items():
            if model not in self._given and price != self._elsewhere(model, STANDARD):
                return f"{self._file} sets the price of {visible(model)}, {_FIX}"
        return ""

    def _elsewhere(self, model: str, tiers: Sequence[str]) -> Price | None:
        return self._provider.price or price_of(model, provider=self._provider.name, tiers=tiers)
