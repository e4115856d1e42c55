"""Fan-out as a user writes it: checkers see the type of each element."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from stratum import Failure, Success, compute, parallel, race


@compute
def count(text: str) -> int:
    return len(text)


@compute
def shout(text: str) -> str:
    return text.upper()


async def each_element_has_its_type() -> None:
    assert_type(await parallel(count("a"), shout("b")), tuple[int, str])
    assert_type(await parallel(count("a"), shout("b"), count("c")), tuple[int, str, int])
    assert_type(await parallel(*[count("a")]), tuple[int, ...])
    assert_type(await parallel(count("a"), count("b"), require="any"), int)
    assert_type(await parallel(count("a"), count("b"), require=2), list[int])
    assert_type(await parallel(count("a"), require=0), list[Success[int] | Failure])
    assert_type(await race(count("a"), count("b")), int)
    await parallel(count("a"), require="some")  # type: ignore[call-overload]
    await parallel(3)  # type: ignore[call-overload]
