"""`stratum codex install`: what is written, shown first, and taken back to the byte."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from stratum.cli import stratum
from stratum.mcp_bridge.codex import file_changes
from stratum.mcp_bridge.codex.file_changes import FileChange, apply_changes
from stratum.mcp_bridge.codex.installation import Places, install_changes, uninstall_changes
from stratum.mcp_bridge.codex.owned_block import Marks, NotInstallable, with_block, without_block

COMMAND = ["/opt/a b/stratum", "mcp"]
CONFIG = """\
# mine
model = "gpt-5.5"   # the good one

[mcp_servers.other]
command = "other"  # not ours

[[hooks.Stop]]
[[hooks.Stop.hooks]]
type = "command"
command = "say done"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder := tmp_path / "project").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "home/.codex"))
    return folder


def codex(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(stratum, ["codex", *arguments], input=answer)


def picture(folder: Path) -> dict[str, bytes | str | None]:
    """Everything below a folder: files with their bytes, links with their targets, folders."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


def config(project: Path, text: str = CONFIG) -> Path:
    (project / ".codex").mkdir()
    (project / ".codex/config.toml").write_text(text)
    return project / ".codex/config.toml"


def test_the_difference_is_shown_and_asked_about(project: Path) -> None:
    asked = codex("install", answer="n\n")
    assert asked.exit_code == 1
    assert "+[mcp_servers.stratum]" in asked.output and "Make these changes?" in asked.output
    assert picture(project) == {}


def test_what_is_installed_is_read_by_toml_with_everything_that_was_there(project: Path) -> None:
    file = config(project)
    assert codex("install", answer="y\n").exit_code == 0
    text = file.read_text()
    read = tomllib.loads(text)
    assert text.startswith(CONFIG)
    server = read["mcp_servers"]["stratum"]
    assert server["required"] is True and server["tool_timeout_sec"] >= 60
    assert server["omit_tools_from"] == ["deferred"]
    assert server["tools"]["stratum_execute"]["approval_mode"] == "approve"
    assert [group["hooks"][0]["command"].split()[-1] for group in read["hooks"]["Stop"]] == ["done", "stop"]
    assert "stratum_plan" in (project / "AGENTS.md").read_text()
    assert (project / ".agents/skills/stratum/SKILL.md").read_text().startswith("---\nname: stratum\n")


@pytest.mark.parametrize("options", [(), ("--plugin",), ("--scope", "user"), ("--scope", "user", "--plugin")])
def test_installing_twice_changes_nothing_and_uninstalling_leaves_nothing(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    """CASES H46."""
    scope = tuple(option for option in options if option != "--plugin")
    before = picture(tmp_path)
    assert codex("install", "--yes", *options).exit_code == 0
    installed = picture(tmp_path)
    assert installed != before
    assert "nothing to change" in codex("install", "--yes", *options).output
    assert picture(tmp_path) == installed
    assert codex("uninstall", "--yes", *scope).exit_code == 0
    assert picture(tmp_path) == before
    assert "nothing to change" in codex("uninstall", "--yes", *scope).output


@pytest.mark.parametrize("plugin", [False, True])
def test_the_functions_that_plans_may_name_are_installed_and_stay_until_others_are_named(
    project: Path, plugin: bool
) -> None:
    def args() -> list[str]:
        if plugin:
            file = project / ".codex/stratum-market/plugins/stratum/.mcp.json"
            return json.loads(file.read_text())["mcpServers"]["stratum"]["args"]
        return tomllib.loads((project / ".codex/config.toml").read_text())["mcp_servers"]["stratum"]["args"]

    form = ["--plugin"] if plugin else []
    (project / "my steps.py").write_text("")
    assert codex("install", "--yes", *form, "--steps", "my steps.py", "--steps", "package.steps").exit_code == 0
    assert args()[-5:] == ["mcp", "--steps", "my steps.py", "--steps", "package.steps"]
    assert "nothing to change" in codex("install", "--yes", *form).output
    assert codex("status").exit_code == 0
    assert codex("install", "--yes", *form, "--steps", "package.steps").exit_code == 0
    assert args()[-3:] == ["mcp", "--steps", "package.steps"]
    assert codex("uninstall", "--yes").exit_code == 0
    assert codex("install", "--yes", *form).exit_code == 0
    assert args()[-1] == "mcp"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--steps", "none.py"], "no file none.py"),
        (["--steps", "here.py", "--scope", "user"], "with --scope user, name a module or the file's whole path"),
    ],
)
def test_a_file_of_functions_that_codex_would_not_find_is_refused(
    options: list[str], says: str, project: Path, tmp_path: Path
) -> None:
    (project / "here.py").write_text("")
    before = picture(tmp_path)
    refused = codex("install", "--yes", *options)
    assert (refused.exit_code, picture(tmp_path)) == (2, before)
    assert says in " ".join(refused.output.split())


@pytest.mark.parametrize("text", ["x = ", "[mcp_servers.stratum]\nargs = 5\n", "[mcp_servers]\nstratum = 1\n"])
def test_an_installation_that_cannot_be_read_is_still_told_of(text: str, project: Path) -> None:
    file = config(project)
    codex("install", "--yes")
    begin, _, rest = file.read_text().partition("[mcp_servers.stratum]")
    file.write_text(f"{begin}{text}\n{rest[rest.index('# <<< stratum') :]}")
    told = codex("status")
    assert (told.exit_code, told.output.split()[0]) == (1, "outdated")


def test_the_user_scope_leaves_the_project_alone(project: Path, tmp_path: Path) -> None:
    codex("install", "--yes", "--scope", "user")
    assert picture(project) == {}
    assert (tmp_path / "home/.codex/AGENTS.md").exists()
    assert (tmp_path / "home/.agents/skills/stratum/SKILL.md").exists()


def test_an_older_installation_is_replaced_in_place(project: Path) -> None:
    file = config(project)
    codex("install", "--yes")
    text = file.read_text()
    file.write_text(text.replace("required = true", "required = false") + "\n[later]\nx = 1\n")
    assert codex("status").exit_code == 1
    assert codex("install", "--yes").exit_code == 0
    assert file.read_text() == text + "\n[later]\nx = 1\n"
    assert codex("status").exit_code == 0
    codex("uninstall", "--yes")
    assert file.read_text() == CONFIG + "\n[later]\nx = 1\n"


def test_folders_that_were_there_stay(project: Path) -> None:
    (project / ".codex").mkdir()
    (project / ".agents").mkdir()
    codex("install", "--yes")
    codex("uninstall", "--yes")
    assert picture(project) == {".agents": None, ".codex": None}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model = ", "not TOML"),
        ("[mcp_servers.stratum]\ncommand = 'x'\n", "already"),
        ("mcp_servers = {a = {command = 'x'}}\n", "cannot be added"),
        ("hooks = {Stop = []}\n", "cannot be added"),
        ("x = 1\n# >>> stratum: `stratum codex uninstall` removes this\n", "not once each"),
    ],
)
def test_a_config_that_cannot_take_it_stops_everything(text: str, told: str, project: Path) -> None:
    """CASES H46."""
    config(project, text)
    before = picture(project)
    done = codex("install", "--yes")
    assert done.exit_code == 1
    assert told in done.output
    assert picture(project) == before


@pytest.mark.parametrize("name", [".codex/config.toml", "AGENTS.md"])
def test_a_read_only_or_binary_file_stops_everything(name: str, project: Path) -> None:
    config(project)
    file = project / name
    file.write_text("# mine\n")
    file.chmod(0o444)
    before = picture(project)
    assert "read-only" in codex("install", "--yes").output
    assert picture(project) == before
    file.chmod(0o644)
    file.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in codex("install", "--yes").output


def test_a_skill_that_is_someone_elses_is_not_touched(project: Path) -> None:
    (project / ".agents/skills/stratum").mkdir(parents=True)
    (project / ".agents/skills/stratum/SKILL.md").write_text("mine")
    before = picture(project)
    assert "not from stratum" in codex("install", "--yes").output
    assert codex("uninstall", "--yes").exit_code == 0
    assert picture(project) == before


def test_a_link_within_is_written_through_and_stays_a_link(project: Path) -> None:
    (project / "docs").mkdir()
    (project / "docs/agents.md").write_text("# Ours\n")
    (project / "AGENTS.md").symlink_to("docs/agents.md")
    before = picture(project)
    codex("install", "--yes")
    assert (project / "AGENTS.md").is_symlink()
    assert "stratum_plan" in (project / "docs/agents.md").read_text()
    codex("uninstall", "--yes")
    assert picture(project) == before


@pytest.mark.parametrize("name", ["AGENTS.md", ".codex"])
def test_a_link_out_of_the_project_is_refused(name: str, project: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("precious\n")
    (project / name).symlink_to(tmp_path / "outside" / ("file" if name == "AGENTS.md" else ""))
    before = picture(tmp_path)
    assert "leads out of the project" in codex("install", "--yes").output
    assert picture(tmp_path) == before


def test_a_dangling_link_and_a_folder_in_its_place_are_refused(project: Path) -> None:
    (project / "AGENTS.md").symlink_to("nowhere")
    assert "links to nothing" in codex("install", "--yes").output
    (project / "AGENTS.md").unlink()
    (project / "AGENTS.md").mkdir()
    assert "not a file" in codex("install", "--yes").output
    assert picture(project) == {"AGENTS.md": None}


def test_modes_are_kept(project: Path) -> None:
    file = config(project)
    file.chmod(0o600)
    codex("install", "--yes")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def places(project: Path) -> Places:
    return Places.of("project", project=project, home=project, codex_home=project)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, at: int, error: BaseException) -> None:
    """The `at`-th call of a step of the writing fails, and no later one."""
    calls = iter(range(100))
    real = getattr(file_changes, name)

    def step(*arguments: object) -> object:
        if next(calls) == at:
            raise error
        return real(*arguments)

    monkeypatch.setattr(file_changes, name, step)


@pytest.mark.parametrize("name", ["_stage", "_replace", "_make_folders"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device", "f"), KeyboardInterrupt()], ids=["full", "^C"]
)
def test_a_failure_anywhere_leaves_everything_as_it_was(
    name: str, at: int, error: BaseException, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CASES H46."""
    config(project)
    before = picture(project)
    changes = install_changes(places(project), COMMAND, plugin=False)
    failing(monkeypatch, name, at, error)
    with pytest.raises((NotInstallable, KeyboardInterrupt)):
        apply_changes(changes)
    assert picture(project) == before


def test_a_folder_that_cannot_be_made_takes_those_above_it_away_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = install_changes(places(project), COMMAND, plugin=False)
    made: list[Path] = []
    real = Path.mkdir

    def full(folder: Path) -> None:
        if folder.parent in made:
            raise OSError(28, "No space left on device", str(folder))
        made.append(folder)
        real(folder)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(NotInstallable, match="nothing was changed"):
        apply_changes(changes)
    assert made
    assert picture(project) == {}


def test_what_changed_after_it_was_read_is_not_overwritten(project: Path) -> None:
    changes = install_changes(places(project), COMMAND, plugin=False)
    (project / "AGENTS.md").write_text("new\n")
    with pytest.raises(NotInstallable, match="changed since"):
        apply_changes(changes)
    assert picture(project) == {"AGENTS.md": b"new\n"}


LINES = st.sampled_from(
    [
        "",
        "# a comment",
        "x = 1",
        "[table]",
        "[mcp_servers.other]",
        'command = "é"',
        "[[hooks.Stop]]",
        "  ",
        "\ufefftext",
        "- item",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(draw(st.lists(LINES | st.text(max_size=20), max_size=6))) + draw(st.sampled_from(["", end]))


@pytest.fixture(scope="module")
def folders() -> Iterator[Iterator[Path]]:
    with tempfile.TemporaryDirectory() as name:
        yield (Path(name, str(number)) for number in range(10**6))


@settings(max_examples=40, deadline=None)
@given(toml=texts(), agents=texts(), is_plugin=st.booleans())
def test_uninstalling_restores_every_byte(
    folders: Iterator[Path], toml: str | None, agents: str | None, is_plugin: bool
) -> None:
    project = next(folders)
    project.mkdir()
    for name, text in ((".codex/config.toml", toml), ("AGENTS.md", agents)):
        if text is not None:
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).write_bytes(text.encode("utf-8", errors="surrogatepass"))
    before = picture(project)
    try:
        changes = install_changes(places(project), COMMAND, plugin=is_plugin)
    except NotInstallable:
        assert picture(project) == before
        return
    apply_changes(changes)
    assert install_changes(places(project), COMMAND, plugin=is_plugin) == []
    apply_changes(uninstall_changes(places(project)))
    assert picture(project) == before


MARKS = Marks(begin="# >>>", end="# <<<")


@given(
    text=texts(),
    after=st.text(alphabet="ab\n", max_size=8),
    bodies=st.lists(st.sampled_from(["x = 1", "a\n\nb", ""]), min_size=1, max_size=3),
)
def test_a_block_can_be_replaced_and_what_is_written_behind_it_stays(
    text: str | None, after: str, bodies: list[str]
) -> None:
    current = text
    for body in bodies:
        current = with_block(current, body, MARKS, path="f")
    assert current is not None
    rest = without_block(current + after, MARKS, path="f").text
    if not after:
        assert rest == text
    else:
        joined = text is not None and text != "" and not text.endswith("\n")
        assert rest is not None and rest.replace("\r", "") == ((text or "") + ("\n" if joined else "") + after).replace(
            "\r", ""
        )


def test_a_deleted_file_is_deleted_only_if_it_was_ours(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    apply_changes([FileChange(path=tmp_path / "f", before="x", after=None)])
    assert not (tmp_path / "f").exists()
