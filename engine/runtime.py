"""`Runtime`: the actors, the provider and the session budget that calls share.

Below: ledger, journal, limiter and hub, each supervised. Above: `open_runtime` in a service or a script; a call made
outside any runtime opens a private one.
"""

from __future__ import annotations

import os
import random
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import trio

from stratum.actors.answer_cache import AnswerCache
from stratum.actors.event_hub import EventHub
from stratum.actors.hold import HoldFile
from stratum.actors.journal import Journal, open_journal
from stratum.actors.ledger import Ledger
from stratum.actors.locations import PROJECT_JOURNAL
from stratum.actors.rate_limiter import RateLimit, RateLimiter
from stratum.actors.supervisor import Supervisor, open_supervisor
from stratum.contracts.allowance import Allowance
from stratum.contracts.budget import Budget
from stratum.contracts.errors import RunError
from stratum.contracts.price import Price
from stratum.contracts.records import RunStarted
from stratum.engine.budget_argument import refuse_other_than_budget
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.event_loop import refuse_outside_trio
from stratum.engine.log_lines import logged
from stratum.engine.mail import Mail
from stratum.engine.outages import Outages
from stratum.engine.people.parking import Parking
from stratum.engine.people.review import ReviewDesk, Sink
from stratum.engine.place import Place, current_place
from stratum.engine.pricing.prices import Prices
from stratum.engine.pricing.service_tier import ServiceTier, applied_tier, checked_tier, priced_as
from stratum.engine.providers.absent import Absent
from stratum.engine.providers.environment import provider_or_absent
from stratum.engine.providers.protocol import Provider
from stratum.engine.run import Run
from stratum.engine.script import called
from stratum.engine.session_options import check_session_options
from stratum.engine.settings import read_settings
from stratum.engine.shared_allowance import SharedAllowance
from stratum.engine.tenant import Tenant
from stratum.engine.timings import TimedPlace, Timings

if TYPE_CHECKING:
    from stratum.engine.flow import Flow
    from stratum.engine.flow_call import Raised
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.step import Step
    from stratum.engine.workplace import Workers, Workplace

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

DEFAULT_TRANSPORT_RETRIES: Final = 4


class Runtime:
    """What calls share. Open one with `open_runtime`; everything it started ends with it."""

    def __init__(
        self,
        *,
        session: str,
        provider: Provider,
        model: str | None,
        journal: Journal,
        prices: Prices,
        rate_limits: Mapping[str, RateLimit],
        transport_retries: int,
        request_timeout_s: float,
        jitter: Callable[[], float],
        allowance: Allowance | None,
        service_tier: ServiceTier | None,
        sample_n: int,
        sinks: Sequence[Sink],
        answers: AnswerCache,
        cluster: Workplace | None,
        supervisor: Supervisor,
    ) -> None:
        self.session = session
        self.provider = provider
        self.model = model
        self.journal = journal
        self.ledger = Ledger()
        self.events = EventHub()
        self.limiter = RateLimiter(rate_limits)
        self.outages = Outages()
        self.hold = HoldFile(journal.path)
        self.transport_retries = transport_retries
        self.request_timeout_s = request_timeout_s
        self.jitter = jitter
        self.sample_n = sample_n
        self.answers = answers
        """Of calls that say `cache="global"`."""
        self.cluster = cluster
        """Where steps that want a process of their own run, if not on this machine."""
        self.parking = Parking()
        self.provider_started = False
        self.mail = Mail(journal)
        self.reviews = ReviewDesk(self.mail, sinks)
        self.allowance = None if allowance is None else SharedAllowance(allowance, journal)
        self.service_tier = service_tier
        """Of calls that name none."""
        self.prices = prices
        self._served_as_priority: set[str] = set()
        self._trio = trio.lowlevel.current_trio_token()
        self._reservations = count(1)
        self._timings: Timings | None = None
        self._place: Place | None = None
        self._supervisor = supervisor
        self._tenants: dict[str, Tenant] = {}

    async def run(self, step: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `step` in this runtime, from any task of the same trio run.

        Raises:
            BudgetExceeded: also when it is the session's own budget that ran out.
            RunError: the runtime was closed in the meantime, or was opened in another trio run.
        """
        if trio.lowlevel.current_trio_token() is not self._trio:
            raise RunError(
                run=self.session,
                problem="its runtime was opened in another trio run",
                fix="open one in each of them; they may share a journal",
            )
        token = current_place.set(self.place)
        try:
            with self.place.envelope.guest():
                return await called(step, *args, **kwargs)
        finally:
            current_place.reset(token)

    async def resume(self, flow: Flow[..., R], run_id: str, *, raised: Raised = None, by: str = "") -> R:
        """Go on with a run of `flow` that ended or was killed; what completed is not done again.

        The run's budget keeps counting; `raised` gives it new limits, which include what it has used. Given by step id
        (`{"summarize#1": Budget(usd=0.2)}`), they are those of budgets within the run. `by` is who gave them, for the record.

        Raises:
            UnknownRun, RunLocked: there is no such run, or another process is running it.
            RunError: a step in `raised` never had a budget of its own.
            BudgetExceeded: as when the flow is called.
        """
        if not hasattr(flow, "resume"):
            raise TypeError(f"resume() takes a flow and the id of its run; {flow!r} is no flow")
        with self.place.envelope.guest():
            return await flow.resume(run_id, self.place, raised=raised, by=by)

    def quote(self, step: Step[P, Any], *args: P.args, **kwargs: P.kwargs) -> Quote | None:
        """What a call would reserve at its first attempt, at which price; `None` for what asks no model by itself.

        Nothing is sent, booked or recorded.

        Raises:
            NoProvider: no model is named.
            TypeError, ContractViolation: as when it is called.
        """
        return step.quote(step.signature.bind(args, kwargs), self)

    def tenant(self, name: str, *, budget: Budget | None = None) -> Tenant:
        """The tenant of this name, with `budget` for all it does while this runtime is open; made when first asked for.

        Raises:
            ValueError: it exists, with another budget.
        """
        refuse_other_than_budget(f"tenant {name}", budget)
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = Tenant.within(self.place, name, budget=budget)
        elif budget is not None and budget != tenant.budget:
            raise ValueError(f"tenant {name!r} has {tenant.budget}, and cannot get {budget} while the runtime is open")
        return tenant

    def start(self, work: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Run `work` in a task that ends with the runtime; a failure of it ends the session."""
        self._supervisor.start(work, name=name, policy="stop")

    async def ready(self) -> None:
        """Wait for a provider that has to start something: without, the first call of a model waits for it."""
        await self.provider.ready()
        self.provider_started = True

    async def ready_for_call(self, envelope: Envelope) -> None:
        """The same for a call, before anything is reserved for it: meanwhile the clocks of its budgets stand."""
        with self.parking.parked(envelope):
            await self.timed("start", self.ready())

    def need_provider(self) -> None:
        """Before anything is reserved.

        Raises:
            NoProvider: there is nothing to send a call to.
        """
        if isinstance(self.provider, Absent):
            raise self.provider.refusal()

    @property
    def provider_name(self) -> str:
        """Who answers."""
        return self.provider.name

    @property
    def place(self) -> Place:
        """Where calls made directly in the session stand."""
        assert self._place is not None, "set by open_runtime before anything can be called"
        return self._place

    def start_timing(self) -> Timings:
        """Note from now on where the session's time goes."""
        self._timings = Timings()
        self._timings.begin()
        return self._timings

    def timed(self, place: TimedPlace, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """`work`, whose time is `place`'s where somebody asked for a profile; `work` itself where nobody did."""
        return work if self._timings is None else self._timings.timed(place, work)

    def reservation_id(self) -> str:
        """One that no other session has either. Counted: asking the system for randomness costs a tenth of a call."""
        return f"{self.session}{next(self._reservations):04x}"

    def price(self, model: str, *, tier: ServiceTier | None = None) -> Price | None:
        """The price of a model here; `None` when nobody has said. Prices that were passed hold for every service tier."""
        if tier is None and model in self._served_as_priority:
            tier = "auto"
        return self.prices.of(model, tiers=priced_as(tier))

    def price_of_answer(self, model: str, *, tier: ServiceTier | None, reported: str) -> Price | None:
        """The price of an answer to a request in `tier` that says in which it was served."""
        applied = applied_tier(reported)
        if not applied:
            return self.price(model, tier=tier)
        if tier is None and applied == "priority":
            # The account's project is set to it: from now on that is what is reserved.
            self._served_as_priority.add(model)
        return self.prices.of(model, tiers=(applied,)) or self.price(model, tier=tier)

    @asynccontextmanager
    @trio.lowlevel.enable_ki_protection
    async def session_place(self, budget: Budget | None) -> AsyncGenerator[None]:
        """The session's own run and envelope, around everything called in it."""
        run = Run(self, id=self.session, resumable=False)
        run.append(RunStarted(session=self.session, name="session"))
        try:
            with open_envelope(run, label="session", path="", parent=None, budget=budget) as envelope:
                self._place = Place(run=run, envelope=envelope)
                token = current_place.set(self._place)
                try:
                    yield
                finally:
                    current_place.reset(token)
                    await envelope.close_to_guests()
                    for tenant in self._tenants.values():
                        tenant.close()
        except BaseException as error:
            run.finish_badly(error)
            raise
        run.finish(b"null")


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def open_runtime(
    *,
    provider: Provider | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    allowance: Allowance | None = None,
    service_tier: ServiceTier | None = None,
    journal: str | os.PathLike[str] | None = "",
    prices: Mapping[str, Price] | None = None,
    rate_limits: Mapping[str, RateLimit] | None = None,
    transport_retries: int = DEFAULT_TRANSPORT_RETRIES,
    request_timeout_s: float = 600.0,
    jitter: Callable[[], float] = random.random,
    sample_n: int = 1,
    sinks: Sequence[Sink] | None = None,
    cluster: Workers | None = None,
) -> AsyncGenerator[Runtime]:
    """Open a session: calls made inside share its provider, journal, limits and budget.

    What is not passed here is what the environment says, else the project's settings file (docs/configuration.md).

    Args:
        provider: by default the one that the environment names (`OPENAI_API_KEY`, `STRATUM_BASE_URL`), else the embedded
            model. Where there is neither, what calls no model works, and a call of one raises `NoProvider`.
        model: of calls that name none; by default the provider's.
        budget: of this session.
        allowance: shared with every other session that writes to the same journal.
        service_tier: of calls that name none, as `@infer` takes it.
        journal: a file, by default `.stratum/stratum.db`; `None` keeps it in memory, and nothing survives the process.
        prices: by model name, before the built-in table.
        rate_limits: by model name, requests and tokens per minute; otherwise learnt from 429s.
        transport_retries: of one attempt's requests, inside the budget.
        request_timeout_s: of each of them.
        jitter: gives a number from 0 to 1, which spreads the waits between them.
        sample_n: for tests: how often calls that say `stable=` are asked.
        sinks: how people are asked; by default at the terminal, else the log says that somebody waits.
        cluster: worker processes, for steps that say `process=True` and for flows that are called `on_cluster`
            (docs/cluster.md).

    Raises:
        BudgetExceeded: on leaving, when the session's own budget ran out.
        NoRuntime: entered under asyncio.
        JournalError: the journal cannot be opened.
        ClusterError: the cluster's workers do not start, on entering or later.
        SettingsError: the project's settings file cannot be read.
    """
    refuse_outside_trio("open_runtime()")
    refuse_other_than_budget("open_runtime", budget)
    check_session_options(
        provider=provider,
        model=model,
        allowance=allowance,
        journal=journal,
        sinks=sinks,
        cluster=cluster,
        jitter=jitter,
        sample_n=sample_n,
        transport_retries=transport_retries,
        request_timeout_s=request_timeout_s,
        prices=prices,
        rate_limits=rate_limits,
    )
    session = uuid.uuid4().hex[:12]
    settings = read_settings()
    tier = checked_tier(service_tier or settings.environ.get("STRATUM_SERVICE_TIER") or None, owner="open_runtime")
    chosen = provider or provider_or_absent(settings.environ)
    path = None if journal is None else Path(journal or settings.environ.get("STRATUM_JOURNAL") or PROJECT_JOURNAL)
    async with (
        open_journal(path, session=session) as open_file,
        chosen.open(),
        nullcontext() if cluster is None else cluster.staffed() as crew,
        open_supervisor(name=f"session {session}") as supervisor,
    ):
        runtime = Runtime(
            session=session,
            provider=chosen,
            model=model or chosen.default_model,
            journal=open_file,
            prices=Prices(chosen, settings=settings, given=prices),
            rate_limits=rate_limits or {},
            transport_retries=transport_retries,
            request_timeout_s=request_timeout_s,
            jitter=jitter,
            allowance=allowance,
            service_tier=tier,
            sample_n=sample_n,
            cluster=crew,
            supervisor=supervisor,
            answers=AnswerCache(None if path is None else path.parent / "answers.db"),
            sinks=_default_sinks(path) if sinks is None else sinks,
        )
        supervisor.start(open_file.run, name="journal", policy="stop")
        if open_file.shared:
            supervisor.start(runtime.mail.deliver, name="mail", policy="stop")
        if runtime.model is not None:
            # The table of prices takes 0.4 s of CPU to load: off the loop, and before any call's clock runs.
            await trio.to_thread.run_sync(runtime.price, runtime.model)
        with logged(runtime.events):
            async with runtime.session_place(budget):
                yield runtime


def _default_sinks(journal: Path | None) -> list[Sink]:
    from stratum.engine.people.sinks import ConsoleSink, LogSink

    return [LogSink(journal) if sys.stdin is None or not sys.stdin.isatty() else ConsoleSink()]
