"""The report in a real browser: it lays out on a phone and on a desk, and asks the network for nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.engine.report.test_page import HOSTILE

from stratum.engine.report.facts import RunFacts, StepFacts
from stratum.engine.report.page import report_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]

# Asks the laid-out page how wide it is, by the only means that a page without scripts leaves: printing its DOM.
PROBE = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script>"


def facts() -> RunFacts:
    steps = {
        str(number): StepFacts(
            id=str(number),
            name=f"step_with_a_rather_long_name_{number}",
            kind="agent",
            state="done",
            began_ms=number * 10,
            ended_ms=number * 10 + 25,
            attempts=1,
            output={"text": HOSTILE * 3},
        )
        for number in range(40)
    }
    before = {id: () if id == "0" else (str(int(id) - 1),) for id in steps}
    return RunFacts(run="r", name=HOSTILE, state="succeeded", steps=steps, before=before, elapsed_ms=500)


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_hangs_over_the_edge(tmp_path: Path, width: int) -> None:
    page = report_page(facts()).replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    file = tmp_path / "run.html"
    file.write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    # A window narrower than 500 pixels is not given: a frame of that width is.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="run.html" style="width:{width}px;height:900px;border:0" '
        'onload="document.title = this.contentDocument.title"></iframe>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            CHROMIUM,
            *switches,
            "--allow-file-access-from-files",
            f"--user-data-dir={tmp_path / 'profile'}",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) <= int(found[2]) == width
