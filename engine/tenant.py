"""`Tenant`: a budget within a session that outlives single requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from stratum.actors.ledger import Limits
from stratum.contracts.budget import Budget
from stratum.contracts.money import usd
from stratum.engine.envelope import UNLIMITED, Envelope
from stratum.engine.place import Place, current_place
from stratum.engine.script import called

P = ParamSpec("P")
R = TypeVar("R")


class Tenant:
    """One customer's share of a runtime: what runs here draws from its budget and from the session's.

    `Runtime.tenant` gives one. It counts from when it was first asked for to the end of the runtime.
    """

    def __init__(self, name: str, *, budget: Budget | None, session: Place, envelope: Envelope) -> None:
        self.name = name
        self.budget = budget
        self._session = session
        self.place = Place(run=session.run, envelope=envelope)
        """Where its calls stand."""

    @classmethod
    def within(cls, session: Place, name: str, *, budget: Budget | None) -> Tenant:
        """A new one, in the session that has this place."""
        bounds = budget or UNLIMITED
        path, label = f"tenant/{name}", f"tenant {name}"
        scope = session.run.open_scope(
            path,
            parent=session.envelope.scope,
            label=label,
            limits=Limits.of(bounds),
            budget=bounds,
        )
        # Its cancel scope is around no block: what it stops are the guests.
        envelope = Envelope(
            run=session.run,
            label=label,
            scope=scope,
            parent=session.envelope,
            seconds=bounds.seconds,
            used_s=0,
            on_exhaustion=bounds.on_exhaustion,
        )
        return cls(name, budget=budget, session=session, envelope=envelope)

    async def run(self, step: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `step` for this tenant, from any task of the same trio run.

        Raises:
            BudgetExceeded: also when it is the tenant's budget, or the session's, that ran out, in this request or before.
            RunError: the runtime was closed in the meantime.
        """
        token = current_place.set(self.place)
        try:
            with self._session.envelope.guest(), self.place.envelope.guest():
                return await called(step, *args, **kwargs)
        finally:
            current_place.reset(token)

    @property
    def spent_usd(self) -> float:
        """What its calls count for so far: settled, in doubt, and reserved for those in flight."""
        return usd(self.place.envelope.scope.counted_picousd)

    def close(self) -> None:
        """For the runtime, once all who were here have left."""
        envelope = self.place.envelope
        if not envelope.occupied and not envelope.scope.children:
            envelope.run.close_scope(envelope.scope)

    def __repr__(self) -> str:
        return f"<Tenant {self.name} {self.spent_usd:g} USD>"
