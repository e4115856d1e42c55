"""One `@infer` call: attempts, retries, failures, and what each leaves in the trace."""

# Conditions are written as users write them, wrong ones too.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import trio
from pydantic import AfterValidator, Field
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    BudgetOverrun,
    ContractDefinitionError,
    ContractViolation,
    ParseFailure,
    PostconditionFailed,
    PreconditionFailed,
    Price,
    ProviderError,
    RateLimit,
    Runtime,
    StratumError,
    TraceRecord,
    UnknownPrice,
    Usage,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.actors.ledger import Amount, replay
from stratum.contracts.records import Answered, CallFinished, LeftInDoubt, Record, Released, Reserved, Settled
from stratum.engine.infer import Infer
from stratum.engine.providers.protocol import Answer, TransportFailure
from stratum.engine.providers.scripted import Reply, scripted

DOLLAR = 10**12


@contract
class Label:
    name: Literal["a", "b"]
    score: Annotated[float, Field(ge=0, le=1)]


@infer(intent="Label the text")
def label(text: str) -> Label: ...


@infer(intent="Label the text", ensure=[lambda r: r.score > 0.5, lambda r: r.name == "a"], retries=2)
def sure_label(text: str) -> Label: ...


GOOD = Label(name="a", score=0.9)
POOR = Label(name="a", score=0.1)


async def records(runtime: Runtime) -> list[Record]:
    return await runtime.journal.read(runtime.session)


async def only_trace(runtime: Runtime) -> TraceRecord:
    (trace,) = [record.trace for record in await records(runtime) if isinstance(record, CallFinished)]
    return trace


async def test_an_accepted_answer_is_returned_and_traced(autojump_clock: MockClock) -> None:
    """CASES F13."""
    provider = scripted(Reply(value=GOOD, usage=Usage(input_tokens=1000, output_tokens=100), delay_s=2))
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await label("hello") == GOOD
        trace = await only_trace(runtime)
    assert trace.function == "label"
    assert trace.model == "gpt-4o"
    assert trace.inputs == {"text": "hello"}
    assert trace.output == {"name": "a", "score": 0.9}
    assert (trace.attempts, trace.retry_reasons, trace.outcome) == (1, [], "ok")
    assert trace.duration_ms == 2000
    assert trace.cost_picousd == 1000 * 2_000_000 + 100 * 8_000_000
    assert trace.cost_usd == 0.0028
    assert len(trace.compiled_prompt_hash) == len(trace.contract_hash) == 12
    assert (trace.run_id, trace.step_id) == (runtime.session, "label#1")
    assert (trace.cache_hit, trace.flow_id, trace.review_id) == (False, "", "")


async def test_a_retry_is_the_first_request_plus_the_rejected_call_and_its_violations() -> None:
    """CASES B4, B8: nothing else is new."""
    provider = scripted(POOR, GOOD)
    async with open_runtime(provider=provider, journal=None):
        assert await sure_label("hello") == GOOD
    first, second = (request.body for request in provider.requests)
    assert first.endswith(b"]}")
    assert second.startswith(first[:-2])
    added = second[len(first) - 2 :].decode()
    assert added.count("function_call_output") == 1
    assert (
        "Previous attempt failed:\\n  - ensure: r.score > 0.5 (actual: 0.1)\\nFix these issues specifically." in added
    )
    assert "Label the text" not in added


async def test_all_violations_of_one_answer_are_listed_and_only_the_latest(autojump_clock: MockClock) -> None:
    """CASES B4, B7."""
    provider = scripted(Label(name="b", score=0.1), Label(name="b", score=0.9), GOOD)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await sure_label("hello") == GOOD
        trace = await only_trace(runtime)
    first, second = provider.received[2].messages
    assert first.count("\n  - ") == 2
    assert (
        second == "Previous attempt failed:\n  - ensure: r.name == \"a\" (actual: 'b')\nFix these issues specifically."
    )
    assert len(trace.retry_reasons) == 3


async def test_used_up_retries_raise_with_the_last_violations_and_the_whole_history() -> None:
    """CASES B11, B12, F14."""
    provider = scripted(POOR, POOR, Label(name="b", score=0.9))
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(PostconditionFailed) as caught:
            await sure_label("hello")
        trace = await only_trace(runtime)
    assert [violation.condition for violation in caught.value.violations] == ['r.name == "a"']
    assert caught.value.attempts == 3
    assert caught.value.output == Label(name="b", score=0.9)
    assert (trace.outcome, trace.attempts) == ("failed", 3)
    assert trace.error.startswith("PostconditionFailed: sure_label: no acceptable answer in 3 attempts")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(value={"name": "a", "score": 1.4}), "schema: score: "),
        (Reply(value={"name": "z", "score": 0.4}), "schema: name: "),
        (Reply(value={"name": "a"}), "schema: score: "),
        (Reply(value=b'{"name": "a", "sco'), "schema: "),
        (Reply(text="I would say a."), "answer: no tool call (I would say a.)"),
        (Reply(text="I cannot.", finish="refusal"), "answer: no tool call: refused (I cannot.)"),
        (Reply(value=GOOD, tool="another"), "answer: no such tool: another"),
    ],
)
async def test_an_unusable_answer_is_retried_with_what_was_wrong(reply: Reply, told: str) -> None:
    """CASES A17, B10, B19."""
    provider = scripted(reply, GOOD)
    async with open_runtime(provider=provider, journal=None):
        assert await label("hello") == GOOD
    (message,) = provider.received[1].messages
    assert message.splitlines()[1].startswith(f"  - {told}")


@pytest.mark.parametrize(
    ("returns", "wrong", "right", "told"),
    [
        (int, 3.5, 3, "value: expected integer, got 3.5"),
        (Literal["a", "b"], "c", "b", "value: expected 'a' or 'b', got \"c\""),
        (list[int], [1, "2"], [1, 2], 'value[1]: expected integer, got "2"'),
    ],
)
async def test_a_plain_value_that_is_not_of_the_type_is_asked_for_again(
    returns: Any, wrong: object, right: object, told: str
) -> None:
    """CASES A18."""

    def answer(question: str) -> Any: ...

    answer.__annotations__["return"] = returns
    step: Any = infer(intent="Answer")(answer)
    provider = scripted({"value": wrong}, {"value": right})
    async with open_runtime(provider=provider, journal=None):
        assert await step("?") == right
    (message,) = provider.received[1].messages
    assert message.splitlines()[1] == f"  - schema: {told}"


async def test_an_answer_that_never_fits_fails_with_what_the_model_sent() -> None:
    """CASES B12."""
    provider = scripted(otherwise=Reply(value={"name": "a", "score": 7}))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(ParseFailure) as caught:
            await label("hello")
    assert caught.value.raw_output == '{"name":"a","score":7}'
    assert len(provider.requests) == 4


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"given": lambda text: text == ""}, PreconditionFailed),
        ({"ensure": lambda r: r.score > 1}, PostconditionFailed),
        ({"max_output_tokens": 1}, ParseFailure),
        ({"budget": Budget(tokens=1)}, BudgetExceeded),
    ],
)
async def test_however_a_call_fails_it_leaves_one_trace(options: dict[str, Any], error: type[StratumError]) -> None:
    """CASES F14."""
    step: Any = infer(intent="Label", retries=0, **options)(label.function)
    answer = Reply(value=b'{"na', finish="length") if error is ParseFailure else GOOD
    async with open_runtime(provider=scripted(answer), journal=None) as runtime:
        with pytest.raises(error):
            await step("hello")
        trace = await only_trace(runtime)
    assert (trace.outcome, trace.error.partition(":")[0]) == ("failed", error.__name__)


async def test_a_truncated_answer_is_retried_and_said_to_be_too_long() -> None:
    provider = scripted(Reply(value=b'{"name": "a", "sc', finish="length"), GOOD)
    async with open_runtime(provider=provider, journal=None):
        assert await label("hello") == GOOD
    assert "cut off at the output limit" in provider.received[1].messages[0]


@pytest.mark.parametrize(
    ("returns", "wire"), [(int, 7), (list[int], [1, 2]), (Literal["x", "y"], "x"), (str | None, None)]
)
async def test_primitive_results_are_wrapped_on_the_wire_and_unwrapped_here(returns: Any, wire: object) -> None:
    """CASES A19."""

    def answer(question: str) -> Any: ...

    answer.__annotations__["return"] = returns
    step: Any = infer(intent="Answer")(answer)
    provider = scripted({"value": wire})
    async with open_runtime(provider=provider, journal=None):
        assert await step("?") == wire
    assert set(provider.received[0].schema["properties"]) == {"value"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda text: len(text) > 3, r"len\(text\) > 3 \(actual: "),
        (lambda text: text.index("?") > 3, r"substring not found"),
    ],
)
async def test_a_precondition_that_does_not_hold_sends_nothing(given: Any, told: str) -> None:
    """CASES B14."""
    provider = scripted(GOOD)
    step = infer(intent="Label", given=given)(label.function)
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(PreconditionFailed, match=told):
            await step("hi")
        trace = await only_trace(runtime)
        assert provider.requests == []
        assert (trace.outcome, trace.attempts, trace.cost_usd) == ("failed", 0, 0.0)
        assert await step("hello?") == GOOD


async def test_an_argument_of_the_wrong_type_is_refused_before_anything_is_awaited() -> None:
    with pytest.raises(ContractViolation, match="call of label:\n  - schema: text: expected string, got 7"):
        label(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        label()  # type: ignore[call-arg]


async def test_rate_limiting_is_waited_out_as_the_provider_asks(autojump_clock: MockClock) -> None:
    limited = Answer(status=429, headers={"retry-after": "7"}, body=b'{"error":{"message":"slow down"}}')
    provider = scripted(limited, GOOD)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await label("hello") == GOOD
        assert trio.current_time() == 7
        kinds = [type(record) for record in await records(runtime)]
        trace = await only_trace(runtime)
    assert kinds.count(Released) == 1
    assert kinds.count(LeftInDoubt) == 0
    assert (trace.attempts, trace.transport_retries) == (1, 1)


async def test_a_rate_limit_of_ones_own_spaces_requests_out(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value=GOOD))
    limits = {"gpt-4o": RateLimit(requests_per_minute=6)}
    async with open_runtime(provider=provider, journal=None, rate_limits=limits):
        for _ in range(8):
            await label("hello")
    assert trio.current_time() == 20  # six at once, then one every ten seconds


async def test_server_errors_back_off_and_stay_in_doubt(autojump_clock: MockClock) -> None:
    """BUDGETS rule 5."""
    broken = Answer(status=500, headers={}, body=b"oops")
    provider = scripted(broken, broken, GOOD)
    async with open_runtime(provider=provider, journal=None, jitter=lambda: 1.0) as runtime:
        assert await label("hello") == GOOD
        assert trio.current_time() == 0.5 + 1.0
        held = [record.picousd for record in await records(runtime) if isinstance(record, Reserved)]
        assert runtime.place.envelope.scope.in_doubt.picousd == held[0] + held[1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_request_the_provider_refuses_fails_at_once_with_its_message(status: int) -> None:
    refused = Answer(status=status, headers={}, body=b'{"error":{"message":"no such thing"}}')
    provider = scripted(refused)
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(ProviderError, match="no such thing") as caught:
            await label("hello")
        assert runtime.place.envelope.scope.in_doubt.picousd == 0
        assert runtime.place.envelope.scope.settled.picousd == 0
    assert caught.value.status == status
    assert not caught.value.retryable
    assert len(provider.requests) == 1


async def test_an_exhausted_quota_is_not_retried() -> None:
    body = b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}'
    provider = scripted(Answer(status=429, headers={}, body=body))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(ProviderError, match="quota"):
            await label("hello")
    assert len(provider.requests) == 1


async def test_transport_retries_end_with_the_last_failure(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value=TransportFailure(reason="connection reset", sent=True)))
    async with open_runtime(provider=provider, journal=None, transport_retries=2) as runtime:
        with pytest.raises(ProviderError, match="connection reset"):
            await label("hello")
        assert len([record for record in await records(runtime) if isinstance(record, LeftInDoubt)]) == 3
    assert len(provider.requests) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_for_more_than_an_hour_is_not_waited_for(autojump_clock: MockClock, status: int) -> None:
    """A quota of the day, or a gateway's mistake, would hold a call without a deadline for ever."""
    away = Answer(status=status, headers={"retry-after": "86400"}, body=b"")
    async with open_runtime(provider=scripted(away, GOOD), journal=None) as runtime:
        with pytest.raises(ProviderError, match="it asks to be left alone for 86,400 s: call again then"):
            await label("a")
        assert await runtime.run(label, "a") == GOOD  # nor does any other call of the model wait
    assert trio.current_time() == 0


async def test_who_asks_for_an_hour_is_waited_for(autojump_clock: MockClock) -> None:
    away = Answer(status=429, headers={"retry-after": "3600"}, body=b"")
    async with open_runtime(provider=scripted(away, GOOD), journal=None):
        assert await label("a") == GOOD
    assert trio.current_time() == 3600


async def test_a_call_may_be_sent_again_any_number_of_times(autojump_clock: MockClock) -> None:
    """2.0 ** 1024 is no float."""
    away = Answer(status=429, headers={}, body=b"")
    provider = scripted(*[away] * 1100, GOOD)
    async with open_runtime(provider=provider, journal=None, transport_retries=2000):
        assert await label("a") == GOOD


async def test_a_model_to_fall_back_on_is_asked_instead_of_waiting_a_day(autojump_clock: MockClock) -> None:
    away = Answer(status=429, headers={"retry-after": "86400"}, body=b"")
    either = infer(intent="Label the text", model=["a", "b"])(label.function)
    provider = scripted(otherwise=lambda request: away if request.model == "a" else GOOD)
    async with open_runtime(provider=provider, journal=None):
        assert await either("text") == GOOD
    assert trio.current_time() == 0


async def test_a_request_that_never_left_is_released(autojump_clock: MockClock) -> None:
    provider = scripted(TransportFailure(reason="no route", sent=False), GOOD)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await label("hello") == GOOD
        assert runtime.place.envelope.scope.in_doubt.picousd == 0


async def test_an_answer_that_never_comes_is_given_up_after_the_request_timeout(autojump_clock: MockClock) -> None:
    provider = scripted(Reply(value=GOOD, delay_s=10_000), GOOD)
    async with open_runtime(provider=provider, journal=None, request_timeout_s=60, jitter=lambda: 1.0) as runtime:
        assert await label("hello") == GOOD
        assert trio.current_time() == 60 + 0.5
        assert runtime.place.envelope.scope.in_doubt.picousd > 0


async def test_the_calls_own_deadline_raises_at_the_call_and_leaves_the_request_in_doubt(
    autojump_clock: MockClock,
) -> None:
    """CASES D1."""
    hurried = infer(intent="Label", budget=Budget(ms=500))(label.function)
    provider = scripted(Reply(value=GOOD, delay_s=60))
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await hurried("hello")
        assert trio.current_time() == 0.5
        kinds = [type(record) for record in await records(runtime)]
        trace = await only_trace(runtime)
    assert (caught.value.resource, caught.value.limit, caught.value.step) == ("ms", 500, "label#1")
    assert LeftInDoubt in kinds
    assert trace.outcome == "failed"
    assert trace.error.startswith("BudgetExceeded")


async def test_retries_draw_from_one_budget_and_the_refusal_names_the_last_violation() -> None:
    """BUDGETS case 24; CASES D12."""
    usage = Usage(input_tokens=500, output_tokens=1000)
    step = infer(
        intent="Label", ensure=lambda r: r.score > 0.5, budget=Budget(usd=0.0271), retries=9, max_output_tokens=1000
    )(label.function)
    provider = scripted(otherwise=Reply(value=POOR, usage=usage))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await step("hello")
    assert len(provider.requests) == 3
    assert caught.value.settled == 3 * (500 * 2_000_000 + 1000 * 8_000_000)
    assert isinstance(caught.value.__cause__, PostconditionFailed)


async def test_the_cap_shrinks_to_what_the_money_affords() -> None:
    """BUDGETS rule 3, case 25."""
    step = infer(intent="Label", budget=Budget(usd=0.005), max_output_tokens=2000)(label.function)
    provider = scripted(GOOD)
    async with open_runtime(provider=provider, journal=None):
        assert await step("hello") == GOOD
    assert 16 <= provider.received[0].max_output_tokens < 2000


@contract
class Essay:
    text: Annotated[str, Field(max_length=1_000_000)]


@contract
class Short:
    text: Annotated[str, Field(max_length=10)]


async def test_the_default_cap_is_the_contracts_bound_within_reason() -> None:
    @infer(intent="Write at length")
    def essay(about: str) -> Essay: ...

    @infer(intent="Write in brief")
    def note(about: str) -> Short: ...

    provider = scripted(Essay(text="x"), Short(text="x"))
    async with open_runtime(provider=provider, journal=None):
        await essay("?")
        await note("?")
    assert provider.received[0].max_output_tokens == 16_384
    assert 16 <= provider.received[1].max_output_tokens < 200


async def test_an_answer_without_usage_costs_its_whole_reservation() -> None:
    """BUDGETS case 12."""
    provider = scripted(Reply(value=GOOD, usage=None))
    async with open_runtime(provider=provider, journal=None) as runtime:
        await label("hello")
        (reserved,) = [record for record in await records(runtime) if isinstance(record, Reserved)]
        (settled,) = [record for record in await records(runtime) if isinstance(record, Settled)]
        trace = await only_trace(runtime)
    assert settled.picousd == reserved.picousd
    assert settled.estimated and trace.estimated


class Broken:
    """A validator with a fault in it."""

    faulty = True

    @classmethod
    def checked(cls, number: int) -> int:
        if cls.faulty:
            raise KeyError("no such number")
        return number


@contract
class Checked:
    number: Annotated[int, AfterValidator(Broken.checked)]


@infer(intent="Name a number")
def checked() -> Checked: ...


@flow
async def checks() -> Checked:
    return await checked()


async def test_an_answer_on_which_a_validator_breaks_is_on_the_books_and_not_paid_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_runtime(provider=scripted(b'{"number": 1}'), journal=None) as runtime:
        with pytest.raises(KeyError, match="no such number"):
            await checks()
        (run,) = [run.run for run in await runtime.journal.runs() if run.name == "checks"]
        written = await runtime.journal.read(run)
        assert [type(record) for record in written if isinstance(record, (Settled, Answered))] == [Settled, Answered]
        assert replay(written).scopes[""].settled == runtime.place.envelope.scope.settled != Amount()
        monkeypatch.setattr(Broken, "faulty", False)
        assert await checks.resume(run, runtime.place) == Checked(number=1)


async def test_a_provider_that_bills_above_its_cap_exhausts_the_budget_it_broke() -> None:
    """BUDGETS rule 6, case 9; CASES D4: the result is attached."""
    step = infer(intent="Label", budget=Budget(usd=0.02), max_output_tokens=100)(label.function)
    provider = scripted(Reply(value=GOOD, usage=Usage(input_tokens=100, output_tokens=5000)))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetOverrun) as caught:
            await step("hello")
    assert caught.value.actual == 100 * 2_000_000 + 5000 * 8_000_000
    assert caught.value.settled == caught.value.actual


async def test_an_overrun_that_breaks_no_limit_is_flagged_and_the_result_returned() -> None:
    """BUDGETS case 10."""
    step = infer(intent="Label", budget=Budget(usd=1), max_output_tokens=100)(label.function)
    provider = scripted(Reply(value=GOOD, usage=Usage(input_tokens=100, output_tokens=5000)))
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await step("hello") == GOOD
        trace = await only_trace(runtime)
    assert "billed more" in trace.attempt_details[0].error


async def test_a_usd_budget_refuses_a_model_without_a_price() -> None:
    step = infer(intent="Label", budget=Budget(usd=1), model="house-model")(label.function)
    provider = scripted(GOOD, price=None)
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(UnknownPrice, match="house-model"):
            await step("hello")
    assert provider.requests == []


async def test_without_a_usd_budget_an_unknown_price_is_recorded_as_unknown() -> None:
    step = infer(intent="Label", model="house-model")(label.function)
    async with open_runtime(provider=scripted(GOOD, price=None), journal=None) as runtime:
        assert await step("hello") == GOOD
        assert (await only_trace(runtime)).cost_usd is None


async def test_a_price_given_to_the_runtime_counts() -> None:
    step = infer(intent="Label", budget=Budget(usd=1), model="house-model")(label.function)
    prices = {"house-model": Price.per_million(input=1, output=1)}
    provider = scripted(Reply(value=GOOD, usage=Usage(input_tokens=10, output_tokens=10)), price=None)
    async with open_runtime(provider=provider, journal=None, prices=prices) as runtime:
        assert await step("hello") == GOOD
        assert (await only_trace(runtime)).cost_picousd == 20 * 10**6


async def test_a_token_budget_is_reserved_and_settled_like_money() -> None:
    """CASES D16."""
    step = infer(intent="Label", budget=Budget(tokens=200), max_output_tokens=100)(label.function)
    provider = scripted(GOOD)
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await step("hello " * 200)
    assert caught.value.resource == "tokens"
    assert provider.requests == []


async def test_a_free_model_runs_under_a_budget_of_nothing() -> None:
    """BUDGETS case 21."""
    step = infer(intent="Label", budget=Budget(usd=0))(label.function)
    free = Price.per_million(input=0, output=0)
    async with open_runtime(provider=scripted(GOOD, price=free), journal=None):
        assert await step("hello") == GOOD
    async with open_runtime(provider=scripted(GOOD), journal=None):
        with pytest.raises(BudgetExceeded):
            await step("hello")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"intent": " "}, "intent is empty"),
    ({"intent": "x", "retries": -1}, "retries=-1"),
    ({"intent": "x", "max_output_tokens": 0}, "max_output_tokens=0"),
    ({"intent": "x", "ensure": lambda r: r.skore > 0.5}, "skore"),
    ({"intent": "x", "given": lambda txet: True}, "txet"),
]


@pytest.mark.parametrize(("options", "problem"), WRONG)
def test_what_cannot_work_is_refused_while_decorating(options: dict[str, Any], problem: str) -> None:
    """CASES A20."""
    with pytest.raises(ContractDefinitionError, match=problem):
        infer(**options)(label.function)


def test_a_function_without_a_return_type_is_refused() -> None:
    """CASES A20."""

    def untyped(text: str): ...  # type: ignore[no-untyped-def]

    with pytest.raises(ContractDefinitionError, match="return"):
        infer(intent="x")(untyped)


def test_a_varied_call_leaves_the_function_as_it_was() -> None:
    step = infer(intent="Label")(label.function)
    assert isinstance(step, Infer)
    varied = step.varied(retries=9, budget=Budget(usd=1), model="other", also=())
    assert (step.retries, step.budget, varied.retries, varied.budget) == (3, None, 9, Budget(usd=1))
