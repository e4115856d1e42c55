"""The testing kit, in suites of its users' kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratum import Price, infer, open_runtime
from stratum.testing import Reply, assert_spent, scripted, spent
from tests.fakes.openai_server import serve_process

pytest_plugins = ["pytester"]

STEPS = """
    import pytest
    from stratum import Budget, BudgetExceeded, flow, infer
    from stratum.testing import Reply, assert_spent, scripted

    @infer(intent="Name a colour")
    def colour(of: str) -> str: ...
"""


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRATUM_BASE_URL", "OPENAI_BASE_URL", "STRATUM_REPLAY", "STRATUM_MODEL", "STRATUM_PRICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")


def suite(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_colours=STEPS + tests)
    return pytester.runpytest_inprocess("-p", "stratum.testing.plugin", "-o", "trio_mode=true", *options)


def test_a_scripted_provider_answers_and_its_cost_is_asserted(pytester: pytest.Pytester) -> None:
    done = suite(
        pytester,
        """
    @pytest.fixture
    def stratum_provider():
        return scripted("red", "blue")

    async def test_both(stratum_runtime, stratum_provider):
        assert [await colour("a rose"), await colour("the sky")] == ["red", "blue"]
        assert len(stratum_provider.received) == 2
        assert_spent(stratum_runtime, at_most_usd=0.01)
    """,
    )
    done.assert_outcomes(passed=1)


def test_delays_and_deadlines_take_virtual_time(pytester: pytest.Pytester) -> None:
    done = suite(
        pytester,
        """
    import trio

    @pytest.fixture
    def stratum_provider():
        return scripted(otherwise=Reply(value="red", delay_s=3600))

    @flow(budget=Budget(ms=1_800_000))
    async def slow() -> str:
        return await colour("a rose")

    async def test_half_an_hour(autojump_clock, stratum_runtime):
        started = trio.current_time()
        with pytest.raises(BudgetExceeded):
            await slow()
        assert trio.current_time() - started == pytest.approx(1800)
    """,
    )
    done.assert_outcomes(passed=1)


def test_a_real_model_is_refused_by_default_and_the_refusal_says_what_to_do(pytester: pytest.Pytester) -> None:
    tests = """
    from stratum import open_runtime
    from stratum.providers import OpenAI
    from stratum.testing import NetworkRefused

    async def test_by_accident():
        async with open_runtime(provider=OpenAI("key"), journal=None):
            await colour("a rose")
    """
    done = suite(pytester, tests)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*NetworkRefused*tests call no model over the network; script or replay*"])


@pytest.mark.parametrize(("mark", "option"), [("", "--stratum-network"), ("@pytest.mark.stratum_network", "-q")])
def test_the_network_is_there_for_who_asks(pytester: pytest.Pytester, mark: str, option: str) -> None:
    tests = f"""
    from stratum.engine.providers.real_network import network_allowed

    {mark}
    def test_allowed():
        assert network_allowed.get()
    """
    suite(pytester, tests, option, "--strict-markers").assert_outcomes(passed=1)


def test_a_server_on_this_machine_is_not_the_network(pytester: pytest.Pytester, tmp_path: Path) -> None:
    with serve_process(tmp_path / "bills", "--arguments", '{"value": "green"}') as server:
        tests = f"""
    from stratum import open_runtime
    from stratum.providers import OpenAI

    async def test_local():
        async with open_runtime(provider=OpenAI("key", "{server.url}"), journal=None):
            assert await colour("grass") == "green"
    """
        suite(pytester, tests).assert_outcomes(passed=1)


def test_what_is_recorded_once_is_replayed_without_the_model(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = """
    async def test_grass(stratum_runtime):
        assert await colour("grass") == "green"
    """
    with serve_process(tmp_path / "bills", "--arguments", '{"value": "green"}') as server:
        monkeypatch.setenv("STRATUM_BASE_URL", server.url)
        monkeypatch.setenv("STRATUM_MODEL", "house")
        suite(pytester, tests).assert_outcomes(failed=1)
        assert server.bills() == []
        suite(pytester, tests, "--stratum-record").assert_outcomes(passed=1)
        suite(pytester, tests, "--stratum-record").assert_outcomes(passed=1)
        assert len(server.bills()) == 1
    monkeypatch.delenv("STRATUM_BASE_URL")
    assert (pytester.path / "recordings" / "test_colours" / "test_grass.jsonl").exists()
    suite(pytester, tests).assert_outcomes(passed=1)


def test_a_test_that_has_no_recording_is_told_how_to_get_one(pytester: pytest.Pytester) -> None:
    done = suite(
        pytester,
        """
    async def test_grass(stratum_runtime):
        await colour("grass")
    """,
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*NoRecording*test_grass.jsonl does not exist; run pytest --stratum-record once*"])


@infer(intent="Name a colour", max_output_tokens=100)
def colour() -> str: ...


async def test_spending_is_compared_to_the_picodollar() -> None:
    price = Price.per_million(input=0, output=0, per_request=0.001)
    async with open_runtime(provider=scripted(otherwise=Reply(value="red"), price=price), journal=None) as runtime:
        assert_spent(runtime, usd=0, tokens=0)
        await colour()
        await colour()
        assert_spent(runtime, usd=0.002, at_most_usd=0.002, tokens=spent(runtime).tokens)
        assert spent(runtime).in_doubt_usd == 0
        with pytest.raises(AssertionError, match=r"spent 0\.002 USD and \d+ tokens, not 0\.0020000001 USD"):
            assert_spent(runtime, usd=0.0020000001)
        with pytest.raises(AssertionError, match=r"more than 0\.001 USD"):
            assert_spent(runtime, at_most_usd=0.001)
        with pytest.raises(AssertionError, match="not 1 tokens"):
            assert_spent(runtime, tokens=1)
        with pytest.raises(AssertionError, match="more than 1 tokens"):
            assert_spent(runtime, at_most_tokens=1)


async def test_what_a_tenant_spent_is_its_own() -> None:
    price = Price.per_million(input=0, output=0, per_request=0.001)
    async with open_runtime(provider=scripted(otherwise=Reply(value="red"), price=price), journal=None) as runtime:
        tenant = runtime.tenant("acme")
        await tenant.run(colour)
        await colour()
        assert_spent(tenant, usd=0.001)
        assert_spent(runtime, usd=0.002)
