"""The command line, `stratum`: its commands by name.

One command a file. Results go to standard output, progress and errors to standard error; exit_codes.py says what a
script can rely on.
"""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

import click

from stratum.cli.exit_codes import exit_code
from stratum.contracts.errors import StratumError


class _Commands(click.Group):
    """Commands by name, each imported when it is called: `stratum audit` need not load an LLM client."""

    _modules: ClassVar[dict[str, str]] = {
        "approve": "approve_command",
        "audit": "audit_command",
        "bench": "bench_command",
        "cancel": "cancel_command",
        "costs": "costs_command",
        "codex": "codex_command",
        "doctor": "doctor_command",
        "drift": "drift_command",
        "gate": "gate_command",
        "hold": "hold_command",
        "journal": "journal_command",
        "local": "local_command",
        "mcp": "mcp_command",
        "plan": "plan_command",
        "query": "query_command",
        "reconcile": "reconcile_command",
        "report": "report_command",
        "resume": "resume_command",
        "rollback": "rollback_command",
        "run": "run_command",
        "runs": "runs_command",
        "status": "status_command",
        "trace": "trace_command",
        "ui": "ui_command",
    }

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except StratumError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            ctx.exit(exit_code(error))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(f"stratum.cli.{self._modules[cmd_name]}").command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stratum-runtime", prog_name="stratum")
def stratum() -> None:
    """Typed, bounded, recorded LLM calls: run flows, resume them, and see what they did and cost."""


def main() -> None:
    """The console script."""
    stratum()
