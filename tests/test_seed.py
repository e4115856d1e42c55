"""SEED.md's Python examples run as written there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from stratum import BudgetExceeded, ContractViolation, PostconditionFailed, open_runtime
from stratum.contracts.price import Price
from stratum.engine.providers.scripted import Reply, scripted
from tests.seed_examples import (
    Codebase,
    ContentClassification,
    MiddlewareCode,
    MiddlewareSpec,
    RefactoredCode,
    RefactorPlan,
    RiskAssessment,
    RouteMap,
    SourceAnalysis,
    classify_content,
    implement_rate_limiter,
    refactor_payment_module,
)

SEED = Path(__file__).parents[2] / "shared" / "SEED.md"
GPT_4O_MINI = Price.per_million(input=0.15, cached=0.075, output=0.60)


def test_the_risk_assessment_contract_admits_what_it_says_and_nothing_else() -> None:
    """SEED: "The OpenAI Advantage"."""
    risk = RiskAssessment(level="high", confidence=0.9, factors=["no tests"], recommendation="wait")
    assert risk.level == "high"
    with pytest.raises(ContractViolation, match="confidence"):
        RiskAssessment(level="high", confidence=1.4, factors=[], recommendation="")
    with pytest.raises(ContractViolation, match="level"):
        RiskAssessment(level="severe", confidence=0.9, factors=[], recommendation="")  # type: ignore[arg-type]
    assert not issubclass(ContractViolation, ValidationError)


async def test_the_refactoring_flow_runs_its_three_steps_under_one_budget() -> None:
    """SEED: "Silent budget exhaustion"."""
    answers = (
        SourceAnalysis(modules=["payment"]),
        RefactorPlan(targets=["payment.charge"]),
        RefactoredCode(diff="--- a\n+++ b"),
    )
    async with open_runtime(provider=scripted(*answers), journal=None) as runtime:
        result = await refactor_payment_module(Codebase(files={"payment.py": "..."}))
        assert result == answers[-1]
        assert runtime.ledger is not None


async def test_the_refactoring_flow_stops_at_its_envelope_and_says_what_remains() -> None:
    """SEED: "When the envelope is exhausted, BudgetExceeded is raised. Not a warning: a stop"."""
    dear = Price.per_million(input=20_000, output=80_000)
    provider = scripted(SourceAnalysis(modules=["payment"]), price=dear)
    with pytest.raises(BudgetExceeded) as caught:
        async with open_runtime(provider=provider, journal=None):
            await refactor_payment_module(Codebase(files={}))
    assert caught.value.resource == "usd"
    assert caught.value.limit == 500_000_000_000
    assert caught.value.remaining == ["analyze_structure#1"]
    assert provider.requests == []


async def test_the_rate_limiter_retries_with_the_missing_prefix_and_nothing_else() -> None:
    """SEED: `ensure=lambda r: validate_coverage(r, routes)`, where `routes` is the call's own argument."""
    routes = RouteMap(prefixes=["/api/v1/", "/api/v2/"])
    incomplete = MiddlewareCode(source="...", applied_to=["/api/v1/"])
    complete = MiddlewareCode(source="...", applied_to=["/api/v1/", "/api/v2/"])
    provider = scripted(incomplete, complete)
    async with open_runtime(provider=provider, journal=None):
        assert await implement_rate_limiter(MiddlewareSpec(algorithm="token bucket"), routes) == complete
    (message,) = provider.received[1].messages
    assert message == (
        "Previous attempt failed:\n"
        "  - ensure: validate_coverage(r, routes) (middleware not applied to /api/v2/ prefix)\n"
        "Fix these issues specifically."
    )


async def test_low_confidence_is_retried_within_a_tenth_of_a_cent() -> None:
    """SEED: "For Vibe Coders"; the budgets in it work on a small current model's price. CASES B4, B6."""
    unsure = ContentClassification(category="safe", confidence=0.42, reason="short")
    sure = ContentClassification(category="safe", confidence=0.97, reason="a greeting")
    provider = scripted(unsure, sure, price=GPT_4O_MINI, default_model="gpt-4o-mini")
    async with open_runtime(provider=provider, journal=None):
        assert await classify_content("Hello, world") == sure
    assert provider.received[1].messages == (
        "Previous attempt failed:\n  - ensure: r.confidence > 0.75 (actual: 0.42)\nFix these issues specifically.",
    )


async def test_four_answers_of_low_confidence_fail_with_the_whole_history() -> None:
    """CASES B11."""
    unsure = ContentClassification(category="safe", confidence=0.42, reason="short")
    provider = scripted(otherwise=Reply(value=unsure), price=GPT_4O_MINI, default_model="gpt-4o-mini")
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(PostconditionFailed) as caught:
            await classify_content("Hello, world")
    assert len(provider.requests) == 4
    assert [violation.for_prompt for violation in caught.value.violations] == [
        "ensure: r.confidence > 0.75 (actual: 0.42)"
    ]
    assert len(caught.value.retry_history) == 4


@pytest.mark.skipif(not SEED.exists(), reason="the document is not part of the project")
def test_the_examples_are_the_documents_own() -> None:
    ours = "".join(Path(__file__).with_name("seed_examples.py").read_text().split())
    blocks = SEED.read_text().split("```python\n")[1:]
    for block in (part.split("```")[0] for part in blocks):
        if "openai.chat" in block:
            continue  # the counter-example
        assert "".join(block.split()) in ours, json.dumps(block)
