"""What all times of a repeated step found together: the items of a list in its results, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stratum.contracts.expressions.fields import Schema, Shape
from stratum.contracts.plans.plan import Accumulate
from stratum.contracts.problem import Problems, at, visible
from stratum.contracts.schema_fit import NoSuchField, field_at
from stratum.contracts.shape import is_dict, is_sequence

_CANONICAL = msgspec.json.Encoder(order="sorted")


class Accumulated(msgspec.Struct, frozen=True, kw_only=True):
    """After so many times."""

    items: list[Any]
    """In the order in which they were found first; of two with one key, the first."""
    dry: int
    """The last so many times found nothing new. A time whose items cannot be told does not count either way."""


def accumulated(results: Sequence[Any], how: Accumulate) -> Accumulated:
    """Of the results of every time so far, as JSON values."""
    items: dict[bytes, Any] = {}
    dry = 0
    for result in results:
        found = _items(result, how)
        if found is None:
            continue
        new = found.keys() - items.keys()
        items |= {key: item for key, item in found.items() if key in new}
        dry = 0 if new else dry + 1
    return Accumulated(items=list(items.values()), dry=dry)


def _items(result: Any, how: Accumulate) -> dict[bytes, Any] | None:
    """By what tells them apart; `None` if there is no such list, or an item without the key."""
    found = result.get(how.field) if is_dict(result) else None
    if not is_sequence(found):
        return None
    by_key: dict[bytes, Any] = {}
    for item in found:
        if how.key and not (is_dict(item) and how.key in item):
            return None
        by_key.setdefault(_CANONICAL.encode(item[how.key] if how.key else item), item)
    return by_key


def check_accumulate(how: Accumulate, result: Shape, *, path: str, problems: Problems) -> None:
    """Note what cannot be kept together of results of this shape."""
    try:
        found = field_at(result, (how.field,))
        schema: Schema = {} if found is None else found.resolved().schema
        if schema.get("type", "array") != "array":
            problems.add(at(path, "field"), f"{visible(how.field)} is no list", "name a list in the result")
            return
        if "maxItems" in schema:
            what = f"{visible(how.field)} holds {schema['maxItems']} items at most"
            problems.add(at(path, "field"), f"{what}, and all times together may find more", "lift that limit")
        if how.key:
            field_at(result, (how.field, "0", how.key))
    except NoSuchField as error:
        problems.add(path, error.problem, error.fix)
