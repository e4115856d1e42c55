"""Evidence from files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stratum.contracts.expressions.expression import Expression
from stratum.engine.file_evidence import MAX_FILE_BYTES, file_sources


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "app.py").write_text("rate_limit = 'ü'\n")
    (root / "binary").write_bytes(b"rate_limit\xff\x00")
    (root / "inside").symlink_to(root / "src" / "app.py")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to(root / "loop")
    (tmp_path / "secret").write_text("rate_limit")
    os.mkfifo(root / "pipe")
    return root


async def texts(condition: str, root: Path, *, path: str = "") -> list[str]:
    violations = await Expression.compile(condition).check({"inputs": {"path": path}}, file_sources(root))
    return [violation.detail for violation in violations]


async def test_a_file_is_found_and_searched(project: Path) -> None:
    """CASES H44."""
    assert await texts('file_exists("src/app.py") and file_contains("src/app.py", "rate_limit = \'ü")', project) == []
    assert await texts('file_exists("inside") and file_exists("src/../src/app.py")', project) == []
    assert await texts('not file_contains("src/app.py", "absent")', project) == []
    assert await texts('file_contains("src/app.py", "absent")', project) == ["'src/app.py' does not contain 'absent'"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.py", "does not exist"),
        ("src/missing/x", "does not exist"),
        ("src/app.py/x", "cannot be opened: Not a directory"),
        ("../secret", "is outside the project"),
        ("outside", "is outside the project"),
        ("/etc/passwd", "is outside the project"),
        ("/dev/zero", "is outside the project"),
        ("src", "is not a regular file"),
        ("", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("loop", "cannot be opened"),
        ("a\0b", "cannot be opened: not a path"),
        ("x" * 5000, "cannot be opened: File name too long"),
    ],
)
async def test_whatever_is_wrong_with_a_file_is_an_answer(project: Path, path: str, problem: str) -> None:
    """CASES H44."""
    for condition in ("file_exists(inputs.path)", 'file_contains(inputs.path, "rate_limit")'):
        (text,) = await texts(condition, project, path=path)
        assert problem in text


async def test_binary_and_large_files_contain_nothing(project: Path) -> None:
    """CASES H44."""
    assert await texts('file_contains("binary", "rate_limit")', project) == ["'binary' is not text"]
    with (project / "large").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert await texts('file_exists("large")', project) == []
    assert await texts('file_contains("large", "x")', project) == ["'large' is larger than 10 MB"]


async def test_a_device_inside_the_folder_is_not_read() -> None:
    """CASES H44."""
    assert await texts('file_contains("null", "")', Path("/dev")) == ["'null' is not a regular file"]
