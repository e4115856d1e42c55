"""The plainest value that a wire schema accepts: what a model without an opinion would answer."""

from __future__ import annotations

from typing import Any

_FORMATS = {
    "date-time": "2026-11-20T12:00:00Z",
    "date": "2026-11-20",
    "time": "12:00:00Z",
    "duration": "PT1S",
    "email": "a@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """Deterministic; a recursive schema is followed along its first alternative that ends."""
    root = schema if root is None else root
    if "$ref" in schema:
        return example(_resolve(schema["$ref"], root), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        # Null last in the list and first here: it ends any recursion.
        return example(min(schema["anyOf"], key=lambda option: option.get("type") != "null"), root)
    return _typed(schema, root)


def _typed(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            return {name: example(part, root) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example(schema["items"], root) for _ in range(schema.get("minItems", 0))]
        case "string":
            return _FORMATS.get(schema.get("format", ""), "x" * schema.get("minLength", 1))
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case _:
            return None


def _number(schema: dict[str, Any]) -> float:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
    step = schema.get("multipleOf", 1)
    return -(-lowest // step) * step if lowest > 0 else lowest


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    part = root
    for name in reference.removeprefix("#/").split("/"):
        part = part[name] if name != "#" else part
    return part
