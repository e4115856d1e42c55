"""Session locks: who is alive, and what is swept."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from stratum.actors.session_lock import SessionLock, session_alive, sweep_sessions


def test_a_session_is_alive_from_its_lock_to_its_release(tmp_path: Path) -> None:
    assert not session_alive(tmp_path, "s")
    lock = SessionLock(tmp_path, "s")
    assert session_alive(tmp_path, "s")
    assert session_alive(tmp_path, "s"), "asking takes nothing away"
    lock.release()
    assert not session_alive(tmp_path, "s")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_the_dead_and_leaves_the_living(tmp_path: Path) -> None:
    (tmp_path / "dead.lock").touch()
    assert not session_alive(tmp_path, "dead")
    (tmp_path / "notes.txt").touch()
    lock = SessionLock(tmp_path, "living")
    sweep_sessions(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"living.lock", "notes.txt"}
    assert session_alive(tmp_path, "living")
    lock.release()


def test_a_dead_sessions_name_can_be_taken_again(tmp_path: Path) -> None:
    (tmp_path / "s.lock").touch()
    lock = SessionLock(tmp_path, "s")
    with pytest.raises(ValueError, match="already open"):
        SessionLock(tmp_path, "s")
    assert session_alive(tmp_path, "s")
    lock.release()


def test_a_lock_file_swept_while_it_was_being_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = fcntl.flock
    sweeps = [True]

    def swept_first(file: int, operation: int) -> None:
        locked(file, operation)
        if sweeps:
            sweeps.clear()
            (tmp_path / "s.lock").unlink()

    monkeypatch.setattr(fcntl, "flock", swept_first)
    lock = SessionLock(tmp_path, "s")
    assert session_alive(tmp_path, "s"), "a lock on a file without a name guards nothing"
    lock.release()


def test_who_sweeps_or_asks_at_the_same_moment_keeps_no_session_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = fcntl.flock
    asking = os.open(tmp_path / "s.lock", os.O_RDONLY | os.O_CREAT)
    locked(asking, fcntl.LOCK_SH)
    refusals: list[int] = []

    def asked_about_at_first(file: int, operation: int) -> None:
        try:
            locked(file, operation)
        except BlockingIOError:
            refusals.append(file)
            if len(refusals) == 2:
                locked(asking, fcntl.LOCK_UN)
            raise

    monkeypatch.setattr(fcntl, "flock", asked_about_at_first)
    lock = SessionLock(tmp_path, "s")
    assert len(refusals) == 2
    assert session_alive(tmp_path, "s")
    lock.release()
    os.close(asking)
