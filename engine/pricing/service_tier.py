"""`ServiceTier`: how fast, and at which price, OpenAI is asked to serve a call; what is said to have been is what is booked."""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

from stratum.contracts.errors import ContractDefinitionError

ServiceTier = Literal["auto", "default", "flex", "priority"]
"""`auto` is what the account's project says, and so may be `priority`."""

STANDARD: Final = ("default",)

_PRICED_AS: Final[dict[str | None, tuple[str, ...]]] = {
    None: STANDARD,
    "auto": ("default", "priority"),
}
_APPLIED: Final = {"default": "default", "flex": "flex", "priority": "priority", "fast": "priority", "scale": "default"}
"""By what an answer says; `scale` is paid for in advance, and booked as if it were not."""


def priced_as(tier: ServiceTier | None) -> tuple[str, ...]:
    """The tiers one of which a request is billed at; of several the dearest is reserved."""
    return _PRICED_AS.get(tier) or (cast(str, tier),)


def applied_tier(reported: str) -> str:
    """The tier whose price a served call has; empty where the answer does not tell."""
    return _APPLIED.get(reported, "")


def checked_tier(tier: object, *, owner: str) -> ServiceTier | None:
    """`None`: nobody has said, and nothing is sent.

    Raises:
        ContractDefinitionError: there is no such tier.
    """
    if tier is None or tier in get_args(ServiceTier):
        return cast("ServiceTier | None", tier)
    if tier == "batch":
        raise ContractDefinitionError(
            owner=owner,
            field="service_tier",
            problem="a batch is a job of up to 24 hours, and not a call that is waited for",
            fix='pass "flex", which costs as much',
        )
    raise ContractDefinitionError(
        owner=owner,
        field="service_tier",
        problem=f"there is no tier {tier!r}",
        fix=f"pass one of {', '.join(get_args(ServiceTier))}",
    )
