"""`debate`: agents answer, then answer each other, and somebody draws the conclusion."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, overload

from stratum.contracts.digest import canonical_json
from stratum.contracts.json_value import json_value
from stratum.engine.fan_out.parallel import parallel

T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")


Agent = Callable[..., Coroutine[Any, Any, A]]


@overload
async def debate(
    agents: Sequence[Agent[A]],
    topic: T,
    *,
    rounds: int,
    synthesize: Callable[[T, list[list[A]], bool], Awaitable[R]],
    agree_on: str | None = None,
) -> R: ...
@overload
async def debate(
    agents: Sequence[Agent[A]],
    topic: T,
    *,
    rounds: int,
    synthesize: Callable[[T, list[list[A]], bool], R],
    agree_on: str | None = None,
) -> R: ...
async def debate(
    agents: Sequence[Agent[Any]],
    topic: Any,
    *,
    rounds: int,
    synthesize: Callable[[Any, list[list[Any]], bool], Any],
    agree_on: str | None = None,
) -> Any:
    """Have `agents` argue for so many `rounds`, and give what `synthesize` makes of it.

    In round 1 each agent is called with `(topic)`; in each later one with `(topic, others)`, the others' arguments
    of the round before. Then `synthesize(topic, history, converged)`: `history` has the arguments of each round, and
    `converged` says whether those of the last are equal, in the field `agree_on` or as a whole. The agents of a round
    are asked at once, and the first failure ends it.

    Raises:
        ValueError: no agents, or no rounds.
        TypeError: an agent does not take what the others said, and there is more than one round.
    """
    if not agents:
        raise ValueError("debate() needs agents; pass at least one")
    if rounds < 1:
        raise ValueError(f"rounds={rounds}: pass 1 or more")
    if rounds > 1:
        for agent in agents:
            _refuse_deaf(agent)
    history = [list(await parallel(*[agent(topic) for agent in agents]))]
    while len(history) < rounds:
        said = history[-1]
        answers = [agent(topic, said[:number] + said[number + 1 :]) for number, agent in enumerate(agents)]
        history.append(list(await parallel(*answers)))
    concluded = synthesize(topic, history, _agree(history[-1], agree_on))
    return await concluded if inspect.isawaitable(concluded) else concluded


def _refuse_deaf(agent: Agent[Any]) -> None:
    """Before the first round is paid for."""
    try:
        inspect.signature(agent).bind("the topic", "what the others said")
    except TypeError:
        raise TypeError(
            f"debate(): {getattr(agent, '__name__', agent)} cannot be called with (topic, others), as rounds after the first "
            "call it; give it a second parameter, or pass rounds=1"
        ) from None
    except ValueError:
        return  # it does not say what it takes


def _agree(said: Sequence[object], agree_on: str | None) -> bool:
    parts = [each if agree_on is None else getattr(each, agree_on) for each in said]
    return len({canonical_json(json_value(part)) for part in parts}) == 1
