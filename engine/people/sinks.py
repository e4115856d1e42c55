"""Where people are asked: the terminal, the page, or files that another program shows."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import trio

from stratum.actors.page_address import page_of
from stratum.engine.log_lines import LOGGER
from stratum.engine.people.review import Review

POLL_S = 0.25


class ConsoleSink:
    """Asks on the terminal. The line is read in a thread, which is left to itself when somebody else answers first."""

    def __init__(self, *, read: Callable[[], str] | None = None, write: Callable[[str], object] | None = None) -> None:
        self._read = read or sys.stdin.readline
        self._write = write or _to_stderr

    async def ask(self, review: Review) -> None:
        self._write(_written(review))
        while True:
            line = await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)
            if not line:  # the terminal is gone: others may answer
                return
            try:
                review.resolve_text(line, reviewer=getpass.getuser())
            except TypeError as error:
                self._write(f"{error}\n> ")
            else:
                return


class PageSink:
    """Says where else it is answered: on the page of `stratum ui`, by `stratum gate`. For a run without a terminal, whose journal is `journal`."""

    def __init__(self, journal: Path, *, write: Callable[[str], object] | None = None) -> None:
        self._journal = journal
        self._write = write or _to_stderr

    async def ask(self, review: Review) -> None:
        where = page_of(self._journal, run=review.run)
        self._write(
            f"{review.question}\n  answer it on {where}, or with: stratum gate {review.run} {review.step} ANSWER\n"
        )


class LogSink:
    """Says in the log that somebody waits: where there is no terminal and nobody named another sink, nothing else would."""

    def __init__(self, journal: Path | None) -> None:
        self._journal = journal

    async def ask(self, review: Review) -> None:
        by_hand = f"answer with `stratum gate {review.run} {review.step} ANSWER`, or "
        LOGGER.warning(
            "%s waits for a person, and there is no terminal to ask one at; %spass open_runtime(sinks=[...])",
            review.step,
            "" if self._journal is None else by_hand,
        )


class FileSink:
    """Writes `ID.question.json` into a folder, and takes `ID.answer.json`: `{"value": ..., "reviewer": "...", "rationale": "..."}`.

    In names of files `:` and `/` of the id are `_`. An answer that will not do is taken away, and `ID.rejected.json` says why: one that is
    written bit by bit may be read too early, so write it under another name and rename it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ask(self, review: Review) -> None:
        name = review.id.replace(":", "_").replace("/", "_")
        folder = trio.Path(self._folder)
        await folder.mkdir(parents=True, exist_ok=True)
        question, answer = folder / f"{name}.question.json", folder / f"{name}.answer.json"
        begun = folder / f".{name}.question.new"
        try:
            # Whole or not at all, for whoever looks into the folder at this moment.
            await begun.write_bytes(_as_json(review))
            await begun.replace(question)
            while not await _answered(review, answer, rejected=folder / f"{name}.rejected.json"):
                await trio.sleep(POLL_S)
        finally:
            with trio.CancelScope(shield=True):
                await begun.unlink(missing_ok=True)
                await question.unlink(missing_ok=True)


async def _answered(review: Review, file: trio.Path, *, rejected: trio.Path) -> bool:
    if not await file.exists():
        return False
    text = await file.read_bytes()
    try:
        said = msgspec.json.decode(text, type=_Answer)
        if isinstance(said.value, str):
            review.resolve_text(said.value, reviewer=said.reviewer, rationale=said.rationale)
        else:
            review.resolve(said.value, reviewer=said.reviewer, rationale=said.rationale)
    except (msgspec.MsgspecError, TypeError) as error:
        await rejected.write_text(f"{error}\n")
        await file.unlink()
        return False
    await file.unlink()
    return True


class _Answer(msgspec.Struct):
    value: Any
    reviewer: str
    rationale: str = ""


def _as_json(review: Review) -> bytes:
    shown = {
        "id": review.id,
        "question": review.question,
        "type": review.type_name,
        "options": review.shown_options,
        "answer_by": review.answer_by,
    }
    return msgspec.json.format(msgspec.json.encode(shown), indent=2)


def _written(review: Review) -> str:
    options = "".join(f"  {number}. {option}\n" for number, option in enumerate(review.shown_options, 1))
    return f"{review.question}\n{options}> "


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
