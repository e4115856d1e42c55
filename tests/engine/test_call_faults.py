"""Every way a provider or the network fails, through `@infer` over real HTTP: how the call ends, and what is on the books then."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import trio
import trio.testing
import trustme
from tests.engine.test_faults import NoSuchName, server_tls
from tests.engine.test_openai import closed
from tests.fakes.behaviours import (
    answers,
    breaks_off,
    endless,
    gzip_bomb,
    hangs,
    hangs_up,
    in_order,
    malformed_json,
    refuses,
    resets_mid_body,
    trickles,
)
from tests.fakes.forks import ROOT
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import Behaviour, Exchange, open_server, serve_process
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    BudgetOverrun,
    ParseFailure,
    Price,
    ProviderError,
    TraceRecord,
    Usage,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.actors.ledger import Amount, replay
from stratum.contracts.errors import StratumError
from stratum.contracts.records import CallFinished, LeftInDoubt, Record, Released, Reserved, Settled
from stratum.engine.providers.openai import OpenAI

pytestmark = [pytest.mark.usefixtures("transport"), pytest.mark.stratum_network]

PRICE = Price.per_million(input=2, output=8)
GOOD = b'{"level":"low"}'

Api = Literal["responses", "chat"]
BOTH = pytest.mark.parametrize("api", ["responses", "chat"])
STREAMED = pytest.mark.parametrize("stream", [False, True])


@contract
class Risk:
    level: Literal["low", "high"]


@infer(intent="Assess the risk", max_output_tokens=100, retries=2)
def assess(text: str) -> Risk: ...


@infer(intent="Assess the risk", max_output_tokens=100, budget=Budget(ms=30_000))
def assess_in_time(text: str) -> Risk: ...


def time_passes(clock: MockClock, nursery: trio.Nursery) -> None:
    """Real time, but for the deadline of `assess_in_time`, which passes soon: no machine is too slow to send a request before."""
    clock.rate = 1

    @nursery.start_soon
    async def _() -> None:
        await trio.sleep(0.2)
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(30)


def until_late(behaviour: Behaviour, clock: MockClock, nursery: trio.Nursery) -> Behaviour:
    """Time passes while the server behaves so."""

    async def behave(exchange: Exchange) -> None:
        time_passes(clock, nursery)
        await behaviour(exchange)

    return behave


@dataclass(kw_only=True)
class Outcome:
    """How one call ended, and what it left in the journal."""

    result: Risk | None
    error: StratumError | None
    records: Sequence[Record]
    bodies: Sequence[bytes]
    """Of the requests the server received."""

    @property
    def ended(self) -> Counter[str]:
        """What became of the reservations."""
        kinds = (Released, LeftInDoubt, Settled)
        return Counter(type(record).__name__ for record in self.records if isinstance(record, kinds))

    @property
    def trace(self) -> TraceRecord:
        (trace,) = [record.trace for record in self.records if isinstance(record, CallFinished)]
        return trace


async def call(
    behaviour: Behaviour, *, step: Any = assess, api: Api = "responses", stream: bool = False, **options: Any
) -> Outcome:
    """One call to a server that behaves so.

    Fails if anything is left running or open, if memory and journal disagree, or if the provider billed more than they hold.
    """
    async with nothing_left(), open_server(behaviour) as server:
        provider = OpenAI("sk-test", server.url, api=api, stream=stream, price=PRICE, default_model="gpt-4o")
        outcome = await call_through(provider, step=step, **options)
        await closed(server)
        outcome.bodies = server.requests
        billed = sum(PRICE.cost(bill.usage) for bill in server.bills)
    assert billed <= replay(outcome.records).scopes[""].counted.picousd
    return outcome


async def call_through(provider: OpenAI, *, step: Any = assess, transport_retries: int = 2) -> Outcome:
    """A jitter of -1 leaves nothing of a backoff: what may be tried again is tried again at once."""
    result, failure = None, None
    async with open_runtime(
        provider=provider, journal=None, transport_retries=transport_retries, jitter=lambda: -1.0
    ) as runtime:
        with trio.fail_after(60):
            try:
                result = await step("abc")
            except StratumError as error:
                failure = error
        records = await runtime.journal.read(runtime.session)
        on_the_books = replay(records).scopes[""]
        scope = runtime.place.envelope.scope
        assert (scope.settled, scope.in_flight, scope.in_doubt) == (
            on_the_books.settled,
            Amount(),
            on_the_books.in_doubt,
        )
    return Outcome(result=result, error=failure, records=records, bodies=())


@BOTH
@STREAMED
async def test_rate_limiting_is_waited_out_and_costs_nothing(api: Api, stream: bool) -> None:
    limited = refuses(429, retry_after_s=0.02)
    outcome = await call(in_order(limited, limited, answers(GOOD)), api=api, stream=stream)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"Released": 2, "Settled": 1}
    assert (outcome.trace.attempts, outcome.trace.transport_retries) == (1, 2)
    assert len(set(outcome.bodies)) == 1


@BOTH
async def test_rate_limiting_without_end_ends_as_the_providers_error(api: Api) -> None:
    outcome = await call(refuses(429, retry_after_s=0, message="Rate limit reached"), api=api)
    assert isinstance(outcome.error, ProviderError)
    assert (outcome.error.status, outcome.error.message) == (429, "Rate limit reached")
    assert outcome.ended == {"Released": 3}


async def test_a_retry_after_beyond_the_deadline_ends_at_the_deadline(
    mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    outcome = await call(until_late(refuses(429, retry_after_s=3600), mock_clock, nursery), step=assess_in_time)
    assert isinstance(outcome.error, BudgetExceeded)
    assert outcome.error.resource == "ms"
    assert outcome.ended == {"Released": 1}
    assert len(outcome.bodies) == 1


@BOTH
@STREAMED
async def test_a_burst_of_500s_is_survived_and_stays_in_doubt(api: Api, stream: bool) -> None:
    """BUDGETS rule 5: a server that failed may have billed."""
    broken = refuses(500, billed=True)
    outcome = await call(in_order(broken, broken, answers(GOOD)), api=api, stream=stream)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"LeftInDoubt": 2, "Settled": 1}
    assert outcome.trace.transport_retries == 2


async def test_500s_without_end_end_as_the_providers_error() -> None:
    outcome = await call(refuses(503, message="Overloaded", billed=True))
    assert isinstance(outcome.error, ProviderError)
    assert (outcome.error.status, outcome.error.retryable) == (503, True)
    assert outcome.ended == {"LeftInDoubt": 3}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
@STREAMED
async def test_what_the_provider_refuses_fails_at_once_with_its_message(status: int, stream: bool) -> None:
    outcome = await call(refuses(status, message="no such model"), stream=stream)
    assert isinstance(outcome.error, ProviderError)
    assert (outcome.error.status, outcome.error.message) == (status, "no such model")
    assert outcome.ended == {"Released": 1}


@pytest.mark.parametrize("fault", [resets_mid_body, hangs_up, malformed_json])
@BOTH
async def test_an_answer_that_was_lost_is_asked_for_again_and_stays_in_doubt(fault: Behaviour, api: Api) -> None:
    outcome = await call(in_order(fault, answers(GOOD)), api=api)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"LeftInDoubt": 1, "Settled": 1}
    assert (outcome.trace.attempts, outcome.trace.transport_retries) == (1, 1)
    assert outcome.bodies[0] == outcome.bodies[1]


@pytest.mark.parametrize("fault", [resets_mid_body, hangs_up, malformed_json])
async def test_answers_that_are_always_lost_end_as_a_provider_error(fault: Behaviour) -> None:
    outcome = await call(fault)
    assert isinstance(outcome.error, ProviderError)
    assert outcome.error.retryable
    assert outcome.ended == {"LeftInDoubt": 3}


@BOTH
async def test_a_stream_that_breaks_off_is_asked_for_again_and_stays_in_doubt(api: Api) -> None:
    outcome = await call(in_order(breaks_off(after_events=2), answers(GOOD)), api=api, stream=True)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"LeftInDoubt": 1, "Settled": 1}


@pytest.mark.parametrize("fault", [hangs, trickles(interval_s=0.01)])
@STREAMED
async def test_an_answer_that_never_ends_is_ended_by_the_calls_own_deadline(
    fault: Behaviour, stream: bool, mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Slow loris: a byte now and then keeps every timeout but a deadline from firing."""
    outcome = await call(until_late(fault, mock_clock, nursery), step=assess_in_time, stream=stream)
    assert isinstance(outcome.error, BudgetExceeded)
    assert (outcome.error.resource, outcome.error.limit, outcome.error.step) == ("ms", 30_000, "assess_in_time#1")
    assert outcome.ended == {"LeftInDoubt": 1}
    assert outcome.trace.outcome == "failed"


async def test_a_stream_that_trickles_its_events_is_ended_by_the_deadline_too(
    mock_clock: MockClock,
    nursery: trio.Nursery,
) -> None:
    outcome = await call(until_late(answers(GOOD, pace_s=0.1), mock_clock, nursery), step=assess_in_time, stream=True)
    assert isinstance(outcome.error, BudgetExceeded)
    assert outcome.ended == {"LeftInDoubt": 1}


@BOTH
async def test_another_tool_than_the_one_it_was_told_to_call_is_a_rejected_answer(api: Api) -> None:
    outcome = await call(in_order(answers(GOOD, tool="search"), answers(GOOD)), api=api)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"Settled": 2}
    assert outcome.trace.retry_reasons == ["answer: no such tool: search"]
    assert b"no such tool: search" in outcome.bodies[1]


@BOTH
@STREAMED
async def test_a_truncated_answer_is_a_rejected_answer(api: Api, stream: bool) -> None:
    cut = answers(b'{"level":"lo', finish="length")
    outcome = await call(in_order(cut, answers(GOOD)), api=api, stream=stream)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"Settled": 2}
    assert b"cut off at the output limit" in outcome.bodies[1]


@BOTH
async def test_a_refusal_is_a_rejected_answer_and_ends_as_one(api: Api) -> None:
    refusal = answers(text="I cannot help with that.", finish="refusal")
    outcome = await call(in_order(refusal, answers(GOOD)), api=api)
    assert outcome.result == Risk(level="low")
    outcome = await call(refusal, api=api)
    assert isinstance(outcome.error, ParseFailure)
    assert outcome.error.attempts == 3
    assert "I cannot help with that." in str(outcome.error)
    assert outcome.ended == {"Settled": 3}


@BOTH
async def test_a_content_filter_is_a_rejected_answer(api: Api) -> None:
    outcome = await call(in_order(answers(text="", finish="content_filter"), answers(GOOD)), api=api)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"Settled": 2}


@BOTH
async def test_arguments_that_are_no_json_are_a_rejected_answer(api: Api) -> None:
    outcome = await call(in_order(answers(b'{"level": low}'), answers(GOOD)), api=api)
    assert outcome.result == Risk(level="low")
    assert outcome.ended == {"Settled": 2}


@BOTH
@STREAMED
async def test_an_answer_without_usage_counts_as_the_worst_case(api: Api, stream: bool) -> None:
    """BUDGETS case 12."""
    outcome = await call(answers(GOOD, reports_usage=False), api=api, stream=stream)
    assert outcome.result == Risk(level="low")
    (held,) = [record for record in outcome.records if isinstance(record, Reserved)]
    (settled,) = [record for record in outcome.records if isinstance(record, Settled)]
    assert settled.estimated
    assert settled.picousd == held.picousd


async def test_a_bill_above_the_cap_that_was_sent_is_booked_in_full_and_breaks_the_budget() -> None:
    """BUDGETS rule 6."""
    step = infer(intent="Assess the risk", max_output_tokens=100, budget=Budget(usd=0.01))(assess.function)
    outcome = await call(answers(GOOD, usage=Usage(input_tokens=100, output_tokens=5000)), step=step)
    assert isinstance(outcome.error, BudgetOverrun)
    assert outcome.ended == {"Settled": 1}
    assert replay(outcome.records).scopes[""].settled.picousd == 100 * 2_000_000 + 5000 * 8_000_000


@pytest.mark.parametrize("claimed", [0, 2**40])
async def test_a_count_of_tokens_that_cannot_be_true_is_none_and_spoils_nothing(claimed: int) -> None:
    """2^40 tokens at a usual price are no 64-bit number of picodollars, and 0 are what proxies say that do not know."""
    liar = answers(GOOD, usage=Usage(input_tokens=claimed, output_tokens=claimed))
    async with open_server(in_order(liar, answers(GOOD))) as server:
        outcome = await call_through(OpenAI("sk-test", server.url, price=PRICE))
        assert outcome.error is None
        after = await call_through(OpenAI("sk-test", server.url, price=PRICE))
    settled = next(record for record in outcome.records if isinstance(record, Settled))
    reserved = next(record for record in outcome.records if isinstance(record, Reserved))
    assert settled.estimated
    assert settled.picousd == reserved.picousd
    # The next call of the model is not thought to be dearer for it.
    assert next(record for record in after.records if isinstance(record, Reserved)).picousd == reserved.picousd


async def test_a_stream_past_its_cap_is_cut_off_and_stays_in_doubt() -> None:
    """The server would go on; the bill could not be bounded if it were let."""
    long = b'{"level":"' + b"very " * 2000 + b'"}'
    outcome = await call(answers(long, usage=Usage(input_tokens=100, output_tokens=100)), stream=True)
    assert isinstance(outcome.error, ProviderError)
    assert "cut off" in outcome.error.message
    assert outcome.ended == {"LeftInDoubt": 1}
    assert len(outcome.bodies) == 1


@pytest.mark.parametrize("fault", [gzip_bomb(unpacked_bytes=50_000_000), endless(announced=True)])
async def test_an_answer_too_large_to_take_is_a_provider_error(fault: Behaviour) -> None:
    outcome = await call(fault)
    assert isinstance(outcome.error, ProviderError)
    assert not outcome.error.retryable
    assert outcome.ended == {"LeftInDoubt": 1}


async def test_an_untrusted_certificate_fails_at_once_and_costs_nothing() -> None:
    async with nothing_left(), open_server(answers(GOOD), tls=server_tls(trustme.CA())) as server:
        outcome = await call_through(OpenAI("sk-test", server.url, price=PRICE))
    assert isinstance(outcome.error, ProviderError)
    assert "certificate of localhost is not trusted" in outcome.error.message
    assert "SSL_CERT_FILE" in outcome.error.fix
    assert outcome.ended == {"Released": 1}


@pytest.mark.parametrize(("code", "requests"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 3)])
async def test_a_name_that_is_not_resolved_costs_nothing(code: int, requests: int) -> None:
    trio.socket.set_custom_hostname_resolver(NoSuchName(code))
    async with nothing_left():
        outcome = await call_through(OpenAI("sk-test", "http://model.invalid/v1", price=PRICE))
    assert isinstance(outcome.error, ProviderError)
    assert "cannot resolve model.invalid" in outcome.error.message
    assert outcome.ended == {"Released": requests}


async def test_a_resolver_that_never_answers_is_ended_by_the_calls_own_deadline(
    transport: str, mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    """BUDGETS rule 5: nothing was sent, and the lean transport knows it."""

    class Silent(NoSuchName):
        async def getaddrinfo(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
            time_passes(mock_clock, nursery)
            await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Silent(0))
    async with nothing_left():
        outcome = await call_through(OpenAI("sk-test", "http://model.invalid/v1", price=PRICE), step=assess_in_time)
    assert isinstance(outcome.error, BudgetExceeded)
    assert outcome.ended == {"Released" if transport == "lean" else "LeftInDoubt": 1}


async def test_a_server_that_is_not_there_is_tried_again_and_costs_nothing() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        async with nothing_left():
            outcome = await call_through(OpenAI("sk-test", url, price=PRICE))
    assert isinstance(outcome.error, ProviderError)
    assert outcome.error.message.startswith("cannot connect to 127.0.0.1")
    assert outcome.ended == {"Released": 3}


async def test_a_hundred_calls_through_every_fault_at_once_all_end_and_leave_nothing() -> None:
    faults = [
        refuses(429, retry_after_s=0.01),
        refuses(500, billed=True),
        resets_mid_body,
        hangs_up,
        malformed_json,
        answers(GOOD, tool="search"),
        answers(b'{"lev', finish="length"),
        answers(text="no", finish="refusal"),
        answers(GOOD, reports_usage=False),
    ]

    async def any_fault(exchange: Exchange) -> None:
        # Two of three requests fail, each in its own way.
        behaviour = faults[exchange.number // 3 % len(faults)] if exchange.number % 3 else answers(GOOD)
        await behaviour(exchange)

    ended: Counter[str] = Counter()

    async def one(number: int) -> None:
        try:
            await assess(f"{number}")
        except (ProviderError, ParseFailure) as error:
            ended[type(error).__name__] += 1
        else:
            ended["answered"] += 1

    async with nothing_left(), open_server(any_fault) as server:
        provider = OpenAI("sk-test", server.url, price=PRICE, default_model="gpt-4o")
        async with open_runtime(provider=provider, journal=None, jitter=lambda: -1.0, transport_retries=3) as runtime:
            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    for number in range(100):
                        nursery.start_soon(one, number)
            books = replay(await runtime.journal.read(runtime.session)).scopes[""]
            scope = runtime.place.envelope.scope
            assert (scope.settled, scope.in_flight, scope.in_doubt) == (books.settled, Amount(), books.in_doubt)
        assert sum(PRICE.cost(bill.usage) for bill in server.bills) <= books.counted.picousd
    assert ended.total() == 100
    assert ended["answered"] > 50


def test_three_hundred_calls_are_answered_with_64_file_descriptors(tmp_path: Path) -> None:
    with serve_process(tmp_path / "bills.jsonl", "--latency-ms", "20", "--arguments", GOOD.decode()) as server:
        command = [sys.executable, "-m", "tests.fakes.few_descriptor_calls", server.url, str(tmp_path / "stratum.db")]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        assert len(server.bills()) == 300
    assert ended.stdout == "300 answered; settled 300\n"


async def test_calls_stopped_while_they_connect_are_stopped_and_have_not_failed() -> None:
    """Connecting opens a nursery: what comes out of it is a group."""

    class Silent(NoSuchName):
        async def getaddrinfo(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)
            return []

    @flow(budget=Budget(ms=1000))
    async def several(count: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(assess, f"{number}")

    trio.socket.set_custom_hostname_resolver(Silent(0))
    provider = OpenAI("sk-test", "http://model.invalid/v1", price=PRICE)
    async with nothing_left(), open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await several(5)
        (run,) = [run for run in await runtime.journal.runs() if run.name == "several"]
        records = await runtime.journal.read(run.run)
    assert len(caught.value.remaining) == 5
    assert {record.outcome for record in records if isinstance(record, CallFinished)} == {"cancelled"}
