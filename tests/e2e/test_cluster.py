"""Steps and flows on real worker processes, started by Ray on this machine; some of them are killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import trio
from tests import cluster_flows as flows
from tests.engine.plans.plan_fixtures import open_project, started

from stratum import BudgetExceeded, Runtime, open_runtime, parallel
from stratum.actors.ledger import LedgerState
from stratum.cluster import Cluster, ClusterError, RemoteFailure, WorkerLost, on_cluster
from stratum.contracts.price import Usage
from stratum.contracts.records import CallFinished, CallStarted, LostWorker, Record
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import PRICE, Reply, Scripted, scripted

# Not by importing it: who may reach Ray is settled when it is imported, and that is for the cluster to do.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'stratum-runtime[cluster]'"),
]

PATIENCE_S = 180


def processes_of(folder: Path) -> list[int]:
    """That have begun, as they say by files of their name."""
    return [int(file.name) for file in folder.iterdir()]


async def begun(folder: Path, count: int) -> list[int]:
    with trio.fail_after(PATIENCE_S):
        while len(found := processes_of(folder)) < count:
            await trio.sleep(0.02)
    return found


def is_there(pid: int) -> bool:
    """It runs; what has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    with trio.fail_after(PATIENCE_S):
        while is_there(pid):
            await trio.sleep(0.02)


def rays_processes() -> set[str]:
    """All there are on this machine of Ray's, as the system names them."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return {line.strip() for line in listed.splitlines() if "ray::" in line or "raylet" in line or "gcs_server" in line}


async def records(runtime: Runtime) -> list[Record]:
    """Of the last run."""
    (run, *_) = [run.run for run in await runtime.journal.runs() if run.run != runtime.session]
    return await runtime.journal.read(run)


@asynccontextmanager
async def on_two(folder: Path, provider: Scripted | None = None, **settings: Any) -> AsyncGenerator[Runtime]:
    """A runtime with two workers of either kind."""
    chosen: dict[str, Any] = {"workers": 2, "flow_workers": 2, "grace_s": 2.0, **settings}
    cluster = Cluster(**chosen)
    async with open_runtime(
        provider=provider or scripted(otherwise={"text": "word"}), journal=folder / "stratum.db", cluster=cluster
    ) as runtime:
        yield runtime


async def test_steps_and_flows_run_in_other_processes_and_their_results_and_errors_come_back(tmp_path: Path) -> None:
    async with on_two(tmp_path) as runtime:
        assert await parallel(*(flows.double(number) for number in range(20))) == tuple(range(0, 40, 2))
        alone = set(await parallel(*(flows.process_of(f"{number}") for number in range(8))))
        body, threaded, own = await on_cluster(flows.processes)("tea")
        assert os.getpid() not in {*alone, body, threaded, own}
        assert body == threaded != own
        assert await on_cluster(flows.chat_at_once)("tea", 5) == ["word"] * 5
        assert await flows.say_twice("tea") == "wordword"
        started = [record for record in await records(runtime) if isinstance(record, CallStarted)]
        assert {(record.function, record.parent) for record in started} == {("parallel", ""), ("say", "parallel#1")}

        with pytest.raises(ZeroDivisionError) as caught:
            await flows.divide(1, 0)
        (note,) = caught.value.__notes__
        assert re.match(r"Raised on worker-\d, process \d+ on ", note)
        assert "return number / by" in note
        with pytest.raises(RemoteFailure, match="PicklesNot: cannot tea"):
            await flows.fail_oddly("tea")


async def test_cancelling_and_deadlines_reach_workers_and_nothing_goes_on_there(tmp_path: Path) -> None:
    for name in ("cleans", "computes", "hangs"):
        (tmp_path / name).mkdir()
    async with on_two(tmp_path) as runtime:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on_cluster(flows.cleans_up), str(tmp_path / "cleans"))
            await begun(tmp_path / "cleans", 1)
            nursery.cancel_scope.cancel()
        assert (tmp_path / "cleans" / "cleaned up").exists(), "cancelled there as it would be here"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flows.write_and_wait, str(tmp_path / "computes"), 3600.0)
            (computing,) = await begun(tmp_path / "computes", 1)
            nursery.cancel_scope.cancel()
        await gone(computing)
        assert await flows.double(2) == 4

        with pytest.raises(BudgetExceeded, match=r"hangs_beyond_its_deadline: .* ms"):
            await on_cluster(flows.hangs_beyond_its_deadline)(str(tmp_path / "hangs"))
        (hanging,) = processes_of(tmp_path / "hangs")
        await gone(hanging)
        assert await on_cluster(flows.chat)("tea") == "word, word"
        assert not [record for record in await runtime.journal.read(runtime.session) if isinstance(record, LostWorker)]


async def test_a_step_whose_worker_is_killed_is_done_by_another(tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    begins.mkdir()
    async with on_two(tmp_path) as runtime:
        earlier: list[int] = []

        async def step() -> None:
            earlier.append(await flows.write_and_wait(str(begins), 3600.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(step)
            (first,) = await begun(begins, 1)
            os.kill(first, signal.SIGKILL)
        assert earlier == [1], "it was begun once before"
        (lost,) = [record for record in await runtime.journal.read(runtime.session) if isinstance(record, LostWorker)]
        assert f"process {first} on " in lost.worker
    assert len(processes_of(begins)) == 2


async def test_a_step_that_may_not_be_begun_again_fails_with_its_worker(tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    begins.mkdir()
    async with on_two(tmp_path, retries=0), trio.open_nursery() as nursery:
        nursery.start_soon(kill_the_first, begins)
        with pytest.raises(WorkerLost, match=r"write_and_wait#1: worker-\d, process \d+ on .* was lost") as caught:
            await flows.write_and_wait(str(begins), 3600.0)
    assert caught.value.step == "write_and_wait#1"


async def kill_the_first(begins: Path) -> None:
    (first, *_) = await begun(begins, 1)
    os.kill(first, signal.SIGKILL)


PLAN = """
steps:
- {{id: a, fn: write_and_wait, inputs: {{folder: {folder}, seconds: 3600}}, retries: 1}}
"""


async def test_in_a_plan_the_step_of_a_killed_worker_is_retried_as_the_plan_says(tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    begins.mkdir()
    cluster = Cluster(workers=1, flow_workers=0)
    async with (
        open_project(tmp_path, steps=[flows.write_and_wait], cluster=cluster) as plans,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(kill_the_first, begins)
        run = await started(plans, PLAN.format(folder=begins))
        assert await run.result() == 1
        (trace,) = [
            record.trace for record in await plans.runtime.journal.read(run.id) if isinstance(record, CallFinished)
        ]
    assert trace.attempts == 2
    assert re.match(r"worker: worker-1, process \d+ on .* was lost", trace.retry_reasons[0])


async def test_a_flow_goes_on_when_its_worker_is_killed_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    begins.mkdir()
    provider = scripted(otherwise={"text": "word"})
    async with on_two(tmp_path, provider) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(kill_the_first, begins)
        assert await on_cluster(flows.chat_around_a_wait)("tea", str(begins), 3600.0) == "word, word"
        assert len(provider.requests) == 2
        written = await records(runtime)
    assert len([record for record in written if isinstance(record, LostWorker)]) == 1
    assert len(processes_of(begins)) == 2


def dear(received: Received) -> Reply:
    """The longest answer that was asked for, after a while."""
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value={"text": "dear"}, usage=usage, delay_s=0.2)


async def test_twenty_flows_at_once_on_workers_overspend_nothing_though_one_is_killed(tmp_path: Path) -> None:
    provider = scripted(otherwise=dear)
    async with on_two(tmp_path, provider) as runtime, trio.open_nursery() as nursery:
        _, _, _ = await on_cluster(flows.processes)("tea")  # both are there
        victim = (await on_cluster(flows.processes)("tea"))[0]

        async def kill_once_some_are_sent() -> None:
            while len(provider.requests) < 3:
                await trio.sleep(0.01)
            os.kill(victim, signal.SIGKILL)

        nursery.start_soon(kill_once_some_are_sent)
        with pytest.raises(BudgetExceeded) as caught:
            await flows.twenty_there()
        await gone(victim)
        written = await records(runtime)
    most, state = 0, LedgerState()
    for record in written:
        state.fold(record)
        if "" in state.scopes:
            most = max(most, state.scopes[""].counted.picousd)
    assert 4 <= len(provider.requests) < 20
    assert sum(PRICE.cost(usage) for usage in provider.billed) <= most <= caught.value.limit == 20_000_000_000


async def test_nothing_of_a_cluster_is_left(tmp_path: Path) -> None:
    folders = Path(tempfile.gettempdir())
    before, processes = set(folders.glob("stratum-ray-*")), rays_processes()
    async with on_two(tmp_path):
        (mine,) = set(folders.glob("stratum-ray-*")) - before
        others = rays_processes() - processes
        assert len(others) >= 4 + 2
        assert listening_elsewhere(others) == []
    assert not mine.exists()
    with trio.fail_after(PATIENCE_S):
        while rays_processes() - processes:
            await trio.sleep(0.1)


def listening_elsewhere(processes: Iterable[str]) -> list[str]:
    """Sockets of these on which somebody from another machine would be heard."""
    ids = {process.split()[0] for process in processes}
    inodes = {
        os.readlink(file).removeprefix("socket:[").removesuffix("]")
        for id in ids
        for file in Path(f"/proc/{id}/fd").iterdir()
        if file.is_symlink() and os.readlink(file).startswith("socket:[")
    }
    found: list[str] = []
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "0000000000000000FFFF00000100007F")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in inodes and not columns[1].startswith(loopback):
                found.append(line)
    return found


PROGRAM = """
import os, time
import trio
from stratum import compute, flow, open_runtime
from stratum.cluster import Cluster, on_cluster
from stratum.testing import scripted

@compute(process=True)
def twice(number: int) -> int:
    return 2 * number

@flow
async def both(number: int) -> int:
    return await twice(number) + await twice(number)

async def main() -> None:
    async with open_runtime(provider=scripted(), journal=None, cluster=Cluster(workers=1)):
        print(await twice(4), await on_cluster(both)(4), flush=True)
        {then}

if __name__ == "__main__":
    trio.run(main)
"""


def program(folder: Path, *, then: str = "pass") -> list[str]:
    source = folder / "program.py"
    source.write_text(PROGRAM.format(then=then))
    return [sys.executable, "-W", "error", str(source)]


def test_a_programs_own_main_module_is_known_to_its_workers(tmp_path: Path) -> None:
    done = subprocess.run(program(tmp_path), check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.stdout, done.stderr, done.returncode) == ("8 16\n", "", 0)


def test_the_program_of_the_page_prints_what_the_page_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    (source,) = re.findall(r"```python\n(# digits.py\n.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"\nprints\n\n((?:    .*\n)+)", page)
    (tmp_path / "digits.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-W", "error", "digits.py"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.stdout, done.stderr) == (printed.replace("    ", ""), "")


async def test_a_cluster_ends_with_its_owner_also_when_that_is_killed(tmp_path: Path) -> None:
    folders = Path(tempfile.gettempdir())
    before, folders_before = rays_processes(), set(folders.glob("stratum-ray-*"))
    command = program(tmp_path, then="time.sleep(3600)")
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            owner = await nursery.start(partial(trio.run_process, command, stdout=subprocess.PIPE, check=False))
            said = b""
            while not said.endswith(b"\n"):
                said += await owner.stdout.receive_some()
            assert said == b"8 16\n"
            assert rays_processes() - before
            owner.kill()
        # Ray's two agents look after themselves, and are gone a minute later.
        while any("Agent" not in process for process in rays_processes() - before):
            await trio.sleep(0.1)
    for left in set(folders.glob("stratum-ray-*")) - folders_before:
        shutil.rmtree(left, ignore_errors=True)


def test_a_ray_that_runs_already_is_used_and_left_running(tmp_path: Path) -> None:
    (tmp_path / "joins.py").write_text(JOINS)
    done = subprocess.run(
        [sys.executable, "joins.py"],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},  # where Ray, left to itself, keeps a token
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )
    assert done.stdout.split() == ["from", "here", "True"], done.stderr


JOINS = """
import os
import ray, trio
from stratum import compute, open_runtime
from stratum.cluster import Cluster
from stratum.testing import scripted

@compute(process=True)
def setting(name: str) -> str:
    return os.environ[name]

async def main() -> None:
    cluster = Cluster(address="auto", workers=1, runtime_env={"env_vars": {"SET": "from here"}})
    async with open_runtime(provider=scripted(), journal=None, cluster=cluster):
        print(await setting("SET"))

if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20)
    trio.run(main)
    print(ray.is_initialized())
"""


async def test_two_clusters_of_one_process_are_refused(tmp_path: Path) -> None:
    async with on_two(tmp_path, workers=1, flow_workers=0):
        with pytest.raises(ClusterError, match="Ray runs in this process already; have one runtime with a cluster"):
            async with open_runtime(provider=scripted(), journal=None, cluster=Cluster(workers=1)):
                raise AssertionError("it does not open")
        assert await flows.double(2) == 4


async def test_a_program_that_workers_cannot_start_is_told_why(tmp_path: Path) -> None:
    source = PROGRAM.replace('if __name__ == "__main__":\n    trio.run(main)', "trio.run(main)").format(then="pass")
    (tmp_path / "unguarded.py").write_text(source)
    done = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, str(tmp_path / "unguarded.py")],
            check=False,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
        )
    )
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert (
        "see that what the program imports can be imported there, and its main module without running it" in done.stderr
    )
