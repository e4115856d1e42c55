"""Side trees: steps done beside one another, and their changes merged."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.plans.test_snapshots import nasty_line_ends, nasty_links, nasty_modes, nasty_names, state
from tests.fakes.git import git

from stratum.contracts.errors import WorkspaceError
from stratum.engine.plans.work_trees.side_tree import SideTree, open_side_tree
from stratum.engine.plans.work_trees.snapshots import Snapshots

LINES = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("ignored/\n")
    (root / "a.py").write_text(LINES)
    (root / "sub").mkdir()
    (root / "sub" / "b.py").write_text("two\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def of_the_side(side: SideTree) -> dict[bytes, tuple[str, bytes]]:
    return {path: found for path, found in state(side.top).items() if path != b".git"}


async def test_it_has_the_files_of_the_workspace_as_they_are_and_leaves_no_trace(repo: Path) -> None:
    for make in (nasty_names, nasty_modes, nasty_links, nasty_line_ends):
        make(repo)
    (repo / "ignored").mkdir()
    (repo / "ignored" / "big").write_text("x")
    here = {path: found for path, found in state(repo).items() if not path.startswith(b"ignored")}
    async with open_side_tree(await Snapshots.open(repo)) as side:
        await side.refresh()
        assert of_the_side(side) == here
        assert git(side.top, "rev-parse", "HEAD") == git(repo, "rev-parse", "HEAD")
        assert await side.merge() == []
        assert {path: found for path, found in state(repo).items() if not path.startswith(b"ignored")} == here
    assert not side.top.exists()
    assert git(repo, "worktree", "list").count(b"\n") == 1
    assert not (repo / "ran").exists(), "no filter was run"


async def test_what_was_changed_there_is_changed_here_beside_what_was_changed_here(repo: Path) -> None:
    (repo / "ignored").mkdir()
    (repo / "ignored" / "big").write_text("x")
    async with open_side_tree(await Snapshots.open(repo)) as side:
        await side.refresh()
        (side.top / "a.py").write_text(LINES.replace("line 3\n", "theirs\n"))
        (side.top / "sub" / "b.py").unlink()
        (side.top / "new").mkdir()
        (side.top / "new" / "tool").write_text("x")
        (side.top / "new" / "tool").chmod(0o755)
        (side.top / "same").write_text("both made it")
        (repo / "a.py").write_text(LINES.replace("line 20\n", "ours\n"))
        (repo / "a.py").chmod(0o755)
        (repo / "same").write_text("both made it")
        (repo / "mine").write_text("mine")
        assert await side.merge() == []
    assert (repo / "a.py").read_text() == LINES.replace("line 3\n", "theirs\n").replace("line 20\n", "ours\n")
    found = state(repo)
    assert {path: kind for path, (kind, _) in found.items()} == {
        b".gitignore": "f",
        b"a.py": "x",
        b"ignored/big": "f",
        b"mine": "f",
        b"new/tool": "x",
        b"same": "f",
    }


@pytest.mark.parametrize(
    "change", ["the same line", "removed there", "removed here", "made by both", "a link", "binary"]
)
async def test_what_conflicts_is_named_and_nothing_is_merged(repo: Path, change: str) -> None:
    (repo / "bin").write_bytes(b"\0one")
    async with open_side_tree(await Snapshots.open(repo)) as side:
        await side.refresh()
        (side.top / "innocent").write_text("x")
        there, here = side.top / "a.py", repo / "a.py"
        match change:
            case "the same line":
                there.write_text(LINES.replace("line 3\n", "theirs\n"))
                here.write_text(LINES.replace("line 3\n", "ours\n"))
            case "removed there":
                there.unlink()
                here.write_text("changed")
            case "removed here":
                there.write_text("changed")
                here.unlink()
            case "made by both":
                there, here = side.top / "made", repo / "made"
                there.write_text("one")
                here.write_text("other")
            case "a link":
                there.unlink()
                there.symlink_to("sub")
                here.write_text("changed")
            case _:
                there, here = side.top / "bin", repo / "bin"
                there.write_bytes(b"\0two")
                here.write_bytes(b"\0three")
        before = state(repo)
        assert await side.merge() == [here.name]
        assert state(repo) == before
        await side.refresh()
        assert of_the_side(side) == before


async def test_without_a_commit_there_is_no_side_tree(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(WorkspaceError):
        async with open_side_tree(await Snapshots.open(tmp_path)):
            pass
    assert git(tmp_path, "worktree", "list").count(b"\n") == 1
