"""`opaque[T]`: a value the model gets as a JSON attachment, never inside instruction text."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from stratum.contracts.annotation import unaliased

T = TypeVar("T")


class Opaque:
    """Marks an annotation; `OPAQUE` is the only instance."""

    def __repr__(self) -> str:
        return "opaque"

    def __reduce__(self) -> str:
        return "OPAQUE"


OPAQUE: Final = Opaque()

opaque = Annotated[T, OPAQUE]
"""`opaque[str]` is a `str` to Python and to type checkers; the marker says how it reaches the model."""


def is_opaque(annotation: Any) -> bool:
    """True where `annotation` is marked, at its top, within (`opaque[str] | None`, `list[opaque[str]]`) or by an alias."""
    annotation = unaliased(annotation)
    if get_origin(annotation) is Annotated and OPAQUE in annotation.__metadata__:
        return True
    return any(is_opaque(argument) for argument in get_args(annotation))
