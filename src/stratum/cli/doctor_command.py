"""`stratum doctor`: what is installed, which model would be called, whether the journal can be written."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from stratum.actors.hold import hold_path, read_hold
from stratum.actors.locations import state_home
from stratum.cli.exit_codes import FAILED
from stratum.cli.options import journal_option
from stratum.contracts.errors import ProviderError, StratumError
from stratum.contracts.money import format_usd
from stratum.engine.plans.approval.policy import FILE_NAME, read_policy
from stratum.engine.providers.protocol import Provider
from stratum.engine.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from stratum.engine.pricing.service_tier import ServiceTier

PACKAGES = ("stratum-runtime", "trio", "pydantic", "msgspec", "openai", "httpx2", "genai-prices", "bpe-openai")
EXTRAS = {"local": "xllamacpp"}


class Finding(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    found: str


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="The findings as a JSON array.")
@journal_option
def command(*, as_json: bool, journal: Path) -> None:
    """Check this installation and its settings; sends nothing.

    Exits with 1 if something keeps calls from being made.
    """
    settings = read_settings()
    findings = [
        *_installed(),
        *_settings(settings),
        _provider(settings),
        _policy(settings),
        _journal(journal),
        *_hold(journal),
    ]
    if as_json:
        click.echo(msgspec.json.encode([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what:<16}  {finding.found}")
    if not all(finding.ok for finding in findings):
        sys.exit(FAILED)


def _installed() -> Iterator[Finding]:
    yield Finding(sys.version_info >= (3, 11), "python", f"{platform.python_version()} on {platform.system()}")
    for package in PACKAGES:
        try:
            yield Finding(True, package, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding(False, package, f"not installed; pip install {package}")
    for extra, module in EXTRAS.items():
        there = find_spec(module) is not None
        yield Finding(
            True, f"extra {extra}", "installed" if there else f"not installed; pip install 'stratum-runtime[{extra}]'"
        )


def _settings(settings: Settings) -> Iterator[Finding]:
    here = f"{Path.cwd()}{os.sep}"
    for setting in settings.found:
        yield Finding(True, f"set {setting.key}", f"{setting.value}  (from {setting.source.removeprefix(here)})")


def _provider(settings: Settings) -> Finding:
    from stratum.engine.pricing.service_tier import checked_tier
    from stratum.engine.providers.environment import provider_from_environment

    try:
        provider = provider_from_environment(settings.environ)
        tier = checked_tier(settings.environ.get("STRATUM_SERVICE_TIER") or None, owner="STRATUM_SERVICE_TIER")
    except StratumError as error:
        return Finding(False, "provider", "; ".join(str(error).splitlines()))
    model = settings.environ.get("STRATUM_MODEL") or provider.default_model
    if model is None:
        return Finding(True, "provider", f"{provider.name}, model none named: set STRATUM_MODEL")
    return Finding(True, "provider", f"{provider.name}, model {model}{_priced(provider, model, settings, tier)}")


def _priced(provider: Provider, model: str, settings: Settings, tier: ServiceTier | None) -> str:
    """Said of a model that has no price: a USD budget around its calls would be refused."""
    from stratum.engine.pricing.prices import Prices
    from stratum.engine.pricing.service_tier import priced_as

    if Prices(provider, settings=settings).of(model, tiers=priced_as(tier)):
        return ""
    return "; no price is known for it: USD budgets are refused until there is one ([prices] in stratum.toml)"


def _policy(settings: Settings) -> Finding:
    from stratum.engine.pricing.prices import Prices
    from stratum.engine.providers.environment import provider_or_absent

    home = state_home()
    try:
        policy = read_policy(home)
    except SettingsError as error:
        return Finding(False, "policy", f"{error}; nothing starts until then")
    if not policy.file:
        return Finding(True, "policy", f"none: every plan is put to you ({home / FILE_NAME} would say otherwise)")
    limits = ", ".join(f"{kind} to ${format_usd(most)}" for kind, most in policy.auto_approve.items()) or "nothing"
    word = "taken" if policy.attest else "not taken"
    found = f"{policy.file}: approves {limits}; agents' word {word}; gates: {policy.gates}"
    try:
        doubt = Prices(provider_or_absent(settings.environ), settings=settings).doubt() if policy.auto_approve else ""
    except ProviderError:  # told of beside this
        doubt = ""
    return Finding(True, "policy", f"{found}; it approves nothing now: {doubt}" if doubt else found)


def _hold(journal: Path) -> Iterator[Finding]:
    hold = read_hold(hold_path(journal))
    if hold is not None:
        found = f"everything since {hold.since}, by {hold.by}: {hold.reason}; `stratum hold --lift` lifts it"
        yield Finding(False, "on hold", found)


def _journal(journal: Path) -> Finding:
    folder = journal.parent
    while not folder.exists():
        folder = folder.parent
    writable = os.access(journal if journal.exists() else folder, os.W_OK)
    found = f"{journal}, {'exists' if journal.exists() else 'will be made'}"
    return Finding(
        writable, "journal", found if writable else f"{journal} cannot be written; choose one with --journal"
    )
