"""What we send, and what our fakes answer, judged by OpenAI's published schema. Skipped where that is not at hand."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.test_image import PNG, URL
from tests.contracts.test_schema import Everything, Tree, wire

from stratum import Image
from stratum.contracts.price import Usage
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.chat_server import DONE
from stratum.engine.dialects.echo import echo
from stratum.engine.dialects.protocol import CallShape, Dialect, Prompt
from stratum.engine.dialects.responses import ResponsesDialect

JUDGE = Path(__file__).resolve().parents[3] / "shared" / "tools" / "oai_judge.py"
Judge = Callable[[str, Any], list[tuple[str, str]]]

pytestmark = pytest.mark.skipif(not JUDGE.exists(), reason="OpenAI's published schema is not at hand")

SCHEMA = b'{"type":"object","properties":{"level":{"enum":["low","high"]}},"required":["level"],"additionalProperties":false}'
SHAPE = CallShape(
    tool="assess", description="The risk.", instructions="Assess the risk", schema=SCHEMA, model="gpt-5.5",
    temperature=0.5, reasoning_effort="low",
)  # fmt: skip
USAGE = Usage(input_tokens=100, output_tokens=10, cached_tokens=20, reasoning_tokens=5)
REASONING = b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}'

DIALECTS: dict[str, Dialect] = {
    "responses": ResponsesDialect(),
    "chat": ChatDialect(),
    "chat, json_schema": ChatDialect("json_schema"),
    "chat, max_tokens": ChatDialect("json_schema", cap_field="max_tokens"),
}
dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
ANSWERS: dict[str, dict[str, Any]] = {
    "call": {"arguments": b'{"level":"low"}'},
    "text": {"arguments": None, "text": "It is low."},
    "refusal": {"arguments": None, "text": "No.", "finish": "refusal"},
    "truncated": {"arguments": b'{"lev', "finish": "length"},
    "filtered": {"arguments": None, "text": "", "finish": "content_filter"},
    "without usage": {"arguments": b"{}", "usage": None},
}
answers = pytest.mark.parametrize("parts", ANSWERS.values(), ids=ANSWERS.keys())


@pytest.fixture(scope="module")
def judge() -> Judge:
    spec = importlib.util.spec_from_file_location("oai_judge", JUDGE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its file open
        spec.loader.exec_module(module)
    verdict: Judge = module.judge
    return verdict


def kind(dialect: Dialect) -> str:
    return "responses" if dialect.path == "/responses" else "chat"


def written(dialect: Dialect, parts: dict[str, Any]) -> bytes:
    every: dict[str, Any] = {"tool": "assess", "usage": USAGE, "model": "gpt-5.5", **parts}
    return dialect.write(**every)


@pytest.mark.parametrize("annotation", [Everything, Tree, int, list[Tree]])
def test_openais_published_schema_accepts_the_tool(annotation: Any, judge: Judge) -> None:
    """CASES A16."""
    schema = wire(annotation)
    tool = {"type": "function", "name": "f", "parameters": schema, "strict": True}
    choice = {"type": "function", "name": "f"}
    assert judge("responses", {"model": "m", "input": "x", "tools": [tool], "tool_choice": choice}) == []
    nested_tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
    chat = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [nested_tool]}
    assert judge("chat", chat) == []
    text = {"format": {"type": "json_schema", "strict": True, "name": "f", "schema": schema}}
    assert judge("responses", {"model": "m", "input": "x", "text": text}) == []


@dialects
@pytest.mark.parametrize("image", [Image(PNG), Image(PNG, detail="low"), Image(url=URL, detail="high")])
def test_a_request_with_an_image_is_one_that_openai_accepts(judge: Judge, dialect: Dialect, image: Image) -> None:
    call = dialect.compile(SHAPE)
    conversation = call.conversation(Prompt(inputs="photo: [image 1]", images=(image,)))
    if kind(dialect) == "responses":
        # Of a message in parts the schema says "oneOf" two kinds that both fit, whatever the parts: one is asked for.
        message = json.loads(b"[%b]" % conversation)[1]
        assert judge_by_schema("EasyInputMessage", message) == []
        assert judge_by_schema("EasyInputMessage", {**message, "content": [{"type": "input_image"}]}) != []
        return
    body = call.body(conversation, max_output_tokens=dialect.min_output_tokens)
    assert judge(kind(dialect), json.loads(body)) == []


def judge_by_schema(name: str, value: Any) -> list[str]:
    from jsonschema import Draft202012Validator

    published = json.loads((JUDGE.parents[1] / "data" / "openai" / "requests.openapi.json").read_text())
    schema: Any = {"$ref": f"#/components/schemas/{name}", "components": published["components"]}
    validator: Any = Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(value)]


@dialects
@pytest.mark.parametrize("attachment", ["", '{"document":"..."}'])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_is_one_that_openai_accepts(judge: Judge, dialect: Dialect, attachment: str, streamed: bool) -> None:
    """CASES A16."""
    call = dialect.compile(SHAPE)
    conversation = call.conversation(Prompt(inputs="text: abc", attachment=attachment))
    body = call.body(conversation, max_output_tokens=dialect.min_output_tokens, streamed=streamed)
    assert judge(kind(dialect), json.loads(body)) == []


@dialects
@answers
def test_a_retry_is_a_request_that_openai_accepts(judge: Judge, dialect: Dialect, parts: dict[str, Any]) -> None:
    """CASES B8, B19."""
    call = dialect.compile(SHAPE)
    conversation = call.conversation(Prompt(inputs="text: abc"))
    for _ in range(2):
        completion = dialect.read(written(dialect, parts))
        rejected = echo(completion, said=completion.arguments.decode() or completion.text, cap=64)
        conversation = call.retry(conversation, rejected, "Previous attempt failed:")
    assert judge(kind(dialect), json.loads(call.body(conversation, max_output_tokens=64))) == []


def test_a_retry_with_encrypted_reasoning_is_accepted(judge: Judge) -> None:
    dialect = ResponsesDialect()
    answer = json.loads(written(dialect, ANSWERS["call"]))
    answer["output"].insert(0, json.loads(REASONING))
    call = dialect.compile(SHAPE)
    completion = dialect.read(json.dumps(answer).encode())
    conversation = call.retry(call.conversation(Prompt(inputs="x")), completion, "Previous attempt failed:")
    sent = json.loads(call.body(conversation, max_output_tokens=64))
    assert sent["input"][2] == json.loads(REASONING)
    assert judge("responses", sent) == []


@dialects
@answers
def test_an_answer_is_one_that_openai_gives(judge: Judge, dialect: Dialect, parts: dict[str, Any]) -> None:
    assert judge(f"{kind(dialect)}_resp", json.loads(written(dialect, parts))) == []


@dialects
@answers
def test_a_stream_is_one_that_openai_gives(judge: Judge, dialect: Dialect, parts: dict[str, Any]) -> None:
    name = "responses_event" if kind(dialect) == "responses" else "chat_chunk"
    for event in dialect.write_stream(written(dialect, parts)):
        if event != DONE:
            assert [error for error in judge(name, json.loads(event)) if not is_nullable(error)] == []


def is_nullable(error: tuple[str, str]) -> bool:
    """The schema says `nullable: true` of a chunk's finish reason, a word that JSON Schema has not known since 2020."""
    path, message = error
    return path == "$.choices[0].finish_reason" and message.startswith("None is not")


def test_the_judge_judges(judge: Judge) -> None:
    assert judge("responses", {"model": "gpt-5.5", "input": "x", "max_output_tokens": 1}) != []
    assert judge("chat", {"model": "gpt-5.5"}) != []
