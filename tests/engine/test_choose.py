"""Which provider the environment asks for."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from stratum import open_runtime
from stratum.contracts.errors import NoProvider, ProviderError
from stratum.contracts.price import Price
from stratum.engine.providers.choose import choose_provider
from stratum.engine.providers.local import Local
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.scripted import scripted


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "STRATUM_BASE_URL", "STRATUM_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def with_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> ModuleSpec:
        return ModuleSpec(name, None)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.fixture
def without_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", missing)


async def test_the_one_that_is_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    given = scripted(1)
    async with open_runtime(provider=given, journal=None) as runtime:
        assert runtime.provider is given


@pytest.mark.usefixtures("with_local")
def test_a_key_means_openai_by_its_responses_api() -> None:
    chosen = choose_provider({"OPENAI_API_KEY": "sk-test", "STRATUM_MODEL": "gpt-5.5"})
    assert isinstance(chosen, OpenAI)
    assert (chosen.name, chosen.dialect.name, chosen.default_model) == ("openai", "responses", "gpt-5.5")


def test_another_server_is_spoken_to_by_chat_completions_and_has_no_model_by_default() -> None:
    chosen = choose_provider({"STRATUM_BASE_URL": "http://127.0.0.1:8080/v1"})
    assert (chosen.name, chosen.dialect.path, chosen.default_model) == ("127.0.0.1", "/chat/completions", None)


def test_openais_own_url_is_openai() -> None:
    environ = {"STRATUM_BASE_URL": "https://eu.api.openai.com/v1", "OPENAI_API_KEY": "sk-test"}
    chosen = choose_provider(environ)
    assert (chosen.name, chosen.dialect.name) == ("openai", "responses")


@pytest.mark.usefixtures("with_local")
def test_the_embedded_model_answers_where_nothing_is_set() -> None:
    chosen = choose_provider({})
    assert isinstance(chosen, Local)
    assert chosen.free


@pytest.mark.usefixtures("with_local")
def test_the_embedded_model_can_be_asked_for_in_spite_of_a_key() -> None:
    chosen = choose_provider({"STRATUM_MODEL": "local/smollm2", "OPENAI_API_KEY": "sk-test"})
    assert isinstance(chosen, Local)
    assert chosen.default_model == "smollm2"


@pytest.mark.usefixtures("without_local")
def test_nothing_at_all_says_in_two_lines_what_to_do() -> None:
    with pytest.raises(NoProvider) as caught:
        choose_provider({})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.usefixtures("without_local")
def test_the_embedded_model_that_was_asked_for_and_is_not_installed_is_what_is_missing_not_a_key() -> None:
    with pytest.raises(NoProvider, match="STRATUM_MODEL is local/smollm2, but the embedded model is not installed"):
        choose_provider({"STRATUM_MODEL": "local/smollm2", "OPENAI_API_KEY": "sk-test"})


@pytest.mark.usefixtures("with_local")
def test_a_model_of_a_server_without_a_key_is_not_answered_by_another_model() -> None:
    with pytest.raises(ProviderError, match="gpt-5.5"):
        choose_provider({"STRATUM_MODEL": "gpt-5.5"})


def test_a_base_url_that_is_none_is_refused() -> None:
    with pytest.raises(ProviderError, match="STRATUM_BASE_URL='localhost:8080' is not an HTTP URL; write one like"):
        choose_provider({"STRATUM_BASE_URL": "localhost:8080"})


def test_a_price_may_come_from_the_environment() -> None:
    environ = {"STRATUM_BASE_URL": "http://127.0.0.1:8080/v1", "STRATUM_PRICE": "0.15/0.60"}
    assert choose_provider(environ).price == Price.per_million(input=0.15, output=0.60)


@pytest.mark.parametrize("text", ["0.15", "a/b", "-1/2", "1/2/3"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ProviderError, match="STRATUM_PRICE"):
        choose_provider({"OPENAI_API_KEY": "sk-test", "STRATUM_PRICE": text})
