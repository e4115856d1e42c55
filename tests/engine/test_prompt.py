"""What a request says, and that it says the same each time. The functions here are signatures: nothing calls them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.opaque import opaque
from stratum.contracts.signature import Signature
from stratum.engine.dialects.protocol import Prompt
from stratum.engine.prompt import PromptTemplate


class Tone(Enum):
    FORMAL = "formal"


@contract
class Spec:
    title: str
    limits: list[int]
    key: opaque[str] = "k3y"


@contract
class Wrapper:
    spec: Spec
    stamp: date


def review(text: str, spec: Spec, strict: bool) -> bool:
    raise NotImplementedError


def template(function: Any = review, intent: str = "Review the text", context: Any = None) -> PromptTemplate:
    return PromptTemplate.compile(intent, context, Signature[Any].of(function))


ARGUMENTS = {"text": "one\ntwo", "spec": Spec(title="T", limits=[1, 2], key="hidden"), "strict": True}


def test_the_order_is_intent_contexts_inputs_and_attachment() -> None:
    """CASES B1, C4."""
    compiled = template(context=["Be brief.", "Be kind."])
    assert compiled.instructions == "Review the text\n\nBe brief.\n\nBe kind."
    assert compiled.render(ARGUMENTS) == Prompt(
        inputs='text: one\ntwo\nspec: {"title":"T","limits":[1,2]}\nstrict: true\nSee attached data for: spec',
        attachment='{"spec":{"key":"hidden"}}',
    )


def test_one_context_may_be_a_plain_text() -> None:
    assert template(context="Be brief.").instructions == "Review the text\n\nBe brief."


def test_the_same_inputs_give_the_same_bytes_and_hash() -> None:
    """CASES B2."""
    first, second = template(), template()
    copies = {**ARGUMENTS, "spec": Spec(title="T", limits=[1, 2], key="hidden")}
    assert first.render(ARGUMENTS) == second.render(copies)
    digest = first.hash(first.render(ARGUMENTS))
    assert digest == second.hash(second.render(copies))
    assert len(digest) == 12 and int(digest, 16) >= 0


@pytest.mark.parametrize("change", [{"text": "one\nTwo"}, {"spec": Spec(title="T", limits=[1, 2], key="other")}])
def test_other_inputs_also_opaque_ones_give_another_hash(change: dict[str, Any]) -> None:
    """CASES B2."""
    compiled = template()
    assert compiled.hash(compiled.render(ARGUMENTS)) != compiled.hash(compiled.render({**ARGUMENTS, **change}))


def test_another_intent_gives_another_hash() -> None:
    prompt = template().render(ARGUMENTS)
    assert template().hash(prompt) != template(intent="Other").hash(prompt)


def test_the_schema_is_no_part_of_the_prompt() -> None:
    """CASES B2."""

    def grade(text: str) -> Literal["excellent", "unacceptable"]:
        raise NotImplementedError

    prompt = template(grade).render({"text": "x"})
    assert "excellent" not in prompt.inputs + template(grade).instructions + prompt.attachment


def test_opaque_arguments_are_attached_by_name_in_order() -> None:
    """CASES C2."""

    def merge(b: opaque[str], a: opaque[str], c: int) -> int:
        raise NotImplementedError

    prompt = template(merge).render({"b": "Bee", "a": "Ay", "c": 3})
    assert prompt.inputs == "c: 3\nSee attached data for: a, b"
    assert prompt.attachment == '{"a":"Ay","b":"Bee"}'


def test_opaque_contracts_dates_and_bytes_are_attached_as_json() -> None:
    """CASES C5."""

    def read(doc: opaque[Wrapper], when: opaque[datetime], raw: opaque[bytes], nothing: opaque[str | None]) -> int:
        raise NotImplementedError

    doc = Wrapper(spec=Spec(title="T", limits=[], key="k"), stamp=date(2026, 11, 22))
    when = datetime(2026, 11, 22, 8, tzinfo=UTC)
    prompt = template(read).render({"doc": doc, "when": when, "raw": b"\xff\x00", "nothing": None})
    assert prompt.inputs == "See attached data for: doc, nothing, raw, when"
    assert json.loads(prompt.attachment) == {
        "doc": {"spec": {"title": "T", "limits": [], "key": "k"}, "stamp": "2026-11-22"},
        "when": "2026-11-22T08:00:00Z",
        "raw": "/wA=",
        "nothing": None,
    }


def test_an_opaque_field_deep_in_a_list_is_attached_at_its_place() -> None:
    """CASES C4."""

    def read(docs: list[Wrapper]) -> int:
        raise NotImplementedError

    docs = [Wrapper(spec=Spec(title="T", limits=[], key="k"), stamp=date(2026, 1, 1))]
    prompt = template(read).render({"docs": docs})
    assert (
        prompt.inputs == 'docs: [{"spec":{"title":"T","limits":[]},"stamp":"2026-01-01"}]\nSee attached data for: docs'
    )
    assert prompt.attachment == '{"docs":[{"spec":{"key":"k"}}]}'


def test_texts_are_raw_and_other_values_compact_json() -> None:
    def show(text: str, tone: Tone, when: date, ratio: float, tags: set[str], none: str | None) -> int:
        raise NotImplementedError

    values = {"text": 'say "hi"', "tone": Tone.FORMAL, "when": date(2026, 1, 2), "ratio": 0.5, "tags": {"b", "a"}}
    assert template(show).render({**values, "none": None}).inputs == (
        'text: say "hi"\ntone: formal\nwhen: 2026-01-02\nratio: 0.5\ntags: ["a","b"]\nnone: null'
    )


def test_dicts_of_equal_content_are_written_alike() -> None:
    """CASES B2: a resumed run reads its inputs back in sorted order."""

    def show(scores: dict[str, int]) -> int:
        raise NotImplementedError

    compiled = template(show)
    assert compiled.render({"scores": {"b": 1, "a": 2}}) == compiled.render({"scores": {"a": 2, "b": 1}})


def test_arguments_and_fields_named_in_braces_are_filled_in() -> None:
    compiled = template(intent="Review {spec.title} ({spec.limits})", context="Strict: {strict}; {text}")
    prompt = compiled.render(ARGUMENTS)
    assert prompt.instructions == "Review T ([1,2])\n\nStrict: true; one\ntwo"
    assert prompt.inputs.startswith("text: one\ntwo\n")
    assert compiled.instructions == "Review … (…)\n\nStrict: …; …"
    assert compiled.hash(prompt) != compiled.hash(compiled.render({**ARGUMENTS, "strict": False}))


def test_a_whole_contract_in_braces_leaves_its_opaque_fields_out() -> None:
    """CASES C3."""
    assert template(intent="{spec}").render(ARGUMENTS).instructions == '{"title":"T","limits":[1,2]}'


@pytest.mark.parametrize(
    ("intent", "says"),
    [
        ('Answer like {"a": {"b": 1}}', 'Answer like {"a": {"b": 1}}'),
        ("{unknown} {} { text } {0}", "{unknown} {} { text } {0}"),
        ("{{text}} and {{", "{text} and {"),
        ("{{", "{"),
        ("{text", "{text"),
    ],
)
def test_other_braces_are_left_as_they_are(intent: str, says: str) -> None:
    compiled = template(intent=intent)
    assert compiled.instructions == says
    assert compiled.render(ARGUMENTS).instructions is None


@pytest.mark.parametrize(
    ("intent", "message"),
    [
        ("{spec.key}", "`{spec.key}` is opaque: it reaches the model as an attachment only"),
        ("{spec.titel}", "`{spec.titel}`: spec has no field 'titel'; did you mean 'title'?"),
        ("{text.upper}", "`{text.upper}`: text has no field 'upper'; its fields are: (none)"),
        ("{spec.title.x}", "spec.title has no field 'x'"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(intent: str, message: str) -> None:
    """CASES C3."""
    with pytest.raises(ContractDefinitionError) as caught:
        template(intent=intent)
    assert str(caught.value).startswith("review.intent: ") and message in str(caught.value)


def test_an_opaque_argument_in_intent_or_context_is_refused() -> None:
    """CASES C3."""

    def read(secret: opaque[str], doc: opaque[Spec]) -> int:
        raise NotImplementedError

    for name in ("{secret}", "{doc.title}"):
        with pytest.raises(ContractDefinitionError, match="is opaque"):
            template(read, intent=name)
        with pytest.raises(ContractDefinitionError, match="is opaque"):
            template(read, context=["fine", name])


@given(text=st.text(), intent=st.text())
def test_no_text_in_intent_or_inputs_breaks_a_prompt(text: str, intent: str) -> None:
    def read(text: str) -> int:
        raise NotImplementedError

    compiled = template(read, intent=intent.replace("{text", "{"))
    prompt = compiled.render({"text": text})
    assert prompt.inputs == f"text: {text}"
    assert prompt.attachment == ""
