"""Every code block of README.md and docs/ is run, and prints what is written below it.

A ```python block is run in the page's one namespace; a ```text block right below it is its exact standard output. A
```console block holds commands after `$ ` with their output; those whose output is shown are run. Blocks run in a folder of their own, against
a model on the loopback interface that answers by the page's <!-- model: ... --> comments, in order, and with the plainest
value that fits where there are none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fakes.openai_server import serve_process

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language != "python":
            continue
        # Every line stays where it is, so that an error names the page's own; the mark goes where the fence was.
        fence = f"print({BETWEEN!r})" if expected else ""
        program += [""] * (block.line - 2 - len(program)) + [fence] + block.text.splitlines()
        shown = following is not None and following.language == "text"
        expected.append(following.text if shown and following else None)
    return "\n".join(program) + "\n", expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_the_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    program, expected = script(page)
    if not expected:
        pytest.skip("no python on this page")
    source = tmp_path / f"{page.stem.lower().replace('-', '_')}_page.py"
    source.write_text(program)
    answers = re.findall(r"<!-- model: (.*?) -->", page.read_text())
    with serve_process(
        tmp_path / "bill", *(option for answer in answers for option in ("--arguments", answer))
    ) as server:
        environment = os.environ | {
            "STRATUM_BASE_URL": server.url,
            "OPENAI_API_KEY": "key",
            "STRATUM_MODEL": "gpt-4o-mini",
            "STRATUM_PRICE": "0.15/0.60",
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", source],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{BETWEEN}\n")
    assert [text if wanted is not None else None for text, wanted in zip(printed, expected, strict=True)] == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
