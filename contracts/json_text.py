"""Reading a document as JSON values, refusing what could mean two things."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from stratum.contracts.problem import Problem, visible

MAX_OBJECTS = 400_000
"""In one document: four a step for the most steps that a plan may have. Checking keys costs 0.3 µs each."""


class Unreadable(Exception):
    """A text that holds no document. Never leaves the layer: it becomes a `PlanError`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        Unreadable: it is not JSON, an object has a key twice, or it is nested too deeply.
    """
    if text.count("{") > MAX_OBJECTS:
        raise Unreadable(Problem(path="$", problem=f"it has more than {MAX_OBJECTS:,} objects", fix="split the plan"))
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        problem = f"it is not JSON: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}"
        raise Unreadable(Problem(path="$", problem=problem, fix="correct it there", line=error.lineno)) from None
    except RecursionError:
        raise Unreadable(Problem(path="$", problem="it is nested too deeply", fix="make it flatter")) from None
    except ValueError as error:
        raise Unreadable(Problem(path="$", problem=str(error), fix="correct it")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"an object has the key {visible(twice)} twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
