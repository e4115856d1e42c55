"""What the installed hooks do: the framing when a session starts, and the drift check of what was just written.

Codex hands over one JSON object and reads one, or nothing. A hook that cannot do its work says nothing: it must never be why
a session does not go on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from stratum.mcp_bridge.drift.changes import NoChanges, changed_lines
from stratum.mcp_bridge.drift.check import ChangedLines, Drift, check
from stratum.mcp_bridge.drift.rules import RULES
from stratum.mcp_bridge.identity import FRAMING

MAX_INPUT: Final = 4_000_000
_MAX_SHOWN: Final = 12
_JUST_NOW_S: Final = 30
"""A command is taken to have written the files that changed this recently: Codex does not say which it did."""
_PATCHED: Final = re.compile(r"^\*\*\* (?:Add File|Update File|Move to): (.+?)\s*$", flags=re.MULTILINE)

Answer = dict[str, Any]


def run_hook(event: str, given: bytes) -> str:
    """The JSON to print; empty where there is nothing to say."""
    try:
        decoded = msgspec.json.decode(given[:MAX_INPUT])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    if not isinstance(decoded, dict):
        return ""
    answer = HOOKS[event](cast(dict[str, Any], decoded))
    return "" if answer is None else msgspec.json.encode(answer).decode()


def _session_start(_: Mapping[str, Any]) -> Answer:
    return _context("SessionStart", FRAMING)


def _post_tool_use(given: Mapping[str, Any]) -> Answer | None:
    folder = _folder(given)
    if folder is None:
        return None
    changed = _changed(folder)
    if given.get("tool_name") == "apply_patch":
        files = _patched(folder, given.get("tool_input"))
    else:
        now = time.time()
        files = [path for path in changed or () if _written_since(path, now - _JUST_NOW_S)]
    drift = check(
        [file for file in files if file.suffix in (".py", ".pyw") and file.is_file()], changed=changed, root=folder
    )
    return _context("PostToolUse", _told(drift)) if drift.findings else None


def _stop(given: Mapping[str, Any]) -> Answer | None:
    """Lets the turn go on once, with what was found; a second stop is the agent's decision."""
    folder = _folder(given)
    if folder is None or given.get("stop_hook_active"):
        return None
    changed = _changed(folder)
    if not changed:
        return None
    drift = check([file for file in changed if file.is_file()], changed=changed, root=folder)
    return {"decision": "block", "reason": _told(drift)} if drift.findings else None


HOOKS: Final[Mapping[str, Callable[[Mapping[str, Any]], Answer | None]]] = {
    "session-start": _session_start,
    "post-tool-use": _post_tool_use,
    "stop": _stop,
}


def _context(event: str, text: str) -> Answer:
    return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}


def _folder(given: Mapping[str, Any]) -> Path | None:
    folder = given.get("cwd")
    if not isinstance(folder, str) or "\0" in folder:
        return None
    path = Path(folder)
    return path.resolve() if path.is_absolute() and path.is_dir() else None


def _changed(folder: Path) -> ChangedLines | None:
    """What differs from the last commit; `None`: there is none to compare with."""
    try:
        return changed_lines(folder, "HEAD")
    except NoChanges:
        return None


def _patched(folder: Path, tool_input: object) -> list[Path]:
    patch = cast(dict[str, Any], tool_input).get("command") if isinstance(tool_input, dict) else tool_input
    names = _PATCHED.findall(patch) if isinstance(patch, str) else []
    return [path for name in names if (path := (folder / name).resolve()).is_relative_to(folder)]


def _written_since(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment
    except OSError:
        return False


def _told(drift: Drift) -> str:
    shown = drift.findings[:_MAX_SHOWN]
    lines = ["stratum drift found, in what you wrote:"]
    lines += [f"- {_visible(each.path)}:{each.line}: {each.rule}: {each.message}" for each in shown]
    lines += [f"- and {len(drift.findings) - len(shown)} more"] if len(drift.findings) > len(shown) else []
    lines += [f"{rule}: {RULES[rule].instead}" for rule in _once(each.rule for each in drift.findings)]
    lines.append("Correct these, or keep one with `# stratum: allow[rule] reason` if the user wants it so.")
    return "\n".join(lines)


def _once(rules: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(rules))


def _visible(path: str) -> str:
    return path if path.isprintable() else repr(path)
