"""The benchmarks' own arithmetic and their command line: what is left out, how ratios are taken, what is drawn, what is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.peers.environments import HERE, Peer, PeerFailed, install, installed_peers, known_peers, run_peer
from benchmarks.plot import Bar, draw
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


def test_a_chart_shows_every_bar_with_its_value_and_escapes_names(tmp_path: Path) -> None:
    bars = [Bar(group="a & b", name="<peer>", value=10), Bar(group="a & b", name="infer", value=0.05)]
    draw(tmp_path / "deep" / "chart.svg", bars, title="What?", axis="x")
    root = ElementTree.parse(tmp_path / "deep" / "chart.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a & b", "<peer>", "infer", "10", "0.05"} <= set(texts)
    long, short = (float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect"))
    assert long > short


def test_every_peer_has_its_scripts() -> None:
    for peer in known_peers().values():
        assert (HERE / peer.script).is_file()
        assert not peer.spends or (HERE / peer.spends).is_file()


@pytest.mark.e2e
def test_a_peer_that_cannot_be_installed_says_why_and_does_not_count_as_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.ENVIRONMENTS", tmp_path)
    peer = Peer(name="broken", packages=("./no-such-folder",), script="call_openai.py", measures="calls")
    assert "no-such-folder" in install(peer)
    assert not peer.installed
    assert installed_peers("calls") == []


def test_a_peer_whose_script_fails_says_its_last_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.peers.environments.HERE", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit('out of order')")
    monkeypatch.setattr(Peer, "python", Path(sys.executable))
    peer = Peer(name="broken", packages=(), script="broken.py", measures="calls")
    with pytest.raises(PeerFailed, match="broken: out of order"):
        run_peer(peer, {})


def test_a_benchmark_that_is_named_says_what_it_takes() -> None:
    def said(*arguments: str) -> str:
        command = [sys.executable, "-m", "benchmarks", *arguments, "--help"]
        return subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=True).stdout

    assert "--in-flight" in said("call")
    assert "--plot FOLDER" in said() and "NAME --help" in said()
