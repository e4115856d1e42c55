"""Snapshots of real git work trees, the nasty ones too."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.git import git

from stratum.contracts.errors import RestoreRefused, WorkspaceError
from stratum.engine.plans.work_trees.snapshots import Snapshots, reference
from stratum.engine.plans.work_trees.work_tree import NEW_BYTES, WorkTree

State = dict[bytes, tuple[str, bytes]]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("ignored/\n*.log\n.stratum/\n")
    (root / "a.py").write_text("one\n")
    (root / "sub").mkdir()
    (root / "sub" / "b.py").write_text("two\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def state(root: Path) -> State:
    """Every file below `root` but git's own: kind, executable, content."""
    found: State = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        if b".git" in folders:
            folders.remove(b".git")
        for name in [*files, *[name for name in folders if os.path.islink(os.path.join(folder, name))]]:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, os.fsencode(root))
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            else:
                with open(path, "rb") as file:
                    found[key] = ("x" if os.stat(path).st_mode & 0o100 else "f", file.read())
        if not folders and not files:
            found[os.path.relpath(folder, os.fsencode(root))] = ("empty", b"")
    return found


def users(root: Path) -> dict[str, bytes]:
    """All that is the user's in git: nothing of it may change."""
    index = root / ".git" / "index"
    return {
        "index": index.read_bytes() if index.exists() else b"",
        "refs": git(root, "for-each-ref", "refs/heads", "refs/tags", "refs/stash"),
        "HEAD": (root / ".git" / "HEAD").read_bytes(),
        "logs": b"".join(path.read_bytes() for path in sorted((root / ".git").glob("logs/**/*")) if path.is_file()),
        "config": (root / ".git" / "config").read_bytes(),
        "others": repr(sorted(p.name for p in (root / ".git").iterdir() if p.name != "objects")).encode(),
    }


def nasty_names(root: Path) -> None:
    for name in (
        "a b",
        "-rf",
        "--",
        "new\nline",
        "tab\t",
        "quo\"te'",
        "ünï",
        "*?[x]",
        "$HOME",
        "\\back",
        " lead",
        ":(top)x",
    ):
        (root / name).write_text(name)
    (root / os.fsdecode(b"not-\xff-utf8")).write_text("bytes")


def nasty_modes(root: Path) -> None:
    (root / "a.py").chmod(0o755)
    (root / "tool").write_text("#!/bin/sh\n")
    (root / "tool").chmod(0o700)
    (root / "secret").write_text("s")
    (root / "secret").chmod(0o600)


def nasty_links(root: Path) -> None:
    (root / "to-file").symlink_to("a.py")
    (root / "to-folder").symlink_to("sub")
    (root / "dangling").symlink_to("nowhere\nelse")
    (root / "outside").symlink_to("/etc")
    (root / "a.py").unlink()
    (root / "a.py").symlink_to("sub/b.py")


def nasty_line_ends(root: Path) -> None:
    git(root, "config", "core.autocrlf", "true")
    (root / ".gitattributes").write_text(
        "*.txt text eol=crlf\n*.up filter=upper\n*.utf16 working-tree-encoding=UTF-16\n"
    )
    git(root, "config", "filter.upper.clean", "tr a-z A-Z")
    git(root, "config", "filter.upper.smudge", "touch ran; tr A-Z a-z")
    git(root, "config", "filter.upper.required", "true")
    (root / "mixed.txt").write_bytes(b"one\r\ntwo\nthree\r")
    (root / "x.up").write_bytes(b"MiXed")
    (root / "y.utf16").write_bytes("hé".encode("utf-16"))


def nasty_binary(root: Path) -> None:
    (root / "bin").write_bytes(bytes(range(256)) * 5000)
    (root / "empty").write_bytes(b"")


def nasty_folders(root: Path) -> None:
    (root / "hollow" / "inner").mkdir(parents=True)
    (root / "sub" / "also hollow").mkdir()
    (root / "sub" / "b.py").unlink()
    (root / "sub" / "b.py").mkdir()
    (root / "sub" / "b.py" / "now a folder").write_text("x")


def nasty_staging(root: Path) -> None:
    (root / "a.py").write_text("staged\n")
    git(root, "add", "a.py")
    (root / "a.py").write_text("and changed again\n")
    (root / "new").write_text("n")
    git(root, "add", "-N", "new")
    git(root, "rm", "-q", "--cached", "sub/b.py")
    (root / "a.log").write_text("tracked although ignored")
    git(root, "add", "-f", "a.log")


def nasty_conflict(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "other")
    (root / "a.py").write_text("theirs\n")
    git(root, "commit", "-qam", "theirs")
    git(root, "checkout", "-q", "main")
    (root / "a.py").write_text("ours\n")
    git(root, "commit", "-qam", "ours")
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "merge", "-q", "other"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    assert b"UU a.py" in git(root, "status", "--porcelain")


def nasty_special(root: Path) -> None:
    os.mkfifo(root / "pipe")


NASTY = [
    nasty_names,
    nasty_modes,
    nasty_links,
    nasty_line_ends,
    nasty_binary,
    nasty_folders,
    nasty_staging,
    nasty_conflict,
    nasty_special,
]


def wreck(root: Path) -> None:
    """What a step might do: everything changed, removed, or replaced by something of another kind."""
    git(root, "clean", "-fdq")
    for path in sorted(root.rglob("*")):
        if ".git" in path.relative_to(root).parts or not path.is_file() or path.is_symlink():
            continue
        path.unlink()
    (root / "a.py").unlink(missing_ok=True)
    (root / "a.py").mkdir()
    (root / "a.py" / "inside").write_text("x")
    (root / "made").write_text("by the step")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "file").write_text("x")


@pytest.mark.parametrize("make", NASTY, ids=lambda make: make.__name__)
async def test_a_restored_tree_is_what_it_was_and_git_is_as_the_user_left_it(
    repo: Path, make: Callable[[Path], None]
) -> None:
    make(repo)
    snapshots = await Snapshots.open(repo)
    comparable = (lambda: {"a.py": (repo / "a.py").read_bytes()}) if make is nasty_special else lambda: state(repo)
    before, theirs = comparable(), users(repo)

    taken = await snapshots.take("run", "1")
    assert comparable() == before
    wreck(repo)
    await snapshots.take("run", "2")
    wrecked = state(repo) if make is not nasty_special else None
    theirs_then = users(repo)
    restored = await snapshots.restore("run", taken)

    assert comparable() == before
    assert restored.left_alone == ()
    assert users(repo) == theirs_then
    assert theirs["refs"] == theirs_then["refs"]
    if wrecked is not None:
        again = await snapshots.find("run", "2")
        assert again is not None
        await snapshots.restore("run", again)
        assert state(repo) == wrecked


async def test_permissions_beyond_the_executable_bit_survive_where_the_file_does(repo: Path) -> None:
    (repo / "a.py").chmod(0o600)
    snapshots = await Snapshots.open(repo)
    taken = await snapshots.take("run", "1")
    (repo / "a.py").write_text("changed\n")
    await snapshots.take("run", "2")
    await snapshots.restore("run", taken)
    assert stat.S_IMODE((repo / "a.py").stat().st_mode) == 0o600
    assert (repo / "a.py").read_text() == "one\n"


async def test_taking_a_snapshot_leaves_no_trace_but_its_ref(repo: Path) -> None:
    for hook in ("reference-transaction", "post-commit", "post-checkout", "post-index-change"):
        path = repo / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\ntouch hook-ran\n")
        path.chmod(0o755)
    git(repo, "config", "core.logAllRefUpdates", "always")
    git(repo, "config", "commit.gpgSign", "true")
    git(repo, "config", "core.splitIndex", "true")
    (repo / "a.py").write_text("stashed\n")
    git(repo, "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "stash", "-q")
    (repo / "untracked").write_text("u")
    before, theirs = state(repo), users(repo)
    commit = await (await Snapshots.open(repo)).take("r1", "2/inner")
    assert (state(repo), users(repo)) == (before, theirs)
    assert git(repo, "for-each-ref", "refs/stratum").split()[::2] == [commit.encode(), b"refs/stratum/r1/2+inner"]
    assert git(repo, "cat-file", "-p", f"{commit}:untracked") == b"u"


async def test_an_unborn_head_a_linked_work_tree_and_a_folder_within_are_fine(tmp_path: Path, repo: Path) -> None:
    (unborn := tmp_path / "unborn").mkdir()
    git(unborn, "init", "-q")
    git(repo, "worktree", "add", "-q", str(tmp_path / "linked"))
    for folder in (unborn, tmp_path / "linked", repo / "sub"):
        (folder / "f").write_text("1")
        snapshots = await Snapshots.open(folder)
        taken = await snapshots.take("run", f"{folder.name}")
        (folder / "f").write_text("2")
        await snapshots.take("run", f"{folder.name}-2")
        assert "-1\n" in await snapshots.diff(taken, (await snapshots.find("run", f"{folder.name}-2")) or "")
        await snapshots.restore("run", taken)
        assert (folder / "f").read_text() == "1"


async def test_where_there_is_no_work_tree_it_is_said(
    tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain := tmp_path / "plain").mkdir()
    (bare := tmp_path / "bare").mkdir()
    git(bare, "init", "-q", "--bare")
    for folder, problem in (
        (plain, "it is not in a git repository; run `git init` there"),
        (bare, "it is a bare repository, which has no files"),
        (repo / ".git", "it is inside a repository's .git folder"),
    ):
        with pytest.raises(WorkspaceError, match=problem):
            await Snapshots.open(folder)
    monkeypatch.setenv("PATH", str(plain))
    with pytest.raises(WorkspaceError, match="git cannot be run: No such file or directory; install git"):
        await Snapshots.open(repo)


async def test_the_variables_of_a_hook_are_about_another_repository(
    tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    commit = await (await Snapshots.open(repo)).take("run", "1")
    assert git(repo, "cat-file", "-t", commit) == b"commit\n"


async def test_changes_that_no_snapshot_has_are_not_lost_unless_forced_and_then_they_are_kept(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    first = await snapshots.take("run", "1")
    (repo / "a.py").write_text("by step 2\n")
    await snapshots.take("run", "2")
    (repo / "a.py").write_text("by hand\n")
    (repo / "mine").write_text("by hand")
    before = state(repo)

    with pytest.raises(RestoreRefused) as refused:
        await snapshots.restore("run", first)
    assert refused.value.files == ["a.py", "mine"]
    assert "use force" in str(refused.value)
    assert state(repo) == before

    restored = await snapshots.restore("run", first, force=True)
    assert (repo / "a.py").read_text() == "one\n"
    assert not (repo / "mine").exists()
    assert set(restored.files) == {"a.py", "mine"}
    assert git(repo, "cat-file", "-p", f"{restored.overwritten}:mine") == b"by hand"
    await snapshots.restore("run", restored.overwritten)
    assert state(repo) == before


async def test_a_change_that_the_restored_state_has_too_is_no_loss(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    first = await snapshots.take("run", "1")
    (repo / "a.py").write_text("by step 2\n")
    await snapshots.take("run", "2")
    (repo / "a.py").write_text("one\n")
    assert (await snapshots.restore("run", first)).files == ()


async def test_ignored_files_and_our_own_folder_are_never_touched(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    (repo / ".stratum").mkdir()
    (repo / ".stratum" / "stratum.db").write_text("1")
    (repo / "debug.log").write_text("1")
    first = await snapshots.take("run", "1")
    (repo / ".gitignore").write_text("")  # a step that makes everything visible
    (repo / "debug.log").write_text("2")
    (repo / ".stratum" / "stratum.db").write_text("2")
    (repo / "ignored").mkdir()
    (repo / "ignored" / "model.bin").write_text("2")
    await snapshots.take("run", "2")
    restored = await snapshots.restore("run", first)
    assert (repo / ".gitignore").read_text() == "ignored/\n*.log\n.stratum/\n"
    for path in ("debug.log", ".stratum/stratum.db", "ignored/model.bin"):
        assert (repo / path).read_text() == "2"
    assert restored.left_alone == ("debug.log", "ignored/model.bin")


async def test_a_file_that_has_become_ignored_is_not_overwritten(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    (repo / "notes").write_text("then")
    first = await snapshots.take("run", "1")
    (repo / ".gitignore").write_text("notes\n")
    (repo / "notes").write_text("now")
    await snapshots.take("run", "2")
    restored = await snapshots.restore("run", first)
    assert (repo / "notes").read_text() == "now"
    assert restored.left_alone == ("notes",)


async def test_nothing_is_written_or_read_through_a_link(tmp_path: Path, repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    first = await snapshots.take("run", "1")
    (outside := tmp_path / "outside").mkdir()
    (outside / "b.py").write_text("not yours")
    (repo / "sub" / "b.py").unlink()
    (repo / "sub").rmdir()
    (repo / "sub").symlink_to(outside)
    second = await snapshots.take("run", "2")
    assert b"sub/b.py" not in git(repo, "ls-tree", "-r", "--name-only", second)
    await snapshots.restore("run", first)
    assert (outside / "b.py").read_text() == "not yours"
    assert not (repo / "sub").is_symlink()
    assert (repo / "sub" / "b.py").read_text() == "two\n"


async def test_repositories_within_are_recorded_and_left_alone(repo: Path) -> None:
    inner = repo / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (repo / "hollow").mkdir()
    git(repo / "hollow", "init", "-q")
    (inner / "f").write_text("1")
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "1")
    snapshots = await Snapshots.open(repo)
    first = await snapshots.take("run", "1")
    recorded = git(repo, "ls-tree", first, "inner").split()
    assert recorded[:3] == [b"160000", b"commit", git(inner, "rev-parse", "HEAD").strip()]
    (inner / "f").write_text("2")
    git(inner, "commit", "-qam", "2")
    (repo / "a.py").write_text("changed\n")
    await snapshots.take("run", "2")
    restored = await snapshots.restore("run", first)
    assert restored.left_alone == ("inner",)
    assert (inner / "f").read_text() == "2"
    assert (repo / "a.py").read_text() == "one\n"


async def test_too_much_that_git_does_not_know_is_refused_by_name(repo: Path) -> None:
    with (repo / "dump.bin").open("wb") as file:
        file.truncate(NEW_BYTES + 1)
    with pytest.raises(WorkspaceError, match="the largest 'dump.bin'; put what need not be kept into .gitignore"):
        await (await Snapshots.open(repo)).take("run", "1")


async def test_a_file_changed_within_the_same_second_is_seen(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    os.utime(repo / "a.py", (1, 1))
    await snapshots.take("run", "1")
    await snapshots.take("run", "2")
    commits: list[str] = []
    for number in range(5):
        (repo / "a.py").write_text(f"on{number}\n")  # of one size
        commits.append(await snapshots.take("run", f"x{number}"))
    assert len({git(repo, "rev-parse", f"{commit}:a.py") for commit in commits}) == 5


async def test_snapshots_taken_at_once_wait_for_one_another(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(snapshots.take, "run", str(number))
    assert len(git(repo, "for-each-ref", "refs/stratum/run").splitlines()) == 8
    assert await snapshots.find("run", "3", "before") is None
    assert reference("run", "3", "before") == "refs/stratum/run/3.before"


async def test_a_diff_names_every_file_and_shows_what_fits(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    first = await snapshots.take("run", "1")
    (repo / "a.py").write_text("changed\n")
    (repo / "big").write_text("".join(f"line {number}\n" for number in range(5000)))
    second = await snapshots.take("run", "2")
    diff = await snapshots.diff(first, second, 4000)
    assert "1\t1\ta.py" in diff and "5000\t0\tbig" in diff
    assert "+changed" in diff and "+line 0\n" in diff
    assert "characters left out" in diff
    assert len(diff) < 5000
    assert await snapshots.diff(first, first) == ""


async def test_a_commit_of_the_users_is_no_snapshot(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    await snapshots.take("run", "1")
    with pytest.raises(WorkspaceError, match="is no snapshot"):
        await snapshots.restore("run", git(repo, "rev-parse", "HEAD").decode().strip())


NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and name.casefold() not in (".git", ".stratum", ".gitignore", ".gitattributes")
)
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.tuples(st.sampled_from("fxl"), st.binary(max_size=40)),
    max_size=6,
)


def lay_out(root: Path, files: dict[tuple[str, ...], tuple[str, bytes]]) -> None:
    """As many of the files as fit: where one needs a folder that another is, the first stays."""
    for path in sorted(root.rglob("*"), reverse=True):
        if ".git" in path.relative_to(root).parts:
            continue
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for parts, (kind, content) in files.items():
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() or path.is_symlink():
                continue
            if kind == "l":
                path.symlink_to(os.fsdecode(content.replace(b"\0", b"") or b"x"))
            else:
                path.write_bytes(content)
                path.chmod(0o755 if kind == "x" else 0o644)
        except (FileExistsError, NotADirectoryError, OSError):
            continue


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, FILES)
def test_any_tree_can_be_restored_from_any_other(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[tuple[str, ...], tuple[str, bytes]],
    other: dict[tuple[str, ...], tuple[str, bytes]],
) -> None:
    root = tmp_path_factory.mktemp("any")
    git(root, "init", "-q")

    async def there_and_back() -> None:
        snapshots = await Snapshots.open(root)
        lay_out(root, one)
        before = state(root)
        taken = await snapshots.take("run", "1")
        lay_out(root, other)
        after = state(root)
        second = await snapshots.take("run", "2")
        await snapshots.restore("run", taken)
        assert state(root) == before
        await snapshots.restore("run", second)
        assert state(root) == after

    trio.run(there_and_back)


async def test_snapshots_asked_for_while_another_is_taken_are_one_commit(repo: Path) -> None:
    snapshots = await Snapshots.open(repo)
    taken: dict[str, str] = {}

    async def take(run: str, step: str) -> None:
        taken[step] = await snapshots.take(run, step, "before")

    let_go, given_up = threading.Event(), trio.CancelScope()

    def held(files: WorkTree) -> bool:
        return let_go.wait(60)

    async def nobody() -> None:
        with given_up:
            await take("r", "e")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(snapshots.in_thread, held)
        await trio.testing.wait_all_tasks_blocked()
        for step in ("a", "b", "c"):
            nursery.start_soon(take, "r", step)
        nursery.start_soon(take, "other", "d")
        nursery.start_soon(nobody)
        await trio.testing.wait_all_tasks_blocked()
        given_up.cancel()
        await trio.testing.wait_all_tasks_blocked()
        (repo / "a.py").write_text("two\n")
        let_go.set()
    assert len({taken["a"], taken["b"], taken["c"]}) == 1
    assert taken["d"] != taken["a"]
    assert "e" not in taken and await snapshots.find("r", "e", "before") is None
    for step in ("a", "b", "c"):
        assert await snapshots.find("r", step, "before") == taken["a"]
    assert git(repo, "show", f"{taken['b']}:a.py") == b"two\n", "as it is after they were asked for"
    later = await snapshots.take("r", "a", "after")
    assert later != taken["a"]
