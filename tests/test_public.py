"""What `import stratum` promises: its names, and that it stays light."""

from __future__ import annotations

import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
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
import stratum.testing
from stratum.contracts import errors
from stratum.testing import replay, scripted

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


def test_the_public_names_are_these_and_all_of_them_exist() -> None:
    assert stratum.__all__ == PUBLIC == sorted(PUBLIC)
    assert all(getattr(stratum, name) is not None for name in PUBLIC)


def test_what_belongs_to_one_part_has_a_module_of_its_own() -> None:
    for module in (stratum.plans, stratum.people, stratum.providers):
        assert module.__all__ == sorted(module.__all__)
        assert all(getattr(module, name) is not None for name in module.__all__)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (stratum.testing, scripted),
        (stratum.testing, replay),
        (stratum.providers, scripted),
        (stratum.providers, replay),
        (stratum.plans, stratum.plans.Codex.ask),
        (stratum.plans, stratum.plans.Plans.rollback),
    ],
)
def test_what_a_function_gives_has_a_name_beside_it(module: ModuleType, function: Callable[..., object]) -> None:
    given = inspect.signature(function, eval_str=True).return_annotation
    assert getattr(module, given.__name__) is given
    assert given.__name__ in module.__all__


def test_every_error_that_the_documentation_names_can_be_imported_from_where_its_page_says() -> None:
    docs = Path(__file__).parent.parent / "docs"
    table = (docs / "reference" / "errors.md").read_text("utf-8")
    told = set(re.findall(r"(?m)^\| (`.+?`) \| (?:`(stratum\.\w+)` \|)?", table))
    homes = {name: home or "stratum" for names, home in told for name in re.findall(r"\w+", names)}
    for name, home in homes.items():
        assert name in import_module(home).__all__, f"{home}.{name}"
    named = {name for page in docs.rglob("*.md") for name in re.findall(r"`([A-Z]\w+)", page.read_text("utf-8"))}
    known = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert named & known <= homes.keys()


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
