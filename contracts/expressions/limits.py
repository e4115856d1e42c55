"""What an expression may use of the machine: steps, sizes, and regular expressions that cannot explode.

An expression may come from an agent, and what it looks at from a model. Nothing in the language can loop for ever,
so a count of steps, charged before the work is done, bounds both time and memory.
"""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache
from typing import Final, cast

from pydantic_core import SchemaError, SchemaValidator, core_schema

MAX_STEPS: Final = 200_000
"""Parts evaluated, items gone through and text scanned, in one evaluation: a fraction of a second at worst."""
MAX_TEXT_BUILT: Final = 1_000_000
"""Characters of one text that an expression builds."""
MAX_COLLECTED: Final = 5_000
"""Items of one set or object that an expression builds: keys chosen to collide cost their square."""
MAX_INTEGER_BITS: Final = 4096
MAX_PATTERN: Final = 500
_MAX_REPEATED: Final = 1000


class Fault(Exception):
    """Why a part of an expression cannot be compiled, or evaluated; `at_field`: its name after the dot is what is wrong."""

    def __init__(self, node: ast.AST, problem: str, fix: str, *, at_field: bool = False) -> None:
        super().__init__(problem)
        self.at_field = at_field
        self.node = node
        self.problem = problem
        self.fix = fix


class Steps:
    """The steps left to one evaluation."""

    def __init__(self, limit: int = MAX_STEPS) -> None:
        self._left = limit

    @property
    def exhausted(self) -> bool:
        return self._left < 0

    def charge(self, steps: int, node: ast.AST) -> None:
        self._left -= steps
        if self._left < 0:
            raise Fault(node, f"it takes more than {MAX_STEPS:,} steps", "look at less of the result")

    def charge_text(self, text: str, node: ast.AST, *, per_step: int = 64) -> None:
        """Going through `text`; `per_step` characters take as long as one step."""
        self.charge(len(text) // per_step + 1, node)

    def charge_all_of(self, value: object, node: ast.AST) -> None:
        """Going through everything inside `value`, as a comparison does."""
        waiting = [value]
        while waiting:
            inside = waiting.pop()
            if isinstance(inside, str):
                self.charge_text(inside, node, per_step=1024)
            elif isinstance(inside, dict):
                entries = cast("dict[object, object]", inside)
                self.charge(len(entries) + 1, node)
                waiting.extend(entries.values())
            elif isinstance(inside, (list, tuple, set, frozenset)):
                items = cast("list[object]", inside)
                self.charge(len(items) + 1, node)
                waiting.extend(items)


def bounded_integer(value: object, node: ast.AST) -> object:
    """`value`, unless it is a whole number that has grown absurd."""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise Fault(node, "the number is too large", "compare smaller numbers")
    return value


def check_power(base: object, exponent: object, node: ast.AST) -> None:
    """Refuse `9**9**9` before it is computed."""
    if isinstance(base, int) and isinstance(exponent, int):
        # Python makes a fraction of a negative power; its size does not matter.
        bits = base.bit_length() * exponent
        if bits > MAX_INTEGER_BITS:
            raise Fault(node, "the power is too large", "write the number out")


class Pattern:
    """A regular expression whose matching takes time linear in the text: look-around and back-references are refused."""

    def __init__(self, pattern: str) -> None:
        """Compile it.

        Raises:
            ValueError: too long, repeats too much, or not a pattern of this kind.
        """
        if len(pattern) > MAX_PATTERN:
            raise ValueError(f"it is longer than {MAX_PATTERN} characters")
        self._states = _counted_states(pattern) + len(pattern) // 4
        if self._states > _MAX_REPEATED:
            raise ValueError(f"its counted repetitions come to more than {_MAX_REPEATED:,}")
        self._matcher = _matcher(pattern)

    def cost(self, text: str) -> int:
        """Steps of matching `text`: linear in it, times the states that the engine may have to follow at once."""
        return len(text) * self._states // 16 + 1

    def found_in(self, text: str) -> bool:
        return self._matcher.isinstance_python(text)


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator:
    # pydantic's engine is Rust's: no backtracking. `re` hangs on `(a+)+$`, and holds the interpreter while it does.
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(next((line for line in lines if line.startswith("error: ")), "it is too large")) from error


def _counted_states(pattern: str) -> int:
    """At least the copies that the counted repetitions of a pattern make: `(a{3}b){2,5}` has 15."""
    counts = [max(int(least), int(most or 1), 1) for least, most in re.findall(r"\{(\d+)(?:,(\d*))?\}", pattern)]
    return math.prod(counts) if "){" in pattern else sum(counts)
