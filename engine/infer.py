"""`@infer`: an LLM call as a typed step, with contract, postconditions, retries and a budget."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

import msgspec

from stratum.contracts.budget import Budget
from stratum.contracts.digest import digest12
from stratum.contracts.errors import NoProvider
from stratum.contracts.signature import Signature
from stratum.contracts.trace import CallKind
from stratum.contracts.violation import Violation
from stratum.engine.budget_argument import refuse_other_than_budget
from stratum.engine.dialects.protocol import CallShape, Dialect, Prompt
from stratum.engine.dialects.tool_name import tool_name
from stratum.engine.infer_options import check_numbers, check_returns, check_sampling, check_texts
from stratum.engine.named_options import named_options
from stratum.engine.place import current_place
from stratum.engine.postconditions.condition import OnLeak
from stratum.engine.postconditions.postcondition import Ensure, Postcondition, Precondition
from stratum.engine.pricing.service_tier import ServiceTier, checked_tier
from stratum.engine.prompt import PromptTemplate
from stratum.engine.step import Step
from stratum.engine.stub_body import refuse_body
from stratum.engine.target import Models, Target, model_names

if TYPE_CHECKING:
    from stratum.engine.place import Place
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.runtime import Runtime
    from stratum.engine.stream import Watch

P = ParamSpec("P")
R = TypeVar("R")

Caching = Literal["session", "global"]

DEFAULT_RETRIES: Final = 3
DEFAULT_OUTPUT_TOKENS: Final = 1024
"""The output cap where neither the call nor its contract bounds the answer."""
LARGEST_OUTPUT_TOKENS: Final = 16_384
"""Never asked for by default, however large the contract's bound: gpt-4o's limit, the lowest of current models (2026-11)."""
REASONING_TOKENS: Final = 4096
"""Added to the cap of reasoning models: their cap includes what they think."""

Condition = Callable[[Any], object] | Callable[[Any, Any], object] | Callable[[Any, Any, Any], object] | Ensure
"""Arities spelled out give a lambda's parameters a type for strict checkers; `ensure(...)` takes any callable."""


class CheckedAnswer(Protocol):
    """A condition on an answer."""

    @property
    def inline(self) -> bool: ...

    async def check(
        self, result: object, arguments: Mapping[str, object], on_leak: OnLeak | None = None
    ) -> Sequence[Violation]: ...


class Infer(Step[P, R], Generic[P, R]):
    """A typed LLM call. The body of the function is never run: its signature is the call."""

    kind: CallKind = "infer"

    def __init__(
        self,
        function: Callable[P, Any],
        *,
        intent: str,
        context: str | Sequence[str] | None,
        ensure: Condition | Sequence[Condition] | None,
        given: Condition | Sequence[Condition] | None,
        model: Models,
        temperature: float | None,
        budget: Budget | None,
        retries: int,
        max_output_tokens: int | None,
        service_tier: ServiceTier | None = None,
        samples: bool = False,
        cache: Caching | None = None,
    ) -> None:
        signature: Signature[R] = Signature.of(function, samples=samples)
        super().__init__(function, signature)
        refuse_other_than_budget(signature.name, budget)
        refuse_body(function, owner=signature.name)
        check_texts(signature.name, intent=intent, context=context)
        check_numbers(signature.name, retries=retries, max_output_tokens=max_output_tokens, temperature=temperature)
        check_returns(signature)
        self._schema = signature.returns.wire_schema  # compiled here: what strict mode cannot take is refused here
        self._min_cap = signature.returns.min_output_tokens  # and what no answer can end
        self.prompt = PromptTemplate.compile(intent, context, signature)
        self.ensure: list[CheckedAnswer] = _postconditions(ensure, signature)
        self.given = _preconditions(given, signature)
        self.judged_at_once = all(postcondition.inline for postcondition in self.ensure)
        self.budget = budget
        self.retries = retries
        self.cache: Caching | None = cache
        self.models = model_names(model, owner=signature.name)
        self._temperature = temperature
        self._max_output_tokens = max_output_tokens
        self.service_tier = checked_tier(service_tier, owner=signature.name)
        self._targets: dict[tuple[str, str, ServiceTier | None], Target] = {}

    def perform(self, arguments: dict[str, Any], place: Place) -> Coroutine[Any, Any, R]:
        from stratum.engine.infer_call import InferCall  # what only a call needs

        return InferCall(self, arguments, place).result()

    def perform_watched(self, arguments: dict[str, Any], place: Place, watch: Watch) -> Coroutine[Any, Any, R]:
        from stratum.engine.infer_call import InferCall

        return InferCall(self, arguments, place, watch=watch).result()

    def quote(self, arguments: dict[str, Any], runtime: Runtime) -> Quote | None:
        return self.quote_of(1, arguments, runtime)

    def quote_of(self, at_once: int, arguments: dict[str, Any], runtime: Runtime) -> Quote:
        """Of so many of the same call."""
        from stratum.engine.pricing.quote import quote  # what few ask for

        return quote(self, arguments, runtime, at_once=at_once)

    def calls(self, arguments: dict[str, Any], count: int) -> list[Coroutine[Any, Any, R]]:
        """The same call so many times, each to be made where it is awaited."""
        return [self._here(arguments) for _ in range(count)]

    async def _here(self, arguments: dict[str, Any]) -> R:
        place = current_place.get()
        assert place is not None, "a fan-out says where its branches stand"
        return await self.perform(arguments, place)

    def cache_key(self, prompt: Prompt, *, model: str) -> str:
        """Over all that a model's answer may depend on. The schema's bytes too: what a model writes follows their order."""
        text = self.prompt.instructions if prompt.instructions is None else prompt.instructions
        signature = self.signature
        parts = [signature.qualname, text, prompt.inputs, prompt.attachment, signature.returns.digest, model]
        parts += [f"{image.detail}:{image.digest}" for image in prompt.images]
        settings = (self._temperature, self._max_output_tokens)
        return sha256(msgspec.json.encode((parts, settings, self._schema.decode()))).hexdigest()

    def input_digest(self, arguments: dict[str, Any]) -> str:
        """12 hex characters over all that a call's identity is: what is sent, the inputs, and the contract."""
        prompt_hash = self.prompt.hash(self.prompt.render(arguments))
        return digest12(f"{prompt_hash}:{self.signature.digest(arguments)}:{self.signature.returns.digest}".encode())

    def varied(
        self,
        *,
        retries: int,
        budget: Budget | None,
        model: Models,
        also: Sequence[CheckedAnswer],
        service_tier: ServiceTier | None = None,
    ) -> Infer[P, R]:
        """The same call with other bounds, other models and another tier where any is named, and conditions besides its own."""
        other = object.__new__(type(self))  # copy.copy gives a step itself, which pickles by its name
        vars(other).update(vars(self))
        other.retries, other.budget = retries, budget
        if model:
            other.models = (model,) if isinstance(model, str) else tuple(model)
        other.service_tier = service_tier or self.service_tier
        other.ensure = [*self.ensure, *also]
        other.judged_at_once = all(condition.inline for condition in other.ensure)
        return other

    def models_in(self, runtime: Runtime) -> tuple[str, ...]:
        """Those to ask, in order.

        Raises:
            NoProvider: none is named, here or there.
        """
        if self.models:
            return self.models
        if runtime.model is None:
            runtime.need_provider()
            raise NoProvider(
                message=f"{self.signature.name}: no model is named", fix="pass model=..., or set STRATUM_MODEL"
            )
        return (runtime.model,)

    def target(self, model: str, runtime: Runtime) -> Target:
        """This function on a model."""
        dialect, tier = runtime.provider.dialect, self.service_tier or runtime.service_tier
        known = self._targets.get((dialect.name, model, tier))
        if known is None:
            known = self._targets[dialect.name, model, tier] = self._on(model, dialect, tier)
        return known

    def _on(self, model: str, dialect: Dialect, tier: ServiceTier | None) -> Target:
        returns = self.signature.returns
        cap = self._max_output_tokens or min(returns.max_output_tokens or DEFAULT_OUTPUT_TOKENS, LARGEST_OUTPUT_TOKENS)
        if dialect.reasons(model):
            cap += REASONING_TOKENS
        cap = max(cap, dialect.min_output_tokens)
        return Target(
            compiled=dialect.compile(self._shape(model, tier)),
            model=model,
            service_tier=tier,
            cap=cap,
            min_cap=min(cap, max(self._min_cap, dialect.min_output_tokens)),
        )

    def _shape(self, model: str, tier: ServiceTier | None) -> CallShape:
        return CallShape(
            tool=tool_name(self.signature.name),
            description=f"Return the result: {self.signature.returns.name}.",
            instructions=self.prompt.instructions,
            schema=self._schema,
            model=model,
            temperature=self._temperature,
            service_tier=tier,
        )


class InferDecorator(Protocol):
    """`@infer(...)` before it meets its function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


@named_options(write='@infer(intent="what the model is to do")')
def infer(
    *,
    intent: str,
    context: str | Sequence[str] | None = None,
    ensure: Condition | Sequence[Condition] | None = None,
    given: Condition | Sequence[Condition] | None = None,
    model: Models = None,
    temperature: float | None = None,
    budget: Budget | None = None,
    retries: int = DEFAULT_RETRIES,
    max_output_tokens: int | None = None,
    service_tier: ServiceTier | None = None,
    quorum: int | None = None,
    agree_on: str | None = None,
    threshold: int | None = None,
    stable: bool | None = None,
    cache: Caching | None = None,
) -> InferDecorator:
    """Make a signature an LLM call: `def classify(text: str) -> Category: ...`.

    The return type is the contract: it is sent as a strict function tool whose call is forced, and every answer is
    validated here. A rejected answer is asked for again with the violations and nothing else.

    Args:
        intent: what the model is to do.
        context: standing instructions, sent after the intent.
        ensure: conditions on the result. One holds (`True` or `None`), fails (`False`, a message, a list of messages) or
            raises AssertionError or ValueError; parameters named like the function's get that call's arguments.
        given: conditions on the arguments, checked before anything is sent.
        model: by default the runtime's. `["a", "b"]` asks b where a cannot be reached or is overloaded, after the transport
            retries; each at its own price, under the one budget.
        temperature: passed on as it is.
        budget: for all attempts of one call together.
        retries: how often a rejected answer is asked for again.
        max_output_tokens: of one answer, reasoning not counted; by default the contract's own bound, else 1,024.
        service_tier: OpenAI's: "flex" (half the price, may take minutes), "priority" (faster, dearer), "default", or
            "auto", which is what the account's project says, and for which the dearest is reserved.
        quorum: ask so many times at once, within the one budget, and give an answer that enough agree on: the most
            confident, if it has a field `confidence`.
        agree_on: the field in which samples of a quorum have to be equal.
        threshold: how many of them have to be.
        stable: under a runtime with `sample_n=5`, as tests open one, `True` samples the call and asserts that 90 % are
            equal; `False`, on a function that returns `Probabilistic[T]`, gives the samples: one in production.
        cache: "session" takes the answer of an equal call of the same run, "global" of any run of the project (a file
            beside the journal), if it satisfies `ensure` now. Equal calls at once are made once.

    Raises:
        ContractDefinitionError: while decorating: a type that cannot be a contract, or a condition that cannot work.
        CallFailed: no acceptable answer: it is a PreconditionFailed, a ParseFailure or a PostconditionFailed.
        ConsensusFailure: too few samples of a quorum agree.
        BudgetExceeded: this call's own budget ran out.
        NoProvider: there is nothing to send the call to.
        ProviderError: the provider refused the call or could not be reached.
        OnHold: a person has stopped everything of the project (`stratum hold`).
    """

    def decorate(function: Callable[P, Any]) -> Step[P, Any]:
        step: Infer[P, Any] = Infer(
            function,
            intent=intent,
            context=context,
            ensure=ensure,
            given=given,
            model=model,
            temperature=temperature,
            budget=budget,
            retries=retries,
            max_output_tokens=max_output_tokens,
            service_tier=service_tier,
            samples=stable is False,
            cache=cache,
        )
        return _several_times(step, quorum=quorum, agree_on=agree_on, threshold=threshold, stable=stable)

    return decorate


def _several_times(
    step: Infer[P, Any], *, quorum: int | None, agree_on: str | None, threshold: int | None, stable: bool | None
) -> Step[P, Any]:
    """`step`, or what asks it more than once."""
    check_sampling(
        step.signature.name, quorum=quorum, agree_on=agree_on, threshold=threshold, stable=stable, cache=step.cache
    )
    if quorum is not None:
        from stratum.engine.fan_out.quorum import Quorum

        return Quorum(step, size=quorum, agree_on=agree_on, threshold=threshold)
    if stable is not None:
        from stratum.engine.fan_out.sampled import Sampled

        return Sampled(step, stable=stable)
    return step


def _postconditions(ensure: Condition | Sequence[Condition] | None, signature: Signature[Any]) -> list[CheckedAnswer]:
    return [
        Postcondition.compile(
            condition,
            function=signature.name,
            parameters=signature.parameters,
            returns=signature.returns.annotation,
            opaque=_opaque(signature),
            number=number,
        )
        for number, condition in enumerate(_several(ensure), 1)
    ]


def _preconditions(given: Condition | Sequence[Condition] | None, signature: Signature[Any]) -> list[Precondition]:
    return [
        Precondition.compile(
            condition,
            function=signature.name,
            parameters=signature.parameters,
            opaque=_opaque(signature),
            number=number,
        )
        for number, condition in enumerate(_several(given), 1)
    ]


def _opaque(signature: Signature[Any]) -> list[str]:
    return [name for name, parameter in signature.parameters.items() if parameter.opaque]


def _several(conditions: Condition | Sequence[Condition] | None) -> Sequence[Condition]:
    if conditions is None:
        return ()
    # A text is no list of conditions either: it is refused as what was passed, not as its first letter.
    return conditions if isinstance(conditions, (list, tuple)) else (conditions,)
