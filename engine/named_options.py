"""`named_options`: a decorator that must be told something says so, where Python would only count its arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from stratum.contracts.errors import ContractDefinitionError

P = ParamSpec("P")
R = TypeVar("R")


def named_options(*, write: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a function that takes options by name and makes a decorator; `write` is how it is used.

    What it makes raises `ContractDefinitionError` where it is used without brackets, or without an option that it needs.
    """

    def told(make: Callable[P, R]) -> Callable[P, R]:
        needed = [
            name for name, each in inspect.signature(make).parameters.items() if each.default is inspect.Parameter.empty
        ]

        @functools.wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> R:
            missing = [f"{name}=" for name in needed if name not in kwargs]
            if args:
                owner = getattr(args[0], "__qualname__", repr(args[0]))
                raise ContractDefinitionError(
                    owner=owner, problem=f"@{make.__name__} takes its options by name", fix=f"write {write}"
                )
            if missing:
                raise ContractDefinitionError(
                    owner=f"@{make.__name__}", problem=f"it is used without {', '.join(missing)}", fix=f"write {write}"
                )
            return make(*args, **kwargs)

        return made

    return told
