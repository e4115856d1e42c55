"""What others changed in a plan since its agent proposed it: a person may edit a draft before approving it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stratum.contracts.plans.diff import plan_changes
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.records import PlanProposed, Record


def edits(records: Iterable[Record], *, client: str) -> list[str]:
    """From the last version that `client` proposed, or from the first, to the one that counts; empty if that is it."""
    versions = [record for record in records if isinstance(record, PlanProposed)]
    theirs = [version for version in versions if version.by.startswith(client)]
    proposed, last = (theirs or versions)[-1 if theirs else 0], versions[-1]
    return [] if proposed is last else plan_changes(_plan(proposed), _plan(last))


def _plan(version: PlanProposed) -> ExecutionPlan:
    return msgspec.json.decode(bytes(version.plan), type=ExecutionPlan)
