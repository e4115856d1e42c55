"""How short and how long an answer can be, in bytes of JSON: a token is at least one byte, so these bound tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
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


def shortest(answer: Schema) -> int:
    """Bytes of the shortest JSON that meets an answer schema, written without whitespace."""
    return int(_Size(answer.get("$defs", {}), pick=min, longest=False).of(answer))


def longest(answer: Schema) -> int | None:
    """Bytes of the longest JSON that meets it, with `, ` and `: ` as separators; `None` where something is unbounded."""
    size = _Size(answer.get("$defs", {}), pick=max, longest=True).of(answer)
    return None if math.isinf(size) else int(size)


class _Size:
    def __init__(self, definitions: Mapping[str, Schema], *, pick: Callable[..., float], longest: bool) -> None:
        self._definitions = definitions
        self._pick = pick
        self._longest = longest
        self._path: list[str] = []

    def of(self, node: Schema) -> float:
        if "$ref" in node:
            return self._of_definition(node["$ref"].removeprefix("#/$defs/"))
        if "enum" in node or "const" in node:
            return self._pick(_bytes(value) for value in node.get("enum", [node.get("const")]))
        for name in ("anyOf", "oneOf"):
            if name in node:
                return self._pick(self.of(branch) for branch in node[name])
        return _OF_TYPE[node["type"]](self, node)

    def _of_definition(self, name: str) -> float:
        if name in self._path:  # without end, whichever way it is taken
            return math.inf
        self._path.append(name)
        size = self.of(self._definitions[name])
        self._path.pop()
        return size

    def _of_object(self, node: Schema) -> float:
        fields = node.get("properties", {})
        separators = 4 if self._longest else 2
        written = sum(_bytes(name) + separators + self.of(field) for name, field in fields.items())
        return written + len("{}") - (separators // 2 if fields else 0)

    def _of_array(self, node: Schema) -> float:
        count = node.get("maxItems", math.inf) if self._longest else node.get("minItems", 0)
        if count == 0:
            return len("[]")
        separator = 2 if self._longest else 1
        if "prefixItems" in node:
            items = sum(self.of(item) + separator for item in node["prefixItems"])
        else:
            items = count * (self.of(node["items"]) + separator)
        return items + len("[]") - separator

    def _of_string(self, node: Schema) -> float:
        if node.get("format") in FORMAT_BYTES:
            return FORMAT_BYTES[str(node["format"])]
        if not self._longest:
            return node.get("minLength", 0) + len('""')
        width = 1 if "contentEncoding" in node else UTF8_BYTES
        return width * node.get("maxLength", math.inf) + len('""')

    def _of_integer(self, node: Schema) -> float:
        if not self._longest:
            return 1
        ends = (
            node.get("minimum", node.get("exclusiveMinimum")),
            node.get("maximum", node.get("exclusiveMaximum")),
        )
        return NUMBER_BYTES if None in ends else max(len(str(int(end))) for end in ends if end is not None)


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


_OF_TYPE: Final[dict[str, Callable[[_Size, Schema], float]]] = {
    "object": _Size._of_object,
    "array": _Size._of_array,
    "string": _Size._of_string,
    "integer": _Size._of_integer,
    "number": lambda size, node: NUMBER_BYTES if size._longest else 1,
    "boolean": lambda size, node: len("false") if size._longest else len("true"),
    "null": lambda size, node: len("null"),
}
