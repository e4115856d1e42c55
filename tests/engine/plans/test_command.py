"""Commands: real programs, real process groups."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from stratum.contracts.errors import CommandRefused
from stratum.contracts.plans.plan import Command
from stratum.engine.plans.doers.command import CommandRun, run_command
from stratum.engine.plans.doers.sandbox import Sandbox, find_sandbox

SRC = Path(__file__).parents[3] / "src"


async def python(program: str, workspace: Path, *arguments: str, **options: object) -> CommandRun:
    command = Command(argv=(sys.executable, "-c", program, *arguments))
    return await run_command(command, workspace=workspace, key="k", **options)  # type: ignore[arg-type]


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not true():
            await trio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # not Linux: it took the signal
    except ProcessLookupError:
        return False


async def test_a_program_is_run_and_what_it_wrote_is_kept(tmp_path: Path) -> None:
    run = await python("import sys; print('ü'); print('no', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (run.result.exit_code, run.result.stdout, run.result.stderr) == (3, "ü\n", "no\n")
    assert (run.ending, run.problem, run.stdout_bytes, run.sandboxed) == ("exited", "exit status 3", 3, False)
    assert not run.result.truncated


async def test_one_that_exits_with_zero_has_no_problem(tmp_path: Path) -> None:
    run = await run_command(Command(argv=("true",)), workspace=tmp_path, key="k")
    assert (run.ending, run.problem, run.result.exit_code) == ("exited", "", 0)


async def test_a_signal_is_named(tmp_path: Path) -> None:
    run = await python("import os; os.abort()", tmp_path)
    assert (run.ending, run.problem, run.result.exit_code) == ("signalled", "killed by SIGABRT", -signal.SIGABRT)


async def test_a_shell_reports_the_signal_in_its_exit_status(tmp_path: Path) -> None:
    run = await run_command(Command(argv=("kill -9 $$",), shell=True), workspace=tmp_path, key="k")
    assert run.problem == "killed by SIGKILL"
    run = await run_command(Command(argv=("sh -c 'kill -9 $$'; exit $?",), shell=True), workspace=tmp_path, key="k")
    assert (run.problem, run.result.exit_code) == ("exit status 137 (SIGKILL)", 137)


async def test_a_program_that_is_not_there_is_a_result(tmp_path: Path) -> None:
    run = await run_command(Command(argv=("no-such-program-x",)), workspace=tmp_path, key="k")
    assert (run.ending, run.result.exit_code) == ("not_started", 127)
    assert run.problem == "'no-such-program-x': No such file or directory"
    (tmp_path / "notes.txt").write_text("")
    run = await run_command(Command(argv=("./notes.txt",)), workspace=tmp_path, key="k")
    assert (run.ending, run.result.exit_code) == ("not_started", 126)


async def test_no_shell_reads_the_arguments_unless_asked(tmp_path: Path) -> None:
    words = ("$HOME", "a b", "*", "--", "\n", "'\"", "")
    run = await python("import sys; print(sys.argv[1:])", tmp_path, *words)
    assert run.result.stdout == f"{list(words)}\n"
    shell = Command(argv=('printf "%s|" "$@" "$2"', "one", "two words"), shell=True)
    assert (await run_command(shell, workspace=tmp_path, key="k")).result.stdout == "one|two words|two words|"


async def test_the_environment_is_a_few_names_the_plans_own_and_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    command = Command(argv=("env",), env={"CI": "1", "STRATUM_STEP_KEY": "forged"})
    run = await run_command(command, workspace=tmp_path, key="run/step", extra_env={"CI": "0", "MORE": "x"})
    given = dict(line.split("=", 1) for line in run.result.stdout.splitlines())
    assert (given["CI"], given["MORE"], given["STRATUM_STEP_KEY"]) == ("1", "x", "run/step")
    assert given["PATH"] == os.environ["PATH"]
    assert "OPENAI_API_KEY" not in given


async def test_it_reads_nothing_and_has_no_descriptor_of_ours(tmp_path: Path) -> None:
    run = await python("import os, sys; print(sys.stdin.read() == '', sorted(os.listdir('/dev/fd')))", tmp_path)
    listed = run.result.stdout.split(" ", 1)
    assert listed[0] == "True"
    assert listed[1].strip() == "['0', '1', '2', '3']", "3 is the listing's own"


async def test_long_output_keeps_its_head_and_its_tail_and_is_counted(tmp_path: Path) -> None:
    run = await python("print('head'); print('ü' * 300_000); print('tail')", tmp_path, limit_bytes=1000)
    text = run.result.stdout
    assert run.result.truncated
    assert run.stdout_bytes == 600_011
    assert text.startswith("head\nüü") and text.endswith("ü\ntail\n")
    assert "�" not in text
    head, middle, tail = text.split("\n… ")[0], text.split("… ")[1].split(" …")[0], text.split(" …\n")[1]
    left_out = int(middle.split()[0].replace(",", ""))
    assert len(head.encode()) + left_out + len(tail.encode()) == run.stdout_bytes


async def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    run = await python("import os; os.write(1, b'a\\xff\\xc3b')", tmp_path)
    assert run.result.stdout == "a��b"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (Command(argv=("true", "a\0b")), "an argument holds a NUL character"),
        (Command(argv=("true", "\ud800")), "an argument cannot be written in the system's encoding"),
        (Command(argv=("",)), "no program is named"),
        (Command(argv=("true",), env={"A=B": "1"}), "'A=B' cannot be an environment variable"),
        (Command(argv=("true",), env={"A": "\0"}), "the environment variable 'A' holds a NUL character"),
        (Command(argv=("true",), cwd=".."), "the folder '..' is outside the workspace"),
        (Command(argv=("true",), cwd="/"), "the folder '/' is outside the workspace"),
        (Command(argv=("true",), cwd="out"), "the folder 'out' is outside the workspace"),
        (Command(argv=("true",), cwd="sub/../../x"), "the folder 'sub/../../x' is outside the workspace"),
        (Command(argv=("true",), cwd="missing"), "there is no folder 'missing'"),
        (Command(argv=("true",), cwd="file"), "'file' is not a folder"),
        (Command(argv=("true",), cwd="loop"), "'loop' cannot be its folder"),
        (Command(argv=("true",), cwd="a\0b"), "'a\\x00b' cannot be its folder"),
        (Command(argv=("true", "x" * 3_000_000)), "cannot be run: Argument list too long"),
    ],
)
async def test_what_cannot_be_run_as_written_is_refused(tmp_path: Path, command: Command, problem: str) -> None:
    workspace = tmp_path / "workspace"
    (workspace / "sub").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    (workspace / "file").touch()
    (workspace / "out").symlink_to(tmp_path)
    (workspace / "loop").symlink_to("loop")
    with pytest.raises(CommandRefused) as caught:
        await run_command(command, workspace=workspace, key="k")
    assert caught.value.problem == problem


async def test_it_runs_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "link").symlink_to("api")
    for cwd in ("api", "link", "./api/../api"):
        run = await run_command(Command(argv=("pwd", "-P"), cwd=cwd), workspace=tmp_path, key="k")
        assert run.result.stdout.strip() == str((tmp_path / "api").resolve())


FAMILY = """
case $2 in stubborn) trap '' TERM;; speaking) trap 'echo stopping; exit 5' TERM;; esac
sleep 1000 & child=$!
setsid sleep 1000 & daemon=$!
echo "$$ $child $daemon" > "$1.new"
mv "$1.new" "$1"
[ "$2" = leaves ] || wait
"""


async def family_of(pids: Path, temper: str, **options: Any) -> CommandRun:
    """A shell, its child, and one that left its group. A shell starts at once, however busy the machine is."""
    command = Command(argv=(FAMILY, str(pids), temper), shell=True)
    return await run_command(command, workspace=pids.parent, key="k", **options)


def family(file: Path) -> list[int]:
    return [int(pid) for pid in file.read_text().split()]


async def timed_out(pids: Path, temper: str, clock: MockClock, **options: Any) -> CommandRun:
    """Its time is over once all of them are there, however long that takes; what follows takes its real time."""
    clock.rate = 1
    runs: list[CommandRun] = []

    async def run() -> None:
        runs.append(await family_of(pids, temper, timeout_s=600.0, **options))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(pids.exists)
        clock.jump(600)
    return runs[0]


@pytest.mark.parametrize("temper", ["mild", "stubborn"])
async def test_a_timeout_ends_it_and_all_that_it_started(tmp_path: Path, temper: str, mock_clock: MockClock) -> None:
    run = await timed_out(tmp_path / "pids", temper, mock_clock, grace_s=0.2)
    assert (run.ending, run.problem) == ("timed_out", "not done within 600 s")
    assert run.result.exit_code == (-signal.SIGTERM if temper == "mild" else -signal.SIGKILL)
    assert not any(map(alive, family(tmp_path / "pids")))


async def test_at_a_timeout_it_may_say_its_last_words(tmp_path: Path, mock_clock: MockClock) -> None:
    run = await timed_out(tmp_path / "pids", "speaking", mock_clock, grace_s=60.0)
    # A child that the signal meets before it has begun its own program says the shell's words, too.
    assert (run.ending, run.result.exit_code, set(run.result.stdout.split())) == ("timed_out", 5, {"stopping"})


async def test_cancelling_ends_it_and_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(family_of, pids, "mild")
        await until(pids.exists)
        assert all(map(alive, family(pids)))
        nursery.cancel_scope.cancel()
    assert not any(map(alive, family(pids)))


async def test_what_it_leaves_running_ends_with_it(tmp_path: Path) -> None:
    run = await family_of(tmp_path / "pids", "leaves")
    assert (run.ending, run.problem) == ("exited", "")
    assert not any(map(alive, family(tmp_path / "pids")))


async def test_when_we_are_killed_it_ends_by_itself(tmp_path: Path) -> None:
    ours = f"""
import sys, trio
from pathlib import Path
from stratum.contracts.plans.plan import Command
from stratum.engine.plans.doers.command import run_command
command = Command(argv=({FAMILY!r}, {str(tmp_path / "pids")!r}, "mild"), shell=True)
trio.run(lambda: run_command(command, workspace=Path({str(tmp_path)!r}), key="k"))
"""
    process = await trio.lowlevel.open_process([sys.executable, "-c", ours], env={**os.environ, "PYTHONPATH": str(SRC)})
    await until((tmp_path / "pids").exists)
    process.kill()
    await process.wait()
    await until(lambda: not any(map(alive, family(tmp_path / "pids"))))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_when_its_guard_is_killed_it_ends_too(tmp_path: Path) -> None:
    runs: list[CommandRun] = []

    async def run() -> None:
        runs.append(await family_of(tmp_path / "pids", "mild"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until((tmp_path / "pids").exists)
        (leader, *others) = family(tmp_path / "pids")
        guard = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        await until(lambda: not alive(leader))
        for pid in others:  # nobody is left to find them
            os.kill(pid, signal.SIGKILL)
    assert (runs[0].ending, runs[0].result.exit_code) == ("signalled", -signal.SIGKILL)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    found = trio.run(find_sandbox)
    if found is None:
        pytest.skip("bubblewrap is not installed, or may not be used here")
    return found


PROBE = """
import os, pathlib, socket, sys
def can(do):
    try:
        do()
    except OSError as error:
        return type(error).__name__
    return "yes"
outside = pathlib.Path(sys.argv[1])
print("inside", can(lambda: pathlib.Path("made").write_text("x")))
print("outside", can(lambda: outside.write_text("x")))
print("tmp", can(lambda: pathlib.Path("/tmp/scratch-of-a-test").write_text("x")))
print("network", can(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close()))
print("others", len([name for name in os.listdir("/proc") if name.isdecimal()]) > 5)
"""


async def test_in_a_sandbox_only_the_workspace_can_be_written_and_nothing_be_reached(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    (workspace := tmp_path / "w s").mkdir()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    (listener,) = listeners
    port = str(listeners[0].socket.getsockname()[1])
    outside = Path(__file__).with_name("outside")
    async with listener:
        for network in (False, True):
            command = Command(argv=(sys.executable, "-c", PROBE, str(outside), port), network=network)
            run = await run_command(command, workspace=workspace, key="k", sandbox=sandbox)
            assert run.sandboxed and not run.problem, run.result.stderr
            said = dict(line.split() for line in run.result.stdout.splitlines())
            assert (said["inside"], said["tmp"], said["others"]) == ("yes", "yes", "False")
            assert said["outside"] != "yes"
            assert (said["network"] == "yes") is network
    assert (workspace / "made").exists()
    assert not Path("/tmp/scratch-of-a-test").exists()


@pytest.mark.parametrize(("temper", "grace_s"), [("speaking", 60.0), ("stubborn", 0.5)])
async def test_a_sandboxed_program_gets_its_grace_and_ends_with_all_that_it_started(
    tmp_path: Path, sandbox: Sandbox, temper: str, grace_s: float, mock_clock: MockClock
) -> None:
    run = await timed_out(tmp_path / "pids", temper, mock_clock, grace_s=grace_s, sandbox=sandbox)
    assert run.ending == "timed_out"
    assert (run.result.exit_code == 5) is (temper == "speaking")
    assert [process for process in Path("/proc").glob("[0-9]*") if names(process, tmp_path)] == []


def names(process: Path, path: Path) -> bool:
    try:
        return bytes(path) in (process / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile, or is not ours
        return False
