"""What counts as a person's approval when others write to the disk as well."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest
from tests.engine.plans.plan_fixtures import open_project

from stratum import compute
from stratum.contracts.plans.errors import NotApproved
from stratum.contracts.plans.text import read_plan
from stratum.engine.plans.approval.approvals import Approval, Approvals
from stratum.engine.settings import SettingsError

DIGEST = "a" * 64
PLAN = "steps: [{id: a, fn: one}]"


@compute
def one() -> int:
    return 1


class Fleeting(Approvals):
    """Somebody revokes, in another process, as soon as an approval was looked up."""

    def find(self, digest: str) -> Approval | None:
        found = super().find(digest)
        self.revoke(digest)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def approvals(project: Path) -> Approvals:
    return Approvals(project, folder=project.parent / "home" / "state")


def forged(project: Path, digest: str = DIGEST) -> bytes:
    approval = Approval(digest=digest, project=str(project), by="ada", how="terminal", at="2026-11-20T10:00:00+00:00")
    return msgspec.json.encode(approval)


def file_of(approvals: Approvals, digest: str = DIGEST) -> Path:
    return approvals.folder / f"{digest}.json"


def test_an_approval_is_found_until_it_is_revoked(approvals: Approvals) -> None:
    assert approvals.find(DIGEST) is None
    given = approvals.approve(DIGEST, by="ada", how="terminal")

    assert approvals.find(DIGEST) == given
    assert approvals.approve(DIGEST, by="eve", how="page") == given
    assert approvals.revoke(DIGEST)
    assert approvals.find(DIGEST) is None
    assert not approvals.revoke(DIGEST)


def test_all_that_is_made_for_it_is_the_users_alone_whatever_the_umask(approvals: Approvals) -> None:
    before = os.umask(0)
    try:
        approvals.approve(DIGEST, by="ada", how="terminal")
    finally:
        os.umask(before)

    made = [approvals.folder.parent.parent, approvals.folder.parent, approvals.folder, file_of(approvals)]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o700, 0o700, 0o600]


def test_a_file_in_the_work_tree_approves_nothing(project: Path, approvals: Approvals) -> None:
    for place in (project / ".stratum" / "approvals", project / "approvals" / approvals.folder.name):
        place.mkdir(parents=True)
        (place / f"{DIGEST}.json").write_bytes(forged(project))

    assert approvals.find(DIGEST) is None


def test_a_link_to_a_file_in_the_work_tree_approves_nothing(project: Path, approvals: Approvals) -> None:
    approvals.approve("b" * 64, by="ada", how="terminal")
    (project / "forged").write_bytes(forged(project))
    file_of(approvals).symlink_to(project / "forged")

    assert approvals.find(DIGEST) is None


@pytest.mark.parametrize("level", ["project", "all"])
def test_a_folder_that_is_a_link_approves_nothing_and_takes_no_approval(
    project: Path, approvals: Approvals, level: str
) -> None:
    link = approvals.folder if level == "project" else approvals.folder.parent
    link.parent.mkdir(parents=True)
    link.symlink_to(project)
    approvals.folder.mkdir(exist_ok=True)
    file_of(approvals).write_bytes(forged(project))

    assert approvals.find(DIGEST) is None
    with pytest.raises(SettingsError, match="is a link; remove it"):
        approvals.approve(DIGEST, by="ada", how="terminal")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_write_to_approves_nothing_and_says_what_to_do(approvals: Approvals, mode: int) -> None:
    approvals.approve(DIGEST, by="ada", how="terminal")
    approvals.folder.chmod(mode)

    assert approvals.find(DIGEST) is None
    with pytest.raises(SettingsError, match="chmod 700"):
        approvals.approve(DIGEST, by="ada", how="terminal")
    approvals.folder.chmod(0o700)
    assert approvals.find(DIGEST) is not None


@pytest.mark.parametrize("mode", [0o660, 0o606])
def test_a_file_that_others_write_to_approves_nothing(approvals: Approvals, mode: int) -> None:
    approvals.approve(DIGEST, by="ada", how="terminal")
    file_of(approvals).chmod(mode)

    assert approvals.find(DIGEST) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_another_users_file_approves_nothing(approvals: Approvals) -> None:
    approvals.approve(DIGEST, by="ada", how="terminal")
    os.chown(file_of(approvals), 65534, 65534)

    assert approvals.find(DIGEST) is None


def test_a_pipe_in_its_place_approves_nothing_and_keeps_nobody_waiting(approvals: Approvals) -> None:
    approvals.approve("b" * 64, by="ada", how="terminal")
    os.mkfifo(file_of(approvals), 0o600)

    assert approvals.find(DIGEST) is None


def test_another_projects_approval_counts_for_that_project_alone(project: Path, approvals: Approvals) -> None:
    (project.parent / "other").mkdir()
    other = Approvals(project.parent / "other", folder=approvals.folder.parent.parent)
    other.approve(DIGEST, by="ada", how="terminal")

    assert approvals.find(DIGEST) is None
    approvals.approve("b" * 64, by="ada", how="terminal")
    file_of(approvals).write_bytes(file_of(other).read_bytes())
    assert approvals.find(DIGEST) is None


def test_a_digest_with_the_same_head_is_another_plan(project: Path, approvals: Approvals) -> None:
    near = DIGEST[:-1] + "b"
    approvals.approve(DIGEST, by="ada", how="terminal")

    assert approvals.find(near) is None
    file_of(approvals, near).write_bytes(forged(project))
    assert approvals.find(near) is None


@pytest.mark.parametrize("digest", ["", "a" * 6, "A" * 64, "a" * 63 + "\n", "../" + "a" * 61, "a" * 64 + "\n"])
def test_what_is_no_whole_digest_is_refused(approvals: Approvals, digest: str) -> None:
    for ask in (approvals.find, approvals.revoke):
        with pytest.raises(ValueError, match="is not a plan's digest"):
            ask(digest)
    with pytest.raises(ValueError, match="is not a plan's digest"):
        approvals.approve(digest, by="ada", how="terminal")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"null", b"[" * 100_000])
def test_a_damaged_file_approves_nothing_and_is_replaced(approvals: Approvals, content: bytes) -> None:
    approvals.approve(DIGEST, by="ada", how="terminal")
    file_of(approvals).write_bytes(content)

    assert approvals.find(DIGEST) is None
    approvals.approve(DIGEST, by="eve", how="terminal")
    found = approvals.find(DIGEST)
    assert found is not None
    assert found.by == "eve"


def test_those_who_approve_and_revoke_at_once_leave_it_whole_or_gone(project: Path, approvals: Approvals) -> None:
    start, seen = threading.Barrier(4), list[Approval | None]()

    def take_part(name: str) -> None:
        mine = Approvals(project, folder=approvals.folder.parent.parent)
        start.wait()
        for _ in range(50):
            mine.approve(DIGEST, by=name, how="terminal")
            seen.append(mine.find(DIGEST))
            mine.revoke(DIGEST)

    people = [threading.Thread(target=take_part, args=(f"p{n}",)) for n in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()

    assert len(seen) == 200
    assert {found.by for found in seen if found is not None} <= {"p0", "p1", "p2", "p3"}
    assert list(approvals.folder.iterdir()) == []


async def test_a_plan_that_starts_as_its_approval_is_revoked_names_who_had_approved_it(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        draft = await plans.propose(read_plan(PLAN), {}, by="agent")
        plans.approvals.approve(draft.digest, by="ada", how="terminal")
        plans.approvals = Fleeting(tmp_path, folder=tmp_path / "state")

        assert await (await plans.start(draft.run)).result() == 1
        with pytest.raises(NotApproved):
            await plans.start((await plans.propose(read_plan(PLAN), {}, by="agent")).run)
