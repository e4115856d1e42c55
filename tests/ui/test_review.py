"""A plan on the page, before it begins: looked at, changed, approved; exactly what was shown, or nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.engine.plans.plan_fixtures import open_project, standing
from tests.engine.report.test_page import HOSTILE, seen
from tests.ui.page_fixtures import project, proposed, served

from stratum import compute
from stratum.contracts.plans.plan import Ensure, ExecutionPlan, Step
from stratum.contracts.plans.text import read_plan
from stratum.contracts.records import PlanProposed
from stratum.engine.plans.functions import Functions

PLAN = """
goal: Say it
input: {text: str}
steps:
- {id: a, fn: upper, inputs: {text: $.input.text}, ensure: len(result) > 1}
- {id: b, command: [echo, loud], depends_on: [a]}
budget: {usd: 0.50}
"""
EDITED = PLAN.replace("len(result) > 1", "len(result) > 2").replace("usd: 0.50", "usd: 0.10, ms: 60000")


@compute(inline=True)
def upper(text: str) -> str:
    return text.upper()


async def test_a_draft_is_shown_in_full_and_approved_as_it_was_shown(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        assert "to be approved" in await page.opens("/")
        text = seen(await page.opens(f"/runs/{run}")).text
        for told in ("echo loud", '"hello"', "len(result) > 1", "at most $0.50", "proposed by agent", "upper"):
            assert told in text
        digest = (await plans.status(run)).digest
        assert "Approved: exactly the plan below." in await page.sends(f"/runs/{run}/approve")
        approval = plans.approvals.find(digest)
        assert approval is not None
        assert approval.how == "page"
        assert (await (await plans.start(run)).result())["exit_code"] == 0
        assert standing(await plans.status(run)) == {"a": "done", "b": "done"}
        assert "succeeded" in await page.opens(f"/runs/{run}")
        assert "by " in page.html and "(page)" in page.html


async def test_what_the_policy_says_of_a_draft_is_told_and_what_it_approves_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRATUM_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("STRATUM_MODEL", "house-model")
    (tmp_path / "state").mkdir(mode=0o700)
    policy = tmp_path / "state" / "policy.toml"
    policy.write_text("[auto_approve]\ncompute = 0\n")
    policy.chmod(0o600)
    async with project(tmp_path, steps=[upper]) as (plans, page):
        programs = await proposed(plans, PLAN, text="hello")
        assert "leaves it to you: step b runs a program" in await page.opens(f"/runs/{programs}")
        assert "Approve</button>" in page.html
        plain = await proposed(plans, "budget: {usd: 0}\nsteps: [{id: a, fn: upper, inputs: {text: hello}}]")
        assert "Approved by your policy" in await page.opens(f"/runs/{plain}")
        assert "Approve</button>" not in page.html
        (tmp_path / "stratum.toml").write_text("[prices.any]\ninput = 0\noutput = 0\n")
        assert "stratum.toml sets the price of" in seen(await page.opens(f"/runs/{plain}")).text
        assert "Approve</button>" in page.html
        (tmp_path / "stratum.toml").write_text("nonsense = 1")
        assert "there is no setting" in await page.opens(f"/runs/{plain}")
        await page.opens(f"/runs/{plain}/edit?as=yaml")
        edited = await page.sends(f"/runs/{plain}/edit", text="steps: [{id: a, fn: upper, inputs: {text: kept}}]")
        assert page.status == 422
        assert "there is no setting" in edited and "text: kept" in edited


async def test_functions_that_cannot_be_imported_any_more_keep_no_draft_from_being_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "steps.py"
    file.write_text("")
    broken = False

    def functions(modules: Sequence[str]) -> Functions:
        if broken:
            raise SyntaxError("half written")
        return Functions([upper])

    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "policy.toml").write_text("[auto_approve]\ncompute = 0\n")
    (tmp_path / "state" / "policy.toml").chmod(0o600)
    async with open_project(tmp_path, steps=[upper]) as plans, served(tmp_path, functions=functions) as page:
        plan = read_plan("budget: {usd: 0}\nsteps: [{id: a, fn: upper, inputs: {text: hello}}]")
        run = (await plans.propose(plan, by="agent", modules=[str(file)])).run
        assert "Approved by your policy" in await page.opens(f"/runs/{run}")
        broken = True
        os.utime(file, (1, 1))
        assert "half written" in await page.opens(f"/runs/{run}")
        assert (page.status, "Approved by your policy" in page.html) == (200, False)


async def test_an_edited_plan_is_estimated_anew(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, "steps: [{id: a, intent: Look}]")
        assert "~1 tool call" in seen(await page.opens(f"/runs/{run}")).text
        await page.opens(f"/runs/{run}/edit?as=yaml")
        await page.sends(f"/runs/{run}/edit", text="steps: [{id: a, intent: Look}, {id: b, intent: Tell}]")
        assert "~2 tool calls" in seen(page.html).text


async def test_a_plan_that_changed_since_it_was_shown_is_not_approved(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}")
        await plans.revise(run, read_plan(EDITED), by="agent")
        answer = await page.sends(f"/runs/{run}/approve")
        assert page.status == 409
        assert "nothing was approved. This is the plan now." in answer
        assert "at most $0.10" in seen(answer).text
        assert "What agent changed" in answer
        assert (await plans.status(run)).state == "draft"
        await page.sends(f"/runs/{run}/approve")
        assert (await plans.status(run)).state == "approved"


async def test_a_plan_whose_record_has_the_digest_of_another_is_not_approved(tmp_path: Path) -> None:
    """Who can write to the journal, which is in the work tree, must not get an approval for what nobody was shown."""
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        journal = plans.runtime.journal
        last = [record for record in await journal.read(run) if isinstance(record, PlanProposed)][-1]
        await journal.claim(run)
        await journal.commit(run, msgspec.structs.replace(last, digest="e" * 64))
        await journal.release(run)
        assert "the digest of another plan" in await page.opens(f"/runs/{run}")
        assert "Approve</button>" not in page.html
        await page.opens(f"/runs/{await proposed(plans, PLAN, text='another')}")
        page.fields["digest"] = "e" * 64
        await page.sends(f"/runs/{run}/approve")
        assert page.status == 409
        assert plans.approvals.find("e" * 64) is None


async def test_an_approval_is_taken_back(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}")
        await page.sends(f"/runs/{run}/approve")
        assert "Take the approval back" in page.html
        await page.sends(f"/runs/{run}/revoke")
        assert (await plans.status(run)).state == "draft"


async def test_an_edited_plan_replaces_the_draft_and_is_to_be_approved_anew(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        before = await plans.status(run)
        plans.approvals.approve(before.digest, by="ada", how="terminal")
        assert "len(result) &gt; 1" in await page.opens(f"/runs/{run}/edit?as=yaml")
        answer = await page.sends(f"/runs/{run}/edit", text=EDITED.replace("\n", "\r\n"))
        assert "to be approved anew" in answer
        assert '~ step "a", ensure' in seen(answer).text
        after = await plans.status(run)
        assert after.state == "draft"
        assert after.digest != before.digest
        assert (await plans.plan(run)).budget == read_plan(EDITED).budget


async def test_what_is_wrong_with_an_edit_is_told_beside_it_and_nothing_changes(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        before = await plans.status(run)
        for wrong, told in [
            (PLAN.replace("fn: upper", "fn: uper, kind: compute"), "line 5"),
            (PLAN.replace("depends_on: [a]", "depends_on: [c]"), "there is no step &quot;c&quot;"),
            (PLAN.replace("text: str", "text: str, more: int"), "more: expected int, got nothing"),
            ("steps: [", "not"),
            ("", ""),
            ("\0", ""),
            (f"goal: '{HOSTILE}'\nsteps: {{}}", ""),
        ]:
            await page.opens(f"/runs/{run}/edit?as=yaml")
            answer = await page.sends(f"/runs/{run}/edit", text=wrong)
            assert page.status == 422
            assert told in answer
            assert "nothing was changed" in answer
            assert not {"img", "script alert"} & seen(answer).tags
        assert await plans.status(run) == before


async def test_an_edit_that_changes_nothing_changes_nothing(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        plans.approvals.approve((await plans.status(run)).digest, by="ada", how="terminal")
        await page.opens(f"/runs/{run}/edit?as=yaml")
        assert "Nothing was changed" in await page.sends(f"/runs/{run}/edit", text=PLAN)
        assert (await plans.status(run)).state == "approved"


async def test_of_two_edits_at_once_the_later_is_told_and_loses_nothing(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}/edit?as=yaml")
        await plans.revise(run, read_plan(EDITED), by="agent")
        mine = PLAN.replace("Say it", "Say it again")
        answer = await page.sends(f"/runs/{run}/edit", text=mine)
        assert page.status == 409
        assert "changed meanwhile; nothing was saved" in answer
        assert "Say it again" in answer
        assert (await plans.plan(run)).goal == "Say it"
        await page.sends(f"/runs/{run}/edit", text=mine)
        assert (await plans.plan(run)).goal == "Say it again"


async def test_a_plan_that_has_begun_is_neither_edited_nor_approved_nor_discarded(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}/edit?as=yaml")
        fields = dict(page.fields)
        plans.approvals.approve((await plans.status(run)).digest, by="ada", how="terminal")
        await (await plans.start(run)).result()
        for act in ("edit", "approve", "revoke", "discard"):
            page.fields = dict(fields)
            assert "It has begun meanwhile" in await page.sends(f"/runs/{run}/{act}", text=EDITED)
        assert "It has begun meanwhile" in await page.opens(f"/runs/{run}/edit?as=yaml")
        assert (await plans.plan(run)).goal == "Say it"


async def test_a_draft_is_discarded_from_the_page_and_stays_to_be_looked_at(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        digest = (await plans.status(run)).digest
        plans.approvals.approve(digest, by="ada", how="terminal")
        await page.opens(f"/runs/{run}")
        fields = dict(page.fields)
        assert "Discarded: it stays" in await page.sends(f"/runs/{run}/discard", because="<b>no</b> need")
        assert "&lt;b&gt;no&lt;/b&gt; need" in page.html
        for gone in ("Approve</button>", "Discard the plan", "stratum resume"):
            assert gone not in page.html
        assert "upper" in page.html
        assert plans.approvals.find(digest) is None
        assert 'class="mark discarded"' in await page.opens("/")
        assert "to be approved" not in page.html
        for act in ("edit", "approve", "revoke", "discard"):
            page.fields = dict(fields)
            assert "It was discarded meanwhile" in await page.sends(f"/runs/{run}/{act}", text=EDITED)
        assert plans.approvals.find(digest) is None


async def test_a_plan_that_changed_since_it_was_shown_is_not_discarded(tmp_path: Path) -> None:
    async with project(tmp_path, steps=[upper]) as (plans, page):
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}")
        await plans.revise(run, read_plan(EDITED), by="agent")
        assert "nothing was discarded. This is the plan now" in await page.sends(f"/runs/{run}/discard")
        assert page.status == 409
        assert (await plans.status(run)).state == "draft"
        assert "Discarded: it stays" in await page.sends(f"/runs/{run}/discard")


async def test_a_plan_whose_functions_cannot_be_imported_cannot_be_approved(tmp_path: Path) -> None:
    def broken(modules: object) -> Functions:
        raise SystemExit("no such module")

    async with project(tmp_path, steps=[upper]) as (plans, _), served(tmp_path, functions=broken) as page:
        run = await proposed(plans, PLAN, text="hello")
        await page.opens(f"/runs/{run}")
        assert "its functions cannot be imported: SystemExit: no such module" in page.html
        assert "Approve</button>" not in page.html


@pytest.mark.parametrize("size", [10, 5_000_000])
async def test_hostile_texts_of_a_plan_are_shown_as_texts(tmp_path: Path, size: int) -> None:
    goal = HOSTILE + "x" * size
    async with project(tmp_path) as (plans, page):
        step = Step(id="a", intent=f"{goal}\0", output="str", ensure=Ensure(judge=f"{HOSTILE} holds"))
        hostile = ExecutionPlan(goal=goal, steps=(step,))
        run = (await plans.propose(hostile, by=HOSTILE)).run
        for path in ("/", f"/runs/{run}", f"/runs/{run}/report"):
            html = await page.opens(path)
            browser = seen(html)
            assert page.status == 200
            assert not {"img", "iframe"} & browser.tags, path
            assert html.count("<script") == (0 if path.endswith("report") else 1)
            assert "\u202e" not in html and "\0" not in html
        await page.opens(f"/runs/{run}")
        assert ("Approve</button>" in page.html) is (size < 1000)
        assert ("too long to be read on a page" in page.html) is (size > 1000)


async def test_a_text_in_the_address_is_never_shown(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, "steps: [{id: a, command: [echo, hello]}]")
        assert "hacked" not in await page.opens(f"/runs/{run}?said=hacked")
