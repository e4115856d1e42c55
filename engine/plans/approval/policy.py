"""`Policy`: what a user wants decided without being asked: `policy.toml` in their own folder, where no plan's work tree reaches.

It is read anew each time that a plan is proposed or started. What others may have written, or what is not understood, is an
error: nothing is approved by half a policy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec

from stratum.contracts.money import limit_picousd
from stratum.contracts.plans.plan import Kind
from stratum.contracts.problem import did_you_mean, visible
from stratum.engine.plans.approval.own_file import distrusted, read_own_file
from stratum.engine.settings import SettingsError

Gates = Literal["ask", "flag", "skip"]
FILE_NAME: Final = "policy.toml"
PRICED: Final[tuple[Kind, ...]] = ("infer", "compute", "agent")
"""The kinds of steps that may be approved by what they cost."""
_GATES: Final[tuple[Gates, ...]] = ("ask", "flag", "skip")
_KEYS: Final = ("auto_approve", "attest", "gates")
_LONGEST_SHOWN: Final = 60


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says; without one, a person is asked everything."""

    file: str = ""
    """Where it is; empty: there is none."""
    auto_approve: Mapping[Kind, int] = {}
    """By kind, picodollars that a plan's steps of this kind may cost together; a kind that is not there is never approved."""
    attest: bool = False
    """The word of an agent is taken for conditions in plain English that no model and no Codex can judge."""
    gates: Gates = "ask"
    """Of a plan's gates: ask a person; or approve them, `flag` so that it is seen in every account of the run."""


def read_policy(home: Path) -> Policy:
    """The policy in the user's own folder.

    Raises:
        SettingsError: it is not to be believed, or not to be understood; says what to do.
    """
    file = home / FILE_NAME
    try:
        # Links above the folder, and to it, are the user's own business.
        if (reason := distrusted(home, follow_links=True)) is not None:
            raise reason
        said = read_own_file(file)
    except (FileNotFoundError, NotADirectoryError):
        return Policy()
    try:
        table = tomllib.loads(said.decode())
    except (ValueError, RecursionError) as error:
        raise _wrong(file, f"it is no TOML: {error}", "correct it") from error
    for key in table:
        if key not in _KEYS:
            raise _wrong(file, f"there is no {_shown(key)}", did_you_mean(key, _KEYS, otherwise=""))
    return Policy(
        file=str(file),
        auto_approve=_limits(file, table.get("auto_approve", {})),
        attest=_flag(file, table.get("attest", False)),
        gates=_gates(file, table.get("gates", "ask")),
    )


def policy_or_problem(home: Path) -> Policy | SettingsError:
    """The same for whoever only looks: a broken policy approves nothing, and stands in nobody's way before something is to begin."""
    try:
        return read_policy(home)
    except SettingsError as problem:
        return problem


def approves_by_cost(policy: Policy | SettingsError) -> bool:
    """Whether it matters to it what a plan will cost."""
    return isinstance(policy, Policy) and bool(policy.auto_approve)


def _limits(file: Path, said: Any) -> dict[Kind, int]:
    if not isinstance(said, dict):
        raise _wrong(file, "auto_approve is no table", "write [auto_approve], and below it for example infer = 0.05")
    limits: dict[Kind, int] = {}
    for kind, most in cast("dict[str, Any]", said).items():
        if kind == "command":
            raise _wrong(file, "auto_approve: programs are never approved by a policy", "remove `command`")
        if kind not in PRICED:
            fix = did_you_mean(kind, PRICED, otherwise="")
            raise _wrong(file, f"auto_approve: no steps of kind {_shown(kind)} are approved by what they cost", fix)
        try:
            limits[kind] = limit_picousd(most)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise _wrong(file, f"auto_approve.{kind} is {_shown(most)}", "write US dollars, 0 or more: 0.05") from error
    return limits


def _flag(file: Path, said: Any) -> bool:
    if not isinstance(said, bool):
        raise _wrong(file, f"attest is {_shown(said)}", "write true or false")
    return said


def _gates(file: Path, said: Any) -> Gates:
    if said not in _GATES:
        raise _wrong(file, f"gates is {_shown(said)}", 'write "ask", "flag" or "skip"')
    return cast(Gates, said)


def _shown(said: Any) -> str:
    return visible(str(said)[:_LONGEST_SHOWN])


def _wrong(file: Path, problem: str, fix: str) -> SettingsError:
    return SettingsError(file=str(file), problem=problem, fix=f"{fix}, or remove the file")
