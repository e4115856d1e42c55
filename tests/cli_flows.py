"""Flows for the command line's tests; run by its own loader, as a user's file is."""

from __future__ import annotations

from typing import Literal

import trio

from stratum import Budget, compute, contract, flow, infer


@contract
class Verdict:
    label: Literal["x", "y"]
    score: float


@infer(intent="Judge the text", ensure=lambda v: v.score >= 0, retries=1)
def judge(text: str) -> Verdict: ...


@compute(inline=True)
def loud(verdict: Verdict) -> str:
    return verdict.label.upper()


@flow(budget=Budget(usd=1, ms=60_000))
async def judge_all(texts: list[str], times: int = 1) -> list[str]:
    """Judge every text, one after the other."""
    return [await loud(await judge(text)) for text in texts for _ in range(times)]


@flow(budget=Budget(usd=0.0000001))
async def pauper(text: str) -> str:
    return await loud(await judge(text))


@flow
async def broken(text: str) -> str:
    await loud(await judge(text))
    raise LookupError(text)


@flow
async def endless(text: str) -> str:
    await loud(await judge(text))
    print("waiting", flush=True)
    await trio.sleep_forever()
    return text


@flow
async def looks(text: str) -> str:
    verdict = await judge(text)
    return await loud(verdict) if verdict.score > 0 else "nothing"
