"""`Quote`: what a call would reserve before anything is sent. Nothing is sent, booked or recorded to find out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stratum.contracts.money import format_usd, usd
from stratum.engine.pricing.tokens import exact_bound, input_bound

if TYPE_CHECKING:
    from stratum.contracts.budget import Budget
    from stratum.engine.infer import Infer
    from stratum.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """The worst case of a call's first attempt; a retry's is larger by the rejected answer and the violations."""

    function: str
    model: str
    provider: str
    service_tier: str | None
    at_once: int
    """Calls of the model: more than one for a quorum."""
    attempts: int
    """At most, by each of them."""
    input_tokens: int
    """At most, of one."""
    output_tokens: int
    """The cap that one is sent with where the money is there."""
    picousd: int | None
    """Reserved for all at once; `None`: the model has no price, and a budget in USD is refused."""
    least_picousd: int | None
    """With less than this left, nothing is sent: the input counted exactly, the shortest answer that the contract allows."""
    budget: Budget | None
    """The call's own."""

    @property
    def usd(self) -> float | None:
        """Dollars, for people and JSON."""
        return None if self.picousd is None else usd(self.picousd)

    @property
    def least_usd(self) -> float | None:
        """Dollars, for people and JSON."""
        return None if self.least_picousd is None else usd(self.least_picousd)

    @property
    def fits(self) -> bool | None:
        """Whether the call's own budget affords one attempt; `None` where it has no limit in USD."""
        limit = None if self.budget is None else self.budget.picousd
        if limit is None:
            return None
        return self.least_picousd is not None and self.least_picousd <= limit

    def __str__(self) -> str:
        times = f"{self.at_once} times at once, each " if self.at_once > 1 else ""
        tokens = f"at most {self.input_tokens:,} tokens in and {self.output_tokens:,} out"
        tier = "" if self.service_tier is None else f" in service tier {self.service_tier}"
        asked = f"{self.model} of {self.provider}{tier}"
        lines = [f"{self.function} asks {asked} {times}with {tokens}, in up to {self.attempts} attempts", self._price]
        if self.budget is not None and self.budget.picousd is not None:
            affords = "affords" if self.fits else "does not afford"
            lines.append(f"its own budget of {format_usd(self.budget.picousd)} USD {affords} it")
        return "\n  ".join(lines)

    @property
    def _price(self) -> str:
        if self.picousd is None or self.least_picousd is None:
            return "no price is known for the model: a budget in USD is refused"
        if self.picousd == 0:
            return "costs nothing"
        return (
            f"reserves {format_usd(self.picousd)} USD for the first, {format_usd(self.least_picousd)} USD at the least"
        )


def quote(step: Infer[Any, Any], arguments: Mapping[str, Any], runtime: Runtime, *, at_once: int = 1) -> Quote:
    """What the call would reserve, in this runtime.

    Raises:
        NoProvider: no model is named.
    """
    target = step.target(step.models_in(runtime)[0], runtime)
    prompt = step.prompt.render(arguments)
    conversation = target.compiled.conversation(prompt)
    body = target.compiled.body(conversation, max_output_tokens=target.cap, streamed=runtime.provider.streams)
    bound, exact = (measure(target.model, body, prompt.images) for measure in (input_bound, exact_bound))
    price = runtime.price(target.model, tier=target.service_tier)
    return Quote(
        function=step.signature.name,
        model=target.model,
        provider=runtime.provider.name,
        service_tier=target.service_tier,
        at_once=at_once,
        attempts=step.retries + 1,
        input_tokens=bound,
        output_tokens=target.cap,
        picousd=None if price is None else at_once * price.worst_case(input_tokens=bound, output_tokens=target.cap),
        least_picousd=None
        if price is None
        else at_once * price.worst_case(input_tokens=exact, output_tokens=target.min_cap),
        budget=step.budget,
    )
