"""How short and how long an answer can be, in bytes of JSON: a token is at least one byte, so these bound tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stratum.contracts.schema import Schema

UTF8_BYTES: Final = 4
"""Of one character at most. JSON's own escapes are shorter, those of control characters aside."""
NUMBER_BYTES: Final = 24
"""`-1.7976931348623157e+308`: the shortest text of any double or 64-bit integer is no longer."""
FORMAT_BYTES: Final = {
    "date": len('"2026-11-20"'),
    "date-time": len('"2026-11-20T12:00:00.000000+00:00"'),
    "uuid": 38,
}


def shortest(answer: Schema) -> int | None:
    """Bytes of the shortest JSON that meets an answer schema, written without whitespace; `None` where none ever ends."""
    return _whole(_Size(answer.get("$defs", {}), longest=False).of(answer))


def longest(answer: Schema) -> int | None:
    """Bytes of the longest JSON that meets it, with `, ` and `: ` as separators; `None` where something is unbounded."""
    return _whole(_Size(answer.get("$defs", {}), longest=True).of(answer))


def _whole(size: float) -> int | None:
    return None if math.isinf(size) else int(size)


class _Size:
    """One walk over a schema, for the longest JSON or the shortest."""

    def __init__(self, definitions: Mapping[str, Schema], *, longest: bool) -> None:
        self._definitions = definitions
        self._longest = longest
        self._pick: Callable[[Iterable[float]], float] = max if longest else min
        self._path: list[str] = []

    def of(self, node: Schema) -> float:
        if "$ref" in node:
            return self._definition(node["$ref"].removeprefix("#/$defs/"))
        if "enum" in node or "const" in node:
            return self._pick(_bytes(value) for value in node.get("enum", [node.get("const")]))
        for name in ("anyOf", "oneOf"):
            if name in node:
                return self._pick(self.of(branch) for branch in node[name])
        return self._of_type(node)

    def _of_type(self, node: Schema) -> float:
        match node["type"]:
            case "object":
                return self._object(node)
            case "array":
                return self._array(node)
            case "string":
                return self._string(node)
            case "integer":
                return self._integer(node) if self._longest else 1
            case "number":
                return NUMBER_BYTES if self._longest else 1
            case "boolean":
                return self._pick((len("true"), len("false")))
            case _:
                return len("null")

    def _definition(self, name: str) -> float:
        if name in self._path:  # without end, whichever way it is taken
            return math.inf
        self._path.append(name)
        size = self.of(self._definitions[name])
        self._path.pop()
        return size

    def _object(self, node: Schema) -> float:
        fields = node.get("properties", {})
        comma, colon = self._separators
        written = sum(_bytes(name) + colon + self.of(field) + comma for name, field in fields.items())
        return len("{}") + written - (comma if fields else 0)

    def _array(self, node: Schema) -> float:
        count: float = node.get("maxItems", math.inf) if self._longest else node.get("minItems", 0)
        if count == 0:
            return len("[]")
        comma, _ = self._separators
        if "prefixItems" in node:
            written = sum(self.of(item) + comma for item in node["prefixItems"])
        else:
            written = count * (self.of(node["items"]) + comma)
        return len("[]") + written - comma

    def _string(self, node: Schema) -> float:
        fixed = FORMAT_BYTES.get(node.get("format", ""))
        if fixed is not None:
            return fixed
        characters: float = node.get("maxLength", math.inf) if self._longest else node.get("minLength", 0)
        width = UTF8_BYTES if self._longest and "contentEncoding" not in node else 1
        return len('""') + width * characters

    def _integer(self, node: Schema) -> float:
        ends = (
            node.get("minimum", node.get("exclusiveMinimum")),
            node.get("maximum", node.get("exclusiveMaximum")),
        )
        return NUMBER_BYTES if None in ends else max(len(str(int(end))) for end in ends if end is not None)

    @property
    def _separators(self) -> tuple[int, int]:
        return (len(", "), len(": ")) if self._longest else (len(","), len(":"))


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
