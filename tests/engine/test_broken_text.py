"""Answers in which a server cut a character into pieces: read, with U+FFFD in place of what is broken."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum import infer, open_runtime
from stratum.contracts.price import Usage
from stratum.engine.dialects.broken_text import paired, read_broken
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import scripted

USAGE = Usage(input_tokens=9, output_tokens=9)
DIALECTS: dict[str, Dialect] = {
    "responses": ResponsesDialect(),
    "chat": ChatDialect(),
    "json_schema": ChatDialect("json_schema"),
}
dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
any_text = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\ud83d\ude00\\u😀"), max_size=20)


@infer(intent="Greet")
def greet(name: str) -> str: ...


def written(dialect: Dialect, said: str) -> bytes:
    """An answer of `dialect`, in which `said` stands for the letter X."""
    body = dialect.write(tool="greet", arguments=b'{"value":"X"}', usage=USAGE, model="m")
    return body.replace(b"X", said.encode())


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (r"\ud83d", "�"),
        (r"\uDE00!", "�!"),
        (r"\ud83d\ud83d\ude00", "�😀"),
        (r"\ude00\ud83d", "��"),
        (r"\ud83dA", "�A"),
        (r"\ud83d\ude00", "😀"),
        (r"\\\\ud83d", r"\\ud83d"),
    ],
)
@dialects
def test_half_a_character_is_replaced_and_all_else_stays(dialect: Dialect, said: str, read: str) -> None:
    completion = dialect.read(written(dialect, said))
    assert (completion.status, completion.usage) == ("called", USAGE)
    assert completion.arguments.decode() == f'{{"value":"{read}"}}'


@dialects
def test_bytes_that_are_no_utf8_are_replaced(dialect: Dialect) -> None:
    completion = dialect.read(written(dialect, "X").replace(b"X", "é".encode()[:1] + b"!"))
    assert completion.arguments.decode() == '{"value":"�!"}'


@dialects
@pytest.mark.parametrize("said", [r"\ud83", r"\ud83d", "\xff"])
def test_what_is_broken_in_another_way_too_is_unreadable(dialect: Dialect, said: str) -> None:
    assert dialect.read(written(dialect, said)[:-1]).status == "unreadable"


@given(any_text)
def test_a_broken_text_is_read_as_one_put_together_of_its_halves(text: str) -> None:
    decode = msgspec.json.Decoder(str).decode
    assert read_broken(decode, json.dumps(text).encode()) == paired(text)


@given(st.text())
def test_a_whole_text_stays_as_it_is(text: str) -> None:
    assert paired(text) == text


@dialects
async def test_a_broken_answer_is_paid_for_once_and_nothing_is_in_doubt(dialect: Dialect) -> None:
    provider = scripted(Answer(status=200, headers={}, body=written(dialect, r"Hello \ud83d")), dialect=dialect)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await greet("Ada") == "Hello �"
        scope = runtime.place.envelope.scope
    assert (scope.in_doubt.tokens, scope.settled.tokens) == (0, 18)


@pytest.mark.parametrize("part", ["arguments", "content"])
def test_halves_in_two_chunks_of_a_stream_are_one_character(part: str) -> None:
    reader = ChatDialect().stream_reader()
    for event in chat_chunks(part, r"a\ud83d", r"\ude00b", r"\ud83d"):
        reader.feed(event)
    assert reader.finished
    (choice,) = json.loads(reader.body())["choices"]
    message = choice["message"]
    said = message["tool_calls"][0]["function"]["arguments"] if part == "arguments" else message["content"]
    assert said == "a😀b�"
    assert reader.arguments == ("a😀b�" if part == "arguments" else "")


def chat_chunks(part: str, *pieces: str) -> list[bytes]:
    def delta(piece: str) -> str:
        text = f'{{"{part}":"{piece}"}}'
        return text if part == "content" else f'{{"tool_calls":[{{"index":0,"id":"c","function":{text}}}]}}'

    chunks = [f'{{"choices":[{{"delta":{delta(piece)}}}]}}' for piece in pieces]
    end = ['{"choices":[{"delta":{},"finish_reason":"stop"}]}', "[DONE]"]
    return [chunk.encode() for chunk in (*chunks, *end)]


def test_a_stream_with_a_broken_delta_is_read_by_its_whole_answer() -> None:
    dialect = ResponsesDialect()
    reader = dialect.stream_reader()
    delta: dict[str, Any] = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "X"}
    reader.feed(json.dumps({"type": "response.output_item.added", "item": {"type": "function_call"}}).encode())
    reader.feed(json.dumps(delta).replace("X", r"\ud83d").encode())
    assert (reader.arguments, reader.output_deltas) == ("�", 1)
    reader.feed(b'{"type":"response.completed","response":%b}' % written(dialect, r"\ud83d\ude00\ud83d"))
    assert dialect.read(reader.body()).arguments.decode() == '{"value":"😀�"}'
