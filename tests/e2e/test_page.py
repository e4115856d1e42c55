"""The page in a real browser: a plan from its proposal to its audit, without a mouse; nothing fetched, nothing complained of."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.e2e.chromium import CHROMIUM, Tab, chromium
from tests.e2e.node_packages import installed
from tests.engine.report.test_page import HOSTILE
from tests.fakes.command_line import Terminal

from stratum.cli import stratum
from stratum.contracts.plans.plan import ExecutionPlan, Gate, Step
from stratum.contracts.plans.text import to_yaml

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]

PLAN = """
goal: Write a greeting
steps:
- {id: write, command: [sh, -c, "echo hello > greeting"]}
- {id: look, gate: {question: "Does the greeting read well?", revise: write}, depends_on: [write]}
- {id: send, command: [sh, -c, "cat greeting"], depends_on: [look], ensure: len(result.stdout) > 1}
budget: {usd: 0.50, ms: 60000}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("STRATUM_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STRATUM_JOURNAL", raising=False)
    (project / "plan.yaml").write_text(PLAN, encoding="utf-8")
    return tmp_path


@contextmanager
def visited(folder: Path) -> Generator[tuple[Tab, str]]:
    """A browser that was let in, and where the page is. In the end it has asked nobody else, and complained of nothing."""
    terminal = Terminal("ui", "--port", "0")
    found = terminal.expect(r"open (http://127\.0\.0\.1:\d+)(/enter\?key=[\w-]+)\s")
    with chromium(folder) as tab:
        tab.sized(1100, 800)
        tab.open(found[1] + found[2])
        tab.until("location.pathname === '/'")
        tab.reads("Plans and runs")
        yield tab, found[1]
        assert [url for url in tab.requests if not url.startswith(found[1] + "/")] == []
        # The browser notes every answer above 399, also to a form that was told what is wrong with it.
        assert [told for told in tab.complaints if not re.search("status of (409|422)", told)] == []
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 0, terminal.said


def proposed(plan: str = "plan.yaml") -> str:
    refused = CliRunner().invoke(stratum, ["run", plan], catch_exceptions=False)
    found = re.search(r"run (\w+): this plan has not been approved", refused.stderr)
    assert found is not None, refused.stderr
    return found[1]


@contextmanager
def resumed(run: str) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "stratum", "resume", run],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_plan_goes_from_proposal_to_audit_by_keyboard_alone(folder: Path) -> None:
    with visited(folder) as (tab, _):
        run = proposed()
        tab.reads("Write a greeting")  # by itself
        tab.tab_to("Write a greetingto be approved")
        tab.press("Enter")
        tab.reads("sh -c 'echo hello > greeting'")
        tab.tab_to("Edit")
        tab.press("Enter")
        tab.reads("Edit the plan")
        tab.tab_to("Condition 1")
        tab.press("a", ctrl=True)
        tab.type("len(result.stdut) > 2")
        tab.tab_to("Save")
        tab.press("Enter")
        tab.reads("nothing was changed")
        tab.reads("stdut")
        tab.tab_to("Edit all of it, as YAML")
        tab.press("Enter")
        tab.reads("Plan, as YAML")
        tab.tab_to("Plan, as YAML")
        tab.press("a", ctrl=True)
        tab.type(PLAN.replace("len(result.stdout) > 1", "len(result.stdout) > 2"))
        tab.tab_to("Save")
        tab.press("Enter")
        tab.reads("to be approved anew")
        tab.reads('~ step "send", ensure')
        tab.tab_to("Approve")
        tab.press("Enter")
        tab.reads("Approved: exactly the plan below.")
        with resumed(run) as process:
            tab.reads("Have it revised")  # by itself, too
            tab.tab_to("Comment (for a revision: what to change)")
            tab.type("livelier")
            tab.until("document.querySelector('#summary').textContent.startsWith('running')")
            assert tab.see("document.activeElement.value") == "livelier"
            tab.tab_to("Have it revised")
            tab.press("Enter")
            tab.reads("Your answer was sent.")
            tab.reads("step look to step write: livelier")
            tab.reads("1 question waits for you.")  # once the step is done again
            tab.tab_to("Approve")
            tab.press("Enter")
            assert process.wait(300) == 0
        tab.reads("succeeded")
        tab.reads("Total: 0.000 USD, 1 retry, all passing")
        tab.tab_to("Report, to read and keep")
        tab.press("Enter")
        tab.until("location.pathname.endsWith('/report')")
        tab.reads("Write a greeting")


def test_a_plan_that_changes_while_it_is_read_is_not_exchanged_under_the_readers_eyes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with visited(folder) as (tab, url):
        run = proposed()
        tab.open(f"{url}/runs/{run}")
        tab.reads("Digest")
        (folder / "editor.py").write_text(
            "import sys; from pathlib import Path; f = Path(sys.argv[1]);"
            "f.write_text(f.read_text().replace('Write a greeting', 'Write an insult'))",
            encoding="utf-8",
        )
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(folder / "editor.py")]))
        assert CliRunner().invoke(stratum, ["plan", "edit", run], catch_exceptions=False).exit_code == 0
        tab.reads("This has changed since you opened it.")
        assert "insult" not in tab.see("document.body.innerText")
        tab.tab_to("Approve")
        tab.press("Enter")
        tab.reads("nothing was approved. This is the plan now.")
        tab.reads("Write an insult")
        assert CliRunner().invoke(stratum, ["runs"]).stdout.split()[1] == "draft"


def test_without_scripts_a_plan_is_read_approved_watched_and_answered(folder: Path) -> None:
    with visited(folder) as (tab, url):
        run = proposed()
        tab.open(f"{url}/runs/{run}")
        tab.without_scripts()
        tab.open(f"{url}/runs/{run}")
        tab.tab_to("Approve")
        tab.press("Enter")
        tab.reads("Approved: exactly the plan below.")
        with resumed(run) as process:
            # Until it has begun there is nothing that loads the page again.
            while process.poll() is None and "Have it revised" not in str(tab.see("document.body.innerText")):
                tab.open(f"{url}/runs/{run}")
            tab.tab_to("Approve")
            tab.press("Enter")
            assert process.wait(300) == 0
        tab.reads("succeeded")


HARD = ExecutionPlan(
    goal=f"{HOSTILE} {'w' * 300}",
    steps=(
        Step(id="a", intent=f"{HOSTILE}</textarea></form> {'x' * 400}", command=("echo", "y" * 300)),
        Step(id="b" * 60, gate=Gate(question=f"{HOSTILE} {'z' * 300}?"), depends_on=("a",)),
    ),
)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1100])
def test_every_page_is_accessible_and_fits_its_screen(folder: Path, width: int, dark: bool) -> None:
    axe = (installed("axe-core", "4.14.1") / "axe.min.js").read_text(encoding="utf-8")
    Path("hard.yaml").write_text(to_yaml(HARD), encoding="utf-8")
    with visited(folder) as (tab, url):
        plain, hard = proposed(), proposed("hard.yaml")
        tab.sized(width, 800, dark=dark)
        pages = [
            "/",
            f"/runs/{plain}",
            f"/runs/{plain}/edit",
            f"/runs/{hard}",
            f"/runs/{hard}/edit",
            f"/runs/{hard}/edit?as=yaml",
        ]
        found = {page: _faults(tab, url + page, axe) for page in pages}
        tab.open(f"{url}/runs/{hard}")
        tab.tab_to("Approve")
        tab.press("Enter")
        tab.reads("Approved")
        with resumed(hard) as process:
            tab.reads("End the run")
            found["asking"] = _faults(tab, f"{url}/runs/{hard}", axe)
            found["list"] = _faults(tab, f"{url}/", axe)
            tab.open(f"{url}/runs/{hard}")
            tab.tab_to("End the run")
            tab.press("Enter")
            assert process.wait(300) == 1
        tab.reads("cancelled")
        found["over"] = _faults(tab, f"{url}/runs/{hard}", axe)
        found["report"] = _faults(tab, f"{url}/runs/{hard}/report", axe)
    assert {page: faults for page, faults in found.items() if faults} == {}


def _faults(tab: Tab, url: str, axe: str) -> list[str]:
    tab.open(url)
    tab.see(f"{axe};0")
    faults: list[str] = tab.see(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(found => "
        "found.violations.flatMap(fault => fault.nodes.map(node => `${fault.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))"
    )
    wide, screen = tab.see("[document.documentElement.scrollWidth, innerWidth]")
    return faults + ([f"{wide} pixels wide on a screen of {screen}"] if wide > screen else []) + _unseen_focus(tab)


def _unseen_focus(tab: Tab) -> list[str]:
    """Where Tab comes to without a mark that it is there."""
    tab.see("document.activeElement.blur()")
    unseen: list[str] = []
    for _ in range(12):
        tab.press("Tab")
        seen = tab.see(
            "(() => { const it = document.activeElement, s = getComputedStyle(it); if (it === document.body) return '';"
            "return (it instanceof SVGElement || (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)) ? '' : it.outerHTML.slice(0, 200) })()"
        )
        unseen += [f"no mark of the focus: {seen}"] if seen else []
    return unseen
