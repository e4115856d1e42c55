"""What a retry shows the model of its own answer: a whole call as it came, of anything else the beginning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum import ParseFailure, contract, infer, open_runtime
from stratum.contracts.records import AttemptFinished, Reserved
from stratum.contracts.violation import MAX_TEXT
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.echo import ALWAYS_BYTES, BYTES_PER_TOKEN, echo
from stratum.engine.dialects.protocol import Completion, Dialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.dialects.translated import read_recorded
from stratum.engine.providers.scripted import Reply, Scripted, scripted


@contract
class Summary:
    title: str
    points: list[str]


@infer(intent="Summarise", retries=2, ensure=lambda r: r.title != "bad")
def summarise(text: str) -> Summary: ...


GOOD = Summary(title="good", points=[])
BODY = b'{"title":"t","points":["' + b"word and more, " * 1000
LONG_TALK = "I would rather say " * 1000

DIALECTS: dict[str, Dialect] = {
    "responses": ResponsesDialect(),
    "chat": ChatDialect(),
    "json_schema": ChatDialect("json_schema"),
}
dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())


async def retried(*replies: Reply, dialect: Dialect) -> tuple[Scripted, list[dict[str, Any]]]:
    """The provider after the answers `replies` and a good one, and what the last request added to the first."""
    provider = scripted(*replies, GOOD, dialect=dialect)
    async with open_runtime(provider=provider, journal=None):
        assert await summarise("hello") == GOOD
    first, *_, last = (conversation(request.body) for request in provider.requests)
    assert last[: len(first)] == first, "the provider's cache can serve what was sent before"
    return provider, last[len(first) :]


def conversation(body: bytes) -> list[dict[str, Any]]:
    sent: dict[str, Any] = json.loads(body)
    items: list[dict[str, Any]] = sent["input"] if "input" in sent else sent["messages"]
    return items


@dialects
async def test_an_answer_cut_off_at_the_output_limit_costs_the_retry_little(dialect: Dialect) -> None:
    """CASES B8."""
    provider, added = await retried(Reply(value=BODY, finish="length"), dialect=dialect)
    assert added == [
        {"role": "assistant", "content": f"{BODY[:MAX_TEXT].decode()}… [{len(BODY) - MAX_TEXT:,} more characters]"},
        {"role": "user", "content": provider.received[1].messages[0]},
    ]
    assert provider.received[1].messages[0].splitlines()[1:-1] == [
        f"  - answer: the answer was cut off at the output limit; answer more briefly (cut off after {len(BODY):,} characters)"
    ]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(value=BODY, finish="length"),
        Reply(text=LONG_TALK, finish="length"),
        Reply(text=LONG_TALK),
        Reply(text=LONG_TALK, finish="refusal"),
        Reply(text=LONG_TALK, finish="content_filter"),
        Reply(value=BODY),
        Reply(value=b"[1, 2]"),
        Reply(value=b'{"title": "\\ud83d", "points": []}'),
        Reply(value=b"[" * 100_000),
        Reply(value={"title": 7, "points": ["word"] * 100_000}),
        Reply(value={f"key {number} " * 20: 0 for number in range(300)}),
    ],
    ids=lambda reply: str(reply.text or reply.value)[:20],
)
@dialects
async def test_what_is_no_whole_call_goes_back_as_a_short_text_however_long_it_was(
    dialect: Dialect, reply: Reply
) -> None:
    """CASES B10, B19."""
    _, added = await retried(reply, reply, dialect=dialect)
    assert [item["role"] for item in added] == ["assistant", "user"] * 2
    assert all(len(item["content"]) < MAX_TEXT + 40 for item in added[::2])
    assert sum(len(json.dumps(item)) for item in added) < 10_000


@pytest.mark.parametrize(
    ("name", "told_as"), [("responses", "output"), ("chat", "content"), ("json_schema", "content")]
)
async def test_a_whole_call_that_is_wrong_goes_back_as_it_came(name: str, told_as: str) -> None:
    """CASES B8."""
    answer = {"title": "bad", "points": ["word"] * 1000}
    provider, (rejected, told) = await retried(Reply(value=answer), dialect=DIALECTS[name])
    written = json.dumps(answer, separators=(",", ":"))
    calls = [item["function"] for item in rejected.get("tool_calls", ())]
    assert written in [rejected.get("arguments"), rejected.get("content"), *(call["arguments"] for call in calls)]
    assert told[told_as] == provider.received[1].messages[0]


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ({}, True),
        ({"tool": "search"}, True),
        ({"tool": "", "call_id": ""}, True),
        ({"tool": ""}, False),
        ({"call_id": ""}, False),
        ({"tool": "no name for a tool"}, False),
        ({"tool": "s" * 65}, False),
        ({"status": "truncated"}, False),
        ({"status": "filtered"}, False),
        ({"arguments": b'{"a":1'}, False),
        ({"arguments": b""}, False),
        ({"arguments": b"\xff"}, False),
        ({"rejected": b""}, False),
        ({"rejected": b"x" * ALWAYS_BYTES}, True),
        ({"rejected": b"x" * BYTES_PER_TOKEN * 1000}, True),
        ({"rejected": b"x" * (BYTES_PER_TOKEN * 1000 + 1)}, False),
    ],
)
def test_what_goes_back_whole_is_a_call_that_every_server_can_read(change: dict[str, Any], whole: bool) -> None:
    call: dict[str, Any] = {"tool": "f", "call_id": "c", "arguments": b'{"a":1}', "rejected": b"x"}
    fields: dict[str, Any] = {"status": "called", **call, **change}
    completion = Completion(**fields)
    assert echo(completion, said="said", cap=1000) == (completion if whole else "said")


@given(st.text(max_size=MAX_TEXT + 100))
def test_a_beginning_is_all_of_it_or_says_how_much_is_left_out(said: str) -> None:
    shown = echo(Completion(status="no_call"), said=said, cap=10)
    assert isinstance(shown, str)
    left_out = len(said) - MAX_TEXT
    assert shown == (said if left_out <= 0 else f"{said[:MAX_TEXT]}… [{left_out:,} more characters]")


@dialects
async def test_what_is_reserved_for_a_retry_is_what_is_sent(dialect: Dialect) -> None:
    """BUDGETS rule 1, BUDGETS rule 8."""
    provider = scripted(Reply(value=BODY, finish="length"), GOOD, dialect=dialect)
    async with open_runtime(provider=provider, journal=None) as runtime:
        await summarise("hello")
        written = await runtime.journal.read(runtime.session)
    reserved = [record.tokens for record in written if isinstance(record, Reserved)]
    sent = [len(request.body) for request in provider.requests]
    assert reserved[1] - reserved[0] == sent[1] - sent[0]
    attempts = [record.attempt for record in written if isinstance(record, AttemptFinished)]
    assert [attempt.new_input_bytes for attempt in attempts] == [sent[0], sent[1] - sent[0]]


@pytest.mark.parametrize(
    ("reply", "raw"),
    [
        (Reply(value=b'{"title":"t', finish="length"), '{"title":"t'),
        (Reply(text="I would", finish="length"), "I would"),
        (Reply(text="", finish="length"), ""),
        (Reply(text="", finish="content_filter"), ""),
    ],
)
@dialects
async def test_a_call_that_fails_has_what_the_model_sent_before_it_was_cut_off(
    dialect: Dialect, reply: Reply, raw: str
) -> None:
    """CASES B12."""
    assert await raw_output(reply, dialect=dialect) == raw


@pytest.mark.parametrize("name", ["responses", "chat"])
async def test_a_call_that_fails_has_what_the_model_passed_to_another_tool(name: str) -> None:
    """CASES B12."""
    reply = Reply(value={"title": "t"}, tool="search")
    assert await raw_output(reply, dialect=DIALECTS[name]) == '{"title":"t"}'


async def raw_output(reply: Reply, *, dialect: Dialect) -> str:
    async with open_runtime(provider=scripted(otherwise=reply, dialect=dialect), journal=None):
        with pytest.raises(ParseFailure) as caught:
            await summarise("hello")
    return caught.value.raw_output


@pytest.mark.parametrize("before", DIALECTS.values(), ids=DIALECTS.keys())
@dialects
def test_an_answer_that_was_cut_off_is_the_same_one_in_another_dialect(before: Dialect, dialect: Dialect) -> None:
    body = before.write(tool="f", arguments=BODY, usage=None, model="m", finish="length")
    read = read_recorded(body, recorded=before.name, dialect=dialect, tool="f")
    assert (read.status, read.arguments) == ("truncated", BODY)


@pytest.mark.parametrize(
    ("said", "told", "roles"),
    [("", "before it began", ["user"]), ("I", "after 1 character", ["assistant", "user"])],
)
async def test_an_answer_of_which_hardly_anything_came_is_told_as_that(said: str, told: str, roles: list[str]) -> None:
    provider, added = await retried(Reply(text=said, finish="length"), dialect=DIALECTS["responses"])
    assert [item["role"] for item in added] == roles
    assert f"(cut off {told})" in provider.received[1].messages[0]
