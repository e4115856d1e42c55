"""`stable=`: how a call's answers vary, looked at where a runtime samples (`open_runtime(sample_n=5)`, in tests)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, cast

from stratum.contracts.ended import Success
from stratum.contracts.errors import StabilityAssertionError
from stratum.contracts.probabilistic import Probabilistic
from stratum.engine.fan_out.fan_out import SAMPLES, decide
from stratum.engine.place import Place
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.engine.infer import Infer
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")

STABLE: Final = 0.9
"""The share of equal samples that `stable=True` stands for."""


class Sampled(Step[P, R], Generic[P, R]):
    """A call that is made `sample_n` times at once; by default once."""

    kind = "quorum"

    def __init__(self, sample: Infer[P, Any], *, stable: bool) -> None:
        super().__init__(sample.function, sample.signature)
        self._sample = sample
        self._stable = stable

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        samples: Probabilistic[Any] = Probabilistic(await self._samples(arguments, place))
        if not self._stable:
            return cast(R, samples)
        try:
            return cast(R, samples.assert_stable(STABLE))
        except StabilityAssertionError as error:
            raise replace(error, function=self.signature.name) from None

    def quote(self, arguments: dict[str, Any], runtime: Runtime) -> Quote | None:
        return self._sample.quote_of(runtime.sample_n, arguments, runtime)

    async def _samples(self, arguments: dict[str, Any], place: Place) -> tuple[Any, ...]:
        count = place.run.runtime.sample_n
        if count == 1:
            return (await self._sample.perform(arguments, place),)
        fan_out = await decide(SAMPLES, self._sample.calls(arguments, count), place, need=count)
        ended = [fan_out.ended[number] for number in range(count)]
        return tuple(each.value for each in ended if isinstance(each, Success))
