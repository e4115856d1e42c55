"""Stratum runs LLM calls as typed, bounded, recorded steps of a Python program.

    import stratum
    from stratum import Budget, contract, infer

    @contract
    class Classification:
        category: Literal["safe", "review_needed", "blocked"]
        reason: str

    @infer(intent="Classify whether this content is safe to publish", budget=Budget(ms=5000, usd=0.001))
    def classify(text: str) -> Classification: ...

    result = await classify("hello")        # inside trio
    result = classify.sync("hello")         # in a script

Everything public is named here; openai, httpx and mcp are imported by what needs them, when it needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stratum.actors.rate_limiter import RateLimit
    from stratum.contracts.allowance import Allowance
    from stratum.contracts.budget import Budget
    from stratum.contracts.contract import contract
    from stratum.contracts.ended import Failure, Success
    from stratum.contracts.errors import (
        AllowanceExceeded,
        BudgetExceeded,
        BudgetOverrun,
        CallFailed,
        ConsensusFailure,
        ContractDefinitionError,
        ContractViolation,
        ConvergenceFailure,
        HITLTimeoutError,
        JournalCorrupt,
        JournalError,
        JournalUnavailable,
        NoProvider,
        NoRuntime,
        OnHold,
        ParallelValidationFailed,
        ParseFailure,
        PostconditionFailed,
        PreconditionFailed,
        ProviderError,
        RunError,
        RunLocked,
        StabilityAssertionError,
        StratumError,
        UnknownPrice,
        UnknownRun,
    )
    from stratum.contracts.human import HumanDecision
    from stratum.contracts.image import Image
    from stratum.contracts.opaque import opaque
    from stratum.contracts.partial import Partial
    from stratum.contracts.plans.errors import RunCancelled
    from stratum.contracts.price import Price, Rates, Tier, Usage
    from stratum.contracts.probabilistic import Probabilistic
    from stratum.contracts.trace import TraceRecord
    from stratum.contracts.violation import Violation
    from stratum.engine.await_human import await_human
    from stratum.engine.compute import compute
    from stratum.engine.fan_out.debate import debate
    from stratum.engine.fan_out.parallel import parallel, race
    from stratum.engine.flow import Flow, flow
    from stratum.engine.image_file import read_image
    from stratum.engine.infer import infer
    from stratum.engine.postconditions.postcondition import ensure
    from stratum.engine.refine import refine
    from stratum.engine.runtime import Runtime, open_runtime
    from stratum.engine.script import run
    from stratum.engine.settings import SettingsError
    from stratum.engine.step import Step
    from stratum.engine.tenant import Tenant

__all__ = [
    "Allowance",
    "AllowanceExceeded",
    "Budget",
    "BudgetExceeded",
    "BudgetOverrun",
    "CallFailed",
    "ConsensusFailure",
    "ContractDefinitionError",
    "ContractViolation",
    "ConvergenceFailure",
    "Failure",
    "Flow",
    "HITLTimeoutError",
    "HumanDecision",
    "Image",
    "JournalCorrupt",
    "JournalError",
    "JournalUnavailable",
    "NoProvider",
    "NoRuntime",
    "OnHold",
    "ParallelValidationFailed",
    "ParseFailure",
    "Partial",
    "PostconditionFailed",
    "PreconditionFailed",
    "Price",
    "Probabilistic",
    "ProviderError",
    "RateLimit",
    "Rates",
    "RunCancelled",
    "RunError",
    "RunLocked",
    "Runtime",
    "SettingsError",
    "StabilityAssertionError",
    "Step",
    "StratumError",
    "Success",
    "Tenant",
    "Tier",
    "TraceRecord",
    "UnknownPrice",
    "UnknownRun",
    "Usage",
    "Violation",
    "await_human",
    "compute",
    "contract",
    "debate",
    "ensure",
    "flow",
    "infer",
    "opaque",
    "open_runtime",
    "parallel",
    "race",
    "read_image",
    "refine",
    "run",
]

_HOMES: Final = {
    "stratum.actors.rate_limiter": ("RateLimit",),
    "stratum.contracts.allowance": ("Allowance",),
    "stratum.contracts.budget": ("Budget",),
    "stratum.contracts.contract": ("contract",),
    "stratum.contracts.ended": ("Failure", "Success"),
    "stratum.contracts.human": ("HumanDecision",),
    "stratum.contracts.image": ("Image",),
    "stratum.contracts.opaque": ("opaque",),
    "stratum.contracts.partial": ("Partial",),
    "stratum.contracts.plans.errors": ("RunCancelled",),
    "stratum.contracts.price": ("Price", "Rates", "Tier", "Usage"),
    "stratum.contracts.probabilistic": ("Probabilistic",),
    "stratum.contracts.trace": ("TraceRecord",),
    "stratum.contracts.violation": ("Violation",),
    "stratum.engine.await_human": ("await_human",),
    "stratum.engine.compute": ("compute",),
    "stratum.engine.fan_out.debate": ("debate",),
    "stratum.engine.flow": ("Flow", "flow"),
    "stratum.engine.image_file": ("read_image",),
    "stratum.engine.infer": ("infer",),
    "stratum.engine.fan_out.parallel": ("parallel", "race"),
    "stratum.engine.postconditions.postcondition": ("ensure",),
    "stratum.engine.refine": ("refine",),
    "stratum.engine.runtime": ("Runtime", "open_runtime"),
    "stratum.engine.script": ("run",),
    "stratum.engine.settings": ("SettingsError",),
    "stratum.engine.step": ("Step",),
    "stratum.engine.tenant": ("Tenant",),
}
"""Where a name is imported from when it is first asked for; any other is an error, from `stratum.contracts.errors`.

Each at its first use: the MCP server has to answer its client within a second, before trio and pydantic are there.
"""
_MODULES: Final = ("aio", "cluster", "people", "plans", "providers", "testing")
"""Named by errors and docs as `stratum.aio`: so after `import stratum` they are there."""
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME_OF.get(name, "stratum.contracts.errors")), name)
    return found


def __dir__() -> list[str]:
    return __all__
