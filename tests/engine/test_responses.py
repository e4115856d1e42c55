"""The Responses dialect: what is sent, and what each kind of answer is read as."""

from __future__ import annotations

import json
from typing import Any

from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import CallShape, Prompt
from stratum.engine.dialects.responses import ResponsesDialect

SCHEMA = b'{"type":"object","properties":{"level":{"type":"string"}},"required":["level"],"additionalProperties":false}'
SHAPE = CallShape(tool="assess", description="The risk.", instructions="Assess the risk", schema=SCHEMA, model="gpt-4o")
PROMPT = Prompt(inputs="text: a burning server")
USAGE = Usage(input_tokens=100, output_tokens=10)

dialect = ResponsesDialect()


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
