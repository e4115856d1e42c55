"""The command line, `stratum`: its commands by name.

One command a file. Results go to standard output, progress and errors to standard error; exit_codes.py says what a
script can rely on.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from stratum.cli.exit_codes import exit_code
from stratum.contracts.errors import StratumError

_COMMANDS: Final = {
    "approve": "Show all that RUN's plan would do, and approve exactly that.",
    "audit": "Show what RUN did, what it cost, and what is in doubt.",
    "bench": "Run all benchmarks, or those named.",
    "cancel": "Stop RUN, in whichever process it runs.",
    "codex": "Make Codex plan, execute and be audited through Stratum.",
    "costs": "Show what was spent, by model, function or day (UTC).",
    "doctor": "Check this installation and its settings; sends nothing.",
    "drift": "Find Python code that calls a model without Stratum.",
    "gate": "Answer what STEP of RUN asks a person.",
    "hold": "Stop every run, and let nothing start until it is lifted.",
    "journal": "Check, export, restore or shrink the journal's file.",
    "local": "List the embedded models, or download one beforehand.",
    "mcp": "Serve this folder's plans and runs to an agent.",
    "plan": "Check, print, compare, edit or discard plans.",
    "query": "Run one SELECT over the journal's views.",
    "raise": "Give RUN new limits; nothing is started.",
    "reconcile": "List RUN's calls in doubt, or book what one really cost.",
    "report": "Write RUN as one self-contained HTML page.",
    "resume": "Continue RUN; what is done is not done again.",
    "rollback": "Restore the files to what they were after STEP of RUN.",
    "run": "Run TARGET: file.py:flow, module:flow, or a plan's file.",
    "runs": "List the latest runs: id, state, start, name.",
    "status": "Show where RUN's steps stand and who is waited for.",
    "trace": "Write RUN's timeline for https://ui.perfetto.dev.",
    "ui": "Approve plans, watch runs and answer them in a browser.",
}
"""What each says of itself: `stratum --help` and a shell that completes names need import none of them."""


class _Commands(click.Group):
    """Commands by name, each imported when it is called: `stratum audit` need not load an LLM client."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except StratumError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            ctx.exit(exit_code(error))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known, rest = super().resolve_command(ctx, args)
        if known is None:
            return name, known, rest
        return name, import_module(f"stratum.cli.{known.name}_command").command, rest


@click.group(
    cls=_Commands,
    commands={name: click.Command(name, help=does) for name, does in _COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="stratum-runtime", prog_name="stratum")
def stratum() -> None:
    """Typed, bounded, recorded LLM calls: run flows, resume them, and see what they did and cost."""


def main() -> None:
    """The console script."""
    stratum()
