"""Token counts as providers report them, made into `Usage`; and the tier that they are billed in."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stratum.contracts.price import Usage

NULL = msgspec.Raw(b"null")
"""Stands for an absent part: msgspec does not decode into `Raw | None`."""

Count = Annotated[int, msgspec.Meta(ge=0, le=10**8)]
"""Ten times the longest context there is (2026-11). A larger one is a fault, and its cost may not fit a column of the journal."""


class _InputDetails(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Count | None = None


class _ResponsesUsage(msgspec.Struct):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _ChatUsage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_responses = msgspec.json.Decoder(_ResponsesUsage)
_chat = msgspec.json.Decoder(_ChatUsage)


def responses_usage(reported: msgspec.Raw) -> Usage | None:
    """`None` where it is absent or cannot be true: the caller then counts the whole reservation."""
    try:
        usage = _responses.decode(reported)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _usage(usage.input_tokens, usage.output_tokens, usage.input_tokens_details, usage.output_tokens_details)


def chat_usage(reported: msgspec.Raw) -> Usage | None:
    """`None` where it is absent or cannot be true: the caller then counts the whole reservation."""
    try:
        usage = _chat.decode(reported)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _usage(
        usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details, usage.completion_tokens_details
    )


def as_text(reported: object) -> str:
    """The `id`, `model` or `service_tier` of an answer; servers that are not OpenAI's put anything there."""
    return reported if isinstance(reported, str) else ""


def _usage(
    input_tokens: int, output_tokens: int, inputs: _InputDetails | None, outputs: _OutputDetails | None
) -> Usage | None:
    cached = (inputs and inputs.cached_tokens) or 0
    written = (inputs and inputs.cache_write_tokens) or 0
    # More cached than sent would make the rest negative, and the call look cheaper than it was. Nothing at all is what
    # proxies say that do not know: a request has tokens.
    if cached + written > input_tokens or input_tokens + output_tokens == 0:
        return None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=(outputs and outputs.reasoning_tokens) or 0,
    )
