"""What a program's own exception looks like at the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from stratum import compute, open_runtime
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


def test_frames_of_ours_below_the_programs_own_stay() -> None:
    told = raised(lambda: broken(5))  # type: ignore[arg-type]
    assert told.index("test_own_error.py") < told.index("signature.py")
