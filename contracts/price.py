"""`Price` and `Usage`: what a call can cost at most, and what it did cost."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from stratum.contracts.money import price_picousd

TOKENS_PER_MILLION = 10**6


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one call, as the provider counted them.

    Raises:
        ValueError: counts that cannot be true; such a report is no report, and the whole reservation counts.
    """

    input_tokens: int
    """All input tokens, the cached ones included."""
    output_tokens: int
    """All output tokens, the reasoning ones included."""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        # More cached than sent would make the rest negative, and the call look cheaper than it was.
        fresh = self.input_tokens - self.cached_tokens - self.cache_write_tokens
        if min(fresh, self.cached_tokens, self.cache_write_tokens, self.output_tokens, self.reasoning_tokens) < 0:
            raise ValueError(f"{self}: pass counts of 0 or more, and no more cached than input tokens")

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Picodollars (10^-12 USD) per token, whole ones; `Rates.per_million` makes them of USD per million tokens.

    Raises:
        ValueError: a rate that is negative, or no whole number.
    """

    input: int
    output: int
    cached: int | None = None
    """A token read from the provider's prompt cache; `None`: no discount."""
    cache_write: int | None = None
    """A token written to the provider's prompt cache; `None`: the input rate."""

    def __post_init__(self) -> None:
        rates = (self.input, self.output, self.cached or 0, self.cache_write or 0)
        if any(type(rate) is not int or rate < 0 for rate in rates):
            raise ValueError(
                f"{self}: pass whole picodollars per token, 0 or more; Rates.per_million(...) takes USD per million tokens"
            )

    @classmethod
    def per_million(
        cls,
        *,
        input: float | Decimal,
        output: float | Decimal,
        cached: float | Decimal | None = None,
        cache_write: float | Decimal | None = None,
    ) -> Rates:
        """Rates from USD per million tokens, rounded up to whole picodollars per token.

        Raises:
            ValueError: a rate that is negative, or no number.
        """
        return cls(
            input=_per_token(input),
            output=_per_token(output),
            cached=None if cached is None else _per_token(cached),
            cache_write=None if cache_write is None else _per_token(cache_write),
        )

    @property
    def dearest_input(self) -> int:
        """Whatever the provider's cache makes of an input token."""
        return max(self.input, self.cached or 0, self.cache_write or 0)


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates for the whole call once its input is longer than `above_input_tokens`.

    Raises:
        ValueError: a number of tokens that is negative, or no whole number.
    """

    above_input_tokens: int
    rates: Rates

    def __post_init__(self) -> None:
        if type(self.above_input_tokens) is not int or self.above_input_tokens < 0:
            raise ValueError(f"a tier above {self.above_input_tokens!r} input tokens: pass a whole number, 0 or more")


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model's price, in picodollars (10^-12 USD); `Price.per_million` makes one of USD per million tokens.

    Raises:
        ValueError: a fee that is negative or no whole number, or tiers out of order.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """Ascending; long context reprices the whole call."""
    per_request: int = 0
    """Picodollars, whatever the number of tokens."""

    def __post_init__(self) -> None:
        thresholds = [tier.above_input_tokens for tier in self.tiers]
        fee = self.per_request
        if type(fee) is not int or fee < 0 or thresholds != sorted(set(thresholds)):
            raise ValueError(f"{self}: pass a fee of 0 or more, and tiers that begin at ascending numbers of tokens")

    @classmethod
    def per_million(
        cls,
        *,
        input: float | Decimal,
        output: float | Decimal,
        cached: float | Decimal | None = None,
        per_request: float | Decimal = 0,
    ) -> Price:
        """A price from USD per million tokens, rounded up to whole picodollars per token; `per_request` is in USD.

        Raises:
            ValueError: a price that is negative, or no number.
        """
        return cls(
            rates=Rates.per_million(input=input, output=output, cached=cached),
            per_request=price_picousd(per_request),
        )

    def worst_case(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most a call with these token bounds can cost: no cache discount, the dearest tier it can reach."""
        dearest_input, dearest_output = self._dearest(input_tokens)
        return input_tokens * dearest_input + output_tokens * dearest_output + self.per_request

    def output_rate(self, *, input_tokens: int) -> int:
        """What one more token of output cap adds to the worst case."""
        return self._dearest(input_tokens)[1]

    def cost(self, usage: Usage) -> int:
        """What a call with this usage costs."""
        rates = self._rates_at(usage.input_tokens)
        cached_rate = rates.input if rates.cached is None else rates.cached
        write_rate = rates.input if rates.cache_write is None else rates.cache_write
        fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        return (
            fresh * rates.input
            + usage.cached_tokens * cached_rate
            + usage.cache_write_tokens * write_rate
            + usage.output_tokens * rates.output
            + self.per_request
        )

    @property
    def free(self) -> bool:
        """Whether no call can cost anything, however long."""
        return self.worst_case(input_tokens=2**40, output_tokens=1) == 0

    def _dearest(self, input_tokens: int) -> tuple[int, int]:
        """Of the rates that so long an input can reach, for a token of input and one of output."""
        dearest_input, dearest_output = self.rates.dearest_input, self.rates.output
        for tier in self.tiers:
            if input_tokens > tier.above_input_tokens:
                dearest_input = max(dearest_input, tier.rates.dearest_input)
                dearest_output = max(dearest_output, tier.rates.output)
        return dearest_input, dearest_output

    def _rates_at(self, input_tokens: int) -> Rates:
        rates = self.rates
        for tier in self.tiers:
            if input_tokens > tier.above_input_tokens:
                rates = tier.rates
        return rates


FREE = Price(rates=Rates(input=0, output=0))


def _per_token(usd_per_million: float | Decimal) -> int:
    # Scale before rounding: $0.0025 per million is 2,500 picodollars a token, exactly.
    return -(-price_picousd(usd_per_million) // TOKENS_PER_MILLION)
