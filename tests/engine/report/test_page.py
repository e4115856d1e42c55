"""The report: everything that happened is in it, and nothing of what came from outside means anything to a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.engine.plans.plan_fixtures import open_project, reported, started

from stratum import compute, flow, infer, open_runtime
from stratum.contracts.price import Usage
from stratum.engine.providers.scripted import Reply, scripted
from stratum.engine.report.facts import RunFacts, StepFacts, facts_of
from stratum.engine.report.graph_picture import MOST_STEPS, graph_picture
from stratum.engine.report.page import report_page

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe"


class Seen(HTMLParser):
    """What a browser would see: tags, and the attributes that could do something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name.startswith("on") or (name in ("src", "href") and not (value or "").startswith("#")):
                self.loads.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    parser.close()
    return parser


@infer(intent="Say a word", ensure=lambda r: len(r) > 1, max_output_tokens=100)
def say(about: str) -> str: ...


@compute(inline=True)
def upper(text: str) -> str:
    return text.upper()


@flow
async def speak(about: str) -> str:
    return await upper(await say(about))


PLAN = """
goal: Look into it
steps:
- {id: a, intent: Look, output: str}
- {id: b, intent: Check, inputs: {what: $.steps.a.output}, output: str, ensure: result == "fine", repair: a}
- {id: c, fn: upper, inputs: {text: $.steps.b.output}}
"""


async def test_a_plans_report_has_its_graph_its_attempts_and_what_was_sent_back(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[upper]) as plans:
        run = await started(plans, PLAN)
        await reported(run, "a", HOSTILE)
        await reported(run, "b", "bad")
        await reported(run, "a", "better")
        await reported(run, "b", "fine")
        assert await run.result() == "FINE"
        records = await plans.runtime.journal.read(run.id)
    page = report_page(facts_of(run.id, records, before={"a": (), "b": ("a",), "c": ("b",)}))
    browser = seen(page)
    assert {"svg", "details", "table"} <= browser.tags
    assert not {"script", "img", "iframe", "object", "link"} & browser.tags
    assert browser.loads == []
    assert "step b to step a" in browser.text
    assert "result == &quot;fine&quot;" in page
    assert "approved by ada (terminal)" in browser.text
    assert "\u202e" not in page
    assert 'class="back"' in page


async def test_a_flows_report_has_every_attempt_and_its_cost(tmp_path: Path) -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    provider = scripted(Reply(value="x", usage=usage), Reply(value="word", usage=usage))
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await speak("rain") == "WORD"
        run = next(run.run for run in await runtime.journal.runs() if run.name == "speak")
        records = await runtime.journal.read(run)
    page = report_page(facts_of(run, records, before={}))
    text = seen(page).text
    assert "speak" in text
    assert "say#1" in text
    assert "len(r) > 1" in text
    assert "$0.020" in text
    assert 'class="graph"' not in page


def test_a_run_that_failed_opens_at_what_failed() -> None:
    facts = RunFacts(
        run="r",
        name=HOSTILE,
        state="failed",
        error="it broke",
        steps={"a": StepFacts(id="a", name=HOSTILE, kind="agent", state="failed", error=HOSTILE)},
    )
    page = report_page(facts)
    assert re.search(r'<details id="step-a" open>', page)
    assert "script" not in seen(page).tags


@pytest.mark.parametrize("count", [1, MOST_STEPS, MOST_STEPS + 1])
def test_a_graph_that_nobody_could_read_is_not_drawn(count: int) -> None:
    before = {str(number): () if number == 0 else (str(number - 1),) for number in range(count)}
    assert bool(graph_picture(before, names={}, states={})) is (count <= MOST_STEPS)


def test_each_step_stands_to_the_right_of_what_it_waits_for() -> None:
    before = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ()}
    picture = graph_picture(before, names={}, states={})
    boxes = dict(re.findall(r'href="#step-(\w)".*?<rect x="(\d+)"', picture))
    left = {id: int(x) for id, x in boxes.items()}
    assert left["a"] == left["d"] < left["b"] < left["c"]
