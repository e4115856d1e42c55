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

from typing import TYPE_CHECKING, Any

from stratum.contracts.allowance import Allowance
from stratum.contracts.budget import Budget
from stratum.contracts.contract import contract
from stratum.contracts.errors import (
    AllowanceExceeded,
    BudgetExceeded,
    BudgetOverrun,
    CallFailed,
    ContractDefinitionError,
    ContractViolation,
    JournalCorrupt,
    JournalError,
    JournalUnavailable,
    NoProvider,
    NoRuntime,
    ParseFailure,
    PostconditionFailed,
    PreconditionFailed,
    ProviderError,
    RunLocked,
    StratumError,
    UnknownPrice,
    UnknownRun,
)
from stratum.contracts.opaque import opaque
from stratum.contracts.price import Price, Usage
from stratum.contracts.trace import TraceRecord
from stratum.engine.compute import compute
from stratum.engine.flow import Flow, flow
from stratum.engine.infer import infer
from stratum.engine.postcondition import ensure
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.actors.rate_limiter import RateLimit
    from stratum.engine.runtime import Runtime, open_runtime, run

__all__ = [
    "Allowance",
    "AllowanceExceeded",
    "Budget",
    "BudgetExceeded",
    "BudgetOverrun",
    "CallFailed",
    "ContractDefinitionError",
    "ContractViolation",
    "Flow",
    "JournalCorrupt",
    "JournalError",
    "JournalUnavailable",
    "NoProvider",
    "NoRuntime",
    "ParseFailure",
    "PostconditionFailed",
    "PreconditionFailed",
    "Price",
    "ProviderError",
    "RateLimit",
    "RunLocked",
    "Runtime",
    "Step",
    "StratumError",
    "TraceRecord",
    "UnknownPrice",
    "UnknownRun",
    "Usage",
    "compute",
    "contract",
    "ensure",
    "flow",
    "infer",
    "opaque",
    "open_runtime",
    "run",
]


def __getattr__(name: str) -> Any:
    # The runtime brings the journal, the ledger and SQLite: half of the import's time, and decorating needs none of it.
    if name in ("RateLimit", "Runtime", "open_runtime", "run"):
        from stratum.engine import runtime

        found = globals()[name] = getattr(runtime, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
