"""What a user wants decided without being asked: read strictly, bound to one plan, and never for programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.engine.plans.plan_fixtures import asked, open_project, reported, standing, started

from stratum import Price, Runtime, compute, infer
from stratum.contracts.audit import audit_of
from stratum.contracts.plans.errors import NotApproved
from stratum.contracts.plans.text import read_plan
from stratum.contracts.records import Approved, GateAnswered
from stratum.engine.plans.approval.policy import Policy, read_policy
from stratum.engine.plans.judges import AttestedByPolicy
from stratum.engine.providers.scripted import scripted
from stratum.engine.report.facts import facts_of
from stratum.engine.report.page import report_page
from stratum.engine.settings import SettingsError

CHEAP = "budget: {usd: 0}\nsteps: [{id: a, fn: one}]"
COMPUTES = "[auto_approve]\ncompute = 0\n"


ASKS = "input: {word: str}\nbudget: {usd: 0.01}\nsteps: [{id: a, fn: ask, inputs: {word: $.input.word}}]"


@infer(intent="Say another word", max_output_tokens=100)
def ask(word: str) -> str: ...


@compute
def one() -> int:
    return 1


def write_policy(folder: Path, text: str) -> Path:
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    file = state / "policy.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


async def test_a_plan_within_the_policy_is_approved_by_it_and_recorded_so(tmp_path: Path) -> None:
    file = write_policy(tmp_path, COMPUTES)
    async with open_project(tmp_path, steps=[one]) as plans:
        draft = await plans.propose(read_plan(CHEAP), by="agent")
        assert (draft.state, draft.policy) == ("approved", f"{file} approves it")
        await (await plans.start(draft.run)).result()
        (approved,) = [each for each in await plans.runtime.journal.read(draft.run) if isinstance(each, Approved)]
    assert (approved.digest, approved.how, approved.by) == (draft.digest, "policy", str(file))


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ("steps: [{id: a, fn: one}]", "no budget in USD"),
        ("budget: {usd: 1}\nsteps: [{id: a, fn: one}]", "its budget of .* is above"),
        ("budget: {usd: 0}\nsteps: [{id: a, command: [ls]}]", "step a runs a program"),
        (
            "budget: {usd: 0}\nsteps: [{id: a, fn: one, ensure: {command: [ls]}}]",
            "a condition of step a runs a program",
        ),
        (
            "budget: {usd: 0}\nsteps: [{id: a, fn: one, ensure: 'command_succeeds(\"ls\")'}]",
            "a condition of step a runs a program",
        ),
        (
            "budget: {usd: 0}\nsteps: [{id: a, fn: one, when: 'command_succeeds(\"ls\")'}]",
            "a condition of step a runs a program",
        ),
        (
            "budget: {usd: 0}\nplans: {p: {steps: [{id: a, command: {argv: [ls], shell: true}}]}}\nsteps: [{id: b, fn: p}]",
            "step a runs a program",
        ),
        ("budget: {usd: 0}\nsteps: [{id: a, fn: write}]", "nobody can tell what its agent steps cost"),
        ("budget: {usd: 0}\nsteps: [{id: a, kind: infer, intent: x, output: int}]", "auto_approve has no infer"),
    ],
)
async def test_what_the_policy_does_not_bound_is_left_to_a_person(tmp_path: Path, plan: str, why: str) -> None:
    write_policy(tmp_path, f"{COMPUTES}agent = 0\n")
    async with open_project(tmp_path, steps=[one]) as plans:
        draft = await plans.propose(read_plan(plan), by="agent")
        assert draft.state == "draft"
        assert "leaves it to you: " in draft.policy
        with pytest.raises(NotApproved, match=why):
            await plans.start(draft.run)


async def test_a_policy_that_is_taken_back_approves_nothing_more(tmp_path: Path) -> None:
    file = write_policy(tmp_path, COMPUTES)
    async with open_project(tmp_path, steps=[one]) as plans:
        draft = await plans.propose(read_plan(CHEAP), by="agent")
        file.unlink()
        assert (await plans.status(draft.run)).state == "draft"
        with pytest.raises(NotApproved):
            await plans.start(draft.run)


async def test_a_price_put_into_the_work_tree_meanwhile_takes_the_policys_approval_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_policy(tmp_path, f"{COMPUTES}agent = 0\ninfer = 0.01")
    async with open_project(tmp_path, steps=[ask, one]) as plans:
        draft = await plans.propose(read_plan(ASKS), {"word": "x"}, by="agent")
        run = await plans.start(draft.run)
        run.cancel("by hand")
    (tmp_path / "stratum.toml").write_text("[prices.any]\ninput = 0\noutput = 0\n")
    async with open_project(tmp_path, provider=scripted("y"), steps=[ask, one]) as plans:
        with pytest.raises(NotApproved, match=r"stratum.toml sets the price of .any."):
            await plans.start(draft.run)
        plans.approvals.approve(draft.digest, by="ada", how="terminal")
        assert await (await plans.start(draft.run)).result() == "y"


async def test_what_calls_took_when_they_were_said_to_cost_nothing_is_not_what_they_will_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_policy(tmp_path, "[auto_approve]\ninfer = 0.01")
    dear = Price.per_million(input=1000, output=1000)
    model = scripted("y", price=dear)
    (tmp_path / "stratum.toml").write_text(f'[prices."{model.default_model}"]\ninput = 0\noutput = 0\n')
    async with open_project(tmp_path, provider=model, steps=[ask]) as plans:
        run = await started(plans, ASKS, {"word": "x"})
        await run.result()
        assert run.status().settled_picousd == 0
    (tmp_path / "stratum.toml").unlink()
    async with open_project(tmp_path, provider=scripted("y", price=dear), steps=[ask]) as plans:
        draft = await plans.propose(read_plan(ASKS), {"word": "z"}, by="agent")
        assert draft.state == "draft"
        with pytest.raises(NotApproved, match="its infer steps are estimated at"):
            await plans.start(draft.run)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("atest = true", 'did you mean "attest"'),
        ("attest = 1", "write true or false"),
        ('gates = "no"', 'write "ask", "flag" or "skip"'),
        ("gates = []", 'write "ask", "flag" or "skip"'),
        ("auto_approve = 1", "auto_approve is no table"),
        ("[auto_approve]\ncommand = 1", "programs are never approved"),
        ("[auto_approve]\ngate = 1", "no steps of kind"),
        ("[auto_approve]\ninfer = true", "write US dollars"),
        ("[auto_approve]\ninfer = -1", "write US dollars"),
        ("[auto_approve]\ninfer = nan", "write US dollars"),
        ('[auto_approve]\ninfer = "1"', "write US dollars"),
        ("x = ", "it is no TOML"),
        ("#" * 70_000, "shorten it"),
    ],
)
async def test_a_policy_that_is_not_understood_is_an_error_and_approves_nothing(
    tmp_path: Path, text: str, told: str
) -> None:
    file = write_policy(tmp_path, COMPUTES)
    async with open_project(tmp_path, steps=[one]) as plans:
        draft = await plans.propose(read_plan(CHEAP), by="agent")
        file.write_text(text)
        assert (await plans.status(draft.run)).state == "draft"
        with pytest.raises(SettingsError, match=told):
            await plans.start(draft.run)
        with pytest.raises(SettingsError, match=told):
            await plans.propose(read_plan(CHEAP), by="agent")


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_policy_that_others_write_to_is_an_error(tmp_path: Path, mode: int) -> None:
    write_policy(tmp_path, COMPUTES).chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_policy(tmp_path / "state")


def test_a_policy_in_a_folder_that_others_write_to_is_an_error(tmp_path: Path) -> None:
    write_policy(tmp_path, COMPUTES).parent.chmod(0o770)
    with pytest.raises(SettingsError, match="chmod 700"):
        read_policy(tmp_path / "state")


def test_a_link_a_pipe_and_a_folder_in_its_place_are_errors(tmp_path: Path) -> None:
    file = write_policy(tmp_path, COMPUTES)
    file.rename(tmp_path / "elsewhere.toml")
    file.symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(SettingsError, match="it is a link"):
        read_policy(file.parent)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(SettingsError, match="no file of yours"):
        read_policy(file.parent)
    file.unlink()
    file.mkdir(mode=0o700)
    with pytest.raises(SettingsError):
        read_policy(file.parent)


def test_without_a_file_a_person_is_asked_everything(tmp_path: Path) -> None:
    assert read_policy(tmp_path / "nowhere") == Policy()


@pytest.mark.parametrize("gates", ["flag", "skip"])
async def test_a_policy_approves_gates_one_after_another_on_the_record(tmp_path: Path, gates: str) -> None:
    """CASES H29."""
    write_policy(tmp_path, f'gates = "{gates}"')
    plan = "steps: [{id: g, gate: {question: Go on?}}, {id: h, gate: {question: Sure?}, depends_on: [g]}]"
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        await run.result()
        records = await plans.runtime.journal.read(run.id)
    answers = [(each.call, each.decision, each.policy) for each in records if isinstance(each, GateAnswered)]
    assert answers == [("g", "approve", gates), ("h", "approve", gates)]
    flags = [line.flags for line in audit_of(records)[0]]
    seen = "approved by policy, seen by nobody: "
    assert flags == ([(f"{seen}Go on?",), (f"{seen}Sure?",)] if gates == "flag" else [(), ()])


async def test_a_gate_that_is_reached_again_is_put_to_a_person(tmp_path: Path) -> None:
    """CASES H29."""
    write_policy(tmp_path, 'gates = "skip"')
    plan = """
    steps:
    - {id: a, fn: write, output: int}
    - {id: g, gate: {question: Go on?}, depends_on: [a]}
    - {id: b, fn: check, output: int, ensure: result > 1, repair: a, depends_on: [g]}
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        await reported(run, "a", 1)
        await reported(run, "b", 1)
        await reported(run, "a", 2)
        await asked(run, "g")
        assert standing(run.status())["g"] == "asking"
        run.answer("g", "approve", by="ada")
        await reported(run, "b", 2)
        await run.result()


def no_other_judge(runtime: Runtime) -> AttestedByPolicy:
    return AttestedByPolicy()


async def test_an_agents_word_is_taken_where_the_policy_says_so_and_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratum.engine.plans.plans.default_judge", no_other_judge)
    write_policy(tmp_path, "attest = true")
    async with open_project(tmp_path) as plans:
        run = await started(plans, "steps: [{id: a, fn: write, output: int, ensure: all is well}]")
        verdict = await reported(run, "a", 1)
        await run.result()
        (step,) = (await plans.status(run.id)).steps
        records = await plans.runtime.journal.read(run.id)
    assert (verdict.accepted, verdict.attested) == (True, ("all is well",))
    assert step.flags == ("attested, not verified: all is well",)
    assert "attested, not verified: all is well" in str(audit_of(records)[0][0])
    assert "accepted<br>attested, not verified: all is well" in report_page(facts_of(run.id, records, before={"a": ()}))


async def test_without_that_policy_a_person_is_asked_and_the_agents_word_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratum.engine.plans.plans.default_judge", no_other_judge)
    async with open_project(tmp_path, steps=[one]) as plans:
        run = await started(plans, "steps: [{id: a, fn: one, ensure: all is well}]")
        await asked(run, "a")
        run.answer("a", "approve", by="ada")
        await run.result()
