"""`Prices`: who says what a model costs, and which of it a policy believes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratum import Price
from stratum.contracts.price import FREE
from stratum.engine.pricing.prices import Prices
from stratum.engine.providers.local import Local
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.scripted import scripted
from stratum.engine.settings import read_settings

NOTHING = Price.per_million(input=0, output=0)
HOUSE = Price.per_million(input=1, output=2)


def test_an_argument_wins_over_the_file_and_the_file_over_the_provider(tmp_path: Path) -> None:
    (tmp_path / "stratum.toml").write_text("[prices.a]\ninput = 0\noutput = 0\n[prices.b]\ninput = 0\noutput = 0\n")
    settings = read_settings({}, folder=tmp_path)
    prices = Prices(scripted(price=HOUSE), settings=settings, given={"a": HOUSE})
    assert [prices.of(model) for model in ("a", "b", "c")] == [HOUSE, NOTHING, HOUSE]
    assert Prices(scripted(price=None)).of("c") is None


@pytest.mark.parametrize("said", ["input = 0\noutput = 0", "input = 1\noutput = 1", "input = 9\noutput = 9"])
def test_another_price_in_the_work_tree_is_doubted(tmp_path: Path, said: str) -> None:
    file = tmp_path / "stratum.toml"
    file.write_text(f"[prices.a]\n{said}\n")
    settings = read_settings({}, folder=tmp_path)
    for provider in (scripted(price=HOUSE), scripted(price=None)):
        doubt = Prices(provider, settings=settings).doubt()
        assert doubt == (
            f'{file} sets the price of "a", where a plan\'s steps may write; set STRATUM_PRICE in the environment instead'
        )
    assert Prices(scripted(price=None), settings=settings, given={"a": HOUSE}).doubt() == ""


def test_a_published_price_is_not_undercut_unnoticed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.stratum.prices."gpt-4o"]\ninput = 0\noutput = 0\n')
    assert (
        "pyproject.toml sets the price of" in Prices(OpenAI("key"), settings=read_settings({}, folder=tmp_path)).doubt()
    )


def test_what_the_user_says_as_well_is_believed(tmp_path: Path) -> None:
    (tmp_path / "stratum.toml").write_text('price = "1/2"\n[prices.a]\ninput = 1\noutput = 2\n')
    of_the_file = Prices(scripted(price=HOUSE), settings=read_settings({}, folder=tmp_path))
    assert "sets a price for every model" in of_the_file.doubt()
    settings = read_settings({"STRATUM_PRICE": "1/2"}, folder=tmp_path)
    assert Prices(scripted(price=HOUSE), settings=settings).doubt() == ""


def test_what_costs_nothing_anyway_leaves_nothing_to_doubt(tmp_path: Path) -> None:
    (tmp_path / "stratum.toml").write_text('price = "0/0"\n[prices.a]\ninput = 0\noutput = 0\n')
    prices = Prices(Local(), settings=read_settings({}, folder=tmp_path))
    assert (prices.of("a"), prices.doubt()) == (FREE, "")
