"""Starting the embedded model's process, keeping it, and leaving none behind; with a stand-in for the real child."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio
from tests.own_model import open_llama

from stratum.contracts.errors import ModelUnavailable
from stratum.engine.local import server
from stratum.engine.local.server import Endpoint, LocalModel, installed, local_model

READS_CONFIG = "import json, os, sys, time\nconfig = json.loads(sys.stdin.readline())\n"
READY = "print(json.dumps({'address': f'http://127.0.0.1:{os.getpid()}'}), flush=True)\n"
UNTIL_STDIN_ENDS = "sys.stdin.read()\n"


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in that is ready at once, says its pid where the port would be, and ends with its stdin."""
    script = tmp_path / "child.py"
    script.write_text(READS_CONFIG + READY + UNTIL_STDIN_ENDS)
    monkeypatch.setattr(server, "CHILD", script)
    monkeypatch.setattr(server, "installed", lambda: True)
    return script


def pid_of(endpoint: Endpoint) -> int:
    return int(endpoint.base_url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")")[1].split()[0] != "Z"  # ended, whoever is to reap it


async def wait_until_gone(pid: int) -> None:
    with trio.fail_after(60):
        while exists(pid):
            await trio.sleep(0.01)


def count_starts(child: Path) -> Path:
    starts = child.with_name("starts")
    starts.touch()
    child.write_text(f"open({str(starts)!r}, 'a').write('x')\n" + child.read_text())
    return starts


async def test_a_block_has_its_process_and_leaves_none(tmp_path: Path) -> None:
    async with open_llama(tmp_path / "tiny.gguf", slots=2, context_tokens=512) as endpoint:
        assert exists(pid_of(endpoint))
        assert (endpoint.model, endpoint.slots, endpoint.context_tokens) == ("tiny", 2, 512)

    assert not exists(pid_of(endpoint))


async def test_a_block_left_by_an_error_leaves_none(tmp_path: Path) -> None:
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        async with open_llama(tmp_path / "tiny.gguf") as endpoint:
            pids.append(pid_of(endpoint))
            raise ZeroDivisionError

    assert not exists(pids[0])


async def test_a_cancelled_block_leaves_none(tmp_path: Path) -> None:
    pids: list[int] = []
    with trio.CancelScope() as scope:
        async with open_llama(tmp_path / "tiny.gguf") as endpoint:
            pids.append(pid_of(endpoint))
            scope.cancel()
            await trio.sleep_forever()

    assert not exists(pids[0])


async def test_the_process_ends_when_its_parent_is_killed(child: Path, tmp_path: Path) -> None:
    parent = f"""
import os, trio
from pathlib import Path
from stratum.engine.local import server
server.CHILD = Path({str(child)!r})
server.installed = lambda: True
async def main():
    model = server.local_model(Path({str(tmp_path / "tiny.gguf")!r}))
    await model.endpoint()
    os.write(1, str(model.pid).encode())
    await trio.sleep_forever()
trio.run(main)
"""
    process = await trio.lowlevel.open_process([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with process.stdout:
        pid = int(await process.stdout.receive_some())
        assert exists(pid)
        process.kill()
        await process.wait()

    await wait_until_gone(pid)


async def test_the_token_is_neither_in_argv_nor_in_the_environment_nor_printed(tmp_path: Path) -> None:
    async with open_llama(tmp_path / "tiny.gguf") as endpoint:
        process = Path(f"/proc/{pid_of(endpoint)}")
        if process.exists():
            assert endpoint.token.encode() not in (process / "cmdline").read_bytes()
            assert endpoint.token.encode() not in (process / "environ").read_bytes()
        assert len(endpoint.token) >= 32
        assert endpoint.token not in repr(endpoint)


async def test_the_child_gets_what_it_is_to_serve(child: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    child.write_text(
        READS_CONFIG + "config['env'] = [os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], sys.path[0]]\n"
        f"open({str(told)!r}, 'w').write(json.dumps(config))\n" + READY + UNTIL_STDIN_ENDS
    )
    async with open_llama(tmp_path / "tiny.gguf", slots=3, context_tokens=1024) as endpoint:
        config = json.loads(told.read_text())

    assert config["weights"] == str(tmp_path / "tiny.gguf")
    assert (config["slots"], config["context_tokens"], config["token"]) == (3, 1024, endpoint.token)
    assert config["prefill_threads"] >= config["decode_threads"] >= 1
    assert config["env"][:2] == ["passive", "0"]
    assert config["env"][2] not in ("", str(Path.cwd()), str(tmp_path))


async def test_many_callers_share_one_start(child: Path, tmp_path: Path) -> None:
    starts = count_starts(child)
    model = LocalModel(tmp_path / "tiny.gguf")
    endpoints: list[Endpoint] = []

    async def ask() -> None:
        endpoints.append(await model.endpoint())

    try:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
    finally:
        model.close()

    assert starts.read_text() == "x"
    assert len(endpoints) == 20 and len({endpoint.token for endpoint in endpoints}) == 1


async def test_a_caller_that_is_cancelled_leaves_it_starting(child: Path, tmp_path: Path) -> None:
    starts, go = count_starts(child), tmp_path / "go"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    child.write_text(child.read_text().replace(READY, wait + READY))
    model = LocalModel(tmp_path / "tiny.gguf")
    try:
        with trio.move_on_after(0.3) as hurry:
            await model.endpoint()
        assert hurry.cancelled_caught
        go.touch()
        with trio.fail_after(60):
            assert (await model.endpoint()).model == "tiny"
    finally:
        model.close()

    assert starts.read_text() == "x"


async def test_after_it_died_the_next_call_starts_another(tmp_path: Path) -> None:
    model = LocalModel(tmp_path / "tiny.gguf")
    try:
        first = await model.endpoint()
        os.kill(pid_of(first), signal.SIGKILL)
        with trio.fail_after(60):
            while model.running:
                await trio.sleep(0.01)
        second = await model.endpoint()
    finally:
        model.close()

    assert pid_of(second) != pid_of(first)
    assert second.token != first.token


async def test_one_that_keeps_dying_is_given_up(child: Path, tmp_path: Path) -> None:
    starts = count_starts(child)
    child.write_text(child.read_text().replace(READY, "print('out of memory', file=sys.stderr)\nsys.exit(3)\n"))
    model = LocalModel(tmp_path / "tiny.gguf")
    try:
        for _ in range(1 + server.RESTARTS):
            with pytest.raises(ModelUnavailable, match=r"tiny.gguf did not start \(exit code 3\)\n    out of memory"):
                await model.endpoint()
        with pytest.raises(ModelUnavailable, match=r"tiny.gguf died 4 times in a minute\n    out of memory"):
            await model.endpoint()
    finally:
        model.close()

    assert len(starts.read_text()) == 1 + server.RESTARTS


async def test_deaths_of_long_ago_are_forgiven(child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RESTART_WINDOW_S", 0.0)
    starts = count_starts(child)
    child.write_text(child.read_text().replace(READY, "sys.exit(3)\n"))
    model = LocalModel(tmp_path / "tiny.gguf")
    try:
        for _ in range(6):
            with pytest.raises(ModelUnavailable, match="did not start"):
                await model.endpoint()
    finally:
        model.close()

    assert len(starts.read_text()) == 6


async def test_a_child_that_dies_before_it_reads_is_reported(child: Path, tmp_path: Path) -> None:
    child.write_text("import sys; sys.exit('bad interpreter')")
    with pytest.raises(ModelUnavailable, match="exit code 1.\n    bad interpreter; check the file"):
        async with open_llama(tmp_path / "tiny.gguf"):
            pytest.fail("entered")


async def test_without_the_extra_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "installed", lambda: False)
    with pytest.raises(ModelUnavailable, match=r"pip install 'stratum-runtime\[local\]'$"):
        async with open_llama(tmp_path / "tiny.gguf"):
            pytest.fail("entered")


def test_finding_the_extra_does_not_import_it() -> None:
    code = (
        "import sys; from stratum.engine.local.server import installed; installed(); print('xllamacpp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert installed() in (True, False)


def test_every_run_in_this_process_gets_the_same_warm_model(tmp_path: Path) -> None:
    async def pid() -> int:
        return pid_of(await local_model(tmp_path / "tiny.gguf").endpoint())

    try:
        assert trio.run(pid) == trio.run(pid)
        in_threads: list[int] = []
        threads = [threading.Thread(target=lambda: in_threads.append(trio.run(pid))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert in_threads == [trio.run(pid)] * 2
    finally:
        local_model(tmp_path / "tiny.gguf").close()


async def test_closing_forgets_and_a_later_call_starts_anew(tmp_path: Path) -> None:
    model = LocalModel(tmp_path / "tiny.gguf")
    pids: set[int] = set()
    for _ in range(2 + server.RESTARTS):
        pids.add(pid_of(await model.endpoint()))
        model.close()
        model.close()

    assert not any(exists(pid) for pid in pids)
    assert not model.running
