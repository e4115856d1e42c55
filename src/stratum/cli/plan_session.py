"""Plans from the command line: shown, approved at the terminal, run, asked about."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import trio

from stratum.actors.locations import state_home
from stratum.actors.page_address import page_address, page_of
from stratum.cli.reading import read_past_calls, read_plan_history
from stratum.cli.target import imported, steps_of
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import NotApproved
from stratum.contracts.plans.render import given_inputs, render_details
from stratum.contracts.plans.status import PlanStatus, Question
from stratum.contracts.problem import shown, visible
from stratum.engine.flow_call import Raised
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.auto_approval import Ruling
from stratum.engine.plans.approval.beforehand import NO_PAST, ruling_beforehand
from stratum.engine.plans.approval.policy import approves_by_cost, policy_or_problem
from stratum.engine.plans.approval.proposal import refuse_discarded
from stratum.engine.plans.codex_exec import Codex
from stratum.engine.plans.codex_worker import CodexWorker
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import Plans, open_plans
from stratum.engine.runtime import Runtime

TYPED = 6
"""Characters of the digest that are typed to approve: enough to have looked at it."""


def functions_in(modules: Sequence[str]) -> Functions:
    """The steps that a plan may name, from `file.py` and module names."""
    return Functions(step for place in modules for step in steps_of(imported(place)))


def compiled_of(past: PlanHistory, modules: Sequence[str] = ()) -> tuple[CompiledPlan, Functions]:
    """The plan of a run, checked, and the functions that it may name: those of `modules` besides those it was proposed with."""
    functions = functions_in([*past.modules, *modules])
    return compile_plan(past.plan, functions.registry), functions


def ruling_on(compiled: CompiledPlan, *, functions: Functions, journal: Path) -> Ruling:
    """What the user's policy says of a plan that has not begun."""
    policy = policy_or_problem(state_home())
    past = read_past_calls(journal) if approves_by_cost(policy) else NO_PAST
    return ruling_beforehand(policy, compiled, functions, past=past)


def approve_at_terminal(
    run: str,
    digest: str,
    compiled: CompiledPlan,
    *,
    inputs: Mapping[str, Any],
    approvals: Approvals,
    journal: Path | None,
    policy: str,
) -> None:
    """Show all that would be approved, and have the head of its digest typed; or go on once it was approved on the page.

    `policy` is what the user's says, for them to know: at a terminal they are asked all the same.

    Raises:
        NotApproved: it was not.
        RunError: it was discarded while it was read.
    """
    if approvals.find(digest) is not None:
        return
    # Without its first line, the plan's own digest: what is approved has the inputs in it, and two would be one too many.
    click.echo(render_details(compiled).partition("\n")[2], err=True)
    if inputs:
        click.echo("\n".join(["", *given_inputs(inputs)]), err=True)
    if policy:
        click.echo(f"policy: {policy}", err=True)
    click.echo(f"digest of all this: {digest}", err=True)
    if journal is not None and (address := page_address(journal, run=run)) is not None:
        click.echo(f"or approve it at {address}, then press Enter here", err=True)
    typed = click.prompt(
        f"to approve, type the first {TYPED} characters of the digest", err=True, default="", show_default=False
    ).strip()
    if approvals.find(digest) is not None:  # on the page, meanwhile
        return
    if len(typed) < TYPED or not digest.startswith(typed.lower()):
        why = f": {shown(typed)} is not the beginning of that digest" if typed else ""
        raise NotApproved(run=run, digest=digest, problem=f"this plan was not approved{why}")
    if journal is not None:  # where somebody may have discarded it, meanwhile
        refuse_discarded(run, read_plan_history(journal, run))
    approvals.approve(digest, by=getpass.getuser(), how="terminal")


async def run_plan(
    runtime: Runtime,
    compiled: CompiledPlan,
    inputs: dict[str, Any],
    *,
    functions: Functions,
    modules: Sequence[str],
    agent: str | None,
) -> Any:
    """Propose a plan, have it approved at the terminal, and run it to its end."""
    async with open_plans(runtime, functions=functions, agents=_agents(agent)) as plans:
        draft = await plans.propose(compiled.plan, inputs, by=getpass.getuser(), modules=modules)
        # As it was proposed, which is with what it will probably take.
        return await _begun(plans, draft, draft.digest, await plans.compiled(draft.run))


async def resume_plan(runtime: Runtime, run: str, *, modules: Sequence[str], raised: Raised, agent: str | None) -> Any:
    """Go on with a plan's run, once it is approved."""
    functions = functions_in(modules)
    async with open_plans(runtime, functions=functions, agents=_agents(agent)) as plans:
        status = await plans.status(run)
        if agent is None:
            left = [step for step in status.steps if step.kind == "agent" and step.standing not in ("done", "skipped")]
            refuse_agent_steps([(step.id, step.fn) for step in left], raising=run if raised else "")
        compiled = compile_plan(await plans.plan(run), functions.registry)
        digest = await plans.shown_digest(run)
        return await _begun(plans, status, digest, compiled, raised=raised)


async def _begun(
    plans: Plans, status: PlanStatus, digest: str, compiled: CompiledPlan, *, raised: Raised = None
) -> Any:
    """A person at the terminal is asked; where there is none, the plan starts if it is approved already, or by their policy."""
    run, journal = status.run, plans.runtime.journal.path
    if sys.stdin.isatty():
        inputs = await plans.inputs(run)

        async def asked() -> None:
            # Not in a thread: Ctrl-C must reach the prompt, and nothing else is to do yet.
            approve_at_terminal(
                run,
                digest,
                compiled,
                inputs=inputs,
                approvals=plans.approvals,
                journal=journal,
                policy=status.policy,
            )

        await plans.runtime.timed("person", asked())
    try:
        live = await plans.start(run, raised=raised, by=getpass.getuser())
    except NotApproved as refused:
        raise replace(refused, fix=how_to_approve(run, journal)) from refused
    return await _followed(live, journal)


def how_to_approve(run: str, journal: Path | None) -> str:
    """For whoever is at no terminal."""
    return f"run `stratum approve {run}` at a terminal, or approve it on {page_of(journal, run=run)}"


async def _followed(run: PlanRun, journal: Path | None) -> Any:
    """The run's result; meanwhile its gates are asked here."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ask_gates, run, journal)
        result = await run.result()
        nursery.cancel_scope.cancel(reason="the plan has ended")
    return result


async def _ask_gates(run: PlanRun, journal: Path | None) -> None:
    asked: set[tuple[str, int]] = set()
    status = run.status()
    while True:
        for question in status.questions:
            if (question.step, question.round) not in asked:
                asked.add((question.step, question.round))
                await _ask(run, question, journal)
        status = await run.changed(status.version)


async def _ask(run: PlanRun, question: Question, journal: Path | None) -> None:
    options = ", ".join(question.options)
    click.echo(f"gate {question.step} asks: {question.question}", err=True)
    if not sys.stdin.isatty():
        click.echo(
            f"  answer with: stratum gate {run.id} {question.step} DECISION, one of {options}; or on {page_of(journal, run=run.id)}",
            err=True,
        )
        return
    decision, comment = await trio.to_thread.run_sync(_prompted, question, abandon_on_cancel=True)
    if question.step in run.asking:  # else somebody was faster
        run.answer(question.step, decision, by=getpass.getuser(), comment=comment)


def _prompted(question: Question) -> tuple[Any, str]:
    decision = click.prompt("  decide", type=click.Choice(question.options), err=True)
    comment = "" if decision == "approve" else click.prompt("  comment", default="", show_default=False, err=True)
    return decision, comment


def _agents(agent: str | None) -> CodexWorker | None:
    if agent is None:
        return None
    codex = Codex()
    if not codex.installed:
        raise click.UsageError("--agent codex: there is no codex in PATH; install it (npm install -g @openai/codex)")
    return CodexWorker(codex)


def refuse_agent_steps(steps: Sequence[tuple[str, str]], *, raising: str = "") -> None:
    """Say what to do about steps, by id and name, that no agent is here for; they may be functions that were not found.

    `raising`: the run whose limits were to be raised as well.
    """
    if steps:
        named = ", ".join(f"{id} ({visible(fn)})" if fn else id for id, fn in steps[:10])
        raise click.UsageError(
            f"an agent would have to do these steps, and none is here: {named}; if they are functions of yours, name their file with "
            "--steps; else pass --agent codex, or let an agent run the plan through `stratum mcp`"
            + (f"; its limits alone are raised by `stratum raise {raising}`" if raising else "")
        )


def is_plan_file(target: str) -> bool:
    """Whether what is to be run is a plan's file, not a flow."""
    return Path(target).suffix in (".yaml", ".yml", ".json")
