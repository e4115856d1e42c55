"""`refuse_body`: an `@infer` function has a signature and no body; one that has code is told that it would never run."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from stratum.contracts.errors import ContractDefinitionError

_ENDS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS"})
_OF_ANY_FUNCTION: Final = frozenset(
    {"RESUME", "CACHE", "NOP", "COPY_FREE_VARS", "MAKE_CELL", "RETURN_GENERATOR", "POP_TOP", "PUSH_NULL"}
)
"""What the compiler puts before a body; `async def` begins as a generator does."""
_NOTHING: Final = (None, ...)


def refuse_body(function: Callable[..., Any], *, owner: str) -> None:
    """Let `...`, `pass`, a docstring and `raise NotImplementedError` pass.

    Told by the code, not by the source, which an interactive session does not have.

    Raises:
        ContractDefinitionError: there is more.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if isinstance(code, CodeType) and not _is_stub(_to_its_end(code)):
        raise ContractDefinitionError(
            owner=owner,
            problem="it has a body, which would never run: the model's answer is the result",
            fix="write `...` as the body and say in intent= what to do, or use @compute for code of your own",
        )


def _to_its_end(code: CodeType) -> list[dis.Instruction]:
    steps = [step for step in dis.get_instructions(code) if step.opname not in _OF_ANY_FUNCTION]
    ends = [number for number, step in enumerate(steps) if step.opname in _ENDS]
    return steps[: ends[0] + 1] if ends else steps  # `while True: ...` never ends


def _is_stub(steps: list[dis.Instruction]) -> bool:
    first, last = steps[0], steps[-1]
    if last.opname == "RAISE_VARARGS":
        return first.opname == "LOAD_GLOBAL" and first.argval == "NotImplementedError"
    return len(steps) <= 2 and any(first.argval is nothing for nothing in _NOTHING)
