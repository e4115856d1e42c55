"""The Responses dialect: what is sent, and what each kind of answer is read as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import CallShape, Prompt
from stratum.engine.dialects.responses import ResponsesDialect

SCHEMA = b'{"type":"object","properties":{"level":{"type":"string"}},"required":["level"],"additionalProperties":false}'
SHAPE = CallShape(tool="assess", description="The risk.", instructions="Assess the risk", schema=SCHEMA, model="gpt-4o")
PROMPT = Prompt(inputs="text: a burning server")
USAGE = Usage(input_tokens=100, output_tokens=10)

REASONING_SHAPE = CallShape(
    tool="assess",
    description="",
    instructions="",
    schema=SCHEMA,
    model="gpt-5.5",
    temperature=0.5,
    reasoning_effort="low",
)
THOUGHT: dict[str, object] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}

dialect = ResponsesDialect()


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_request_forces_the_strict_tool_and_stores_nothing() -> None:
    """CASES A16."""
    call = dialect.compile(SHAPE)
    sent: dict[str, Any] = json.loads(call.body(call.conversation(PROMPT), max_output_tokens=50))
    assert sent == {
        "model": "gpt-4o",
        "tools": [
            {
                "type": "function",
                "name": "assess",
                "description": "The risk.",
                "parameters": json.loads(SCHEMA),
                "strict": True,
            }
        ],
        "tool_choice": {"type": "function", "name": "assess"},
        "parallel_tool_calls": False,
        "store": False,
        "max_output_tokens": 50,
        "input": [
            {"role": "developer", "content": "Assess the risk"},
            {"role": "user", "content": "text: a burning server"},
        ],
    }


def test_a_retry_is_the_first_request_plus_the_rejected_call_plus_the_violation() -> None:
    """CASES B8."""
    call = dialect.compile(SHAPE)
    first = call.conversation(PROMPT)
    answer = dialect.write(tool="assess", arguments=b'{"level":"high"}', usage=USAGE, model="gpt-4o")
    second = call.retry(first, dialect.read(answer), "Previous attempt failed:")

    sent_first = call.body(first, max_output_tokens=50)
    sent_second = call.body(second, max_output_tokens=50)
    assert sent_second.startswith(sent_first.removesuffix(b"]}"))
    rejected, violation = json.loads(sent_second)["input"][2:]
    assert rejected == json.loads(answer)["output"][0]
    assert violation == {
        "type": "function_call_output",
        "call_id": rejected["call_id"],
        "output": "Previous attempt failed:",
    }


def test_a_tool_call_is_read_with_its_usage() -> None:
    answer = dialect.read(dialect.write(tool="assess", arguments=b'{"level":"low"}', usage=USAGE, model="gpt-4o"))
    assert (answer.status, answer.arguments, answer.tool) == ("called", b'{"level":"low"}', "assess")
    assert answer.usage == USAGE


def test_reasoning_models_are_asked_for_their_reasoning() -> None:
    sent = json.loads(dialect.compile(REASONING_SHAPE).body(b"", max_output_tokens=50))
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert (sent["temperature"], sent["reasoning"]) == (0.5, {"effort": "low"})


def test_all_before_the_conversation_is_the_same_in_every_request_of_a_function() -> None:
    call = dialect.compile(SHAPE)
    plain = call.body(call.conversation(PROMPT), max_output_tokens=50)
    named = call.body(call.conversation(Prompt(inputs="x", instructions="Assess x")), max_output_tokens=50)
    head = plain.partition(b'"input":[')[0]
    assert named.startswith(head)
    assert json.loads(named)["input"][0] == {"role": "developer", "content": "Assess x"}


def test_the_reasoning_that_led_to_a_rejected_call_goes_back_byte_for_byte() -> None:
    thought = '{"type":"reasoning","id":"rs_1","summary":[],\n "encrypted_content":"gAAA"}'
    called = '{"type":"function_call","call_id":"c1","name":"assess","arguments":"{}","status":"completed"}'
    other = '{"type":"function_call","call_id":"c2","name":"assess","arguments":"{}"}'
    completion = dialect.read(f'{{"output":[{thought},{called},{other}]}}'.encode())
    assert completion.rejected == f"{thought},{called}".encode()
    assert completion.call_id == "c1"


def test_a_call_without_an_id_cannot_go_back() -> None:
    call = {"type": "function_call", "name": "assess", "arguments": "{}"}
    assert dialect.read(response(output=[call])).rejected == b""


def test_reasoning_that_nothing_follows_is_left_out_of_a_retry() -> None:
    body = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}, output=[THOUGHT])
    completion = dialect.read(body)
    assert (completion.status, completion.rejected) == ("truncated", b"")


def test_a_retry_without_a_call_is_the_users_message() -> None:
    """CASES B19."""
    call = dialect.compile(SHAPE)
    first = call.conversation(PROMPT)
    completion = dialect.read(written({"arguments": None, "text": "It is low."}))
    assert (completion.status, completion.text, completion.rejected) == ("no_call", "It is low.", b"")
    added = call.retry(first, "It is low.", "Use it").removeprefix(first + b",")
    assert json.loads(b"[%b]" % added) == [
        {"role": "assistant", "content": "It is low."},
        {"role": "user", "content": "Use it"},
    ]
    assert call.retry(first, "", "Use it") == first + b',{"role":"user","content":"Use it"}'


def test_a_call_of_another_tool_is_named_and_can_be_answered() -> None:
    completion = dialect.read(dialect.write(tool="another", arguments=b"{}", usage=USAGE, model="m"))
    assert (completion.tool, completion.call_id) == ("another", "call_resp_1")


@pytest.mark.parametrize(
    ("parts", "status", "text"),
    [
        ({"arguments": None, "text": "No.", "finish": "refusal"}, "refused", "No."),
        ({"arguments": b'{"lev', "finish": "length"}, "truncated", ""),
        ({"arguments": None, "finish": "content_filter"}, "filtered", ""),
        ({"arguments": None, "extra": {"output": []}}, "no_call", ""),
        ({"arguments": None, "extra": {"status": "queued"}}, "failed", "the response was left queued"),
        ({"arguments": None, "extra": {"error": {"message": "overloaded"}}}, "failed", "overloaded"),
        ({"arguments": None, "extra": {"error": {"code": "server_error"}}}, "failed", "server_error"),
        ({"arguments": None, "extra": {"error": {}}}, "failed", "the provider failed and did not say why"),
    ],
)
def test_answers_that_are_no_call_say_why(parts: dict[str, Any], status: str, text: str) -> None:
    """CASES B10, B19."""
    completion = dialect.read(written(parts))
    assert (completion.status, completion.text) == (status, text)
    assert completion.usage == USAGE


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"output":7}', b'{"output":[7]}', b'{"output":[{}]}', b"\xff", b"[" * 200_000]
)
def test_what_cannot_be_read_is_unreadable_and_nothing_is_raised(body: bytes) -> None:
    assert dialect.read(body).status == "unreadable"


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json_bytes))
def test_no_body_makes_reading_raise(body: bytes) -> None:
    dialect.read(body)
    dialect.read(b'{"output":[' + body + b"]}")


def test_an_id_that_is_no_text_does_not_cost_the_answer() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "assess", "arguments": "{}"}
    completion = dialect.read(response(output=[call], id=7, model=["m"]))
    assert (completion.status, completion.response_id, completion.model) == ("called", "", "")
    assert dialect.read(response(output=[call], id="seven", model="m")).response_id == "seven"


def test_an_answer_without_usage_is_still_an_answer() -> None:
    """BUDGETS 12."""
    completion = dialect.read(dialect.write(tool="assess", arguments=b"{}", usage=None, model="m"))
    assert (completion.status, completion.usage) == ("called", None)


@pytest.mark.parametrize("parts", [{"arguments": b'{"level":"low"}'}, {"arguments": None, "text": "It is low."}])
def test_a_stream_counts_its_deltas_and_ends_in_the_whole_answer(parts: dict[str, Any]) -> None:
    body = written(parts)
    reader = dialect.stream_reader()
    for event in dialect.write_stream(body):
        assert not reader.finished
        reader.feed(event)
    assert reader.finished
    assert reader.output_deltas == 2
    assert json.loads(reader.body()) == json.loads(body)


def test_a_stream_that_breaks_off_is_a_failure_with_what_came() -> None:
    body = dialect.write(tool="assess", arguments=b'{"level":"low"}', usage=USAGE, model="m")
    reader = dialect.stream_reader()
    for event in [*dialect.write_stream(body)[:4], b"not json", b'{"type":"response.completed"']:
        reader.feed(event)
    assert (reader.finished, reader.output_deltas) == (False, 1)
    assert dialect.read(reader.body()).status == "failed"
    assert json.loads(reader.body())["output"][0]["arguments"] == '{"level"'


def test_an_error_event_ends_a_stream() -> None:
    reader = dialect.stream_reader()
    reader.feed(b'{"type":"error","code":"server_error","message":"overloaded","param":null,"sequence_number":3}')
    assert reader.finished
    completion = dialect.read(reader.body())
    assert (completion.status, completion.text) == ("failed", "overloaded")


def test_a_failed_response_ends_a_stream() -> None:
    reader = dialect.stream_reader()
    failed: dict[str, Any] = {
        "status": "failed",
        "error": {"code": "server_error", "message": "overloaded"},
        "output": [],
    }
    reader.feed(json_bytes({"type": "response.failed", "response": failed}))
    assert (reader.finished, dialect.read(reader.body()).text) == (True, "overloaded")


def test_text_that_streams_before_its_item_is_kept() -> None:
    reader = dialect.stream_reader()
    for delta in ("It is", " low"):
        reader.feed(json_bytes({"type": "response.output_text.delta", "output_index": 0, "delta": delta}))
    assert json.loads(reader.body())["output"][0]["content"][0]["text"] == "It is low"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"model":"m","tools":[],"input":[],"max_output_tokens":16}'])
def test_a_request_of_another_kind_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        dialect.receive(body)


def response(**fields: Any) -> bytes:
    return json_bytes({"status": "completed", "output": [], **fields})


def written(parts: dict[str, Any]) -> bytes:
    every: dict[str, Any] = {"tool": "assess", "usage": USAGE, "model": "m", **parts}
    return dialect.write(**every)


def test_reasoning_models_are_known_by_name() -> None:
    assert dialect.reasons("gpt-5.5")
    assert not dialect.reasons("gpt-4.1-mini")


def test_the_providers_message_is_read_from_an_error() -> None:
    assert dialect.error(400, {}, b'{"error":{"message":"no such model"}}') == "no such model"
