"""The documentation as a site: every page is in its navigation, every public name in its reference, every anchor exists."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
import pytest
import yaml

import stratum
from stratum import Budget
from stratum.cli import stratum as command_line
from stratum.cluster import Cluster

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def navigated(node: Any) -> list[str]:
    """The pages of a part of the navigation, in order."""
    if isinstance(node, str):
        return [node]
    inner = cast("dict[str, Any]", node).values() if isinstance(node, dict) else cast("list[Any]", node)
    return [page for each in inner for page in navigated(each)]


def anchors(page: Path) -> set[str]:
    """What its headings can be reached by, on GitHub and on the site alike."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


def test_every_page_is_in_the_navigation_once() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(navigated(settings["nav"])) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_every_public_name_is_in_the_reference_once() -> None:
    described = [
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall(r"^::: stratum\.([A-Z_a-z]+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    modules = ["aio", "cluster", "otel", "people", "plans", "providers", "testing"]
    assert sorted(described) == sorted([*stratum.__all__, *modules])


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings_that_exist(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        there = (page.parent / target) if target else page
        assert anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize(
    "function",
    [
        stratum.infer,
        stratum.compute,
        stratum.open_runtime,
        stratum.parallel,
        stratum.refine,
        stratum.debate,
        Budget,
        Cluster,
    ],
    ids=lambda function: function.__name__,
)
def test_every_option_of_a_public_function_is_on_a_page(function: Callable[..., object]) -> None:
    written = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    options = [each.name for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    assert options
    assert [name for name in options if f"{name}=" not in written] == []


def test_every_environment_variable_is_on_the_page_of_settings() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    folders = [ROOT / "src" / "stratum", *(ROOT / name for name in ("contracts", "actors", "engine", "mcp_bridge"))]
    read = {
        name
        for folder in folders
        for file in folder.rglob("*.py")
        for name in re.findall(r"\"(STRATUM_[A-Z_]+)\"", file.read_text(encoding="utf-8"))
    }
    assert read
    assert read - {"STRATUM_STEP_KEY"} <= set(re.findall(r"STRATUM_[A-Z_]+", page))  # that one is set, not read


def parsed(words: list[str]) -> click.Command:
    """The command that these words, up to the first that is none, call."""
    command: click.Command = command_line
    while words and isinstance(command, click.Group):
        inner = within(command, words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
    return command


def within(group: click.Group, name: str) -> click.Command | None:
    return group.resolve_command(click.Context(group, resilient_parsing=True), [name])[1]


def groups(command: click.Command) -> list[click.Group]:
    """A group of commands, and those within it."""
    if not isinstance(command, click.Group):
        return []
    inner = [within(command, name) for name in command.commands]
    return [command, *(group for each in inner if each is not None for group in groups(each))]


@pytest.mark.parametrize("group", groups(command_line), ids=lambda group: str(group.name))
def test_help_lists_each_command_in_one_whole_sentence(group: click.Group) -> None:
    listed = group.get_help(click.Context(group, info_name="stratum", terminal_width=80)).partition("Commands:\n")[2]
    assert listed
    assert [line for line in listed.splitlines() if not line.endswith(".") or line.endswith("...")] == []


def test_the_command_line_page_names_every_command() -> None:
    overview = (DOCS / "command-line.md").read_text(encoding="utf-8").partition("```")[0]
    assert set(command_line.list_commands(click.Context(command_line))) <= set(re.findall(r"`(\w+)[` ]", overview))


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_a_page_shows_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"(?:`|^ {4}|^\$ )stratum ((?!import\b)[a-z][^`\n]*)", text, flags=re.MULTILINE):
        command = parsed(line.split())
        assert command is not command_line, f"{page.name}: there is no `stratum {line}`"
        known = {"--help", *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}
        shown = set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", line))
        assert shown <= known, f"{page.name}: `stratum {line}`: {sorted(shown - known)}"


def test_tests_and_benchmarks_that_the_comparison_names_exist() -> None:
    text = (DOCS / "comparison.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert named
    for file, function in named:
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {function}"
    for benchmark in re.findall(r"python -m benchmarks (\w+)", text):
        assert (ROOT / "benchmarks" / f"bench_{benchmark}.py").exists(), benchmark


@pytest.mark.e2e
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]+src=\"(https?:)?//|<link[^>]+rel=\"stylesheet\"[^>]+href=\"https?:",
            page.read_text(),
        )
        assert loaded == [], page.name
    for page in PAGES:
        drawn = (tmp_path / "site" / page.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")
        assert drawn.count('<svg id="diagram-') == page.read_text(encoding="utf-8").count("```mermaid"), page.name
