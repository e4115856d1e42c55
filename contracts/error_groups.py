"""Groups of errors, as nurseries make them: known as such, taken apart, and left where they say nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard


def is_group(error: BaseException | None) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    """As `isinstance` says it, which leaves type checkers without the type of what is in it."""
    return isinstance(error, BaseExceptionGroup)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group and in the groups within it, in order; of any other error, itself."""
    if is_group(error):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def unwrapped(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error itself where a group has only one: users write `except BudgetExceeded`."""
    if len(group.exceptions) > 1:
        return group
    (error,) = group.exceptions
    return unwrapped(error) if is_group(error) else error
