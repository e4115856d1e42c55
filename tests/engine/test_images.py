"""Images as arguments: on the wire as images, in the books as tokens, in the journal as what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.test_image import PNG, URL, Page
from tests.fakes.behaviours import answers
from tests.fakes.openai_server import Exchange, open_server

from stratum import (
    Budget,
    BudgetExceeded,
    ContractDefinitionError,
    ContractViolation,
    Image,
    Price,
    ProviderError,
    Usage,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.contracts.image import Detail
from stratum.contracts.records import CallFinished, Reserved
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.pricing.tokens import IMAGE_TOKENS, LEAST_IMAGE_TOKENS, exact_bound, image_tokens, input_bound
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.replay import replay
from stratum.engine.providers.scripted import Reply, scripted
from stratum.plans import Approvals, Functions, open_plans, read_plan

PRICE = Price.per_million(input=2, output=8)
CAT, DOG = Image(PNG), Image(PNG + b"\x00", detail="low")
LARGE = Image(PNG + bytes(3_000_000))


@infer(intent="Compare {before} with {after}", model="gpt-4o", max_output_tokens=100)
def compare(after: Image, before: Image, also: list[Image], note: str = "as usual") -> str: ...


@infer(intent="Read the page", model="gpt-4o", max_output_tokens=100, ensure=lambda r: r != "no")
def read(page: Page) -> str: ...


@infer(intent="What is it?", model="gpt-4o", max_output_tokens=100)
def look(photo: Image) -> str: ...


def sized(width: int, height: int, *, detail: Detail = "auto") -> Image:
    return Image(PNG[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + PNG[24:], detail=detail)


def input_items(body: bytes) -> list[dict[str, Any]]:
    request = json.loads(body)
    items: list[dict[str, Any]] = request.get("input") or request["messages"]
    return items


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_images_go_as_images_after_the_text_that_counts_them(api: Any) -> None:
    async with open_server(answers(b'{"value":"same"}', usage=Usage(input_tokens=900, output_tokens=9))) as server:
        provider = OpenAI("key", server.url, api=api, price=PRICE)
        async with open_runtime(provider=provider, journal=None, budget=Budget(usd=0.02)):
            assert await compare(CAT, before=DOG, also=[CAT, Image(url=URL)]) == "same"
    instructions, user = input_items(server.requests[0])
    text = 'after: [image 1]\nbefore: [image 2]\nalso: ["[image 1]","[image 3]"]\nnote: as usual'
    assert instructions["content"] == "Compare [image 2] with [image 1]"
    images = [(CAT.wire_url, "auto"), (DOG.wire_url, "low"), (URL, "auto")]
    if api == "responses":
        assert user["content"] == [
            {"type": "input_text", "text": text},
            *({"type": "input_image", "image_url": url, "detail": detail} for url, detail in images),
        ]
    else:
        assert user["content"] == [
            {"type": "text", "text": text},
            *({"type": "image_url", "image_url": {"url": url, "detail": detail}} for url, detail in images),
        ]


@pytest.mark.parametrize("dialect", [ResponsesDialect(), ChatDialect(), ChatDialect("json_schema")])
async def test_a_retry_begins_with_the_bytes_of_the_request_before(dialect: Any) -> None:
    provider = scripted("no", "a page", dialect=dialect)
    page = Page(number=1, scan=CAT, thumbnail=DOG)
    async with open_runtime(provider=provider, journal=None):
        assert await read(page) == "a page"
    first, second = (request.body for request in provider.requests)
    assert second.startswith(first.removesuffix(b"]}"))
    assert provider.received[1].inputs == 'page: {"number":1,"scan":"[image 1]","thumbnail":"[image 2]"}'
    assert provider.received[1].images == (CAT.wire_url, DOG.wire_url)
    assert len(provider.received[1].messages) == 1


def test_an_image_counts_as_its_tokens_and_not_as_its_bytes() -> None:
    body = b'{"input":"' + LARGE.wire_url.encode() + b'","text":"word word word word word word"}'
    text = len(body) - len(LARGE.wire_url)
    assert input_bound("gpt-4o", body, [LARGE]) == text + IMAGE_TOKENS["gpt-4o"] + 64
    exact = exact_bound("gpt-4o", body, [LARGE])
    assert IMAGE_TOKENS["gpt-4o"] + 64 < exact < input_bound("gpt-4o", body, [LARGE])


def test_a_text_that_names_an_images_url_counts_as_text() -> None:
    """Else a call could be sent that its budget does not cover."""
    image = Image(url="https://example.com/cat.png")
    once = b'{"input":"https://example.com/cat.png","text":""}'
    often = b'{"input":"https://example.com/cat.png","text":"' + b"https://example.com/cat.png " * 100 + b'"}'
    assert exact_bound("gpt-4o", often, [image]) > exact_bound("gpt-4o", once, [image]) + 500


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-5.1", 1844),
        ("gpt-5.4", 2500 * 1.2),
        ("gpt-5.4-nano-2026-03-17", 3779),
        ("gpt-4o", 85 + 8 * 170),
        ("gpt-4o-2024-08-06", 85 + 8 * 170),
        ("gpt-4o-mini-2024-07-18", 2833 + 8 * 5667),
        ("gpt-4.1-mini", 2489),
        ("openai/gpt-5-nano", 3779),
        ("o4-mini", 2642),
        ("ft:gpt-4.1-mini", 2489),
    ],
)
def test_the_bound_of_an_image_is_that_of_the_models_largest(model: str, tokens: int) -> None:
    for image in (CAT, LARGE, Image(url=URL), sized(65_535, 65_535)):
        assert image_tokens(model, image) == tokens


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.50", "gpt-5.6-sol", "gpt-6.1-sol", "house-7b"])
@pytest.mark.parametrize(
    ("image", "tokens"),
    [
        (sized(1, 1), LEAST_IMAGE_TOKENS),
        (sized(1024, 1024), LEAST_IMAGE_TOKENS),
        (sized(4000, 3000), 28_905),  # 125 by 94 patches
        (sized(4001, 3009), 29_447),  # 126 by 95
        (sized(65_535, 65_535), 73_800),
        (sized(4000, 3000, detail="low"), LEAST_IMAGE_TOKENS),
        (Image(url=URL), 73_800),
        (Image(url=URL, detail="low"), LEAST_IMAGE_TOKENS),
        (Image(PNG[:20]), 73_800),
    ],
)
def test_of_any_other_model_it_is_as_large_as_the_image(model: str, image: Image, tokens: int) -> None:
    assert image_tokens(model, image) == tokens


async def test_the_most_an_image_can_cost_is_reserved_and_what_it_did_cost_is_booked() -> None:
    provider = scripted(Reply(value="a cat", usage=Usage(input_tokens=1400, output_tokens=10)), price=PRICE)
    async with open_runtime(provider=provider, journal=None, budget=Budget(usd=0.006)) as runtime:
        quote = runtime.quote(look, LARGE)
        await look(LARGE)
        records = await runtime.journal.read(runtime.session)
        assert runtime.place.envelope.scope.settled.picousd == 1400 * 2_000_000 + 10 * 8_000_000
    (reserved,) = (record for record in records if isinstance(record, Reserved))
    assert quote is not None
    assert reserved.picousd == quote.picousd
    assert 1445 < quote.input_tokens < 2500


async def test_an_image_that_a_budget_does_not_afford_is_not_sent() -> None:
    provider = scripted(otherwise="a cat", price=PRICE)
    with pytest.raises(BudgetExceeded):
        async with open_runtime(provider=provider, journal=None, budget=Budget(usd=0.002)):
            await look(CAT)
    assert provider.requests == []


async def test_a_provider_that_takes_no_images_refuses_before_anything_is_reserved() -> None:
    provider = scripted(
        otherwise="a cat", dialect=ChatDialect("json_schema", cap_field="max_tokens", takes_images=False)
    )
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(ProviderError, match=r"look has an image, and no model of this provider sees; use a pro"):
            await look(CAT)
        records = await runtime.journal.read(runtime.session)
    assert provider.requests == []
    assert not [record for record in records if isinstance(record, Reserved)]


def test_the_embedded_model_takes_none() -> None:
    from stratum.engine.providers.local import Local

    assert not Local().dialect.takes_images


async def test_neither_trace_nor_journal_of_a_call_has_the_image(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    async with open_runtime(provider=scripted("a page"), journal=journal) as runtime:
        await read(Page(number=1, scan=LARGE, thumbnail=Image(url=URL)))
        records = await runtime.journal.read(runtime.session)
    (finished,) = (record for record in records if isinstance(record, CallFinished))
    assert finished.trace.inputs == {
        "page": {
            "number": 1,
            "scan": f"image/png 3.0 MB sha256:{LARGE.digest[:12]}",
            "thumbnail": f"image https://pictures.example/cat.png sha256:{Image(url=URL).digest[:12]}",
        }
    }
    stored = journal.read_bytes()
    assert len(stored) < 300_000
    assert b"s3cr3t" not in stored


async def test_calls_with_different_images_are_different_calls() -> None:
    @infer(intent="What is it?", model="gpt-4o", cache="session")
    def look_once(photo: Image) -> str: ...

    provider = scripted("a cat", "a dog", "a small cat")
    async with open_runtime(provider=provider, journal=None):
        seen = [await look_once(image) for image in (CAT, DOG, CAT, Image(PNG, detail="low"))]
    assert seen == ["a cat", "a dog", "a cat", "a small cat"]


@compute
def drawn() -> Image:
    return DOG


@flow
async def describe(photo: Image) -> list[str]:
    return [await look(photo), await look(await drawn())]


async def test_a_flow_that_was_given_an_image_and_one_that_made_one_are_resumed(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    broken = scripted("a cat", Reply(value=ProviderError(provider="p", message="out")), "never")
    async with open_runtime(provider=broken, journal=journal) as runtime:
        with pytest.raises(ProviderError):
            await describe(CAT)
        (run,) = [run.run for run in await runtime.journal.runs() if run.name == "describe"]
    again = scripted("a dog")
    async with open_runtime(provider=again, journal=journal) as runtime:
        assert await runtime.resume(describe, run) == ["a cat", "a dog"]
    assert again.received[0].images == (DOG.wire_url,)


async def test_a_plans_step_takes_an_image_by_its_url(tmp_path: Path) -> None:
    plan = f"""
    goal: Look
    steps:
    - {{id: "1", fn: drawn}}
    - {{id: "2", fn: compare, inputs: {{after: "{URL}#detail=low", before: $.steps.1.output, also: ["{URL}"]}}}}
    """
    provider = scripted("different")
    async with (
        open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime,
        open_plans(
            runtime,
            functions=Functions([compare, drawn]),
            workspace=tmp_path,
            approvals=Approvals(tmp_path, folder=tmp_path / "state"),
        ) as plans,
    ):
        draft = await plans.propose(read_plan(plan), by="ada")
        plans.approvals.approve(draft.digest, by="ada", how="python")
        run = await plans.start(draft.run)
        await run.result()
    (received,) = provider.received
    assert received.images == (URL, DOG.wire_url, URL)  # the first one in low detail
    assert received.inputs.startswith("after: [image 1]\nbefore: [image 2]\n")


async def test_a_recording_is_known_by_its_image_and_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "recordings.jsonl"
    for image, says in ((CAT, "a cat"), (LARGE, "a large cat")):
        async with open_runtime(provider=replay(path, record=scripted(says)), journal=None):
            await look(image)
    assert path.stat().st_size < 10_000
    async with open_runtime(provider=replay(path), journal=None):
        assert [await look(image) for image in (LARGE, CAT)] == ["a large cat", "a cat"]
        with pytest.raises(Exception, match="has no attempt 1 of look with these inputs"):
            await look(DOG)


def test_a_model_is_not_asked_for_an_image() -> None:
    @contract
    class Drawing:
        title: str
        picture: Image

    for returned in (Image, list[Image], Drawing):

        def draw(what: str) -> Any: ...

        draw.__annotations__["return"] = returned
        with pytest.raises(ContractDefinitionError, match=r"draw\.return: a model answers in text, and cannot return"):
            infer(intent="Draw it")(draw)


@pytest.mark.parametrize("annotation", [bytes, bytes | None, list[bytes]])
def test_bytes_as_an_argument_are_refused_with_what_to_do(annotation: Any) -> None:
    def classify(photo: Any) -> str: ...

    classify.__annotations__["photo"] = annotation
    with pytest.raises(ContractDefinitionError, match=r"classify\.photo: a model reads no bytes; write stratum\.Image"):
        infer(intent="Classify it")(classify)


async def test_bytes_in_a_contract_are_base64_as_ever() -> None:
    @contract
    class Blob:
        raw: bytes

    @infer(intent="Read it")
    def decode(blob: Blob) -> str: ...

    provider = scripted("ok")
    async with open_runtime(provider=provider, journal=None):
        await decode(Blob(raw=b"hello"))
    assert provider.received[0].inputs == 'blob: {"raw":"aGVsbG8="}'


async def test_bytes_passed_for_an_image_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(ContractViolation, match=r"photo: expected an Image: wrap the bytes in stratum\.Image"):
        look(PNG)  # type: ignore[arg-type]


async def test_a_fault_server_sees_one_body_of_an_image_on_each_try(autojump_clock: Any) -> None:
    seen: list[int] = []
    good = answers(b'{"value":"a cat"}', usage=Usage(input_tokens=900, output_tokens=9))

    async def once_busy(exchange: Exchange) -> None:
        seen.append(len(exchange.body))
        if len(seen) == 1:
            await exchange.respond(b"{}", status=503)
        else:
            await good(exchange)

    async with (
        open_server(once_busy) as server,
        open_runtime(provider=OpenAI("key", server.url, price=PRICE), journal=None),
    ):
        assert await look(LARGE) == "a cat"
    assert seen == [seen[0]] * 2
    assert seen[0] > 4_000_000
