"""The chat dialect: a forced tool or a JSON schema, and what answers are read as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stratum.contracts.price import Usage
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.named import dialect_named
from stratum.engine.dialects.protocol import CallShape, Prompt

SCHEMA = b'{"type":"object","properties":{"level":{"type":"string"}},"required":["level"],"additionalProperties":false}'
SHAPE = CallShape(tool="assess", description="The risk.", instructions="Assess", schema=SCHEMA, model="m")
PROMPT = Prompt(inputs="text: abc")
USAGE = Usage(input_tokens=100, output_tokens=10)

dialect = ChatDialect()
schema_dialect = ChatDialect("json_schema", cap_field="max_tokens")


def sent(call_dialect: ChatDialect, prompt: Prompt = PROMPT, *, streamed: bool = False) -> dict[str, Any]:
    call = call_dialect.compile(SHAPE)
    body: dict[str, Any] = json.loads(call.body(call.conversation(prompt), max_output_tokens=50, streamed=streamed))
    return body


def chat_answer(message: dict[str, Any], *, finish: str = "stop", **fields: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields}).encode()


def test_a_request_forces_the_strict_tool() -> None:
    """CASES A16."""
    function = {"name": "assess", "description": "The risk.", "strict": True, "parameters": json.loads(SCHEMA)}
    assert sent(dialect) == {
        "model": "m",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "assess"}},
        "parallel_tool_calls": False,
        "max_completion_tokens": 50,
        "messages": [{"role": "system", "content": "Assess"}, {"role": "user", "content": "text: abc"}],
    }


def test_where_only_a_schema_is_constrained_the_whole_answer_follows_it() -> None:
    body = sent(schema_dialect)
    assert "tools" not in body
    assert body["max_tokens"] == 50
    form = {"name": "assess", "description": "The risk.", "strict": True, "schema": json.loads(SCHEMA)}
    assert body["response_format"] == {"type": "json_schema", "json_schema": form}


def test_a_stream_is_asked_to_report_its_usage() -> None:
    body = sent(dialect, streamed=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_instructions_of_one_call_replace_those_of_the_function() -> None:
    assert sent(dialect, Prompt(inputs="x", instructions="Assess x"))["messages"][0]["content"] == "Assess x"


def test_an_attachment_is_a_message_of_its_own_and_no_retry_message() -> None:
    """CASES C2."""
    call = dialect.compile(SHAPE)
    conversation = call.conversation(Prompt(inputs="x", attachment='{"document":"d"}'))
    received = dialect.receive(call.body(call.retry(conversation, "It is low.", "Fix"), max_output_tokens=9))
    assert (received.inputs, received.attachment, received.messages) == ("x", '{"document":"d"}', ("Fix",))
    assert received.attempt == 2


def test_a_retry_answers_the_rejected_call() -> None:
    """CASES B8."""
    call = dialect.compile(SHAPE)
    first = call.conversation(PROMPT)
    answer = dialect.write(tool="assess", arguments=b'{"level":1}', usage=USAGE, model="m", extra={"id": "7"})
    second = call.retry(first, dialect.read(answer), "Previous attempt failed:")
    rejected, violation = json.loads(b"[" + second.removeprefix(first + b",") + b"]")
    assert rejected["tool_calls"] == json.loads(answer)["choices"][0]["message"]["tool_calls"]
    assert violation == {"role": "tool", "tool_call_id": "call_7", "content": "Previous attempt failed:"}


def test_a_retry_without_a_call_is_the_users_message() -> None:
    """CASES B19."""
    call = dialect.compile(SHAPE)
    first = call.conversation(PROMPT)
    added = call.retry(first, "It is low.", "Use the tool").removeprefix(first + b",")
    assert json.loads(b"[" + added + b"]") == [
        {"role": "assistant", "content": "It is low."},
        {"role": "user", "content": "Use the tool"},
    ]


def test_nothing_rejected_adds_nothing_but_the_message() -> None:
    call = dialect.compile(SHAPE)
    completion = dialect.read(chat_answer({"content": None}))
    assert (completion.status, completion.rejected) == ("no_call", b"")
    assert call.retry(b"1", "", "m") == b'1,{"role":"user","content":"m"}'


@pytest.mark.parametrize(
    ("message", "finish", "status", "text"),
    [
        ({"content": "It is low."}, "stop", "no_call", "It is low."),
        ({"content": None, "refusal": "No."}, "stop", "refused", "No."),
        ({"content": "It is"}, "length", "truncated", "It is"),
        ({"content": None}, "length", "truncated", ""),
        ({"content": None}, "content_filter", "filtered", ""),
        ({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]}, "length", "truncated", ""),
    ],
)
def test_answers_that_are_no_call_say_why(message: dict[str, Any], finish: str, status: str, text: str) -> None:
    """CASES B10, B19."""
    completion = dialect.read(chat_answer(message, finish=finish))
    assert (completion.status, completion.text) == (status, text)


def test_the_tool_that_was_called_is_named() -> None:
    calls = [{"id": "c", "function": {"name": "another", "arguments": "{}"}}]
    assert dialect.read(chat_answer({"tool_calls": calls})).tool == "another"


def test_a_call_without_an_id_can_still_be_answered() -> None:
    calls = [{"function": {"name": "assess", "arguments": "{}"}}]
    completion = dialect.read(chat_answer({"tool_calls": calls}))
    call = dialect.compile(SHAPE)
    *_, rejected, answer = json.loads(b"[" + call.retry(call.conversation(PROMPT), completion, "m") + b"]")
    assert rejected["tool_calls"][0]["id"] == answer["tool_call_id"]


def test_content_is_the_arguments_where_a_schema_was_sent() -> None:
    completion = schema_dialect.read(chat_answer({"content": '{"level":"low"}'}))
    assert (completion.status, completion.arguments) == ("called", b'{"level":"low"}')
    assert schema_dialect.read(chat_answer({"content": None, "refusal": "No."})).status == "refused"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":"x"}', b"\xff", b"[" * 200_000],
)
def test_what_cannot_be_read_is_unreadable_and_nothing_is_raised(body: bytes) -> None:
    assert dialect.read(body).status == "unreadable"


def test_an_id_that_is_no_text_does_not_cost_the_answer() -> None:
    """Servers that are not OpenAI's number their answers; what was paid for is read all the same."""
    message = {"tool_calls": [{"id": "c", "function": {"name": "assess", "arguments": "{}"}}]}
    completion = dialect.read(chat_answer(message, id=7, model=["m"]))
    assert (completion.status, completion.response_id, completion.model) == ("called", "", "")
    assert dialect.read(chat_answer(message, id="seven", model="m")).response_id == "seven"


def test_a_failure_behind_status_200_is_a_failure() -> None:
    completion = dialect.read(b'{"error":{"message":"upstream died, key sk-abcdefgh12345","code":502}}')
    assert (completion.status, completion.text) == ("failed", "upstream died, key sk-***")


def test_a_stream_without_done_is_finished_by_its_usage() -> None:
    body = dialect.write(tool="assess", arguments=b'{"level":"low"}', usage=USAGE, model="m")
    reader = dialect.stream_reader()
    for event in dialect.write_stream(body)[:-1]:
        assert not reader.finished
        reader.feed(event)
    assert reader.finished
    assert dialect.read(reader.body()).usage == USAGE


def test_a_stream_that_breaks_off_is_a_failure_with_what_came() -> None:
    body = dialect.write(tool="assess", arguments=b'{"level":"low"}', usage=USAGE, model="m")
    reader = dialect.stream_reader()
    for event in [*dialect.write_stream(body)[:3], b"not json", b'{"choices":[{"delta":7}]}']:
        reader.feed(event)
    assert (reader.finished, reader.output_deltas) == (False, 1)
    assert dialect.read(reader.body()).status == "failed"
    assert b'{\\"level' in reader.body()


def test_done_without_a_finish_reason_finishes_nothing() -> None:
    reader = dialect.stream_reader()
    reader.feed(b"[DONE]")
    assert not reader.finished


def test_an_error_in_a_stream_ends_it() -> None:
    reader = dialect.stream_reader()
    reader.feed(b'{"error":{"message":"overloaded"}}')
    assert reader.finished
    assert dialect.read(reader.body()).text == "overloaded"


NO_CONTRACT = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":9}'
NO_MESSAGE = b'{"model":"m","messages":[],"tools":[{"function":{"name":"f","parameters":{}}}]}'


@pytest.mark.parametrize("body", [b"{}", b"[]", NO_CONTRACT, NO_MESSAGE])
def test_a_request_of_another_kind_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        dialect.receive(body)


def test_every_dialect_is_found_by_its_name() -> None:
    for known in (dialect, schema_dialect):
        assert dialect_named(known.name).name == known.name
    with pytest.raises(ValueError, match="no dialect"):
        dialect_named("smoke signals")


def test_reasoning_models_are_known_by_name() -> None:
    assert dialect.reasons("o4-mini")
    assert not dialect.reasons("gpt-4o")


def test_the_providers_message_is_read_from_an_error() -> None:
    assert dialect.error(400, {}, b'{"error":{"message":"no such model"}}') == "no such model"
