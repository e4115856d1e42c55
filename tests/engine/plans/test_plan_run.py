"""A plan's run: what is done, skipped, mended, asked, stopped and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, assigned, open_project, reported, standing, started
from trio.testing import MockClock

from stratum import BudgetExceeded, ContractViolation, RunLocked, UnknownRun, compute, contract, infer
from stratum.contracts.errors import RunError
from stratum.contracts.plans.errors import NotApproved, PlanFailed, RunCancelled, StaleTicket, StepNotReady
from stratum.contracts.plans.status import Verdict
from stratum.contracts.plans.text import read_plan
from stratum.contracts.records import Approved, CallFinished, PlanProposed, RunFinished, RunResumed, Skipped, StepsDone
from stratum.engine.providers.scripted import scripted


@contract
class Word:
    text: str


calls: list[str] = []


@compute(inline=True)
def upper(word: Word) -> Word:
    calls.append(f"upper {word.text}")
    return Word(text=word.text.upper())


@compute
def count(words: list[str]) -> int:
    calls.append(f"count {len(words)}")
    return len(words)


@compute(inline=True)
def fail(about: str) -> Word:
    calls.append(f"fail {about}")
    raise LookupError(f"nothing about {about}")


@compute
async def nap(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


@infer(intent="Say a word about {about}", max_output_tokens=100, retries=1)
def say(about: str) -> Word: ...


@compute
async def stumble(seconds: float) -> float:
    await trio.sleep(seconds)
    raise LookupError("nothing there")


STEPS = [upper, count, fail, nap, say]

CHAIN = """
input: {about: str}
steps:
- {id: a, fn: say, inputs: {about: $.input.about}}
- {id: b, fn: upper, inputs: {word: $.steps.a.output}}
- {id: c, fn: count, inputs: {words: [$.steps.a.output.text, $.steps.b.output.text]}}
output: $.steps.b.output.text
"""


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    calls.clear()


async def test_calls_and_functions_are_done_in_order_and_their_values_passed_on(tmp_path: Path) -> None:
    async with open_project(tmp_path, provider=scripted(Word(text="rain")), steps=STEPS) as plans:
        run = await started(plans, CHAIN, {"about": "weather"})
        assert await run.result() == "RAIN"
        status = await plans.status(run.id)
    assert status.state == "succeeded"
    assert standing(status) == {"a": "done", "b": "done", "c": "done"}
    assert calls == ["upper rain", "count 2"]


async def test_nothing_runs_unapproved_and_a_changed_plan_is_approved_anew(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=STEPS) as plans:
        draft = await plans.propose(read_plan(CHAIN), {"about": "x"}, by="agent")
        with pytest.raises(NotApproved, match="stratum approve"):
            await plans.start(draft.run)
        other = await plans.propose(read_plan(CHAIN), {"about": "y"}, by="agent")
        assert other.digest != draft.digest, "inputs may reach commands: they are approved too"
        plans.approvals.approve(other.digest, by="ada", how="terminal")
        with pytest.raises(NotApproved):
            await plans.start(draft.run)
        plans.approvals.approve(draft.digest, by="ada", how="terminal")
        edited = await plans.revise(draft.run, read_plan(CHAIN + "\ngoal: another"), by="ada")
        assert edited.digest != draft.digest
        with pytest.raises(NotApproved):
            await plans.start(draft.run)
    assert calls == []


async def test_inputs_are_held_against_what_the_plan_takes(tmp_path: Path) -> None:
    """CASES H2."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        with pytest.raises(ContractViolation) as caught:
            await plans.propose(read_plan(CHAIN), {"abut": "x"}, by="agent")
        assert "abut: is not an input of this plan" in str(caught.value)
        assert "about: expected str, got nothing" in str(caught.value)
        with pytest.raises(ContractViolation, match="about"):
            await plans.propose(read_plan(CHAIN), {"about": 3}, by="agent")
        assert [run.name for run in await plans.runtime.journal.runs()] == ["session"]
        await plans.propose(read_plan(CHAIN), {"about": "x"}, by="agent")
        assert len(await plans.runtime.journal.runs()) == 2


async def test_an_unknown_run_is_told(tmp_path: Path) -> None:
    """CASES H3."""
    async with open_project(tmp_path) as plans:
        for ask in (plans.status, plans.plan, plans.start):
            with pytest.raises(UnknownRun):
                await ask("nothing")


AGENTS = """
contracts:
  Found: {type: object, properties: {count: {type: integer, minimum: 1}}, required: [count]}
steps:
- {id: a, intent: Look for one, output: Found}
- {id: b, intent: Look for another, output: Found}
- id: c
  intent: Add them up
  inputs: {counts: [$.steps.a.output.count, $.steps.b.output.count]}
  output: Found
  ensure: result.count == sum(inputs.counts)
  retries: 1
"""


async def test_parallel_assignments_come_together_with_their_inputs_resolved(tmp_path: Path) -> None:
    """CASES H4."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        await assigned(run, "a")
        await assigned(run, "b")
        assert [assignment.step for assignment in run.status().assignments] == ["a", "b"]
        assert (await reported(run, "b", {"count": 2})).accepted
        assert (await reported(run, "a", {"count": 1})).accepted
        assignment = await assigned(run, "c")
        assert assignment.inputs == {"counts": [1, 2]}
        assert assignment.schema["properties"]["count"]["minimum"] == 1
        assert assignment.ensure == ("result.count == sum(inputs.counts)",)
        assert (assignment.attempt, assignment.attempts_left) == (1, 1)
        assert (await run.report("c", {"count": 3}, ticket=assignment.ticket)).accepted
        assert await run.result() == {"count": 3}


async def test_a_result_of_the_wrong_form_uses_an_attempt_and_is_told(tmp_path: Path) -> None:
    """CASES H5, H7."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        verdict = await reported(run, "a", {"count": 0, "more": True})
        assert not verdict.accepted
        assert [violation.kind for violation in verdict.violations] == ["schema", "schema"]
        assert verdict.again is not None
        assert (verdict.again.attempt, verdict.again.inputs) == (2, {})
        assert "count" in verdict.again.message


async def test_a_violated_condition_is_sent_back_with_actual_values_until_retries_are_used_up(tmp_path: Path) -> None:
    """CASES H6, H8."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        await reported(run, "a", {"count": 1})
        await reported(run, "b", {"count": 2})
        first = await reported(run, "c", {"count": 4})
        assert first.again is not None
        assert first.again.message == (
            "Previous attempt failed:\n"
            "  - ensure: result.count == sum(inputs.counts) (actual: result.count = 4, sum(inputs.counts) = 3)\n"
            "Fix these issues specifically."
        )
        assert first.again.attempts_left == 0
        last = await reported(run, "c", {"count": 5})
        assert (last.accepted, last.failed, last.again) == (False, True, None)
        with pytest.raises(PlanFailed, match="step c failed"):
            await run.result()
        with pytest.raises(StepNotReady):
            await run.report("c", {"count": 3}, ticket="c:3:guess")
        assert standing(await plans.status(run.id)) == {"a": "done", "b": "done", "c": "failed"}


async def test_a_report_is_idempotent_by_its_ticket(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        assignment = await assigned(run, "a")
        verdicts: list[Verdict] = []

        async def report() -> None:
            verdicts.append(await run.report("a", {"count": 1}, ticket=assignment.ticket))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(report)
        assert len(verdicts) == 3
        assert all(verdict == verdicts[0] for verdict in verdicts)
        assert verdicts[0].accepted
        with pytest.raises(StaleTicket, match="with another result"):
            await run.report("a", {"count": 2}, ticket=assignment.ticket)
        with pytest.raises(StepNotReady):
            await run.report("a", {"count": 1}, ticket="a:1:another")
        with pytest.raises(StepNotReady):
            await run.report("c", {"count": 1}, ticket="c:1:early")


async def test_an_agent_that_gives_up_uses_an_attempt(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        assignment = await assigned(run, "a")
        verdict = await run.fail("a", "no such file", ticket=assignment.ticket)
        assert not verdict.accepted
        assert "no such file" in verdict.violations[0].detail
        assert (await reported(run, "a", {"count": 1})).accepted


WHEN = """
input: {text: str}
steps:
- {id: a, fn: upper, inputs: {word: {text: $.input.text}}}
- {id: b, fn: upper, inputs: {word: $.steps.a.output}, when: inputs.word.text == "B"}
- {id: c, fn: upper, inputs: {word: {text: c}}, when: steps.b.output.text == "B"}
- {id: d, intent: Look, inputs: {word: $.steps.b.output}, depends_on: [c], output: str}
"""


@pytest.mark.parametrize(
    ("text", "becomes", "output", "called"),
    [
        ("b", "done", {"text": "B"}, ["upper b", "upper B", "upper c"]),
        ("a", "skipped", None, ["upper a"]),  # and so is what looks into the output of a skipped one
    ],
)
async def test_a_step_is_done_when_its_condition_holds_and_else_skipped_with_null_for_its_output(
    text: str, becomes: str, output: Any, called: list[str], tmp_path: Path
) -> None:
    """CASES H14, H15."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, WHEN, {"text": text})
        assert (await assigned(run, "d")).inputs == {"word": output}
        await reported(run, "d", "seen")
        assert await run.result() == "seen"
        assert standing(run.status()) == {"a": "done", "b": becomes, "c": becomes, "d": "done"}
        records = await plans.runtime.journal.read(run.id)
    assert calls == called
    why = {record.call: record.why for record in records if isinstance(record, Skipped)}
    assert [call for call, reason in why.items() if reason] == ([] if becomes == "done" else ["b", "c"])


STAND_IN = """
steps:
- {id: a, fn: fail, inputs: {about: x}, on_fail: b}
- {id: b, fn: upper, inputs: {word: {text: instead}}}
- {id: c, fn: upper, inputs: {word: $.steps.a.output}}
"""


async def test_a_stand_in_takes_the_place_of_a_step_that_failed(tmp_path: Path) -> None:
    """CASES H12."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, STAND_IN)
        assert await run.result() == {"text": "INSTEAD"}
        assert standing(run.status()) == {"a": "failed", "b": "done", "c": "done"}


async def test_a_stand_in_is_skipped_where_nothing_failed(tmp_path: Path) -> None:
    text = STAND_IN.replace("fn: fail, inputs: {about: x}", "fn: upper, inputs: {word: {text: fine}}")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        assert await run.result() == {"text": "FINE"}
        assert standing(run.status())["b"] == "skipped"


FAILING = """
fail_fast: false
steps:
- {id: a, fn: fail, inputs: {about: x}}
- {id: b, fn: upper, inputs: {word: $.steps.a.output}}
- {id: c, fn: upper, inputs: {word: {text: free}}}
"""


async def test_what_does_not_depend_on_a_failure_is_finished_where_the_plan_says_so(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, FAILING)
        with pytest.raises(PlanFailed) as caught:
            await run.result()
        assert list(caught.value.failed) == ["a"]
        assert standing(run.status()) == {"a": "failed", "b": "blocked", "c": "done"}
        assert (await plans.status(run.id)).state == "failed"


async def test_a_failed_run_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    """CASES H39."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, FAILING)
        with pytest.raises(PlanFailed):
            await run.result()
        calls.clear()
        run = await plans.start(run.id)
        with pytest.raises(PlanFailed):
            await run.result()
    assert calls == ["fail x"]


GATE = """
steps:
- {id: a, intent: Write it, output: str}
- {id: g, gate: {question: Ship it?, revise: a, max_rounds: 1, timeout_s: 60}, depends_on: [a]}
- {id: c, fn: upper, inputs: {word: {text: $.steps.a.output}}, depends_on: [g]}
budget: {ms: 10000}
"""


async def test_a_gate_is_revised_and_approved(tmp_path: Path) -> None:
    """CASES H13, H25, H26."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, GATE)
        await reported(run, "a", "draft")
        question = await asked(run, "g")
        assert (question.options, question.round) == (("approve", "revise", "kill"), 1)
        assert run.status().state == "paused"
        run.answer("g", "revise", by="ada", comment="shorter")
        again = await assigned(run, "a")
        assert "ensure: Ship it? (shorter)" in again.message
        await reported(run, "a", "final")
        question = await asked(run, "g")
        assert (question.options, question.round) == (("approve", "kill"), 2)
        with pytest.raises(StepNotReady, match="not offered; answer one of: approve, kill"):
            run.answer("g", "revise", by="ada")
        run.answer("g", "approve", by="ada")
        assert await run.result() == {"text": "FINAL"}
        with pytest.raises(StepNotReady):
            run.answer("g", "approve", by="ada")


async def test_a_gate_may_end_the_run(tmp_path: Path) -> None:
    """CASES H25."""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, GATE)
        await reported(run, "a", "draft")
        await asked(run, "g")
        run.answer("g", "kill", by="ada", comment="not now")
        with pytest.raises(RunCancelled, match="ada ended it at gate g: not now"):
            await run.result()
        assert (await plans.status(run.id)).state == "cancelled"


async def test_waiting_for_a_person_uses_no_budget(tmp_path: Path, autojump_clock: MockClock) -> None:
    """CASES D11."""
    text = GATE.replace("timeout_s: 60", "timeout_s: 600")
    async with open_project(tmp_path, steps=STEPS, journal=None) as plans:
        run = await started(plans, text)
        await reported(run, "a", "draft")
        await asked(run, "g")
        left = run.status().left["ms"]
        await trio.sleep(500)
        assert run.status().left["ms"] == left
        run.answer("g", "approve", by="ada")
        assert await run.result() == {"text": "DRAFT"}


async def test_an_agent_at_work_does_use_the_budget(tmp_path: Path, autojump_clock: MockClock) -> None:
    """CASES H21."""
    async with open_project(tmp_path, steps=STEPS, journal=None) as plans:
        run = await started(plans, GATE)
        await assigned(run, "a")
        started_at = trio.current_time()
        with pytest.raises(BudgetExceeded) as caught:
            await run.result()
        assert caught.value.resource == "ms"
        assert trio.current_time() - started_at == pytest.approx(10, abs=0.01)
        assert (await plans.status(run.id)).state == "exhausted"


async def test_a_report_after_the_end_is_told_how_it_ended(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, "steps:\n- {id: a, fn: think}")
        assignment = await assigned(run, "a")
        run.cancel("enough")
        with pytest.raises(RunCancelled):
            await run.result()
        with pytest.raises(RunCancelled, match="enough"):
            await run.report("a", 1, ticket=assignment.ticket)


async def test_a_step_has_a_budget_of_its_own(tmp_path: Path, autojump_clock: MockClock) -> None:
    """CASES H20."""
    text = "steps: [{id: a, fn: nap, inputs: {seconds: 60.0}, budget: {ms: 1000}}]"
    async with open_project(tmp_path, steps=STEPS, journal=None) as plans:
        run = await started(plans, text)
        with pytest.raises(PlanFailed, match=r"a: 1,000 ms of 1,000 ms spent"):
            await run.result()
        assert trio.current_time() < 2


async def test_a_run_is_cancelled_and_gone_on_with(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        assert (await reported(run, "a", {"count": 1})).accepted
        run.cancel("enough for today")
        with pytest.raises(RunCancelled, match="enough for today"):
            await run.result()
        status = await plans.status(run.id)
        assert (status.state, standing(status)["a"]) == ("cancelled", "done")
        run = await plans.start(run.id)
        await reported(run, "b", {"count": 2})
        await reported(run, "c", {"count": 3})
        assert await run.result() == {"count": 3}
        with pytest.raises(RunError, match="it has succeeded"):
            await plans.start(run.id)


async def test_a_report_that_comes_before_its_step_is_out_again_waits_for_that(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        before = await assigned(run, "a")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        assert run.assignments == {}
        with pytest.raises(StepNotReady):
            await run.report("a", {"count": 1}, ticket="a:1:guess")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        assert run.assignments == {}
        assert (await run.report("a", {"count": 1}, ticket=before.ticket)).accepted


async def test_a_report_that_comes_before_its_step_is_out_again_learns_of_the_runs_end(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        before = await assigned(run, "a")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        run.cancel("enough for today")
        with pytest.raises(StepNotReady):
            await run.report("a", {"count": 1}, ticket=before.ticket)


async def test_a_plan_that_is_done_gives_its_last_steps_output_the_traces_and_how_long_it_took(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """CASES H18."""
    text = """
    steps:
    - {id: a, fn: nap, inputs: {seconds: 2.0}}
    - {id: b, fn: nap, inputs: {seconds: 3.0}, depends_on: [a]}
    """
    async with open_project(tmp_path, steps=STEPS, journal=None) as plans:
        run = await started(plans, text)
        assert await run.result() == 3.0
        assert (await plans.status(run.id)).state == "succeeded"
        records = await plans.runtime.journal.read(run.id)
    traces = [record.trace for record in records if isinstance(record, CallFinished)]
    assert [(trace.step_id, trace.output, trace.duration_ms) for trace in traces] == [
        ("a", 2.0, 2000),
        ("b", 3.0, 3000),
    ]
    (finished,) = [record for record in records if isinstance(record, RunFinished)]
    assert (finished.state, bytes(finished.output), finished.elapsed_ms) == ("succeeded", b"3.0", 5000)


async def test_a_session_that_ends_leaves_the_run_to_the_next(tmp_path: Path) -> None:
    """CASES H39."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        await reported(run, "a", {"count": 1})
        assert not (await reported(run, "b", {"count": 0})).accepted
        before = await assigned(run, "b")
    async with open_project(tmp_path) as plans:
        status = await plans.status(run.id)
        assert (status.state, standing(status)) == ("interrupted", {"a": "done", "b": "handed_out", "c": "waiting"})
        run = await plans.start(run.id)
        again = await assigned(run, "b")
        assert (again.ticket, again.attempt) == (before.ticket, 2), "who was at work may still report"
        assert (await run.report("b", {"count": 2}, ticket=before.ticket)).accepted
        await reported(run, "c", {"count": 3})
        assert await run.result() == {"count": 3}
        records = await plans.runtime.journal.read(run.id)
        assert sum(isinstance(record, RunResumed) for record in records) == 2


async def test_one_process_at_a_time_runs_a_plan(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans, open_project(tmp_path) as others:
        run = await started(plans, AGENTS)
        await assigned(run, "a")
        with pytest.raises(RunLocked):
            await others.start(run.id)
        assert (await others.status(run.id)).state == "running"


SUB_PLAN = """
input: {about: str}
plans:
  look:
    input: {about: str}
    steps:
    - {id: "1", fn: say, inputs: {about: $.input.about}}
    - {id: "2", fn: upper, inputs: {word: $.steps.1.output}}
    output: $.steps.2.output.text
steps:
- {id: a, fn: look, inputs: {about: $.input.about}}
- {id: b, intent: Use it, inputs: {text: $.steps.a.output}, output: str}
"""


async def test_a_step_runs_the_steps_of_another_plan(tmp_path: Path) -> None:
    """CASES H35."""
    async with open_project(tmp_path, provider=scripted(Word(text="rain")), steps=STEPS) as plans:
        run = await started(plans, SUB_PLAN, {"about": "weather"})
        assert (await assigned(run, "b")).inputs == {"text": "RAIN"}
        await reported(run, "b", "used")
        assert await run.result() == "used"
    async with open_project(tmp_path, steps=STEPS) as plans:
        assert standing(await plans.status(run.id)) == {"a": "done", "b": "done"}


INFER = """
contracts:
  Word: {type: object, properties: {text: {type: string}}, required: [text]}
steps:
- {id: a, kind: infer, intent: "Say {one} word", inputs: {about: rain, like: [x]}, output: Word, ensure: len(result.text) > 1}
"""


async def test_a_call_nobody_wrote_as_a_function_has_its_plans_conditions(tmp_path: Path) -> None:
    provider = scripted({"text": "x"}, {"text": "xyz"})
    async with open_project(tmp_path, provider=provider) as plans:
        run = await started(plans, INFER)
        assert await run.result() == {"text": "xyz"}
        first, second = provider.received
        assert first.instructions.startswith("Say {one} word")
        assert first.inputs == 'about: rain\nlike: ["x"]'
        assert "len(result.text) > 1" in second.messages[0]
        (status,) = run.status().steps
        assert (status.attempts, len(status.retries)) == (2, 1)


REPAIRED_CALL = """
steps:
- {id: a, fn: say, inputs: {about: rain}}
- {id: b, intent: Check it, inputs: {word: $.steps.a.output}, output: bool, ensure: result, repair: a}
"""


async def test_a_call_that_another_step_rejects_goes_on_from_its_answer(tmp_path: Path) -> None:
    provider = scripted(Word(text="wet"), Word(text="rain"))
    async with open_project(tmp_path, provider=provider, steps=STEPS) as plans:
        run = await started(plans, REPAIRED_CALL)
        assert not (await reported(run, "b", False)).accepted
        assert (await assigned(run, "b")).inputs == {"word": {"text": "rain"}}
        assert provider.received[1].messages == (
            "Previous attempt failed:\n  - ensure: result (actual: False)\nFix these issues specifically.",
        )
        await reported(run, "b", True)
        assert await run.result() is True


REPEATED = """
steps:
- id: a
  intent: Improve it
  output: int
  repeat: {until: result >= 9, limit: 5, score: result}
"""


async def test_a_step_is_repeated_until_it_is_good_enough(tmp_path: Path) -> None:
    """CASES H33."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, REPEATED)
        for result in (3, 7, 9):
            assert (await reported(run, "a", result)).accepted
        assert await run.result() == 9
        assert (await plans.status(run.id)).steps[0].attempts == 3


async def test_the_best_result_counts_where_none_is_good_enough_and_equal_ones_end_it(tmp_path: Path) -> None:
    """CASES H33."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, REPEATED)
        for result in (3, 7, 5, 5, 5):
            await reported(run, "a", result)
        assert await run.result() == 7
        run = await started(plans, REPEATED.replace("limit: 5", "limit: 50"))
        for result in (6, 4, 4, 4):
            await reported(run, "a", result)
        assert await run.result() == 6


async def test_a_repetition_is_gone_on_with(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, REPEATED)
        for result in (8, 3):
            await reported(run, "a", result)
        await assigned(run, "a")
    async with open_project(tmp_path) as plans:
        run = await plans.start(run.id)
        for result in (1, 1):
            await reported(run, "a", result)
        assignment = await assigned(run, "a")
        await run.report("a", 2, ticket=assignment.ticket)
        assert await run.result() == 8


PLAIN = """
steps:
- {id: a, fn: upper, inputs: {word: {text: a}}}
- {id: b, fn: upper, inputs: {word: $.steps.a.output}}
- {id: c, fn: fail, inputs: {about: $.steps.b.output.text}, depends_on: [b]}
- {id: d, fn: upper, inputs: {word: $.steps.c.output}}
"""


async def test_steps_that_only_compute_are_recorded_together_and_not_done_again(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, PLAIN)
        with pytest.raises(PlanFailed, match="nothing about A"):
            await run.result()
        records = await plans.runtime.journal.read(run.id)
        (together,) = [record for record in records if isinstance(record, StepsDone)]
        assert [done.step for done in together.steps] == ["a", "b"]
        assert standing(await plans.status(run.id)) == {"a": "done", "b": "done", "c": "failed", "d": "blocked"}
        calls.clear()
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await plans.start(run.id)
        with pytest.raises(PlanFailed, match="nothing about A"):
            await run.result()
    assert calls == ["fail A"]


async def test_a_session_that_ends_at_the_moment_at_which_a_step_fails_just_ends(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = "steps: [{id: a, fn: stumble, inputs: {seconds: 3.0}}]"
    async with open_project(tmp_path, steps=[stumble], journal=None) as plans:
        run = await started(plans, text)
        with trio.move_on_after(3):
            await run.ended.wait()
    assert run.ended.is_set()


async def test_a_record_that_claims_the_digest_of_an_approved_plan_starts_nothing(tmp_path: Path) -> None:
    """The journal is in reach of what plans run: whose approval counts is worked out from the plan itself."""
    approved = "steps: [{id: a, fn: count, inputs: {words: [x]}}]"
    other = "steps: [{id: a, fn: count, inputs: {words: [x, y]}}]"
    async with open_project(tmp_path, steps=[count]) as plans:
        run = await started(plans, approved)
        await run.result()
        claimed = (await plans.status(run.id)).digest
        draft = await plans.propose(read_plan(other), by="agent")
        journal = plans.runtime.journal
        last = [record for record in await journal.read(draft.run) if isinstance(record, PlanProposed)][-1]
        await journal.claim(draft.run)
        await journal.commit(draft.run, msgspec.structs.replace(last, digest=claimed))
        await journal.release(draft.run)
        calls.clear()
        with pytest.raises(RunError, match="the digest of another plan"):
            await plans.start(draft.run)
    assert not calls


async def test_an_approval_that_only_the_journal_claims_starts_nothing(tmp_path: Path) -> None:
    """It is in reach of what plans run, as the user's own folder is not."""
    async with open_project(tmp_path, steps=[count]) as plans:
        draft = await plans.propose(read_plan("steps: [{id: a, fn: count, inputs: {words: [x]}}]"), by="agent")
        journal = plans.runtime.journal
        await journal.claim(draft.run)
        await journal.commit(draft.run, Approved(digest=draft.digest, by="ada", how="terminal"))
        await journal.release(draft.run)
        calls.clear()
        with pytest.raises(NotApproved):
            await plans.start(draft.run)
        assert not calls
        plans.approvals.approve(draft.digest, by="ada", how="terminal")
        await (await plans.start(draft.run)).result()


async def test_an_approval_that_was_taken_back_is_not_gone_on_with(tmp_path: Path) -> None:
    text = "steps: [{id: a, gate: {question: Go on?}}]"
    async with open_project(tmp_path) as plans:
        run = await started(plans, text)
        await asked(run, "a")
        digest = run.status().digest
    async with open_project(tmp_path) as plans:
        plans.approvals.revoke(digest)
        with pytest.raises(NotApproved):
            await plans.start(run.id)
        plans.approvals.approve(digest, by="ada", how="terminal")
        run = await plans.start(run.id)
        await asked(run, "a")
        run.answer("a", "approve", by="ada")
        await run.result()
    async with open_project(tmp_path) as plans:
        approved = [record for record in await plans.runtime.journal.read(run.id) if isinstance(record, Approved)]
    assert [(record.digest, record.by) for record in approved] == [(digest, "ada")]
