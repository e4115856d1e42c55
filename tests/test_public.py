"""What `import stratum` promises: its names, and that it stays light."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from types import ModuleType

import pytest

import stratum
import stratum.actors
import stratum.contracts
import stratum.engine
import stratum.mcp_bridge
import stratum.people
import stratum.plans
import stratum.providers

PUBLIC = [
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
    "RunCancelled",
    "RunLocked",
    "Runtime",
    "SettingsError",
    "StabilityAssertionError",
    "Step",
    "StratumError",
    "Success",
    "TraceRecord",
    "UnknownPrice",
    "UnknownRun",
    "Usage",
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


def test_the_public_names_are_these_and_all_of_them_exist() -> None:
    assert stratum.__all__ == PUBLIC == sorted(PUBLIC)
    assert all(getattr(stratum, name) is not None for name in PUBLIC)


def test_what_belongs_to_one_part_has_a_module_of_its_own() -> None:
    for module in (stratum.plans, stratum.people, stratum.providers):
        assert module.__all__ == sorted(module.__all__)
        assert all(getattr(module, name) is not None for name in module.__all__)


def test_importing_it_loads_no_client_no_database_and_no_terminal() -> None:
    heavy = "openai", "mcp", "httpx2", "sqlite3", "rich", "click", "genai_prices", "bpe_openai"
    program = f"import stratum, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("layer", [stratum.contracts, stratum.actors, stratum.engine, stratum.mcp_bridge])
def test_a_layers_map_names_each_of_its_modules_and_folders_and_nothing_else(layer: ModuleType) -> None:
    assert layer.__doc__ is not None
    there = {module.name for module in pkgutil.iter_modules(layer.__path__)}
    assert set(re.findall(r"`(\w+)`", layer.__doc__)) == there
