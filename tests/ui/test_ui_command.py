"""`stratum ui` at a terminal: it prints an address, tells the other commands, and ends with Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx2
import pytest
from click.testing import CliRunner
from tests.fakes.command_line import Terminal

from stratum.actors.page_address import page_address, page_of, page_session
from stratum.actors.session_lock import SessionLock
from stratum.cli import stratum

JOURNAL = Path(".stratum/stratum.db")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRATUM_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STRATUM_JOURNAL", raising=False)
    monkeypatch.setenv("STRATUM_BASE_URL", "http://127.0.0.1:9")  # nothing here calls a model, nor looks for one
    monkeypatch.setenv("STRATUM_MODEL", "house-model")
    monkeypatch.setenv("STRATUM_PRICE", "1/2")
    (tmp_path / "plan.yaml").write_text("steps: [{id: a, command: [echo, hello]}]", encoding="utf-8")
    return tmp_path


@contextmanager
def ui(*options: str) -> Generator[tuple[Terminal, str]]:
    """The page at a terminal, and the address that it printed; ended by Ctrl-C."""
    terminal = Terminal("ui", *options)
    found = terminal.expect(r"open (http://127\.0\.0\.1:\d+)(/enter\?key=[\w-]+)\s")
    yield terminal, found[1] + found[2]
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 0, terminal.said
    assert "Traceback" not in terminal.said


def test_the_page_is_there_until_ctrl_c_and_the_commands_tell_where() -> None:
    with ui("--port", "0") as (terminal, address), httpx2.Client() as browser:
        assert browser.get(address).status_code == 200
        terminal.expect(r"(?s)open .*open ")
        base = address.partition("/enter")[0]
        refused = CliRunner().invoke(stratum, ["run", "plan.yaml"], catch_exceptions=False)
        assert refused.exit_code == 6
        told = re.search(rf"approve it on ({base}/runs/\w+)", refused.stderr)
        assert told is not None, refused.stderr
        shown = browser.get(told[1])
        assert "echo hello" in shown.text

        waiting = Terminal("resume", told[1].rpartition("/")[2])
        waiting.expect(f"or approve it at {told[1]}, then press Enter here")
        waiting.expect("characters of the digest")
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown.text))
        done = browser.post(f"{told[1]}/approve", data=hidden, headers={"Origin": base})
        assert done.headers["location"].endswith("?said=approved")
        waiting.type("")
        assert waiting.ended() == 0, waiting.said
        assert "succeeded" in browser.get(told[1]).text
    assert page_address(JOURNAL) is None
    assert page_of(JOURNAL) == "the page of `stratum ui`"


FLOW = """
from stratum import await_human, flow

@flow
async def release(version: str) -> str:
    decided = await await_human(f"Release {version}?", options=["ship", "hold"])
    return f"{decided.value} {decided.rationale}"
"""


def test_a_flow_without_a_terminal_says_where_it_is_answered_and_is(folder: Path) -> None:
    (folder / "steps.py").write_text(FLOW, encoding="utf-8")
    command = [sys.executable, "-m", "stratum", "run", "steps.py:release", "--input", "version=1.0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as asking:
        assert asking.stderr is not None and asking.stdout is not None
        try:
            told = re.search(
                r"Release 1.0\?\n  answer it on the page of `stratum ui`, or with: stratum gate (\w+) (\S+) ANSWER",
                _until(asking.stderr, "ANSWER"),
            )
            assert told is not None
            wrong = CliRunner().invoke(stratum, ["gate", told[1], "nothing", "ship"])
            assert wrong.exit_code == 2
            done = CliRunner().invoke(stratum, ["gate", told[1], told[2], "ship", "--comment", "tests pass"])
            assert done.exit_code == 0, done.output
            assert asking.stdout.read() == '"ship tests pass"\n'
        finally:
            asking.kill()  # it asks for ever where the test fails before it is answered


def _until(stream: IO[str], text: str) -> str:
    read = ""
    while text not in read:
        line = stream.readline()
        assert line, read
        read += line
    return read


def test_a_second_page_takes_another_port() -> None:
    with ui() as (_, address), ui() as (_, other):
        assert address.partition("/enter")[0] != other.partition("/enter")[0]
        port = address.partition("/enter")[0].rpartition(":")[2]
        taken = Terminal("ui", "--port", port)
        assert taken.ended() == 1
        assert f"cannot listen at port {port}" in taken.said


def test_without_a_terminal_there_is_no_page() -> None:
    refused = CliRunner().invoke(stratum, ["ui"])
    assert refused.exit_code == 2
    assert "start it at a terminal" in refused.stderr
    assert not JOURNAL.exists()


def test_a_page_whose_process_is_gone_is_not_told(folder: Path) -> None:
    sessions = folder / "sessions"
    sessions.mkdir()
    (sessions / "ui-1.lock").touch()
    (sessions / "ui-x.lock").touch()
    assert page_address(folder / "stratum.db") is None
    lock = SessionLock(sessions, page_session(8322))
    assert page_address(folder / "stratum.db", run="r") == "http://127.0.0.1:8322/runs/r"
    lock.release()
    assert page_address(folder / "stratum.db") is None
