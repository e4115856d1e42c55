"""Every code block of README.md and docs/ is run, and prints what is written below it.

A ```python block is run in the page's one namespace; a ```text block right below it is its exact standard output. A
```console block holds commands after `$ ` with all they print; a block that begins with `# name.py` or `# name.yaml` is not run
but is that file for them. Run ids, times and versions are the page's own: they stand for those that come. Blocks run in a folder of their own,
against a model on the loopback interface that answers by the page's <!-- model: ... --> comments, in order, and with the
plainest value that fits where there are none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from stratum.contracts.plans.text import load_plan
from stratum.engine.plans.functions import Functions
from tests.cli_flows import judge
from tests.fakes.openai_server import serve_process

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")
"""The first line of a block that is a file."""


class Block(NamedTuple):
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield Block(line=text.count("\n", 0, match.start()) + 2, language=match[1], text=match[2])


BETWEEN = "<between two blocks>"


def script(page: Path) -> tuple[str, list[str | None]]:
    """The page as one program, and what each block must print: `None` where the page does not say."""
    program: list[str] = []
    expected: list[str | None] = []
    found = list(blocks(page))
    for block, following in zip(found, [*found[1:], None], strict=False):
        if block.language != "python" or FILE.match(block.text):
            continue
        # Every line stays where it is, so that an error names the page's own; the mark goes where the fence was.
        fence = f"print({BETWEEN!r})" if expected else ""
        program += [""] * (block.line - 2 - len(program)) + [fence] + block.text.splitlines()
        shown = following is not None and following.language == "text"
        expected.append(following.text if shown and following else None)
    return "\n".join(program) + "\n", expected


@contextmanager
def environment(page: Path, folder: Path) -> Generator[dict[str, str]]:
    """A model that answers as the page says, and what to set for it to be called."""
    answers = re.findall(r"<!-- model: (.*?) -->", page.read_text())
    options = (option for answer in answers for option in ("--arguments", answer))
    with serve_process(folder / "bill", *options) as server:
        yield os.environ | {
            "STRATUM_BASE_URL": server.url,
            "OPENAI_API_KEY": "key",
            "STRATUM_MODEL": "gpt-4o-mini",
            "STRATUM_PRICE": "0.15/0.60",
            "STRATUM_STATE_HOME": str(folder / "state"),
            # An entry point of this package; an installation made before it had one does not know.
            "PYTEST_PLUGINS": "stratum.testing.plugin",
        }


class Command(NamedTuple):
    """One command of a console block."""

    line: str
    shown: str


def commands(page: Path) -> Iterator[Command]:
    for block in blocks(page):
        if block.language == "console":
            for prompt in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, shown = prompt.partition("\n")
                yield Command(line, shown)


RUN_ID = r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b"
VARYING = {
    RUN_ID: "RUN",
    r"\b[0-9a-f]{16}\b": "RESERVATION",
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*": "TIME",
    r"\b\d+\.\d+ ?s\b": "SECONDS",
    r"\b\d+(\.\d+)+( on \w+)?(?=\n)": "VERSION",
    r"\w+(\.\d+){2,} on \w+": "VERSION",
    r"\b\d+ records of": "RECORDS of",
    r"(?m)^Killed$\n?": "",  # said by some shells
}


def masked(text: str) -> str:
    """With what differs from run to run replaced by its kind; spaces at the ends of lines do not count."""
    for pattern, kind in VARYING.items():
        text = re.sub(pattern, kind, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def follow(page: Path, folder: Path, *, environ: dict[str, str]) -> int:
    """Save the page's files and type its commands, one after the other, comparing all they print. How many there were."""
    for block in blocks(page):
        if named := FILE.match(block.text):
            (folder / named[1]).write_text(block.text)
    typed = list(commands(page))
    real_ids: dict[str, str] = {}
    for command in typed:
        line = command.line
        for shown, real in real_ids.items():
            line = line.replace(shown, real)
        done = subprocess.run(
            line,
            check=False,
            shell=True,
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert masked(done.stdout) == masked(command.shown), line
        real_ids |= zip(re.findall(RUN_ID, command.shown), re.findall(RUN_ID, done.stdout), strict=True)
    return len(typed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_the_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    if not any(commands(page)):
        pytest.skip("no commands on this page")
    with environment(page, tmp_path) as environ:
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
        assert follow(page, tmp_path, environ=environ)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_the_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    program, expected = script(page)
    if not expected:
        pytest.skip("no python on this page")
    source = tmp_path / f"{page.stem.lower().replace('-', '_')}_page.py"
    source.write_text(program)
    with environment(page, tmp_path) as environ:
        done = subprocess.run(
            [sys.executable, "-W", "error", source],
            check=False,
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{BETWEEN}\n")
    assert [text if wanted is not None else None for text, wanted in zip(printed, expected, strict=True)] == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_plan_in_the_readme_is_valid() -> None:
    (text,) = re.findall(
        r"```yaml\n# plan\.yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    compiled = load_plan(text, Functions([judge]).registry)
    assert compiled.kinds == ("infer", "gate", "command")
