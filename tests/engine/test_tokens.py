"""Bounds of a request's input tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from stratum.contracts.contract import contract
from stratum.contracts.money import limit_picousd
from stratum.contracts.signature import Signature
from stratum.engine.dialects.protocol import CallShape
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.pricing import tokens
from stratum.engine.pricing.published_price import price_of
from stratum.engine.pricing.tokens import REQUEST_TOKENS, exact_bound, excess, input_bound, note_overrun
from stratum.engine.prompt import PromptTemplate

MODELS = ("gpt-4o-mini", "gpt-4", "gpt-3.5-turbo", "gpt-6.1-sol", "o3", "openai/gpt-5", "qwen3", "")


text = st.one_of(st.text(max_size=400), st.text(alphabet='\n\t "\\{}é漢👍🏽\x00', max_size=400))


@given(text=text, model=st.sampled_from(MODELS))
def test_the_exact_bound_is_never_above_the_bound_by_bytes(text: str, model: str) -> None:
    """BUDGETS rule 1: UTF-8 bytes are an upper bound for byte-level encodings."""
    body = msgspec.json.encode({"content": text})
    assert exact_bound(model, body) <= input_bound(model, body) == len(body) + REQUEST_TOKENS


@given(text=text, name=st.sampled_from(["o200k_base", "cl100k_base"]))
def test_no_token_is_shorter_than_a_byte_and_json_is_no_shorter_than_the_text(text: str, name: str) -> None:
    """BUDGETS rule 1: what is sent, escaped, bounds what is tokenized."""
    encoding = tokens._encoding(name)  # pyright: ignore[reportPrivateUsage]
    assert encoding.count(text) <= len(text.encode())
    assert encoding.count(text) <= len(msgspec.json.encode(text))


def test_the_exact_bound_covers_the_tokens_of_the_text_the_server_sees() -> None:
    encoding = tokens._encoding("o200k_base")  # pyright: ignore[reportPrivateUsage]
    source = "def f(x):\n\treturn {\n        'a': \"b\\n\",\n    }\n\n\n" * 40
    body = msgspec.json.encode({"input": [{"role": "user", "content": source}]})
    assert encoding.count(source) < exact_bound("gpt-5", body) < input_bound("gpt-5", body) // 2


def test_models_are_counted_in_their_own_encoding() -> None:
    body = "जीवन ".encode() * 50
    assert exact_bound("gpt-4", body) == exact_bound("gpt-4-turbo", body) > exact_bound("gpt-4o", body)
    assert exact_bound("gpt-4.1", body) == exact_bound("gpt-4o", body) == exact_bound("ft:gpt-4o:mine", body)


def test_text_that_is_a_special_token_or_not_utf8_is_counted_as_text() -> None:
    assert exact_bound("gpt-4o", b"<|endoftext|>" * 10) > REQUEST_TOKENS + 30
    assert exact_bound("gpt-4o", b"\xff\xfe" * 10) <= input_bound("gpt-4o", b"\xff\xfe" * 10)


def test_an_overrun_raises_what_is_expected_of_that_model_until_it_suffices() -> None:
    body = b'{"content": "hello hello hello hello"}'
    before, other = exact_bound("behind-a-gateway", body), exact_bound("gpt-4o", body)
    note_overrun("behind-a-gateway", bound=before, actual=3 * before, excess_then=1)
    assert exact_bound("behind-a-gateway", body) >= 3 * before
    now = excess("behind-a-gateway")
    note_overrun("behind-a-gateway", bound=exact_bound("behind-a-gateway", body), actual=9 * before, excess_then=now)
    assert exact_bound("behind-a-gateway", body) >= 9 * before
    assert exact_bound("gpt-4o", body) == other


def test_a_hundred_calls_in_flight_that_tell_the_same_teach_it_once() -> None:
    for _ in range(100):
        note_overrun("behind-a-gateway", bound=100, actual=300, excess_then=1)
    assert 3 <= excess("behind-a-gateway") < 4


def test_one_answer_that_claims_any_number_leaves_a_model_affordable() -> None:
    note_overrun("of-a-liar", bound=100, actual=10**8, excess_then=1)
    assert excess("of-a-liar") == 256


def test_a_request_within_its_bound_teaches_nothing() -> None:
    body = b'{"content": "hello"}'
    before = exact_bound("gpt-4o", body), input_bound("gpt-4o", body)
    note_overrun("gpt-4o", bound=100, actual=100, excess_then=1)
    assert (exact_bound("gpt-4o", body), input_bound("gpt-4o", body)) == before


def test_counting_loads_the_extension_alone_and_leaves_the_package_usable() -> None:
    code = (
        "import sys; from stratum.engine.pricing.tokens import exact_bound;"
        "before = 'bpe_openai' in sys.modules; n = exact_bound('gpt-4o', b'hi there');"
        "loaded = 'bpe_openai' in sys.modules; import bpe_openai;"
        "print([before, n, loaded, bpe_openai.get_encoding('o200k_base').encode('hi there')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed.replace("False", "false")) == [False, 67, False, [3686, 1354]]


def test_of_an_empty_body_what_every_request_adds_is_counted() -> None:
    assert exact_bound("gpt-4o", b"") == REQUEST_TOKENS


@contract
class ContentClassification:
    category: Literal["safe", "review_needed", "blocked"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    reason: str


def classify_content(text: str) -> ContentClassification: ...  # type: ignore[empty-body]  # as users write it


def affordable_output(model: str, *, exact: bool) -> int:
    """Output tokens that SEED.md's `Budget(usd=0.001)` affords for one request of `classify_content`."""
    signature = Signature[Any].of(classify_content)
    prompt = PromptTemplate.compile("Classify whether this content is safe to publish", None, signature)
    call = ResponsesDialect().compile(
        CallShape(
            tool=signature.name,
            description="Return the result: ContentClassification.",
            instructions=prompt.instructions,
            schema=signature.returns.wire_schema,
            model=model,
        )
    )
    conversation = call.conversation(prompt.render({"text": "Buy cheap watches at our site. " * 5}))
    body = call.body(conversation, max_output_tokens=1024)
    input_tokens = exact_bound(model, body) if exact else input_bound(model, body)
    price = price_of(model, provider="openai")
    assert price is not None
    left = limit_picousd(0.001) - price.worst_case(input_tokens=input_tokens, output_tokens=0)
    return left // price.output_rate(input_tokens=input_tokens)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1-nano", "gpt-oss-120b", "gpt-oss-20b"])
def test_the_seeds_small_budget_affords_the_whole_default_cap_of(model: str) -> None:
    """DESIGN 14: SEED.md's small budgets work on current small models; already by counting bytes."""
    assert affordable_output(model, exact=False) >= 1024


@pytest.mark.parametrize(
    ("model", "at_least"),
    [
        ("gpt-5-nano", 2000),
        ("gpt-6-luna", 1500),
        ("gpt-5.6-luna", 700),
        ("gpt-5.4-nano", 700),
        ("gpt-3.5-turbo", 500),
        ("gpt-4.1-mini", 500),
        ("gpt-5-mini", 400),
    ],
)
def test_with_an_exact_count_it_affords_a_shrunk_but_useful_cap_of(model: str, at_least: int) -> None:
    """DESIGN 14: the cap is lowered to what the money affords; these leave room for an answer and some reasoning."""
    assert affordable_output(model, exact=True) >= at_least


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6-sol", "o1", "gpt-4"])
def test_it_affords_no_request_at_all_of(model: str) -> None:
    """BUDGETS rule 3: refused before anything is sent."""
    assert affordable_output(model, exact=True) <= 0
