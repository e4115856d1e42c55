"""The page: `report_page` puts a run's facts into one self-contained HTML document."""

from __future__ import annotations

from stratum.engine.report.facts import RunFacts
from stratum.engine.report.sections import in_doubt, plan_graph, repairs, run_head, step_sections, timeline
from stratum.engine.report.style import STYLE
from stratum.engine.report.text import escaped


def report_page(facts: RunFacts) -> str:
    """The whole document. Everything that came from outside is escaped; nothing is fetched, nothing runs."""
    title = facts.name or facts.run
    steps = list(facts.steps.values())
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escaped(title, most=200)}</title><style>{STYLE}</style></head><body><main>",
            *run_head(facts, title),
            *plan_graph(facts),
            *timeline(facts, steps),
            *repairs(facts),
            *in_doubt(facts),
            *step_sections(steps),
            "</main></body></html>\n",
        ]
    )
