"""What an agent's step cost, from session files that the real Codex wrote: deferred and direct tools, code mode."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from stratum.contracts.price import Price, Usage
from stratum.mcp_bridge import codex_sessions
from stratum.mcp_bridge.codex_sessions import PENDING, CodexSessions, StepSpend, ToolCall, codex_home

HERE = Path(__file__).parent
MODES = {"deferred": "gpt-5.5", "code_mode": "gpt-6.1-sol", "direct": "other-model"}
PRICE = Price.per_million(input=1, output=10, cached=0.1)


def sample(mode: str = "deferred") -> list[str]:
    return (HERE / f"{mode}.jsonl").read_text().splitlines(keepends=True)


def payloads(lines: list[str], kind: str) -> list[dict[str, Any]]:
    return [line["payload"] for line in map(json.loads, lines) if line["type"] == kind]


def thread_of(lines: list[str]) -> str:
    return str(payloads(lines, "session_meta")[0]["id"])


def calls(lines: list[str]) -> list[ToolCall]:
    items = [item for item in payloads(lines, "response_item") if item["type"].endswith("_call")]
    return [ToolCall(thread=thread_of(lines), item=item["id"], call=item["call_id"]) for item in items]


def write(home: Path, lines: list[str], *, thread: str = "", day: str = "2026/11/26") -> Path:
    folder = home / "sessions" / day
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"rollout-2026-11-26T23-10-05-{thread or thread_of(sample())}.jsonl"
    file.write_text("".join(lines))
    return file


def spent(home: Path, lines: list[str], **options: Any) -> StepSpend:
    write(home, lines, thread=thread_of(lines))
    since, until, *_ = calls(lines)
    return CodexSessions(home, **options).spent(since, until)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_used_what_lies_between_its_two_calls(mode: str, tmp_path: Path) -> None:
    lines = sample(mode)
    model = MODES[mode]
    used = spent(tmp_path, lines, prices={model: PRICE})
    counts = payloads(lines, "token_usage_record")[1]["usage"]
    assert used.usage == Usage(input_tokens=counts["input_tokens"], output_tokens=counts["output_tokens"])
    assert used.picousd == counts["input_tokens"] * 10**6 + counts["output_tokens"] * 10**7
    assert (used.models, used.why) == ((model,), "")


def unnumbered(lines: list[str]) -> list[str]:
    """As a Codex writes them that does not number its lines."""
    records = [json.loads(line) for line in lines]
    return [json.dumps({key: value for key, value in record.items() if key != "ordinal"}) + "\n" for record in records]


def test_cached_and_reasoning_tokens_are_counted_and_priced(tmp_path: Path) -> None:
    lines = unnumbered(sample())
    last = [number for number, line in enumerate(lines) if "token_usage_record" in line][-1]
    item = {"type": "function_call", "id": "fc_last", "call_id": "call_last"}
    lines.insert(last, json.dumps({"type": "response_item", "payload": item}) + "\n")
    write(tmp_path, lines)
    since = calls(sample())[1]
    used = CodexSessions(tmp_path, prices={"gpt-5.5": PRICE}).spent(
        since, ToolCall(thread=since.thread, item="fc_last")
    )
    assert used.usage == Usage(input_tokens=1000, output_tokens=77, cached_tokens=400, reasoning_tokens=11)
    assert used.picousd == 600 * 10**6 + 400 * 10**5 + 77 * 10**7


def test_a_model_of_another_provider_has_tokens_and_no_price(tmp_path: Path) -> None:
    used = spent(tmp_path, sample())
    assert used.usage is not None
    assert used.picousd is None and "gpt-5.5" in used.why


def test_a_model_of_openai_is_priced_by_the_table(tmp_path: Path) -> None:
    lines = [
        line.replace('"model_provider":"fake"', '"model_provider":"openai"').replace('"gpt-5.5"', '"gpt-5"')
        for line in sample()
    ]
    used = spent(tmp_path, lines)
    assert used.picousd is not None and used.picousd > 0


def test_what_is_booked_already_is_not_counted_again(tmp_path: Path) -> None:
    lines = sample()
    first = spent(tmp_path, lines)
    since, until, *_ = calls(lines)
    again = CodexSessions(tmp_path).spent(since, until, booked=first.responses)
    assert again.usage == Usage(input_tokens=0, output_tokens=0)
    assert (again.responses, again.models) == ((), ("gpt-5.5",))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 12_000), mode=st.sampled_from(sorted(MODES)))
def test_a_file_cut_anywhere_gives_the_same_or_nothing(
    cut: int, mode: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = sample(mode)
    home = tmp_path_factory.mktemp("home")
    whole = spent(home, lines)
    write(home, ["".join(lines)[:cut]], thread=thread_of(lines))
    since, until, *_ = calls(lines)
    found = CodexSessions(home).spent(since, until)
    assert found == whole or found == StepSpend(why=PENDING)


@pytest.mark.parametrize("mode", MODES)
def test_a_file_without_some_line_gives_the_same_or_nothing(mode: str, tmp_path: Path) -> None:
    lines = sample(mode)
    whole = spent(tmp_path, lines, prices={MODES[mode]: PRICE})
    since, until, *_ = calls(lines)
    for number in range(len(lines)):
        write(tmp_path, lines[:number] + lines[number + 1 :], thread=thread_of(lines))
        found = CodexSessions(tmp_path, prices={MODES[mode]: PRICE}).spent(since, until)
        same_tokens = (found.usage, found.responses) == (whole.usage, whole.responses)
        assert found.usage is None or same_tokens, number
        assert found.picousd in (None, whole.picousd)


def test_more_is_read_as_it_is_written_and_a_half_line_is_waited_for(tmp_path: Path) -> None:
    lines = sample()
    since, until, *_ = calls(lines)
    sessions = CodexSessions(tmp_path)
    assert "no session file" in sessions.spent(since, until).why
    for end in range(len(lines)):
        file = write(tmp_path, lines[:end])
        with file.open("a") as tail:
            tail.write(lines[end][:50])
        sessions.spent(since, until)
    write(tmp_path, lines)
    assert sessions.spent(since, until) == CodexSessions(tmp_path).spent(since, until)
    assert sessions.spent(since, until).usage is not None


def test_a_file_that_was_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    lines = sample()
    since, until, *_ = calls(lines)
    sessions = CodexSessions(tmp_path)
    file = write(tmp_path, lines)
    assert sessions.spent(since, until).usage is not None
    file.write_text("".join(lines[:3]))
    assert sessions.spent(since, until).why == PENDING
    (tmp_path / "new").write_text("".join(lines))
    (tmp_path / "new").replace(file)
    assert sessions.spent(since, until).usage is not None


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5, "output_tokens": 1},
        {"input_tokens": 5, "output_tokens": 1, "cached_input_tokens": 9},
        {"input_tokens": "5", "output_tokens": 1},
        {"input_tokens": 1e400, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"output_tokens": 1},
        {},
        None,
    ],
)
def test_a_record_that_cannot_be_true_makes_the_step_unknown(usage: object, tmp_path: Path) -> None:
    lines = sample()
    at = [number for number, line in enumerate(lines) if "token_usage_record" in line][1]
    record = json.loads(lines[at])
    record["payload"]["usage"] = usage
    lines[at] = json.dumps(record) + "\n"
    assert spent(tmp_path, lines).usage is None


def test_a_total_that_does_not_add_up_makes_the_step_unknown(tmp_path: Path) -> None:
    lines = sample()
    at = [number for number, line in enumerate(lines) if "token_usage_record" in line][1]
    record = json.loads(lines[at])
    record["payload"]["thread_token_usage"]["total_tokens"] += 1
    lines[at] = json.dumps(record) + "\n"
    assert "does not add up" in spent(tmp_path, lines).why


def test_text_that_looks_like_a_record_counts_for_nothing(tmp_path: Path) -> None:
    lines = unnumbered(sample())
    record = json.dumps({"type": "token_usage_record", "payload": payloads(lines, "token_usage_record")[0]})
    said = json.dumps({"type": "response_item", "payload": {"type": "message", "text": record}})
    noise = [
        "\n",
        "null\n",
        "[" * 50_000 + "\n",
        '"token_usage_record"\n',
        '{"type":"response_item","payload":{"type":7}}\n',
    ]
    at = next(number for number, line in enumerate(lines) if "token_usage_record" in line) + 1
    clean = spent(tmp_path, lines)
    write(tmp_path, [*lines[:at], f"{said}\n", *noise, *lines[at:]])
    since, until, *_ = calls(lines)
    assert clean.usage is not None
    assert CodexSessions(tmp_path).spent(since, until) == clean


def test_a_huge_line_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codex_sessions, "MAX_LINE", 4096)
    lines = sample()
    huge = next(number for number, line in enumerate(lines) if "_call_output" in line)
    record = json.loads(lines[huge])
    record["payload"]["output"] = "x" * 20_000
    lines[huge] = json.dumps(record) + "\n"
    assert spent(tmp_path, lines).usage is not None


def test_a_link_a_pipe_and_a_folder_in_its_place_are_not_read(tmp_path: Path) -> None:
    lines = sample()
    since, until, *_ = calls(lines)
    file = write(tmp_path, lines)
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)
    assert "cannot be read" in CodexSessions(tmp_path).spent(since, until).why
    file.unlink()
    os.mkfifo(file)
    assert "not a file" in CodexSessions(tmp_path).spent(since, until).why
    file.unlink()
    file.mkdir()
    assert CodexSessions(tmp_path).spent(since, until).usage is None


def test_other_agents_of_the_session_make_the_step_unknown(tmp_path: Path) -> None:
    lines = sample()
    other = "01a21a1f-0000-7913-809f-c9b273e006c3"
    meta = json.loads(lines[0])
    meta["payload"]["id"] = other
    write(tmp_path, [json.dumps(meta) + "\n"], thread=other)
    assert "other agents" in spent(tmp_path, lines).why


def test_a_thread_of_another_session_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, sample("direct"), thread=thread_of(sample("direct")))
    assert spent(tmp_path, sample()).usage is not None


def test_calls_of_two_threads_or_in_the_wrong_order_are_unknown(tmp_path: Path) -> None:
    lines = sample()
    write(tmp_path, lines)
    since, until, *_ = calls(lines)
    other = calls(sample("direct"))[0]
    assert "another" in CodexSessions(tmp_path).spent(since, other).why
    assert "before it was handed out" in CodexSessions(tmp_path).spent(until, since).why


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"threadId": 7, "itemId": "x"},
        {"threadId": "../../../etc/passwd", "itemId": "x"},
        {"threadId": "*", "callId": "x"},
        {"threadId": "01a21a1f-8ef0-7913-809f-c9b273e006c3"},
    ],
)
def test_a_client_that_does_not_say_is_no_codex(meta: dict[str, Any]) -> None:
    assert ToolCall.of(meta) is None


def test_codexs_meta_names_the_call() -> None:
    meta = {"threadId": "01a21a1f-8ef0-7913-809f-c9b273e006c3", "itemId": "fc_1", "callId": "call_1", "sessionId": "s"}
    assert ToolCall.of(meta) == ToolCall(thread=meta["threadId"], item="fc_1", call="call_1", session="s")


def test_the_home_is_the_environments_else_the_users() -> None:
    assert codex_home({"CODEX_HOME": "/x"}) == Path("/x")
    assert codex_home({}) == Path.home() / ".codex"


async def test_what_is_written_a_moment_later_is_waited_for(tmp_path: Path) -> None:
    lines = sample()
    since, until, *_ = calls(lines)
    write(tmp_path, lines[:5])
    sessions = CodexSessions(tmp_path)
    found: list[StepSpend] = []
    asked = threading.Event()
    real = sessions.spent

    def spent_once(*arguments: Any, **options: Any) -> StepSpend:
        answer = real(*arguments, **options)
        asked.set()
        return answer

    sessions.spent = spent_once  # type: ignore[method-assign]

    async def ask() -> None:
        found.append(await sessions.spent_soon(since, until, wait_s=30))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.to_thread.run_sync(asked.wait)
            write(tmp_path, lines)
    assert found[0].usage is not None


async def test_what_is_never_written_is_unknown_in_the_end(tmp_path: Path) -> None:
    write(tmp_path, sample()[:5])
    since, until, *_ = calls(sample())
    assert (await CodexSessions(tmp_path).spent_soon(since, until, wait_s=0.1)).why == PENDING
