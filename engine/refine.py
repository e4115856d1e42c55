"""`@refine`: an LLM call made again with what is still wrong, until it is right."""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import msgspec

from stratum.contracts.errors import ContractDefinitionError, ConvergenceFailure
from stratum.contracts.json_value import split
from stratum.engine.fan_out.composed import perform_composed
from stratum.engine.infer import Infer
from stratum.engine.infer_call import InferCall
from stratum.engine.named_options import named_options
from stratum.engine.place import Place
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")

MAX_FEEDBACK = 4000
"""Characters of feedback that are sent."""


class Refine(Step[P, R], Generic[P, R]):
    """Made by `@refine`."""

    kind = "refine"

    def __init__(
        self,
        step: Infer[P, R],
        *,
        until: Callable[[R], bool | Awaitable[bool]],
        feedback: Callable[[R], str | Awaitable[str]],
        max_iterations: int,
    ) -> None:
        super().__init__(step.function, step.signature)
        self._whole = step
        self._iteration = step.varied(retries=step.retries, budget=None, model="", also=())
        self._until = until
        self._feedback = feedback
        self._max_iterations = max_iterations

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        return await perform_composed(
            RecordedAs(kind="refine", signature=self.signature),
            arguments,
            place,
            budget=self._whole.budget,
            input_digest=self._whole.input_digest(arguments),
            body=lambda inside: self._converged(arguments, inside),
        )

    def quote(self, arguments: dict[str, Any], runtime: Runtime) -> Quote | None:
        return self._whole.quote(arguments, runtime)

    async def _converged(self, arguments: dict[str, Any], place: Place) -> R:
        history: list[R] = []
        addition = ""
        while True:
            output = await InferCall(self._iteration, arguments, place, addition=addition).result()
            history.append(output)
            if await _answer(self._until(output)):
                return output
            if len(history) == self._max_iterations:
                raise ConvergenceFailure(
                    function=self.signature.name, max_iterations=self._max_iterations, history=history
                )
            addition = _addition(output, await _answer(self._feedback(output)))


@named_options(write="@refine(until=..., feedback=..., max_iterations=...) above an @infer")
def refine(
    *,
    until: Callable[[Any], bool | Awaitable[bool]],
    feedback: Callable[[Any], str | Awaitable[str]],
    max_iterations: int,
) -> Callable[[Step[P, R]], Step[P, R]]:
    """Above `@infer`: call it until `until(result)` holds; each next time with what `feedback(result)` says is wrong.

    The budget of the `@infer` is then for all iterations of one call together.

    Raises:
        ContractDefinitionError: while decorating: anything else than an `@infer` function, or conditions that ask a model
            themselves.
        ConvergenceFailure: it did not hold after `max_iterations` calls; has every output.
    """

    def decorate(step: Step[P, R]) -> Step[P, R]:
        if not isinstance(step, Infer):
            raise ContractDefinitionError(
                owner=getattr(step, "__qualname__", repr(step)),
                problem="@refine stands above an @infer that asks once",
                fix="write @refine(...) directly above @infer(...), without quorum= or stable=",
            )
        _check(step.signature.name, until=until, feedback=feedback, max_iterations=max_iterations)
        return Refine(step, until=until, feedback=feedback, max_iterations=max_iterations)

    return decorate


def _addition(output: object, feedback: str) -> str:
    """Opaque parts of the output are left out: they never stand in instructions."""
    previous = msgspec.json.encode(split(output)[0]).decode()
    return (
        f"Previous output: {previous}\n"
        f"Previous output had the following issues: {feedback[:MAX_FEEDBACK]}\n"
        "Fix these and regenerate."
    )


async def _answer(said: Any) -> Any:
    return await said if inspect.isawaitable(said) else said


def _check(owner: str, *, until: object, feedback: object, max_iterations: int) -> None:
    if type(max_iterations) is not int or max_iterations < 1:
        raise ContractDefinitionError(
            owner=owner, problem=f"max_iterations={max_iterations!r}", fix="pass a whole number, 1 or more"
        )
    for name, condition in {"until": until, "feedback": feedback}.items():
        asked = next((used for used in _used_by(condition) if _asks(used)), None)
        if asked is not None:
            raise ContractDefinitionError(
                owner=owner,
                problem=f"{name} calls {getattr(asked, '__name__', asked)}, which asks a model",
                fix="judge in an `ensure` of the @infer function instead, or loop in a flow",
            )


def _asks(used: object) -> bool:
    return isinstance(used, Step) and used.kind != "compute"


def _used_by(condition: object) -> Iterator[object]:
    """The condition itself, and what the names in it mean now."""
    yield condition
    function = inspect.unwrap(condition) if callable(condition) else None
    if not isinstance(function, types.FunctionType):
        return
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    enclosed: dict[str, object] = {}
    for name, cell in cells:
        try:
            enclosed[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from enclosed.values()
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
