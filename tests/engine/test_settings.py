"""A project's settings: file, environment, arguments, in that order of strength."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratum import Budget, Price, UnknownPrice, infer, open_runtime
from stratum.engine.settings import Setting, SettingsError, read_settings
from stratum.testing import scripted


def write(folder: Path, text: str, *, name: str = "stratum.toml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_the_environment_wins_over_the_file_and_both_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, 'model = "from-file"\ntransport = "lean"\n')
    settings = read_settings({"STRATUM_MODEL": "from-environment", "OTHER": "x"}, folder=tmp_path)
    assert settings.environ == {"STRATUM_MODEL": "from-environment", "OTHER": "x", "STRATUM_TRANSPORT": "lean"}
    assert settings.found == (
        Setting("model", "from-environment", "STRATUM_MODEL"),
        Setting("transport", "lean", file),
    )


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    write(tmp_path, 'model = "from-file"')
    assert read_settings({"STRATUM_MODEL": ""}, folder=tmp_path).environ["STRATUM_MODEL"] == "from-file"


def test_a_folder_below_has_the_nearest_file_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    write(tmp_path, '[tool.stratum]\njournal = "runs.db"\n', name="pyproject.toml")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(below, "[tool.other]\n", name="pyproject.toml")
    assert read_settings({}, folder=below).environ == {"STRATUM_JOURNAL": str(tmp_path / "runs.db")}


def test_stratum_toml_comes_before_pyproject(tmp_path: Path) -> None:
    write(tmp_path, '[tool.stratum]\nmodel = "b"\n', name="pyproject.toml")
    write(tmp_path, 'model = "a"')
    assert read_settings({}, folder=tmp_path).environ == {"STRATUM_MODEL": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('modle = "x"', "there is no setting 'modle'; write model"),
        ('color = "x"', "write one of journal, model, price, prices, replay, service_tier, transport"),
        ("model = 3", "model is 3; write a string"),
        ('model = ""', "write a string that is not empty"),
        ('base_url = "http://evil"', "base_url is not for a file of the work tree; set it in the environment"),
        ('api_key = "sk-x"', "api_key is not for a file of the work tree"),
        ("model = ", "it cannot be read"),
        ('price = "1/2/3"', "price is '1/2/3': it is no INPUT/OUTPUT in USD per million tokens; write price ="),
        ("prices = 3", "3 is not a table"),
        ("[prices.a]\ninput = 1\n", "the price of 'a' cannot be read"),
        ("[prices.a]\ninput = 1\noutput = -1\n", "the price of 'a' cannot be read"),
        ("[prices.a]\ninput = 1\noutput = nan\n", "the price of 'a' cannot be read"),
        ("[prices.a]\ninput = 1\noutput = 1\nouput = 1\n", "there is no 'ouput'"),
    ],
)
def test_what_means_nothing_is_refused_with_the_file_and_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_settings({}, folder=tmp_path)
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)


@infer(intent="Name a colour", model="house-7b", max_output_tokens=10)
def colour() -> str: ...


async def test_a_price_of_the_file_counts_unless_code_says_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownPrice):
        async with open_runtime(provider=scripted("red", price=None), journal=None, budget=Budget(usd=1)):
            await colour()
    write(tmp_path, '[prices."house-7b"]\ninput = 0\noutput = 0\nper_request = 0.25\n')
    for prices, expected in (({}, 0.25), ({"house-7b": Price.per_million(input=0, output=0, per_request=0.5)}, 0.5)):
        async with open_runtime(
            provider=scripted("red", price=None), journal=None, budget=Budget(usd=1), prices=prices
        ) as runtime:
            await colour()
            assert runtime.place.envelope.scope.settled.picousd == expected * 10**12
