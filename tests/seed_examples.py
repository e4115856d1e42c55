"""The Python of the document that Stratum was asked for in, as written there, with the imports it leaves out."""

# A free name in an ensure lambda that is a parameter means that call's argument: checkers cannot know.
# mypy: disable-error-code="name-defined"
# pyright: reportUndefinedVariable=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stratum import Budget, contract, flow, infer


@contract
class RiskAssessment:
    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str]
    recommendation: str


@contract
class Codebase:
    files: dict[str, str]


@contract
class SourceAnalysis:
    modules: list[str]


@contract
class RefactorPlan:
    targets: list[str]


@contract
class RefactoredCode:
    diff: str


@infer(intent="Analyze the structure of this codebase")
def analyze_structure(codebase: Codebase) -> SourceAnalysis: ...


@infer(intent="Plan the refactoring of the payment module")
def generate_refactor_plan(analysis: SourceAnalysis) -> RefactorPlan: ...


@infer(intent="Apply the refactoring plan")
def apply_refactors(codebase: Codebase, plan: RefactorPlan) -> RefactoredCode: ...


@flow(budget=Budget(ms=120000, usd=0.50))
async def refactor_payment_module(codebase: Codebase) -> RefactoredCode:
    analysis = await analyze_structure(codebase)
    plan = await generate_refactor_plan(analysis)
    result = await apply_refactors(codebase, plan)
    return result


@contract
class MiddlewareSpec:
    algorithm: str


@contract
class RouteMap:
    prefixes: list[str]


@contract
class MiddlewareCode:
    source: str
    applied_to: list[str]


def validate_coverage(code: MiddlewareCode, routes: RouteMap) -> str | bool:
    missing = [prefix for prefix in routes.prefixes if prefix not in code.applied_to]
    return f"middleware not applied to {', '.join(missing)} prefix" if missing else True


@infer(
    intent="Implement token bucket rate limiting middleware",
    context="Apply to all /api/ routes. Exclude /api/health and /api/metrics.",
    ensure=lambda r: validate_coverage(r, routes),
    budget=Budget(ms=3000, usd=0.02),
    retries=3,
)
def implement_rate_limiter(spec: MiddlewareSpec, routes: RouteMap) -> MiddlewareCode: ...


@contract
class ContentClassification:
    category: Literal["safe", "review_needed", "blocked"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    reason: str


@infer(
    intent="Classify whether this content is safe to publish",
    ensure=lambda r: r.confidence > 0.75,
    budget=Budget(ms=500, usd=0.001),
    retries=3,
)
def classify_content(text: str) -> ContentClassification: ...
