"""`Beforehand`: what is told of a plan that has not begun by whoever has no runtime: its estimate, and what the user's policy says.

Above: the command line and the page. As a runtime that was opened now, in this folder and environment, would have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stratum.actors.past_calls import PastCalls
from stratum.contracts.errors import ContractDefinitionError, ProviderError
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.price import Price
from stratum.engine.plans.approval.auto_approval import Ruling, ruling
from stratum.engine.plans.approval.policy import Policy
from stratum.engine.plans.estimate import Estimator
from stratum.engine.plans.functions import Functions
from stratum.engine.pricing.prices import Prices
from stratum.engine.pricing.service_tier import ServiceTier, checked_tier, priced_as
from stratum.engine.providers.environment import provider_or_absent
from stratum.engine.settings import SettingsError, read_settings

NO_PAST: Final[Mapping[tuple[str, str], PastCalls]] = {}
"""For a policy that approves nothing by what it costs."""


class Beforehand:
    """By what this project's calls took in the past.

    Raises:
        SettingsError, ProviderError, ContractDefinitionError: the settings' file or the environment are not understood.
    """

    def __init__(self, functions: Functions, past: Mapping[tuple[str, str], PastCalls]) -> None:
        settings = read_settings()
        provider = provider_or_absent(settings.environ)
        tier = checked_tier(settings.environ.get("STRATUM_SERVICE_TIER") or None, owner="STRATUM_SERVICE_TIER")
        self._prices = Prices(provider, settings=settings)
        self._tier = tier
        self._estimator = Estimator(functions, past=past, price_of=self._price_of, model=provider.default_model)

    def _price_of(self, model: str, tier: ServiceTier | None) -> Price | None:
        return self._prices.of(model, tiers=priced_as(tier or self._tier))

    def estimated(self, compiled: CompiledPlan) -> CompiledPlan:
        """The plan with what it will probably take."""
        return self._estimator.estimated(compiled)

    def ruling(self, compiled: CompiledPlan, policy: Policy | SettingsError) -> Ruling:
        """What the user's policy says of it."""
        return ruling(policy, compiled, self._estimator, self._prices)


def ruling_beforehand(
    policy: Policy | SettingsError,
    compiled: CompiledPlan,
    functions: Functions,
    *,
    past: Mapping[tuple[str, str], PastCalls],
) -> Ruling:
    """The same for whoever only looks: settings that are not understood are told, and stand in the way of nothing else."""
    if isinstance(policy, Policy) and not policy.file:
        return Ruling()
    try:
        return Beforehand(functions, past).ruling(compiled, policy)
    except (SettingsError, ProviderError, ContractDefinitionError) as problem:
        return Ruling(broken=str(problem))
