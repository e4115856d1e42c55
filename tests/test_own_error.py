"""What a program's own exception looks like at the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from stratum import compute, open_runtime
from stratum.cli import stratum
from stratum.cli.own_error import own_traceback
from stratum.testing import scripted


@compute(inline=True)
def broken(text: str) -> str:
    try:
        return {"a": "b"}[text]
    except KeyError as error:
        raise ValueError("no such text") from error


def raised(work: Callable[[], Awaitable[object]]) -> str:
    async def main() -> None:
        async with open_runtime(provider=scripted(), journal=None):
            await work()

    with pytest.raises(Exception) as caught:
        trio.run(main)
    return own_traceback(caught.value)


async def several() -> None:
    raise ExceptionGroup("two at once", [ValueError("one"), ValueError("another")])


def test_the_frames_of_what_called_it_are_left_out_and_the_cause_is_not() -> None:
    told = raised(lambda: broken("x")).splitlines()
    assert told[-1] == "ValueError: no such text"
    assert "KeyError: 'x'" in told
    assert "The above exception was the direct cause of the following exception:" in told
    first = [told[number + 1] for number, line in enumerate(told) if line.startswith("Traceback")]
    assert [line.split('"')[1] for line in first] == [__file__, __file__]
    assert not any("Group" in line for line in told)


def test_several_at_once_are_all_shown() -> None:
    told = raised(several)
    assert "two at once (2 sub-exceptions)" in told
    assert "ValueError: one\n" in told and "ValueError: another\n" in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def x(:", ['steps.py", line 1', "SyntaxError: invalid syntax"]),
        ("import nothing_here", ['steps.py", line 1', "ModuleNotFoundError: No module named 'nothing_here'"]),
        ("def f():\n    1 / 0\n\nf()", ['steps.py", line 4', 'steps.py", line 2', "ZeroDivisionError"]),
    ],
)
@pytest.mark.parametrize("arguments", [["run", "steps.py:x"], ["plan", "check", "plan.yaml", "--steps", "steps.py"]])
def test_a_file_that_cannot_be_imported_is_shown_from_its_own_lines_on(
    text: str, says: list[str], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").write_text("steps: [{id: a, intent: Look}]")
    Path("steps.py").write_text(text)
    refused = CliRunner().invoke(stratum, arguments)
    assert refused.exit_code == 2
    _, _, shown = refused.stderr.partition("Error: steps.py cannot be imported:\n")
    assert [part for part in says if part not in shown] == []
    assert shown.count("  File ") == len(says) - 1


def test_frames_of_ours_below_the_programs_own_stay() -> None:
    told = raised(lambda: broken(5))  # type: ignore[arg-type]
    assert told.index("test_own_error.py") < told.index("signature.py")
