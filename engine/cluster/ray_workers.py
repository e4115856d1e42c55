"""Workers as Ray actors: the one module that loads Ray.

A cluster of this machine alone is made for one runtime: it listens on the loopback interface, asks for a token, keeps its
files in a temporary folder, reports nothing to anybody, and ends with the runtime, also when that is killed.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib import import_module
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from stratum.contracts.cluster_errors import ClusterError
from stratum.engine.cluster.ray_process import RayProcess, program
from stratum.engine.cluster.station import LinkLost

if TYPE_CHECKING:
    from stratum.engine.cluster.cluster import Cluster, Launch

T = TypeVar("T")

OBJECT_STORE_BYTES: Final = 80 * 2**20
"""The least that Ray takes. Messages of up to 100 KB go without it."""
START_TIMEOUT_S: Final = 60.0
"""For one worker, its imports included."""
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
# Read when Ray is imported, so for good. The first is Ray's name for the switch that has it listen on 127.0.0.1 alone.
_LOOPBACK: Final = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
_OURS: Final = "_imported_by_stratum"
_IN: Final = "in"
_OUT: Final = "out"
"""Ray's groups of threads: what is heard is heard in order, while something is waited for that is to be said."""


class RayLink:
    """The way to one actor."""

    def __init__(self, ray: Any, actor: Any, name: str) -> None:
        self._ray = ray
        self._actor = actor
        self._hear = actor.hear.options(concurrency_group=_IN)
        self._said = actor.said.options(concurrency_group=_OUT)
        self.name = name

    def post(self, message: bytes) -> None:
        self._hear.remote(message)

    async def receive(self) -> Sequence[bytes]:
        try:
            said: list[bytes] = await _landed(self._said.remote())
        except self._ray.exceptions.RayError as error:
            raise LinkLost(_first_line(error)) from error
        return said

    async def kill(self) -> None:
        await trio.to_thread.run_sync(partial(self._ray.kill, self._actor, no_restart=True))


@asynccontextmanager
async def open_ray(cluster: Cluster) -> AsyncGenerator[Launch]:
    """Start Ray, or join one that runs; leaving the block ends the workers, and the Ray that was started here.

    Raises:
        ClusterError: Ray is not installed, does not start, or cannot be joined.
    """
    ray_thread = _RayThread(cluster)
    ray = await ray_thread.started()
    actors: list[Any] = []

    async def launch(name: str) -> RayLink:
        actor, real_name = await _start_actor(ray, cluster, name)
        actors.append(actor)
        return RayLink(ray, actor, real_name)

    try:
        yield launch
    finally:
        with trio.CancelScope(shield=True):
            await ray_thread.end(actors)


async def _start_actor(ray: Any, cluster: Cluster, name: str) -> tuple[Any, str]:
    actor_class = ray.remote(
        # Flows wait most of the time; others take a processor each.
        num_cpus=0 if name.startswith("flows") else 1,
        max_restarts=0,
        concurrency_groups={_IN: 1, _OUT: 1},
    )(RayProcess)
    options: dict[str, Any] = {"scheduling_strategy": "SPREAD"}
    if cluster.runtime_env:
        options["runtime_env"] = dict(cluster.runtime_env)
    actor = await trio.to_thread.run_sync(lambda: actor_class.options(**options).remote(name, program()))
    try:
        with trio.fail_after(START_TIMEOUT_S):
            return actor, await _landed(actor.name.remote())
    except (ray.exceptions.RayError, trio.TooSlowError) as error:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(ray.kill, actor))
        problem = "no processor is free for it" if isinstance(error, trio.TooSlowError) else str(error).strip()
        raise ClusterError(
            problem=f"{name} did not start: {problem}",
            fix="see that what the program imports can be imported there, and its main module without running it",
        ) from error


class _RayThread:
    """Ray's start and end in one thread, which lives in between: processes that Ray starts end with the thread that did."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._token = trio.lowlevel.current_trio_token()
        self._outcome: Future[Any] = Future()
        self._ends: SimpleQueue[Sequence[Any]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stratum ray", daemon=True)

    async def started(self) -> Any:
        """The module `ray`, connected."""
        self._thread.start()
        # Not cancelled half-way: what was started has to be ended.
        with trio.CancelScope(shield=True):
            return await _settled(self._outcome)

    async def end(self, actors: Sequence[Any]) -> None:
        self._ends.put(actors)
        await trio.to_thread.run_sync(self._thread.join)

    def _run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="stratum-ray-", ignore_cleanup_errors=True) as folder:
            try:
                ray, joined = self._start(folder)
            except ClusterError as error:
                self._outcome.set_exception(error)
                return
            self._outcome.set_result(ray)
            for actor in self._ends.get():
                with suppress(Exception):  # it may be gone
                    ray.kill(actor)
            if not joined:
                ray.shutdown()

    def _start(self, folder: str) -> tuple[Any, bool]:
        local = not self._cluster.address
        before = sys.modules.get("ray")
        if local and before is not None and not hasattr(before, _OURS):
            raise ClusterError(
                problem="Ray was imported already, so who may reach it is settled",
                fix="open the runtime before anything imports ray, or start Ray yourself: Cluster(address='auto')",
            )
        with _environment(_QUIET | (_LOOPBACK if local else {})):
            try:
                ray = import_module("ray")
            except ImportError as error:
                raise ClusterError(
                    problem="Ray is not installed", fix="pip install 'stratum-runtime[cluster]'"
                ) from error
            if local:
                setattr(ray, _OURS, True)
            if ray.is_initialized():
                if local:
                    raise ClusterError(
                        problem="Ray runs in this process already",
                        fix="have one runtime with a cluster at a time, or use that Ray: Cluster(address='auto')",
                    )
                return ray, True
            try:
                self._init(ray, folder)
            except Exception as error:
                raise ClusterError(problem=f"Ray does not start: {error}", fix="see Ray's own message") from error
        return ray, False

    def _init(self, ray: Any, folder: str) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)  # it tells every start that its thread takes no signals
        shared = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
        if self._cluster.address:
            ray.init(address=self._cluster.address, **shared)
            return
        ray.init(
            address="local",
            num_cpus=max(1, self._cluster.workers),
            num_gpus=0,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            **shared,
        )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


async def _landed(reference: Any) -> Any:
    """What a call of Ray's gives."""
    return await _settled(reference.future())


async def _settled(future: Future[T]) -> T:
    token, done = trio.lowlevel.current_trio_token(), trio.Event()

    def tell(_: Future[T]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return future.result()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if type(error).__name__ == "RayTaskError" and lines else (lines or [type(error).__name__])[0]
