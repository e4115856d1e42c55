"""`stratum costs`: what a project's calls count for, by model, function or day, with a bar each."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec

from stratum.actors.journal_reader import open_reader
from stratum.cli.options import journal_option
from stratum.cli.reading import require_journal
from stratum.contracts.money import format_usd, usd

BAR: Final = 30
"""Characters of the longest one."""
_GROUPS: Final = {
    "model": "model",
    "day": "substr(reserved_at, 1, 10)",
    "function": "function",
}
_BEGUN: Final = """
    (SELECT run_id, step_id, min(json_extract(body, '$.function')) AS function FROM records
        WHERE kind = 'call_started' GROUP BY run_id, step_id)
"""
_ORDER: Final = {"model": "picousd DESC, name", "function": "picousd DESC, name", "day": "name"}


class Cost(NamedTuple):
    """One line."""

    name: str
    requests: int
    tokens: int
    picousd: int
    in_doubt_picousd: int


@click.command("costs")
@click.option("--by", type=click.Choice(["model", "function", "day"]), default="model", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@journal_option
def command(*, by: str, as_json: bool, journal: Path) -> None:
    """Show what was spent, by model, function or day (UTC).

    That is what is settled and, in full, what is in doubt or still open.

    These are the figures that budgets and allowances count; a call that was proven unbilled is not in them.
    """
    require_journal(journal)
    costs = read_costs(journal, by=by)
    if as_json:
        for cost in costs:
            click.echo(
                msgspec.json.encode(
                    {
                        by: cost.name,
                        "requests": cost.requests,
                        "tokens": cost.tokens,
                        "usd": usd(cost.picousd),
                        "in_doubt_usd": usd(cost.in_doubt_picousd),
                    }
                )
            )
        return
    for line in chart(costs):
        click.echo(line)


def read_costs(journal: Path, *, by: str) -> list[Cost]:
    """One for each model, function or day that has requests which count."""
    with open_reader(journal) as reader:
        answer = reader.query(
            f"SELECT {_GROUPS[by]} AS name, count(*), sum(counted_tokens),"
            " sum(counted_picousd) AS picousd,"
            " sum(CASE WHEN state IN ('in_doubt', 'open') THEN counted_picousd ELSE 0 END)"
            f" FROM reservations LEFT JOIN {_BEGUN} USING (run_id, step_id) WHERE state <> 'released' GROUP BY 1 ORDER BY {_ORDER[by]}"
        )
        return [Cost(str(name), *(int(number or 0) for number in numbers)) for name, *numbers in answer.rows]


def chart(costs: list[Cost]) -> list[str]:
    """A line each, and the total."""
    total = Cost(
        "total",
        sum(cost.requests for cost in costs),
        sum(cost.tokens for cost in costs),
        sum(cost.picousd for cost in costs),
        sum(cost.in_doubt_picousd for cost in costs),
    )
    most = max((cost.picousd for cost in costs), default=0)
    width = max(len(cost.name) for cost in [*costs, total])
    lines = [f"{'':{width}}  {'requests':>8}  {'tokens':>9}  {'USD':>9}"]
    for cost in [*costs, total]:
        filled = 0 if cost is total or not most else -(-cost.picousd * BAR // most)
        doubt = f"  {format_usd(cost.in_doubt_picousd)} in doubt" if cost.in_doubt_picousd else ""
        line = f"{cost.name:{width}}  {cost.requests:>8}  {cost.tokens:>9}  {format_usd(cost.picousd):>9}{doubt}"
        lines.append(f"{line}  {'█' * filled}".rstrip())
    return lines
