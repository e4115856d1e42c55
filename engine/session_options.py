"""`check_session_options`: what `open_runtime` is told, looked at before anything is opened or reserved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from stratum.actors.rate_limiter import RateLimit
from stratum.contracts.allowance import Allowance
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.price import Price


def check_session_options(
    *,
    provider: object,
    model: object,
    allowance: object,
    journal: object,
    sinks: object,
    cluster: object,
    jitter: object,
    sample_n: object,
    transport_retries: object,
    request_timeout_s: object,
    prices: object,
    rate_limits: object,
) -> None:
    """A wrong one would be found by the first call, whose request might then be in doubt.

    Raises:
        ContractDefinitionError: a name or a class in place of a provider.
        ValueError: a number that makes no sense.
        TypeError: something else than what is asked for.
    """
    _refuse_other_than_provider(provider)
    _check("model", model, fits=isinstance(model, str | None), fix="the name of one, as 'gpt-4.1-mini'")
    _check("allowance", allowance, fits=isinstance(allowance, Allowance | None), fix="Allowance(usd=..., per='day')")
    _check(
        "journal", journal, fits=isinstance(journal, str | os.PathLike | None), fix="a file's path, or None for memory"
    )
    _check("sinks", sinks, fits=sinks is None or _are_sinks(sinks), fix="a list of sinks, as [ConsoleSink()]")
    _check("cluster", cluster, fits=cluster is None or hasattr(cluster, "staffed"), fix="stratum.cluster.Cluster(...)")
    _check(
        "jitter", jitter, fits=callable(jitter), fix="a function that returns a number from 0 to 1, as random.random"
    )
    _check_whole("sample_n", sample_n, at_least=1)
    _check_whole("transport_retries", transport_retries, at_least=0)
    is_number = isinstance(request_timeout_s, (int, float)) and not isinstance(request_timeout_s, bool)
    if not (is_number and request_timeout_s > 0):  # type: ignore[operator]  # NaN is no more than 0 either
        raise ValueError(f"request_timeout_s={request_timeout_s!r}: pass a number of seconds above 0")
    _check_by_model("prices", prices, Price, example="Price.per_million(input=..., output=...)")
    _check_by_model("rate_limits", rate_limits, RateLimit, example="RateLimit(requests_per_minute=...)")


def _refuse_other_than_provider(provider: object) -> None:
    if isinstance(provider, (str, type)):
        raise ContractDefinitionError(
            owner="open_runtime",
            problem=f"provider={provider!r} is not a provider",
            fix="pass one, as stratum.providers.OpenAI(), or leave it to the environment",
        )


def _check(name: str, given: object, *, fits: bool, fix: str) -> None:
    if not fits:
        raise TypeError(f"{name}={given!r}: pass {fix}")


def _are_sinks(given: object) -> bool:
    sinks: Iterable[object] | None = given if isinstance(given, Iterable) else None
    return sinks is not None and all(hasattr(each, "ask") for each in sinks)


def _check_whole(name: str, number: object, *, at_least: int) -> None:
    if type(number) is not int or number < at_least:
        raise ValueError(f"{name}={number!r}: pass a whole number, {at_least} or more")


def _check_by_model(name: str, given: object, kind: type[Any], *, example: str) -> None:
    by_model: Mapping[Any, object] | None = given if isinstance(given, Mapping) else None
    if given is not None and (by_model is None or not all(isinstance(each, kind) for each in by_model.values())):
        raise TypeError(f'{name}={given!r}: pass {{"model": {example}}}')
