"""Which files `stratum codex install` writes, for a user or a project, and how each is taken back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import tomlkit
from tomlkit.exceptions import TOMLKitError

from stratum.mcp_bridge.client_config import client_config, codex_server
from stratum.mcp_bridge.codex.file_changes import FileChange, missing_folders, read_file
from stratum.mcp_bridge.codex.owned_block import Marks, NotInstallable, with_block, without_block
from stratum.mcp_bridge.codex.texts import AGENTS, SKILL, SKILL_NAME
from stratum.mcp_bridge.identity import NAME, TITLE, server_version

Scope = Literal["user", "project"]
State = Literal["installed", "outdated", "absent"]

_TOML: Final = Marks(begin="# >>> stratum: `stratum codex uninstall` removes this", end="# <<< stratum")
_MARKDOWN: Final = Marks(
    begin="<!-- stratum: begin; `stratum codex uninstall` removes this", end="<!-- stratum: end -->", close=" -->"
)
MARKET: Final = "stratum-market"
HOOKS: Final = {
    "SessionStart": ("session-start", "startup|resume|clear", 10),
    "PostToolUse": ("post-tool-use", "apply_patch|Bash", 30),
    "Stop": ("stop", None, 60),
}
"""By Codex's event: our name of it, which tools or starts it is for, and its time limit in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where Codex looks."""

    scope: Scope
    codex: Path
    """`$CODEX_HOME`, or the project's `.codex`."""
    agents_md: Path
    skills: Path
    within: Path | None
    """The project, which no link may leave."""

    @classmethod
    def of(cls, scope: Scope, *, project: Path, home: Path, codex_home: Path) -> Places:
        if scope == "project":
            return cls(
                scope=scope,
                codex=project / ".codex",
                agents_md=project / "AGENTS.md",
                skills=project / ".agents" / "skills",
                within=project,
            )
        return cls(
            scope=scope,
            codex=codex_home,
            agents_md=codex_home / "AGENTS.md",
            skills=home / ".agents" / "skills",
            within=None,
        )

    @property
    def market(self) -> Path:
        return self.codex / MARKET


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owned:
    """A file of which a block, or everything, is ours."""

    path: Path
    body: str
    marks: Marks
    whole: bool = False
    """All of the file is ours: the block follows what must come first in it."""


def install_changes(places: Places, command: Sequence[str], *, plugin: bool) -> list[FileChange]:
    """What to write: the parts in the files where Codex looks, or the plugin and its marketplace.

    Raises:
        NotInstallable: a file is malformed, read-only, someone else's, or leads elsewhere.
    """
    files = _plugin_files(places, command) if plugin else _direct_files(places, command)
    made: set[Path] = set()
    changes = [_written(file, places, made) for file in files]
    return [change for change in changes if change.before != change.after]


def uninstall_changes(places: Places) -> list[FileChange]:
    """What to take out, of either form.

    Raises:
        NotInstallable: a block was cut, or a file cannot be written.
    """
    changes = [_taken_out(file, places) for file in [*_direct_files(places, [NAME]), *_plugin_files(places, [NAME])]]
    return [change for change in changes if change.before != change.after]


def states(places: Places, command: Sequence[str]) -> dict[Path, State]:
    """By file, whether it holds what `install` would write."""
    found: dict[Path, State] = {}
    for file in [*_direct_files(places, command), *_plugin_files(places, command)]:
        real, text = read_file(file.path, within=places.within)
        ours = text is not None and (file.marks.begin in text if file.marks.begin else _is_our_market(places))
        current = ours and text == _new_text(file, text, str(real), 0)
        found[file.path] = "installed" if current else "outdated" if ours else "absent"
    return found


def installed_options(places: Places) -> list[str]:
    """What the installed server is started with behind its `mcp`; empty where none is, or none that can be read."""
    for path, read in ((places.codex / "config.toml", _toml_server), (_plugin_server(places), _json_server)):
        _, text = read_file(path, within=places.within)
        try:
            args = [] if text is None else [str(part) for part in read(text)["args"]]
        except (TOMLKitError, ValueError, LookupError, TypeError):
            continue
        if "mcp" in args:
            return args[args.index("mcp") + 1 :]
    return []


def _toml_server(text: str) -> Any:
    return tomlkit.parse(text).unwrap()["mcp_servers"][NAME] if _TOML.begin in text else {"args": []}


def _json_server(text: str) -> Any:
    return json.loads(text)["mcpServers"][NAME]


def _plugin_server(places: Places) -> Path:
    return places.market / "plugins" / NAME / ".mcp.json"


def hook_command(command: Sequence[str], event: str) -> str:
    """What Codex runs for a hook, by a shell."""
    program = list(command)[: list(command).index("mcp")] if "mcp" in command else list(command)
    return shlex.join([*program, "codex", "hook", event])


def _direct_files(places: Places, command: Sequence[str]) -> list[_Owned]:
    config = f"{client_config('codex', command)}\n\n{_hooks_toml(command)}"
    return [
        _Owned(path=places.codex / "config.toml", body=config, marks=_TOML),
        _Owned(path=places.agents_md, body=AGENTS, marks=_MARKDOWN),
        _Owned(path=places.skills / SKILL_NAME / "SKILL.md", body=SKILL, marks=_MARKDOWN, whole=True),
    ]


def _plugin_files(places: Places, command: Sequence[str]) -> list[_Owned]:
    market = places.market
    plugin = market / "plugins" / NAME
    documents: dict[Path, Any] = {
        market / ".agents" / "plugins" / "marketplace.json": _marketplace(),
        plugin / ".codex-plugin" / "plugin.json": _manifest(),
        plugin / ".mcp.json": {"mcpServers": {NAME: codex_server(command)}},
        plugin / "hooks" / "hooks.json": {"hooks": _hooks(command)},
    }
    about = f"# {TITLE} for Codex\n\nWritten by `stratum codex install --plugin`.\n"
    return [
        _Owned(path=market / "README.md", body=about, marks=_MARKDOWN, whole=True),
        *(
            _Owned(path=path, body=json.dumps(value, indent=2) + "\n", marks=_json_marks(), whole=True)
            for path, value in documents.items()
        ),
        _Owned(path=plugin / "skills" / SKILL_NAME / "SKILL.md", body=SKILL, marks=_MARKDOWN, whole=True),
    ]


def _marketplace() -> dict[str, Any]:
    return {
        "name": MARKET,
        "interface": {"displayName": TITLE},
        "plugins": [
            {
                "name": NAME,
                "source": {"source": "local", "path": f"./plugins/{NAME}"},
                "policy": {"installation": "AVAILABLE", "authentication": "ON_INSTALL"},
                "category": "Productivity",
            }
        ],
    }


def _manifest() -> dict[str, Any]:
    return {
        "name": NAME,
        "version": server_version(),
        "description": "Typed plans that are approved before they run, targeted retries, hard budgets, audits.",
        "skills": "./skills/",
        "mcpServers": "./.mcp.json",
        "hooks": "./hooks/hooks.json",
        "interface": {
            "displayName": TITLE,
            "shortDescription": "Plans, budgets and audits",
            "category": "Productivity",
        },
    }


def _json_marks() -> Marks:
    # JSON has no comments: such a file is ours by standing in the folder whose README says so.
    return Marks(begin="", end="")


def _written(file: _Owned, places: Places, made: set[Path]) -> FileChange:
    real, text = read_file(file.path, within=places.within)
    folders = missing_folders(real, made=made) if text is None else 0
    after = _new_text(file, text, str(real), folders)
    if file.marks is _TOML:
        _check_toml(real, text, after)
    return FileChange(path=real, before=text, after=after)


def _new_text(file: _Owned, text: str | None, path: str, folders: int) -> str:
    if not file.whole:
        return with_block(text, file.body, file.marks, path=path, new_folders=folders)
    if not file.marks.begin:
        return file.body
    if text is not None and file.marks.begin not in text:
        raise NotInstallable(path=path, problem="it is there, and not from stratum", fix="move it away")
    start = "" if text is None else text[text.index(file.marks.begin) :]
    return file.body + (start or with_block(None, "", file.marks, path=path, new_folders=folders))


def _taken_out(file: _Owned, places: Places) -> FileChange:
    real, text = read_file(file.path, within=places.within)
    if not file.marks.begin:
        ours = _is_our_market(places)
        depth = len(file.path.relative_to(places.market).parents) - 1
        return FileChange(path=real, before=text, after=None if ours else text, folders=depth)
    without = without_block(text, file.marks, path=str(real))
    after = without.text
    if file.whole:
        after = None if without.had_block else text
    return FileChange(path=real, before=text, after=after, folders=without.folders)


def _is_our_market(places: Places) -> bool:
    _, text = read_file(places.market / "README.md", within=places.within)
    return text is not None and _MARKDOWN.begin in text


def _check_toml(path: Path, before: str | None, after: str) -> None:
    """Refuse what would not be read back as it was, with our tables besides."""
    try:
        old = tomlkit.parse(before or "").unwrap()
    except TOMLKitError as error:
        raise NotInstallable(path=str(path), problem=f"it is not TOML: {error}", fix="correct it first") from error
    ours = _TOML.begin in (before or "")
    if not ours and NAME in old.get("mcp_servers", {}):
        raise NotInstallable(
            path=str(path), problem=f"it has a table mcp_servers.{NAME} already", fix="remove that table, then install"
        )
    try:
        new = tomlkit.parse(after).unwrap()
    except TOMLKitError as error:
        raise NotInstallable(
            path=str(path),
            problem=f"a table for stratum cannot be added to it: {error}",
            fix="write mcp_servers and hooks as [tables], not in one line",
        ) from error
    kept = {key: value for key, value in new.items() if key not in ("mcp_servers", "hooks")}
    if kept != {key: value for key, value in old.items() if key not in ("mcp_servers", "hooks")}:
        raise NotInstallable(path=str(path), problem="adding to it would change other settings", fix="correct it first")


def _hooks(command: Sequence[str]) -> dict[str, Any]:
    def group(event: str, matcher: str | None, timeout_s: int) -> dict[str, Any]:
        run = {"type": "command", "command": hook_command(command, event), "timeout": timeout_s}
        return ({"matcher": matcher} if matcher else {}) | {"hooks": [run]}

    return {name: [group(*options)] for name, options in HOOKS.items()}


def _hooks_toml(command: Sequence[str]) -> str:
    lines = ["# What a session begins with, and the drift check of what was written."]
    for event, (group,) in _hooks(command).items():
        lines.append(f"[[hooks.{event}]]")
        if "matcher" in group:
            lines.append(f"matcher = {json.dumps(group['matcher'])}")
        lines.append(f"[[hooks.{event}.hooks]]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in group["hooks"][0].items()]
        lines.append("")
    return "\n".join(lines[:-1])
