"""`Codex`: one turn of the user's own Codex by `codex exec`: a prompt in, an answer in the form of a schema out.

Codex has the user's login and settings. It runs behind our guard: what it leaves behind ends with it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from stratum.contracts.plans.plan import Command
from stratum.contracts.price import Usage
from stratum.contracts.violation import one_line
from stratum.engine.plans.doers.command import run_command

EVENTS_BYTES: Final = 32 * 2**20
"""Of a turn's events; the first and the last are the ones that are read."""

Access = Literal["read-only", "workspace-write"]


class CodexTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one turn."""

    thread: str
    """To go on in, by `ask(thread=...)`; empty where it did not begin."""
    answer: str
    """The last message."""
    problem: str
    """Why there is no answer; empty where there is."""
    total: Usage
    """Of the whole thread so far."""
    model: str
    """Empty where Codex did not write it down."""


class Codex:
    """The user's own Codex, as `CodexWorker` runs it: the program, the model that it asks, and its environment."""

    def __init__(
        self, program: str | os.PathLike[str] | None = None, *, model: str = "", env: Mapping[str, str] | None = None
    ) -> None:
        """`program` is a path, or a name to look for in PATH, by default `codex`; `model` is Codex's own choice by default.

        `env` is its whole environment, by default that of this process: `os.environ | {"CODEX_HOME": ...}` changes a variable.
        """
        self._program = "codex" if program is None else os.fspath(program)
        self._model = model
        self._env = dict(os.environ if env is None else env)

    @property
    def installed(self) -> bool:
        """Whether there is such a program."""
        return shutil.which(self._program, path=self._env.get("PATH")) is not None

    async def ask(
        self,
        prompt: str,
        *,
        folder: Path,
        schema: bytes = b"",
        thread: str = "",
        model: str = "",
        access: Access = "workspace-write",
        key: str,
        timeout_s: float | None = None,
    ) -> CodexTurn:
        """Begin a thread, or go on in one. Whatever goes wrong is a turn with a problem, not an error."""
        with tempfile.TemporaryDirectory(prefix="stratum-codex-") as scratch:
            asked, form = Path(scratch, "prompt"), Path(scratch, "schema.json")
            asked.write_text(prompt)
            form.write_bytes(schema)
            options = _options(form if schema else None, model=model or self._model, access=access)
            turn = ["resume", *options, thread, "-"] if thread else [*options, "-"]
            # No argument may be longer than 128 KiB on Linux, and a prompt can be.
            command = Command(
                argv=('prompt=$1; shift; exec "$@" < "$prompt"', str(asked), self._program, "exec", *turn), shell=True
            )
            run = await run_command(
                command, workspace=folder, key=key, timeout_s=timeout_s, extra_env=self._env, limit_bytes=EVENTS_BYTES
            )
        events = list(_events(run.result.stdout))
        return self._turn(
            events, run.problem and f"{run.problem}: {one_line(run.result.stderr.strip()[-300:])}", thread
        )

    def _turn(self, events: list[dict[str, Any]], problem: str, thread: str) -> CodexTurn:
        answer = ""
        usage: dict[str, Any] = {}
        for event in events:
            match event:
                case {"type": "thread.started", "thread_id": str(id)}:
                    thread = id
                case {"type": "item.completed", "item": {"type": "agent_message", "text": str(text)}}:
                    answer = text
                case {"type": "turn.completed"}:
                    usage = event.get("usage") or {}
                case {"type": "turn.failed", "error": {"message": str(message)}}:
                    problem = message
                case _:
                    pass
        if not problem and not answer:
            problem = "Codex ended without an answer"
        return CodexTurn(
            thread=thread, answer=answer, problem=problem, total=_usage(usage), model=self._used_model(thread)
        )

    def _used_model(self, thread: str) -> str:
        """As Codex's session file has it: its events do not say."""
        home = Path(self._env.get("CODEX_HOME") or Path(self._env.get("HOME", "~"), ".codex"))
        if not thread:
            return ""
        for file in home.glob(f"sessions/*/*/*/rollout-*{thread}.jsonl"):
            models = [
                event["payload"]["model"]
                for event in _events(file.read_text(errors="replace"))
                if event.get("type") == "turn_context" and "model" in event.get("payload", {})
            ]
            if models:
                return str(models[-1])
        return ""


def _options(schema: Path | None, *, model: str, access: Access) -> list[str]:
    return [
        "--json",
        "--skip-git-repo-check",
        *("-c", f'sandbox_mode="{access}"'),
        *("-c", 'approval_policy="never"'),
        *(("--output-schema", str(schema)) if schema is not None else ()),
        *(("-m", model) if model else ()),
    ]


def since(total: Usage, before: Usage | None) -> Usage:
    """What a thread has used since it had used `before`."""
    if before is None:
        return total
    return Usage(
        input_tokens=max(0, total.input_tokens - before.input_tokens),
        cached_tokens=max(0, total.cached_tokens - before.cached_tokens),
        output_tokens=max(0, total.output_tokens - before.output_tokens),
        reasoning_tokens=max(0, total.reasoning_tokens - before.reasoning_tokens),
    )


def _usage(counted: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=counted.get("input_tokens", 0),
        cached_tokens=counted.get("cached_input_tokens", 0),
        output_tokens=counted.get("output_tokens", 0),
        reasoning_tokens=counted.get("reasoning_output_tokens", 0),
    )


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue  # one that was cut
