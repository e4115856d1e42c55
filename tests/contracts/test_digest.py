"""Digests: of canonical JSON, and of contracts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.digest import canonical_json, digest12
from tests.contracts.digest_examples import digests

PINNED = {
    "RiskAssessment": "62c98dec403e",
    "Everything": "24d82c197ca5",
    "Node": "3668f87629bb",
    "Model": "8ce1733db891",
    "list[int]": "df313b9728a6",
    "int | None": "2f3674ad6100",
}
"""Asserted on every Python that runs this suite: a digest recorded by one is looked for by another."""


def test_digests_do_not_change_between_versions_and_processes() -> None:
    """CASES A14."""
    assert digests() == PINNED


ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONHASHSEED": "7"}


def other_pythons() -> list[str]:
    """Interpreters of other versions on this machine that have what Stratum imports."""
    on_path = [shutil.which(f"python3.{minor}") for minor in range(11, 16) if minor != sys.version_info.minor]
    of_pyenv = (Path.home() / ".pyenv" / "versions").glob("3.1[1-9]*/bin/python")
    found = {path for path in [*on_path, *map(str, of_pyenv)] if path is not None}
    return [path for path in sorted(found) if _run(path, "import stratum.contracts.codec").returncode == 0]


def _run(python: str, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_another_python_computes_the_same_digests() -> None:
    """CASES A14. Elsewhere the pinned digests say the same: the suite also runs on Python 3.13."""
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python here has what Stratum imports")
    program = "import json; from tests.contracts.digest_examples import digests; print(json.dumps(digests()))"
    for python in pythons:
        finished = _run(python, program)
        assert finished.stderr == ""
        assert json.loads(finished.stdout) == PINNED, python


def test_a_digest_is_twelve_lowercase_hex_characters() -> None:
    """CASES A14."""
    assert all(len(digest) == 12 and set(digest) <= set("0123456789abcdef") for digest in digests().values())
    assert len(set(digests().values())) == len(PINNED)


def variant(annotations: dict[str, Any], *, doc: str | None = None) -> str:
    cls = contract(type("Variant", (), {"__annotations__": annotations, "__doc__": doc}))
    return codec(cls, owner="f", field="return").digest


def test_the_order_of_fields_enum_values_and_union_branches_does_not_matter() -> None:
    """CASES A14."""
    fields = {"a": int, "b": str}
    assert variant(fields) == variant(dict(reversed(fields.items())))
    assert variant({"a": Literal["x", "y"]}) == variant({"a": Literal["y", "x"]})
    assert variant({"a": int | str}) == variant({"a": str | int})


@pytest.mark.parametrize(
    "other",
    [
        {"a": Annotated[int, Field(ge=1)]},
        {"a": Annotated[int, Field(description="how many")]},
        {"a": int | None},
        {"a": float},
        {"b": int},
        {"a": int, "b": int},
    ],
)
def test_another_schema_has_another_digest(other: dict[str, Any]) -> None:
    """CASES A14."""
    assert variant({"a": int}) != variant(other)


def test_a_docstring_is_part_of_a_contract_its_indentation_is_not() -> None:
    assert variant({"a": int}, doc="One.\n\n    Two.\n    ") == variant({"a": int}, doc="One.\n\nTwo.")
    assert variant({"a": int}) != variant({"a": int}, doc="One.")


def test_a_default_is_not_part_of_a_contract() -> None:
    """On the wire nothing may be left out, so that no answer depends on it."""
    plain = contract(type("Variant", (), {"__annotations__": {"a": int}}))
    defaulted = contract(type("Variant", (), {"__annotations__": {"a": int}, "a": 3}))
    assert codec(plain, owner="f", field="return").digest == codec(defaulted, owner="f", field="return").digest


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_one_canonical_text(value: dict[str, int]) -> None:
    text = canonical_json(value)
    assert canonical_json(dict(reversed(value.items()))) == text
    assert json.loads(text) == value
    assert text.isascii()


def test_canonical_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_digest_is_of_the_bytes() -> None:
    """CASES A14."""
    assert digest12(b"{}") == "44136fa355b3"
