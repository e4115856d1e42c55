"""The harness itself: the real Codex against the scripted model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.codex import codex_home
from tests.fakes.codex_model import open_codex_model, run, say, turns, write

pytestmark = pytest.mark.e2e

SCHEMA = {
    "type": "object",
    "properties": {"done": {"type": "boolean"}},
    "required": ["done"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("model", ["a-model-of-a-test", "gpt-5.5", "gpt-6.1-sol"])
async def test_codex_does_what_the_model_says(tmp_path: Path, model: str) -> None:
    (work := tmp_path / "work").mkdir()
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    script = turns(write("made.txt", "by codex"), run("cat made.txt"), say('{"done": true}'))
    async with open_codex_model(script, usage={"input": 1000, "cached": 400, "output": 50, "reasoning": 10}) as fake:
        home = codex_home(tmp_path, fake.url, model=model)
        done = await home.run("Make made.txt", work, "--output-schema", str(tmp_path / "schema.json"))
    assert fake.failures == []
    assert done.code == 0, done.stderr
    assert (work / "made.txt").read_text() == "by codex\n"
    assert done.said == ['{"done": true}']
    assert [request.turn for request in fake.requests] == [0, 1, 2]
    assert "Make made.txt" in fake.requests[0].said[-1]
    assert "by codex" in fake.requests[2].outputs[-1]
    (ended,) = [event for event in done.events if event["type"] == "turn.completed"]
    assert (ended["usage"]["input_tokens"], ended["usage"]["cached_input_tokens"]) == (3000, 1200)
