"""The benchmarks' own arithmetic and their command line: what is left out, how ratios are taken, what is drawn, what is asked for."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.bench_retry import unshared_bytes
from benchmarks.counting import Count, report_counts
from benchmarks.open_files import allow_open_files
from benchmarks.options import Options
from benchmarks.peers.environments import HERE, Peer, PeerFailed, install, installed_peers, known_peers, run_peer
from benchmarks.plot import OURS, Bar, draw
from benchmarks.timing import ROUNDS_ELSEWHERE, Elsewhere, Measured, Spread, compare


def fixed(*samples: tuple[float, float]) -> Callable[[], Measured]:
    """A contender that takes so long (CPU, wall) round by round, its warm-up first."""
    left = iter(samples)
    return lambda: Measured(cpu_us=(sample := next(left))[0], wall_us=sample[1])


def test_a_ratio_is_taken_within_its_round() -> None:
    base = fixed((0, 0), (1, 9), (100, 9), (10, 9))
    own = fixed((0, 0), (2, 9), (200, 9), (30, 9))
    _, row = compare("s", {"base": base, "own": own}, baseline="base", units=1, rounds=3)
    assert (row.ratio.low, row.ratio.median, row.ratio.high) == (2, 2, 2.5)
    assert row.cpu_us.median == 30


def test_wall_time_is_compared_where_that_is_what_is_asked() -> None:
    contenders = {"base": fixed((0, 0), (1, 10), (1, 10)), "own": fixed((0, 0), (5, 20), (5, 20))}
    _, row = compare("s", contenders, baseline="base", units=1, rounds=2, by="wall")
    assert row.ratio == Spread(median=2, low=2, high=2)


def test_a_peer_that_fails_is_left_out_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> Measured:
        raise PeerFailed(name="peer", why="no such model")

    contenders = {"base": fixed((0, 0), (1, 1)), "peer": Elsewhere(fails)}
    rows = compare("s", contenders, baseline="base", units=1, rounds=1)
    assert [row.contender for row in rows] == ["base"]
    assert "left out: peer: no such model" in capsys.readouterr().err


def test_what_runs_elsewhere_runs_in_the_first_rounds_without_a_warm_up() -> None:
    started: list[int] = []

    def elsewhere() -> Measured:
        started.append(1)
        return Measured(cpu_us=4, wall_us=4, peak_mb=50)

    rounds = ROUNDS_ELSEWHERE + 2
    contenders = {"base": fixed(*[(2, 2)] * (rounds + 1)), "peer": Elsewhere(elsewhere)}
    _, row = compare("s", contenders, baseline="base", units=1, rounds=rounds)
    assert len(started) == ROUNDS_ELSEWHERE
    assert (row.ratio.median, row.peak_mb) == (2, 50)


def test_of_a_retry_what_no_prompt_cache_has_is_counted_however_its_request_is_written() -> None:
    first = b'{"messages": [{"role": "user", "content": "long"}], "tools": [1]}'
    appended = b'{"tools": [1], "messages": [{"role": "user", "content": "long"}, {"role": "tool", "content": "no"}]}'
    anew = b'{"messages": [{"role": "user", "content": "no! long"}], "tools": [1]}'
    assert unshared_bytes((first, appended)) == len('{"role": "tool", "content": "no"}')
    assert unshared_bytes((first, anew)) == len('no! long"}')


def test_a_chart_shows_every_bar_with_its_value_and_escapes_names(tmp_path: Path) -> None:
    bars = [Bar(group="a & b", name="<peer>", value=10), Bar(group="a & b", name="infer", value=0.05)]
    draw(tmp_path / "deep" / "chart.svg", bars, title="What?", axis="x")
    root = ElementTree.parse(tmp_path / "deep" / "chart.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a & b", "<peer>", "infer", "10", "0.05"} <= set(texts)
    long, short = (float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect"))
    assert long > short


def test_only_our_own_bars_are_highlighted(tmp_path: Path) -> None:
    names = ("infer, lean", "plan, everything on", "stratum", "stratum-py 0.2", "langgraph 1.2")
    draw(tmp_path / "chart.svg", [Bar(group="g", name=name, value=10) for name in names], title="What?", axis="x")
    bars = ElementTree.parse(tmp_path / "chart.svg").getroot().iter("{http://www.w3.org/2000/svg}rect")
    assert [bar.attrib["fill"] == OURS for bar in bars] == [True, True, True, False, False]


def test_as_many_files_may_be_open_as_there_are_calls_at_once() -> None:
    resource = pytest.importorskip("resource")
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        allow_open_files(soft - 2)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft - 1, hard)
        allow_open_files(soft)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_open_files_than_the_system_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")

    def limits(which: int) -> tuple[int, int]:
        return 256, 1024

    monkeypatch.setattr(resource, "getrlimit", limits)
    with pytest.raises(SystemExit, match="needs 3,000 open files, and this system allows 1,024"):
        allow_open_files(3000)


def test_a_count_is_told_with_its_spread_and_its_ratio_to_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    counts = [
        Count(setting="s", contender="base", values=(100.0, 200.0)),
        Count(setting="s", contender="own", values=(25.0, 100.0), note="well"),
    ]
    options = Options(quick=True, as_json=True, rounds=2, plot=None)
    report_counts("What?", counts, options, packages=(), unit="calls", baseline="base")
    told = json.loads(capsys.readouterr().out)
    assert told["baseline"] == "base"
    assert [row["value"]["median"] for row in told["counts"]] == [150, 62.5]
    assert told["counts"][1]["ratio"] == {"median": 0.375, "low": 0.3125, "high": 0.4375}


def test_every_peer_has_its_scripts() -> None:
    for peer in known_peers().values():
        assert peer.scripts
        for script in peer.scripts.values():
            assert (HERE / script).is_file()


@pytest.mark.e2e
def test_a_peer_that_cannot_be_installed_says_why_and_does_not_count_as_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.ENVIRONMENTS", tmp_path)
    peer = a_peer(packages=("./no-such-folder",))
    assert "no-such-folder" in install(peer)
    assert not peer.installed


def test_a_peer_that_this_python_cannot_have_says_which_can(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.ENVIRONMENTS", tmp_path)
    assert install(a_peer(needs=(99, 1))) == "needs Python 99.1: python99.1 -m benchmarks.peers broken"
    assert not a_peer(needs=(3, 11)).unsupported


def test_peers_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.ENVIRONMENTS", tmp_path)
    assert installed_peers("dags") == []
    assert "left out, not installed: langgraph, hamilton" in capsys.readouterr().err


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What `a_peer` runs, in this Python."""
    monkeypatch.setattr("benchmarks.peers.environments.HERE", tmp_path)
    monkeypatch.setattr(Peer, "python", Path(sys.executable))
    return tmp_path / "broken.py"


def test_a_peer_whose_script_fails_says_its_last_word(script: Path) -> None:
    script.write_text("raise SystemExit('out of order')")
    with pytest.raises(PeerFailed, match="broken: out of order"):
        run_peer(a_peer(), "calls", {})


def test_a_peer_that_prints_no_result_says_so(script: Path) -> None:
    script.write_text("print('hello')")
    with pytest.raises(PeerFailed, match="broken: no result: 'hello"):
        run_peer(a_peer(), "calls", {})


def test_a_peer_is_given_no_key_and_no_settings_of_who_measures(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a real one")
    monkeypatch.setenv("PYTHONPATH", "src")
    script.write_text("import json, os, sys\nprint(json.dumps({'given': sorted(os.environ), 'folder': os.getcwd()}))")
    ran = run_peer(a_peer(), "calls", {})
    assert "PATH" in ran["given"]
    assert not {"OPENAI_API_KEY", "PYTHONPATH"} & set(ran["given"])
    assert not Path(ran["folder"]).exists()


def test_a_peer_that_takes_too_long_is_ended_with_all_that_it_started(
    script: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.RUN_S", 5)
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    (tmp_path / "child.py").write_text(
        f"import time\npipe = open({str(tmp_path / 'pipe')!r}, 'w')\nprint('here', file=pipe, flush=True)\ntime.sleep(600)"
    )
    script.write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, {str(tmp_path / 'child.py')!r}])")
    with pytest.raises(PeerFailed, match="no result within 5 s"):
        run_peer(a_peer(), "calls", {})
    for expected in (b"here\n", b""):  # what it said, and that nobody holds the pipe any more
        assert select.select([pipe], [], [], 30)[0]
        assert os.read(pipe, 100) == expected
    os.close(pipe)


def a_peer(*, packages: tuple[str, ...] = (), needs: tuple[int, ...] = ()) -> Peer:
    return Peer(name="broken", packages=packages, scripts={"calls": "broken.py"}, needs=needs)


def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)


def test_a_benchmark_that_is_named_says_what_it_takes() -> None:
    told = asked("call", "--help").stdout
    assert told.startswith("usage: python -m benchmarks call ") and "--in-flight" in told
    whole = asked("--help").stdout
    assert "--plot FOLDER" in whole and "NAME --help" in whole


def test_a_plans_step_in_larger_graphs_is_shown_beside_the_smallest() -> None:
    ended = asked("dag", "--growth", "--patterns", "fan", "--sizes", "40,20", "--rounds", "1", "--json")
    rows = json.loads(ended.stdout.splitlines()[-1])["rows"]

    assert [(row["setting"], row["contender"], row["baseline"]) for row in rows] == [
        (f"fan, {kind} steps of a plan", f"{size} steps", "20 steps")
        for kind in ("still", "suspending")
        for size in (20, 40)
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nonsense"], "no such benchmark: nonsense; there are call"),
        (["--rounds", "3", "nonsense"], "no such benchmark: nonsense;"),
        (["--alone"], "not every benchmark takes --alone: name those that do, before it"),
        (["retry", "--rounds", "0"], "--rounds: at least 1, not 0"),
        (["retry", "--plot", "README.md"], "--plot: a folder, and README.md is a file"),
        (
            ["retry", "--plot", "README.md/charts"],
            "--plot: nothing can be written into README.md/charts: Not a directory",
        ),
        (["dag", "--patterns", "fan,ring"], "--patterns: there is no ring; there are fan, chain"),
        (["dag", "--sizes", "1000,many"], "--sizes: a whole number, not 'many'"),
        (["dag", "--sizes", "120000"], "--sizes: beyond 100,000: a multiple of 50,000, not 120,000"),
        (["dag", "--growth", "--sizes", "1000"], "--growth: name at least two --sizes"),
        (["dag", "--growth", "--memory"], "--memory and --growth: one at a time"),
        (["dag", "--workflows", "nowhere"], "no workflows: nowhere has no *.json"),
    ],
)
def test_what_a_benchmark_cannot_do_is_refused_with_what_it_can(arguments: list[str], why: str) -> None:
    ended = asked(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert why in " ".join(ended.stderr.split())


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups to send a Ctrl-C to")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_that_is_stopped_leaves_nothing_behind_and_shows_no_traceback(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "call", "--quick", "--rounds", "100", "--alone", "--in-flight", "1"],
        cwd=HERE.parents[1],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        last = time.monotonic() + 60
        while not any(tmp_path.glob("*/lean.db")):  # it is at work, and its server, too
            assert time.monotonic() < last and running.poll() is None
            time.sleep(0.01)
        os.killpg(running.pid, number)
        told = running.communicate(timeout=60)
    assert (running.returncode, told) == (-signal.SIGINT, ("", ""))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups to send a Ctrl-C to")
def test_a_benchmark_that_is_stopped_while_it_still_imports_shows_no_traceback_either(tmp_path: Path) -> None:
    (tmp_path / "openai.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(600)")
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "call", "--quick", "--alone"],
        cwd=HERE.parents[1],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None and running.stdout.readline() == "importing\n"
        os.killpg(running.pid, signal.SIGINT)
        told = running.communicate(timeout=60)
    assert (running.returncode, told) == (-signal.SIGINT, ("", ""))


def test_options_may_come_before_the_names(tmp_path: Path) -> None:
    ended = asked("--json", "--plot", str(tmp_path), "retry")
    told = json.loads(ended.stdout)
    assert told["benchmark"] == "bench_retry"
    assert (told["machine"]["rounds"], told["machine"]["options"]) == ("1", f"--json --plot {tmp_path}")
    assert (tmp_path / "bench_retry.svg").exists()
