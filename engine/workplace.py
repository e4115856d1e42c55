"""`Workplace`: where the functions of steps run when not in this process; and, seen from there, who makes their calls.

What is reserved, sent, booked and recorded always is in the process that has the runtime, its owner. A function that runs
elsewhere makes its calls by asking the owner; so there is one ledger, however many processes work.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stratum.contracts.cluster_errors import ClusterError
from stratum.contracts.ended import Failure, Success

if TYPE_CHECKING:
    from stratum.engine.fan_out.fan_out import Decision
    from stratum.engine.place import Place
    from stratum.engine.step import Step


class Workplace(Protocol):
    """Somewhere else than this process."""

    async def carry_out(self, step: Step[Any, Any], arguments: dict[str, Any], place: Place, *, retry: bool) -> Any:
        """Call the step's function there; the calls that it makes are made here, and stand at `place`.

        `retry`: where its process is lost, another one goes on; else that is the caller's to decide.

        Raises:
            WorkerLost: its process is gone. And whatever the function raises.
        """
        ...


class Workers(Protocol):
    """What a runtime is given to have a workplace: `stratum.cluster.Cluster`."""

    def staffed(self) -> AbstractAsyncContextManager[Workplace]:
        """Start the workers; leaving the block ends them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """How a fan-out ended."""

    ended: Mapping[int, Success[Any] | Failure]
    """By number, in the order they ended; not those that were stopped."""
    won: Sequence[int]


class Owner(Protocol):
    """Who makes the calls of a function that runs here for another process."""

    def call(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        """Have a step called."""
        ...

    async def fan_out(self, what: Decision, calls: Sequence[Coroutine[Any, Any, Any]], *, need: int | None) -> Decided:
        """Have it said which of `calls`, made in tasks here, begin, win and are stopped."""
        ...


owner: ContextVar[Owner | None] = ContextVar("stratum_owner", default=None)
"""In a worker, that of the function that is running."""


def refuse_on_worker(what: str, *, fix: str) -> None:
    """Raise where only the process that has the runtime can do it."""
    if owner.get() is not None:
        raise ClusterError(problem=f"{what} on a worker, which has no runtime", fix=fix)
