"""`Settings`: a project's file, then the environment; arguments in code and on the command line win over both.

The file is `stratum.toml`, or the table `[tool.stratum]` of `pyproject.toml`, in the working directory or the nearest folder
above it that has one. It says which model, never which server or key: whoever wrote a work tree must not decide where a key is sent.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from stratum.contracts.errors import StratumError
from stratum.contracts.price import Price

VARIABLES: Final = {
    "model": "STRATUM_MODEL",
    "price": "STRATUM_PRICE",
    "transport": "STRATUM_TRANSPORT",
    "service_tier": "STRATUM_SERVICE_TIER",
    "journal": "STRATUM_JOURNAL",
    "replay": "STRATUM_REPLAY",
    "base_url": "STRATUM_BASE_URL",
}
"""By the file's key, the environment variable that wins over it."""
_PATHS: Final = ("journal", "replay")
_ONLY_ENVIRONMENT: Final = ("base_url", "api_key")
_PRICE_KEYS: Final = ("input", "output", "cached", "per_request")


@dataclass(kw_only=True, eq=False)
class SettingsError(StratumError):
    """A project's settings cannot be read, or say what no setting means."""

    file: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.fix}"


class Setting(NamedTuple):
    """One value, and who set it."""

    key: str
    value: str
    source: str
    """The variable, or the file."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the file and the environment say together."""

    environ: Mapping[str, str]
    """The environment, with the file's values where it has none."""
    found: tuple[Setting, ...]
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """By model, of the file's table `prices`."""
    file: str = ""


def read_settings(environ: Mapping[str, str] = os.environ, *, folder: Path | None = None) -> Settings:
    """The settings of the project that `folder`, or the working directory, is in.

    Raises:
        SettingsError: the file is not TOML, or has a key or a value that means nothing.
    """
    file, table = _nearest(folder or Path.cwd())
    prices = {model: _price(file, model, said) for model, said in _table(file, table.pop("prices", {})).items()}
    values = {key: _text(file, key, value) for key, value in table.items()}
    merged = dict(environ)
    found: list[Setting] = []
    for key, variable in VARIABLES.items():
        if said := environ.get(variable):
            found.append(Setting(key, said, variable))
        elif key in values:
            merged[variable] = values[key]
            found.append(Setting(key, values[key], file))
    found += [Setting(f"prices.{model}", "of its own", file) for model in prices]
    return Settings(environ=merged, found=tuple(found), prices=prices, file=file)


def _nearest(folder: Path) -> tuple[str, dict[str, Any]]:
    for place in (folder, *folder.parents):
        if (own := place / "stratum.toml").is_file():
            return str(own), _parsed(own)
        if (shared := place / "pyproject.toml").is_file():
            found = _parsed(shared).get("tool", {}).get("stratum")
            if found is not None:
                return str(shared), _table(str(shared), found)
    return "", {}


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(file=str(file), problem=f"it cannot be read: {error}", fix="correct it") from error


def _table(file: str, said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise SettingsError(file=file, problem=f"{said!r} is not a table", fix="write [tool.stratum] or [prices.MODEL]")
    return cast("dict[str, Any]", said)


def _text(file: str, key: str, value: Any) -> str:
    if key in _ONLY_ENVIRONMENT:
        raise SettingsError(
            file=file,
            problem=f"{key} is not for a file of the work tree",
            fix="set it in the environment: OPENAI_API_KEY, STRATUM_BASE_URL",
        )
    if key not in VARIABLES:
        near = difflib.get_close_matches(key, VARIABLES, n=1)
        known = ", ".join(sorted({*VARIABLES, "prices"} - {*_ONLY_ENVIRONMENT}))
        raise SettingsError(
            file=file,
            problem=f"there is no setting {key!r}",
            fix=f"write {near[0]}" if near else f"write one of {known}",
        )
    if not isinstance(value, str) or not value:
        raise SettingsError(file=file, problem=f"{key} is {value!r}", fix="write a string that is not empty")
    if key == "price":
        try:
            price_of(value)
        except ValueError as error:
            raise SettingsError(
                file=file, problem=f"price is {value!r}: {error}", fix='write price = "0.15/0.60"'
            ) from error
    return str(Path(file).parent / value) if key in _PATHS else value


def price_of(text: str) -> Price:
    """The price of `0.15/0.60`: USD per million tokens of input and of output.

    Raises:
        ValueError: it is none.
    """
    try:
        input_usd, output_usd = (Decimal(part) for part in text.split("/"))
        return Price.per_million(input=input_usd, output=output_usd)
    except (ArithmeticError, ValueError) as error:
        raise ValueError("it is no INPUT/OUTPUT in USD per million tokens") from error


def _price(file: str, model: str, said: Any) -> Price:
    rates = _table(file, said)
    try:
        if unknown := set(rates) - set(_PRICE_KEYS):
            raise ValueError(f"there is no {min(unknown)!r}")
        return Price.per_million(**rates)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise SettingsError(
            file=file,
            problem=f"the price of {model!r} cannot be read: {error}",
            fix="write input, output and perhaps cached in USD per million tokens, and per_request in USD",
        ) from error
