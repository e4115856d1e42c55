"""The embedded model for real: weights from the network if they are not here yet, llama.cpp, a constrained answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import trio
from tests.own_model import open_llama

from stratum.contracts.errors import ModelUnavailable
from stratum.engine.local.server import Endpoint, LocalModel
from stratum.engine.local.weights import fetch

pytestmark = pytest.mark.e2e

SCHEMA = {
    "type": "object",
    "properties": {
        "queue": {"type": "string", "enum": ["cards", "loans", "fraud"]},
        "quote": {"type": "string", "maxLength": 40},
    },
    "required": ["queue", "quote"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def smallest() -> Path:
    return trio.run(fetch, "smollm2")


def request(text: str, *, seed: int = 1) -> dict[str, object]:
    return {
        "messages": [{"role": "user", "content": f"Route this complaint and quote it.\n\n{text}"}],
        "max_tokens": 80,
        "temperature": 1.0,
        "seed": seed,
        "response_format": {"type": "json_schema", "json_schema": {"name": "Route", "strict": True, "schema": SCHEMA}},
    }


@asynccontextmanager
async def client_of(endpoint: Endpoint) -> AsyncGenerator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    async with httpx2.AsyncClient(base_url=endpoint.base_url, headers=headers, timeout=300, trust_env=False) as client:
        yield client


def exists(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")")[1].split()[0] != "Z"


async def wait_until_gone(pid: int) -> None:
    with trio.fail_after(300):
        while exists(pid):
            await trio.sleep(0.05)


async def test_answers_fit_the_schema_with_more_in_flight_than_slots(smallest: Path) -> None:
    answers: list[dict[str, str]] = []
    async with open_llama(smallest, slots=2, context_tokens=512) as endpoint, client_of(endpoint) as client:

        async def ask(seed: int) -> None:
            answer = (await client.post("/chat/completions", json=request("My card was stolen.", seed=seed))).json()
            assert answer["model"] == endpoint.model
            assert answer["choices"][0]["finish_reason"] == "stop"
            assert answer["usage"]["completion_tokens"] > 0
            answers.append(json.loads(answer["choices"][0]["message"]["content"]))

        async with trio.open_nursery() as nursery:
            for seed in range(6):
                nursery.start_soon(ask, seed)

    assert len(answers) == 6
    for answer in answers:
        assert set(answer) == {"queue", "quote"}
        assert answer["queue"] in ("cards", "loans", "fraud")
        assert len(answer["quote"]) <= 40


async def test_only_the_token_gets_an_answer_and_no_page_of_a_browser_does(smallest: Path) -> None:
    async with open_llama(smallest, slots=1, context_tokens=512) as endpoint, client_of(endpoint) as client:
        url = "/chat/completions"
        without = await client.post(url, json=request("x"), headers={"Authorization": ""})
        wrong = await client.post(url, json=request("x"), headers={"Authorization": "Bearer guess"})
        foreign = await client.get("/models", headers={"Origin": "http://evil.example"})
        site = await client.get(endpoint.base_url.removesuffix("/v1") + "/")
        slots = await client.get(endpoint.base_url.removesuffix("/v1") + "/slots")

    assert (without.status_code, wrong.status_code) == (401, 401)
    assert foreign.headers.get("access-control-allow-origin", "") == ""
    assert site.status_code == 404, "no web interface"
    assert slots.status_code == 501, "nobody's prompts are shown"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's table of sockets")
async def test_it_listens_on_the_loopback_interface_only(smallest: Path) -> None:
    model = LocalModel(smallest, slots=1, context_tokens=512)
    try:
        await model.endpoint()
        sockets = {os.readlink(link) for link in Path(f"/proc/{model.pid}/fd").iterdir() if link.is_symlink()}
        inodes = {name[8:-1] for name in sockets if name.startswith("socket:[")}
        tables = "".join(Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6"))
        rows = [line.split() for line in tables.splitlines()]
        listening = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
    finally:
        model.close()

    assert len(listening) == 1
    assert listening[0].startswith("0100007F:")


async def test_a_prompt_beyond_the_context_is_refused_not_cut(smallest: Path) -> None:
    async with open_llama(smallest, slots=1, context_tokens=256) as endpoint, client_of(endpoint) as client:
        answer = await client.post("/chat/completions", json=request("money " * 400))

    assert answer.status_code == 400
    assert "context" in answer.json()["error"]["message"]


async def test_a_cancelled_request_frees_its_slot(smallest: Path) -> None:
    async with open_llama(smallest, slots=1, context_tokens=2048) as endpoint, client_of(endpoint) as client:
        endless = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1900, "ignore_eos": True}
        with trio.move_on_after(1) as hurry:
            await client.post("/chat/completions", json=endless)
        assert hurry.cancelled_caught
        with trio.fail_after(300):
            assert (await client.post("/chat/completions", json=request("again"))).status_code == 200


@pytest.mark.parametrize("moment", ["loading", "ready"])
async def test_kill_9_of_the_parent_leaves_nothing(smallest: Path, moment: str) -> None:
    parent = f"""
import os, sys, trio
from pathlib import Path
from stratum.engine.local.server import LocalModel
model = LocalModel(Path({str(smallest)!r}))
async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.endpoint)
        while model.pid is None:
            await trio.sleep(0.001)
        if {moment == "ready"}:
            await model.endpoint()
        os.write(1, str(model.pid).encode())
        await trio.sleep_forever()
trio.run(main)
"""
    process = await trio.lowlevel.open_process([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with process.stdout:
        pid = int(await process.stdout.receive_some())
        assert exists(pid)
        process.kill()
        await process.wait()

    await wait_until_gone(pid)


async def test_a_flow_that_just_ends_leaves_nothing(smallest: Path) -> None:
    program = f"""
import trio
from pathlib import Path
from stratum.engine.local.server import local_model
model = local_model(Path({str(smallest)!r}))
trio.run(model.endpoint)
trio.run(model.endpoint)
print(model.pid)
"""
    done = await trio.run_process([sys.executable, "-c", program], capture_stdout=True)

    assert not exists(int(done.stdout))


async def test_ctrl_c_in_the_terminal_leaves_the_decision_to_the_parent(smallest: Path) -> None:
    model = LocalModel(smallest, slots=1, context_tokens=512)
    try:
        endpoint = await model.endpoint()
        assert model.pid is not None
        os.kill(model.pid, signal.SIGINT)
        async with client_of(endpoint) as client:
            assert (await client.post("/chat/completions", json=request("still there?"))).status_code == 200
    finally:
        model.close()


async def test_it_dies_in_use_and_the_next_call_has_another(smallest: Path) -> None:
    model = LocalModel(smallest, slots=1, context_tokens=512)
    try:
        first = await model.endpoint()
        assert model.pid is not None
        os.kill(model.pid, signal.SIGKILL)
        async with client_of(first) as client:
            with pytest.raises(httpx2.TransportError):
                await client.post("/chat/completions", json=request("lost"))
        with trio.fail_after(300):
            while model.running:
                await trio.sleep(0.01)
        second = await model.endpoint()
        async with client_of(second) as client:
            assert (await client.post("/chat/completions", json=request("found"))).status_code == 200
    finally:
        model.close()

    assert first.token != second.token


@pytest.mark.parametrize("damage", ["cut short", "not a model", "missing"])
async def test_weights_that_do_not_load_are_an_error_with_the_loaders_words(
    smallest: Path, tmp_path: Path, damage: str
) -> None:
    weights = tmp_path / "damaged.gguf"
    if damage == "cut short":
        weights.write_bytes(smallest.read_bytes()[:50_000_000])
    elif damage == "not a model":
        weights.write_bytes(b"PK\3\4")
    with pytest.raises(
        ModelUnavailable, match=r"(?s)damaged.gguf did not start.*failed to load model.*; check the file"
    ):
        async with open_llama(weights):
            pytest.fail("entered")
