"""Names of tools."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stratum.engine.dialects.tool_name import tool_name


def test_an_ordinary_name_stays() -> None:
    assert tool_name("classify_content2") == "classify_content2"


@given(st.text(min_size=1, max_size=100).filter(str.isidentifier))
def test_every_python_name_becomes_one_that_providers_take(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool_name(name))
