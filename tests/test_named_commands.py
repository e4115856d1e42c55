"""What texts tell people to type: every command and option that they name is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from stratum.cli import stratum

ROOT = Path(__file__).parent.parent
TEXTS = sorted(
    path
    for pattern in (
        *("engine/**/*.py", "contracts/**/*.py", "actors/**/*.py", "mcp_bridge/**/*.py", "src/stratum/**/*.py"),
        *("docs/**/*.md", "examples/**/*.md", "*.md"),
    )
    for path in ROOT.glob(pattern)
)
NAMED = re.compile(r"`stratum ([a-z-]+)((?: [^`\n]*)?)`")
OF_THE_GROUP = {"--help", "-h", "--version"}


def complaints(text: str) -> Iterator[str]:
    """Of the commands that it names, those that cannot be typed."""
    for named in NAMED.finditer(text):
        name, *words = named[1], *named[2].split()
        if name in OF_THE_GROUP:
            continue
        if name not in stratum.commands:
            yield f"{named[0]}: there is no {name}"
            continue
        command: click.Command = import_module(f"stratum.cli.{name}_command").command
        commands = [command]
        if isinstance(command, click.Group):
            commands += [command.commands[word] for word in words[:1] if word in command.commands]
            if len(commands) == 1 and not command.invoke_without_command and words:
                yield f"{named[0]}: there is no {name} {words[0]}"
        options = {
            option for each in commands for given in each.params for option in (*given.opts, *given.secondary_opts)
        }
        for word in re.findall(r"(?<![\w-])--[a-z-]+", named[2]):
            if word not in options | {"--help"}:
                yield f"{named[0]}: there is no {word}"


def test_every_command_that_a_text_names_can_be_typed() -> None:
    assert [f"{path.relative_to(ROOT)}: {each}" for path in TEXTS for each in complaints(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`stratum rise RUN`", "there is no rise"),
        ("`stratum plan shew FILE`", "there is no plan shew"),
        ("`stratum audit RUN --jsn`", "there is no --jsn"),
        ("`stratum plan show FILE --mermade`", "there is no --mermade"),
    ],
)
def test_one_that_is_not_there_is_found(text: str, problem: str) -> None:
    assert [each.partition(": ")[2] for each in complaints(f"Then {text} does it.")] == [problem]


def test_one_that_is_there_is_passed() -> None:
    assert list(complaints("`stratum plan show FILE`, `stratum mcp --http`, `stratum --help`, `stratum runs`")) == []
