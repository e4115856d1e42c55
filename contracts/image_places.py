"""`holds_image`: whether a type has room for an `Image`, and none where an image could not be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

from stratum.contracts.annotation import is_contract, strip
from stratum.contracts.contract_field import fields_of
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.image import Image
from stratum.contracts.opaque import OPAQUE

_FIXES: Final = {
    "set": ("a set of images has no order, in which they could be sent", "write list[Image]"),
    "opaque": (
        "an image reaches the model as an image, which opaque[...] rules out",
        "leave Image outside of it: a trace never shows what is in one",
    ),
}


def holds_image(annotation: Any, *, owner: str, field: str) -> bool:
    """Whether a value of the type may hold an image, at its top or within contracts.

    Raises:
        ContractDefinitionError: one within a set, or within something opaque.
    """
    places = set(_places(annotation, beneath="", seen=set()))
    for place, (problem, fix) in _FIXES.items():
        if place in places:
            raise ContractDefinitionError(owner=owner, field=field, problem=problem, fix=fix)
    return bool(places)


def _places(annotation: Any, *, beneath: str, seen: set[tuple[Any, str]]) -> Iterator[str]:
    """For each room for an image, what is around it."""
    if OPAQUE in getattr(annotation, "__metadata__", ()):
        beneath = "opaque"
    annotation = strip(annotation)
    origin = get_origin(annotation)
    if annotation is Image:
        yield beneath
    elif is_contract(annotation):
        if (annotation, beneath) not in seen:
            seen.add((annotation, beneath))
            for field in fields_of(annotation).values():
                yield from _places(field.annotation, beneath=beneath, seen=seen)
    elif origin is not Literal:
        for argument in get_args(annotation):
            yield from _places(argument, beneath="set" if origin in (set, frozenset) else beneath, seen=seen)
