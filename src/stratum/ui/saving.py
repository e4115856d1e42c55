"""What becomes of an edit: the plan's next draft, or the page again with why not, and with all that was typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import trio

from stratum.contracts.errors import (
    ContractDefinitionError,
    ContractViolation,
    PlanError,
    ProviderError,
    RunError,
    RunLocked,
)
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.text import load_document, load_plan
from stratum.contracts.plans.yaml_text import write_yaml
from stratum.engine.plans.approval.proposal import revise_draft
from stratum.engine.settings import SettingsError
from stratum.ui.editing import edit_page, fields_page
from stratum.ui.plan_fields import edited
from stratum.ui.project import Project, Sight, Unimportable
from stratum.ui.shell import Said

_MEANWHILE = Said(
    "The plan was changed meanwhile; nothing was saved. Saving again replaces the plan as it is now.", well=False
)


class Unsaved(NamedTuple):
    """The page that says why, and its status."""

    html: str
    status: int


async def save_edit(project: Project, sight: Sight, sent: Mapping[str, str], *, form: str, by: str) -> str | Unsaved:
    """Make what was sent, as YAML or as fields, the plan's next draft: a word of `SAID`, or the page again."""
    if not sight.in_review:
        return sight.why_not_in_review
    digest = sent.get("digest", "")
    text, load, again = _yaml(sight, sent, form) if "text" in sent else _fields(sight, sent, form)
    try:
        compiled = await trio.to_thread.run_sync(load, await project.functions(sight.past.modules))
        if compiled.digest == sight.past.plan.digest:
            return "same"
        estimated = (await project.beforehand(sight.past.modules)).estimated(compiled)
        await revise_draft(project.journal, sight.id, estimated, by=by, replacing=digest)
    except PlanError as error:
        return Unsaved(again(problems=[_placed(str(each), sight.past.plan) for each in error.problems]), 422)
    except ContractViolation as error:
        return Unsaved(again(problems=[violation.for_prompt for violation in error.violations]), 422)
    except (Unimportable, SettingsError, ProviderError, ContractDefinitionError) as error:
        return Unsaved(again(said=Said(str(error), well=False)), 422)
    except RunLocked as error:
        return Unsaved(again(said=Said(str(error), well=False)), 409)
    except RunError:
        now = await project.sight(sight.id)
        if not now.in_review:
            return now.why_not_in_review
        # As YAML in any case: the fields of a plan that is not there any more have no place.
        return Unsaved(edit_page(now, text(), form=form, digest=now.digest, said=_MEANWHILE), 409)
    return "edited"


_Parts = tuple[Callable[[], str], Callable[[Any], CompiledPlan], Callable[..., str]]


def _yaml(sight: Sight, sent: Mapping[str, str], form: str) -> _Parts:
    text = sent["text"]

    def again(*, problems: Sequence[str] = (), said: Said | None = None) -> str:
        return edit_page(sight, text, form=form, digest=sent.get("digest", ""), problems=problems, said=said)

    return lambda: text, lambda functions: load_plan(text, functions.registry), again


def _fields(sight: Sight, sent: Mapping[str, str], form: str) -> _Parts:
    document = edited(_version(sight, sent.get("digest", "")), sent)

    def again(*, problems: Sequence[str] = (), said: Said | None = None) -> str:
        return fields_page(sight, sent, form=form, problems=problems, said=said)

    return lambda: write_yaml(document), lambda functions: load_document(document, functions.registry), again


def _version(sight: Sight, digest: str) -> ExecutionPlan:
    """The plan that the form was of: fields are numbered as that one's steps."""
    for version in sight.versions:
        if version.digest == digest:
            return msgspec.json.decode(bytes(version.plan), type=ExecutionPlan)
    return sight.past.plan


def _placed(problem: str, plan: ExecutionPlan) -> str:
    """`$.steps[2].ensure` as people say it."""

    def step(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"step {plan.steps[number].id}: " if number < len(plan.steps) else found[0]

    return re.sub(r"\$\.steps\[(\d{1,6})\]\.?", step, problem, count=1)
