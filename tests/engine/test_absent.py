"""Where there is no provider: what calls no model works, and what does is told why it cannot."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.machinery import ModuleSpec

import pytest

from stratum import NoProvider, ProviderError, infer, open_runtime
from stratum.contracts.records import LeftInDoubt, Released
from stratum.engine.providers.environment import provider_or_absent
from stratum.engine.providers.scripted import Scripted, scripted


@infer(intent="Say a word", model="gpt-4o", max_output_tokens=100)
def say(about: str) -> str: ...


@infer(intent="Say a word", max_output_tokens=100)
def say_anyhow(about: str) -> str: ...


@pytest.fixture(autouse=True)
def no_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "xllamacpp" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)


async def test_a_call_is_refused_with_what_to_do_and_nothing_is_in_doubt() -> None:
    async with open_runtime(provider=provider_or_absent({}), journal=None) as runtime:
        with pytest.raises(ProviderError, match="no model to call: .*set OPENAI_API_KEY"):
            await runtime.run(say, "rain")
        with pytest.raises(NoProvider, match="no model is named"):
            await runtime.run(say_anyhow, "rain")
        records = await runtime.journal.read(runtime.session)
    assert any(isinstance(record, Released) for record in records)
    assert not any(isinstance(record, LeftInDoubt) for record in records)


def test_what_there_is_is_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Scripted = scripted()

    def found(environ: Mapping[str, str], *, progress: object = None) -> Scripted:
        return there

    monkeypatch.setattr("stratum.engine.providers.environment.provider_from_environment", found)
    assert provider_or_absent({}) is there
