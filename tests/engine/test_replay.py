"""Recording real exchanges and replaying them, byte for byte, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratum.contracts.errors import NoRecording, ProviderError
from stratum.contracts.price import FREE, Price
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import CallShape, Dialect, Prompt
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer, Provider, Request, StatusError, TransportFailure
from stratum.engine.providers.replay import replay
from stratum.engine.providers.scripted import scripted

SCHEMA = b'{"type":"object","properties":{"value":{"type":"string"}},"required":["value"],"additionalProperties":false}'


def request(dialect: Dialect, inputs: str = "text: abc", *, cap: int = 64, streamed: bool = False) -> Request:
    shape = CallShape(tool="assess", description="", instructions="Assess", schema=SCHEMA, model="gpt-4o")
    call = dialect.compile(shape)
    body = call.body(call.conversation(Prompt(inputs=inputs)), max_output_tokens=cap, streamed=streamed)
    return Request(path=dialect.path, body=body, streamed=streamed)


async def sent(provider: Provider, inputs: str = "text: abc", *, cap: int = 64) -> Answer:
    return await provider.send(request(provider.dialect, inputs, cap=cap))


async def streamed(provider: Provider) -> list[bytes]:
    async with provider.stream(request(provider.dialect, streamed=True)) as events:
        return [event async for event in events]


async def test_what_was_recorded_is_replayed_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "recordings" / "triage.jsonl"
    recorder = replay(path, record=scripted("low", "high"))
    async with recorder.open():
        recorded = [await sent(recorder, "text: a"), await sent(recorder, "text: b")]

    player = replay(path)
    async with player.open():
        replayed = [await sent(player, "text: a"), await sent(player, "text: b")]
    assert [answer.body for answer in replayed] == [answer.body for answer in recorded]
    assert (player.name, player.default_model, player.dialect.name) == ("scripted", "gpt-4o", "responses")


async def test_a_recorded_request_is_not_paid_for_twice(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    source = scripted("low", "high")
    for _ in range(3):
        recorder = replay(path, record=source)
        async with recorder.open():
            await sent(recorder)
    assert len(source.requests) == 1


async def test_the_output_cap_does_not_make_a_request_another_one(tmp_path: Path) -> None:
    for dialect in (ResponsesDialect(), ChatDialect(), ChatDialect("json_schema", cap_field="max_tokens")):
        path = tmp_path / dialect.name.replace("/", "-")
        recorder = replay(path, record=scripted("low", dialect=dialect))
        async with recorder.open():
            await sent(recorder, cap=64)
        player = replay(path)
        async with player.open():
            await sent(player, cap=32)


async def test_one_request_recorded_twice_gets_both_answers_in_turn_and_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted("low", "high"))
    async with recorder.open():
        first, second = (await sent(recorder)).body, (await sent(recorder)).body
    assert first != second
    player = replay(path)
    async with player.open():
        assert [(await sent(player)).body for _ in range(4)] == [first, second, first, second]
    async with player.open():
        assert (await sent(player)).body == first


async def test_a_price_of_ones_own_is_recorded_with_the_answers(tmp_path: Path) -> None:
    """A budget in USD replays as it was recorded, also without the environment that named the price."""
    path = tmp_path / "r.jsonl"
    replay(path, record=scripted("low", price=Price.per_million(input=1, output=2)))
    assert replay(path).price == Price.per_million(input=1, output=2)
    assert replay(path, price=FREE).price == FREE


async def test_a_request_without_a_recording_names_its_function_and_how_to_record_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted("low"))
    async with recorder.open():
        await sent(recorder)
    player = replay(path)
    async with player.open():
        with pytest.raises(NoRecording, match="no attempt 1 of assess with these inputs.*record=True"):
            await sent(player, "text: other")
        with pytest.raises(NoRecording, match="assess"):
            await streamed(player)


def test_a_file_that_is_not_there_says_how_to_record_it(tmp_path: Path) -> None:
    with pytest.raises(NoRecording, match="no file .*r.jsonl.*record=True"):
        replay(tmp_path / "r.jsonl")


@pytest.mark.parametrize("content", [b"", b"{}", b"not json\n", b'{"recordings":1}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(ProviderError, match="not a file of recordings"):
        replay(path)


async def test_secrets_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "my-own-key-format")
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted(otherwise="sk-proj-abcdefgh12345678"))
    async with recorder.open():
        await sent(recorder, "text: the key is my-own-key-format")
        await sent(recorder, "text: the key is my-own-key-format")
    written = path.read_text()
    assert "my-own-key-format" not in written
    assert "abcdefgh12345678" not in written
    player = replay(path)
    async with player.open():
        assert (await sent(player, "text: the key is my-own-key-format")).status == 200


async def test_refusals_are_recorded_and_what_only_asks_for_patience_is_not(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    answers = [Answer(status=status, headers={"retry-after": "9"}, body=b"\xff{}") for status in (429, 500, 400)]
    recorder = replay(path, record=scripted(*answers))
    async with recorder.open():
        assert [(await sent(recorder)).status for _ in range(3)] == [429, 500, 400]
    player = replay(path)
    async with player.open():
        assert await sent(player) == Answer(status=400, headers={}, body=b"\xff{}")


async def test_a_failed_exchange_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted(TransportFailure(reason="reset", sent=True)))
    async with recorder.open():
        with pytest.raises(TransportFailure):
            await sent(recorder)
    assert len(path.read_bytes().splitlines()) == 1


@pytest.mark.parametrize("dialect", [ResponsesDialect(), ChatDialect()])
async def test_a_stream_is_replayed_event_by_event(tmp_path: Path, dialect: Dialect) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted("low", dialect=dialect, streams=True))
    assert recorder.streams
    async with recorder.open():
        await recorder.ready()
        events = await streamed(recorder)
    player = replay(path)
    async with player.open():
        await player.ready()
        assert await streamed(player) == events
    assert len(events) > 3


async def test_a_stream_that_was_left_early_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted("low"))
    async with recorder.open(), recorder.stream(request(recorder.dialect, streamed=True)) as events:
        await anext(events)
    assert len(path.read_bytes().splitlines()) == 1


async def test_a_stream_that_was_refused_is_refused_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = replay(path, record=scripted(Answer(status=400, headers={}, body=b"{}")))
    for provider in (recorder, None):
        player = provider or replay(path)
        async with player.open():
            with pytest.raises(StatusError) as caught:
                await streamed(player)
        assert caught.value.answer.status == 400
