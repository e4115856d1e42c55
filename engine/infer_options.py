"""What `@infer` is told, looked at while decorating: nothing has been asked yet. Raises `ContractDefinitionError`."""

from __future__ import annotations

import math
from typing import Any

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.signature import Signature


def check_texts(owner: str, *, intent: object, context: object) -> None:
    if not isinstance(intent, str):
        raise ContractDefinitionError(owner=owner, problem=f"intent={intent!r}", fix="pass a text")
    if not intent.strip():
        raise ContractDefinitionError(
            owner=owner, problem="intent is empty", fix="say in a sentence what the model must do"
        )
    several = context if isinstance(context, (list, tuple)) else () if context is None else (context,)
    if not all(isinstance(text, str) for text in several):
        raise ContractDefinitionError(owner=owner, problem=f"context={context!r}", fix="pass a text, or a list of them")


def check_numbers(owner: str, *, retries: int, max_output_tokens: int | None, temperature: object) -> None:
    if type(retries) is not int or retries < 0:
        raise ContractDefinitionError(owner=owner, problem=f"retries={retries!r}", fix="pass a whole number, 0 or more")
    if max_output_tokens is not None and (type(max_output_tokens) is not int or max_output_tokens < 1):
        raise ContractDefinitionError(
            owner=owner, problem=f"max_output_tokens={max_output_tokens!r}", fix="pass a whole number, 1 or more"
        )
    # Which numbers make sense is the provider's to say.
    if temperature is not None and not (
        isinstance(temperature, (int, float)) and not isinstance(temperature, bool) and math.isfinite(temperature)
    ):
        raise ContractDefinitionError(owner=owner, problem=f"temperature={temperature!r}", fix="pass a number, as 0.2")


def check_returns(signature: Signature[Any]) -> None:
    if signature.returns.holds_image:
        raise ContractDefinitionError(
            owner=signature.name,
            field="return",
            problem="a model answers in text, and cannot return an Image",
            fix="return what it says about one, or make the image in a @compute",
        )


def check_sampling(
    owner: str, *, quorum: object, agree_on: object, threshold: object, stable: object, cache: object
) -> None:
    """The options by which a call is asked more than once, or not at all."""
    if quorum is None and (agree_on is not None or threshold is not None):
        raise ContractDefinitionError(
            owner=owner, problem="agree_on and threshold are a quorum's", fix="pass quorum=N as well"
        )
    if cache not in (None, "session", "global"):
        raise ContractDefinitionError(owner=owner, problem=f"cache={cache!r}", fix='pass "session" or "global"')
    if cache is not None and (quorum is not None or stable is not None):
        raise ContractDefinitionError(
            owner=owner,
            problem="a cache makes all samples the same one",
            fix="drop cache=, or quorum= and stable=",
        )
    if quorum is not None and stable is not None:
        raise ContractDefinitionError(
            owner=owner, problem="quorum and stable exclude each other", fix="pass one of them"
        )
