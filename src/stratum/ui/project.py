"""`Project`: what the pages show of one folder's plans and runs, as its journal and its approvals have it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import trio

from stratum.actors.journal import Journal
from stratum.actors.journal_records import Run
from stratum.contracts.errors import PlanError, RunError, described
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.status import PlanState
from stratum.contracts.records import PlanProposed, Record
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.auto_approval import Ruling
from stratum.engine.plans.approval.beforehand import NO_PAST, Beforehand, ruling_beforehand
from stratum.engine.plans.approval.policy import approves_by_cost, policy_or_problem
from stratum.engine.plans.approval.proposal import shown_digest
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.plan_view import recorded_status
from stratum.engine.plans.questions import OpenQuestion, open_questions
from stratum.engine.report.facts import RunFacts, facts_of

LISTED: Final = 100
"""Runs on the first page."""
_KEPT: Final = 200_000
"""Records of runs that are not read again while nothing was added to them."""
ALIVE: Final = ("running", "paused")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One run, as it was when it was looked at."""

    run: Run
    state: str
    """As the journal lists it; a draft that is approved is `approved`."""
    records: Sequence[Record]
    past: PlanHistory
    facts: RunFacts
    questions: Sequence[OpenQuestion]
    compiled: CompiledPlan | None
    """Of a plan that can be shown."""
    problem: str
    """Why it cannot be."""
    policy: str = ""
    """What the user's says of a plan that has not begun, and that they have not approved."""

    @property
    def id(self) -> str:
        return self.run.run

    @property
    def digest(self) -> str:
        """What an approval is bound to; empty for a flow."""
        return "" if self.past.proposed is None else self.past.proposed.digest

    @property
    def versions(self) -> list[PlanProposed]:
        """The plan as it was proposed, first and since."""
        return [record for record in self.records if isinstance(record, PlanProposed)]

    @property
    def in_review(self) -> bool:
        """It is a plan that has not begun: it can be edited, and approved."""
        return bool(self.digest) and not self.past.begun and self.past.finished is None

    @property
    def resumable(self) -> bool:
        """It is a plan's or a flow's: what is called outside of both ends with its process, and is not gone on with."""
        return bool(self.run.target)

    @property
    def why_not_in_review(self) -> str:
        """What is said, by its word in `SAID`, to whoever wanted to do with it what is done with a plan that has not begun."""
        return "was-discarded" if self.past.discarded else "begun"

    @property
    def alive(self) -> bool:
        """A process is at work on it, and can be asked something."""
        return self.state in ALIVE


class Unimportable(Exception):
    """A file or module that a plan's functions are in cannot be imported; the text says why. Never leaves the page."""


class Project:
    """Reads, and never keeps the loop waiting: folding and checking are done in threads."""

    def __init__(
        self, journal: Journal, approvals: Approvals, *, functions: Callable[[Sequence[str]], Functions]
    ) -> None:
        self.journal = journal
        self.approvals = approvals
        self._import = functions
        self._imported: dict[tuple[tuple[str, float], ...], Functions] = {}
        self._importing = trio.Lock()
        self._looked_at: dict[str, int] = {}
        """By session, how many of its records ask nobody."""
        self._asking: set[str] = set()
        """Sessions that asked a person something."""
        self._sights: OrderedDict[tuple[str, int, str], Sight] = OrderedDict()

    async def runs(self) -> list[Run]:
        """The latest plans, flows, and sessions that called something outside of both; newest first."""
        return await self.journal.runs(limit=LISTED, idle=False)

    async def unfinished(self, runs: Sequence[Run]) -> list[Sight]:
        """Those of the runs that may wait for somebody: drafts, and what a process is at work on."""
        return [
            await self.sight(run.run)
            for run in runs
            if run.state == "draft" or (run.state == "running" and (run.target or await self._asks(run.run)))
        ]

    async def _asks(self, session: str) -> bool:
        """Whether a person was asked outside of any flow: a session's records may be many, and only new ones are looked at."""
        if session not in self._asking:
            _, count = await self.journal.peek(session)
            if not await self.journal.has_asked(session, after=self._looked_at.get(session, 0)):
                self._looked_at[session] = count
                return False
            self._asking.add(session)
        return True

    async def sight(self, run: str) -> Sight:
        """One run.

        Raises:
            UnknownRun: not in this journal.
            JournalCorrupt: a record is missing or altered.
        """
        listed, count = await self.journal.peek(run)
        key = run, count, listed.state
        seen = self._sights.pop(key, None)
        if seen is None:
            records = await self.journal.read(run)
            seen = await trio.to_thread.run_sync(_seen, listed, records, await self._functions_of(records))
        self._sights[key] = seen
        while len(self._sights) > 1 and sum(len(each.records) for each in self._sights.values()) > _KEPT:
            self._sights.popitem(last=False)
        if seen.state != "draft":
            return seen
        if await trio.to_thread.run_sync(self.approvals.find, seen.digest) is None:
            ruling = await self._ruling(seen)
            if not ruling.approves:
                return replace(seen, policy=ruling.said)
            seen = replace(seen, policy=ruling.said)
        return replace(seen, state="approved", facts=msgspec.structs.replace(seen.facts, state="approved"))

    async def beforehand(self, modules: Sequence[str]) -> Beforehand:
        """For the plans whose functions are there. Raises as `functions`, and as `Beforehand`."""
        functions, past = await self.functions(modules), await self.journal.past_calls()
        return await trio.to_thread.run_sync(Beforehand, functions, past)

    async def _ruling(self, seen: Sight) -> Ruling:
        if seen.compiled is None:
            return Ruling()
        policy = await trio.to_thread.run_sync(policy_or_problem, self.approvals.home)
        past = await self.journal.past_calls() if approves_by_cost(policy) else NO_PAST
        try:
            functions = await self.functions(seen.past.modules)
        except Unimportable as problem:  # since it was checked
            return Ruling(broken=str(problem))
        return await trio.to_thread.run_sync(partial(ruling_beforehand, policy, seen.compiled, functions, past=past))

    async def functions(self, modules: Sequence[str]) -> Functions:
        """The steps in these files and modules, imported anew when a file has changed.

        Raises:
            Unimportable: one of them cannot be imported.
        """
        key = tuple((place, _changed_at(place)) for place in modules)
        async with self._importing:
            if key not in self._imported:
                self._imported[key] = await trio.to_thread.run_sync(self._loaded, modules)
            return self._imported[key]

    async def _functions_of(self, records: Sequence[Record]) -> Functions | str:
        """Those that a run's plan may name, or why they cannot be had."""
        proposed = [record for record in records if isinstance(record, PlanProposed)]
        try:
            return await self.functions(proposed[-1].modules if proposed else ())
        except Unimportable as error:
            return str(error)

    def _loaded(self, modules: Sequence[str]) -> Functions:
        try:
            return self._import(modules)
        # A user's module may raise anything, and end the process that imports it: not this one.
        except (Exception, SystemExit) as error:
            raise Unimportable(f"its functions cannot be imported: {described(error)}") from error


def _seen(listed: Run, records: Sequence[Record], functions: Functions | str) -> Sight:
    past = PlanHistory(records)
    compiled, problem = _compiled(listed.run, past, functions)
    before: dict[str, tuple[str, ...]] = {}
    if compiled is not None:
        ids = [step.id for step in compiled.plan.steps]
        before = {
            id: tuple(ids[other] for other in others) for id, others in zip(ids, compiled.dependencies, strict=True)
        }
    facts = facts_of(listed.run, records, before=before, alive=listed.state in ALIVE)
    facts.state = listed.state
    if not listed.target:
        facts.name = listed.title
    if compiled is not None:
        status = recorded_status(listed.run, compiled, past, state=cast(PlanState, listed.state))
        facts.picousd = status.settled_picousd
        for step in status.steps:
            facts.steps[step.id].state = step.standing
    return Sight(
        run=listed,
        state=listed.state,
        records=records,
        past=past,
        facts=facts,
        questions=open_questions(past),
        compiled=compiled,
        problem=problem,
    )


def _compiled(run: str, past: PlanHistory, functions: Functions | str) -> tuple[CompiledPlan | None, str]:
    if past.proposed is None:
        return None, ""
    if isinstance(functions, str):
        return None, functions
    try:
        shown_digest(run, past)
        return compile_plan(past.plan, functions.registry), ""
    except (PlanError, RunError) as error:
        return None, str(error)


def _changed_at(place: str) -> float:
    try:
        return Path(place).stat().st_mtime
    except OSError:
        return 0.0
