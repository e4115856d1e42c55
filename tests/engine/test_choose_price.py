"""STRATUM_PRICE: what a server costs whose prices nobody publishes."""

from __future__ import annotations

import pytest

from stratum.contracts.errors import ProviderError
from stratum.contracts.price import Price
from stratum.engine.providers.choose import choose_provider


def test_a_price_in_the_environment_is_the_providers() -> None:
    environ = {"STRATUM_BASE_URL": "http://127.0.0.1:1/v1", "STRATUM_PRICE": "0.15/0.60"}
    assert choose_provider(environ).price == Price.per_million(input=0.15, output=0.60)


@pytest.mark.parametrize("text", ["free", "0.15", "0.15/x", "-1/2", "nan/1", "1/2/3"])
def test_what_is_not_a_price_is_refused_with_the_form_it_has(text: str) -> None:
    environ = {"OPENAI_API_KEY": "key", "STRATUM_PRICE": text}
    with pytest.raises(ProviderError, match="STRATUM_PRICE=0.15/0.60"):
        choose_provider(environ)
