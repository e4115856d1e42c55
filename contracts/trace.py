"""`TraceRecord`: what one call did, as data."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stratum.contracts.price import Usage
from stratum.contracts.violation import Violation

Outcome = Literal["ok", "failed", "cancelled"]
CallKind = Literal["infer", "compute", "flow", "parallel", "quorum", "refine", "agent", "command", "gate", "plan"]
"""What a step is; `parallel` to `refine` are around other calls, the ones after them in plans, `gate` in flows too."""


class Attempt(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One request that was answered, or whose answer was lost."""

    number: int
    """From 1."""
    duration_ms: int
    usage: Usage | None = None
    picousd: int = 0
    estimated: bool = False
    """The provider reported no usage: the whole reservation is counted."""
    new_input_bytes: int = 0
    """Bytes of the request that the attempt before had not sent: all of it on attempt 1, the delta on a retry."""
    new_input_tokens: int = 0
    """The same in tokens: input tokens not already part of the attempt before."""
    violations: tuple[Violation, ...] = ()
    """Empty for the accepted one."""
    attested: tuple[str, ...] = ()
    """Conditions that nobody but the agent vouches for; never to be shown as verified."""
    flagged: str = ""
    """Of a gate: a policy approved it, and nobody was asked."""
    transport_retries: int = 0
    response_id: str = ""
    service_tier: str = ""
    """As the provider says it served the call; empty where it does not say."""
    error: str = ""


class TraceRecord(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What one call did: committed beside the code, queried with SQL, exported as spans."""

    function: str
    model: str
    inputs: dict[str, Any]
    """Arguments as JSON values; opaque ones are redacted."""
    compiled_prompt_hash: str
    """12 hex characters over the compiled prompt; empty for compute."""
    contract_hash: str
    """12 hex characters: the digest of the return type."""
    attempts: int
    output: Any
    duration_ms: int
    cost_usd: float | None
    """`None`: no price is known for the model."""
    retry_reasons: list[str]
    """`ensure: no_type_errors(result) — 4 type errors in auth.py`, in order, over all attempts."""
    run_id: str
    step_id: str
    parent_id: str = ""
    flow_id: str = ""
    kind: CallKind = "infer"
    outcome: Outcome = "ok"
    error: str = ""
    attempt_details: list[Attempt] = []
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_picousd: int = 0
    estimated: bool = False
    cache_hit: bool = False
    reruns: int = 0
    """Times it was done again only because an earlier step was repaired: they cost, and are no attempts of its own."""
    transport_retries: int = 0
    fallbacks: list[str] = []
    """`gpt-5.5: overloaded`: models that could not be reached, in the order asked, and why; `model` is the one asked last."""
    review_id: str = ""
    """The question that a person was asked."""
    started_at: str = ""
    """UTC, ISO 8601."""

    @property
    def headline(self) -> str:
        """The error in one line; empty where there is none."""
        return self.error.partition("\n")[0].rstrip(":")
