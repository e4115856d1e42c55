"""`stratum run --dry-run`: what would be reserved for the calls of a model. Nothing is run, sent, booked or recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import msgspec
import trio

from stratum.cli.exit_codes import EXHAUSTED
from stratum.contracts.budget import Budget
from stratum.contracts.errors import ContractDefinitionError, NoProvider
from stratum.contracts.money import format_usd
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.engine.flow import Flow
from stratum.engine.plans.flow_plan import steps_of_flow
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_quotes import plan_quotes, why_nothing
from stratum.engine.pricing.quote import Quote
from stratum.engine.providers.environment import provider_from_environment
from stratum.engine.providers.openai import DEFAULT_MODEL, OpenAI
from stratum.engine.providers.protocol import Provider
from stratum.engine.runtime import Runtime, open_runtime
from stratum.engine.settings import read_settings
from stratum.engine.step import Step

Quotes = Sequence[tuple[str, Quote | str]]
"""By step id; a text: why it is not known yet."""


def show_step_quotes(step: Step[Any, Any], arguments: Mapping[str, Any], *, model: str | None, as_json: bool) -> None:
    """Of a step, or of each that a flow calls.

    Exits with 3 where a budget does not afford even the first attempts.
    """
    if not isinstance(step, Flow):
        name = step.signature.name

        def quoted(runtime: Runtime) -> Quotes:
            quote = step.quote(dict(arguments), runtime)
            return [] if quote is None else [(name, quote)]

        why = f"{name} is a function that asks no model; what it calls by itself is reserved when it calls"
        _show(_in_runtime(model, quoted), budget=None, otherwise=why, as_json=as_json)
        return
    try:
        plan, steps = steps_of_flow(step, arguments)
    except ContractDefinitionError as error:
        raise click.UsageError(f"{error}. What it will call is not known before it runs") from error
    functions = Functions(steps)
    show_plan_quotes(compile_plan(plan, functions.registry), {}, functions=functions, model=model, as_json=as_json)


def show_plan_quotes(
    compiled: CompiledPlan, inputs: Mapping[str, Any], *, functions: Functions, model: str | None, as_json: bool
) -> None:
    """Of each step of a plan that asks a model. Exits as `show_step_quotes`."""
    found = _in_runtime(
        model, lambda runtime: list(plan_quotes(compiled, inputs, functions=functions, runtime=runtime))
    )
    _show(found, budget=compiled.plan.budget, otherwise=why_nothing(compiled), as_json=as_json)


def _in_runtime(model: str | None, work: Callable[[Runtime], Quotes]) -> Quotes:
    async def main() -> Quotes:
        async with open_runtime(provider=_provider(read_settings().environ), model=model, journal=None) as runtime:
            return work(runtime)

    return trio.run(main)


def _provider(environ: Mapping[str, str]) -> Provider:
    """As for a run; without a key, what OpenAI would charge."""
    try:
        return provider_from_environment(environ)
    except NoProvider:
        return OpenAI("none", default_model=environ.get("STRATUM_MODEL") or DEFAULT_MODEL)


def _show(found: Quotes, *, budget: Budget | None, otherwise: str, as_json: bool) -> None:
    """`otherwise`: why nothing is reserved, where nothing was found."""
    known = [quote for _, quote in found if not isinstance(quote, str)]
    least = sum(quote.least_picousd or 0 for quote in known)
    limit = None if budget is None else budget.picousd
    afforded = all(quote.fits is not False for quote in known) and (limit is None or least <= limit)
    if as_json:
        calls = [_fields(id, quote) for id, quote in found]
        click.echo(
            msgspec.json.encode({"afforded": afforded, "calls": calls, "nothing_because": "" if found else otherwise})
        )
    else:
        for id, quote in found:
            click.echo(f"step {id} {quote}: not known yet" if isinstance(quote, str) else str(quote))
        if not found:
            click.echo(f"nothing is reserved: {otherwise}")
        elif limit is not None:
            affords = "affords" if least <= limit else "does not afford"
            click.echo(
                f"the whole budget of {format_usd(limit)} USD {affords} the first attempts, {format_usd(least)} USD at the least"
            )
        click.echo("nothing was sent", err=True)
    if not afforded:
        raise SystemExit(EXHAUSTED)


def _fields(id: str, quote: Quote | str) -> dict[str, Any]:
    if isinstance(quote, str):
        return {"step": id, "not_known": quote}
    return {
        "step": id,
        "function": quote.function,
        "model": quote.model,
        "provider": quote.provider,
        "at_once": quote.at_once,
        "attempts": quote.attempts,
        "input_tokens": quote.input_tokens,
        "output_tokens": quote.output_tokens,
        "usd": quote.usd,
        "least_usd": quote.least_usd,
        "fits": quote.fits,
    }
