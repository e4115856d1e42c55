"""JSON Schemas of what a model must write: ours in full, and the part of it a provider can be sent.

Two dialects of one pydantic core schema. `local_schema` says all that is enforced here.
`wire_schema` is OpenAI's strict subset: every property required, no open objects, no
keyword outside a short list. What cannot be sent is told in the description and still
enforced here.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


def local_schema(schema: core_schema.CoreSchema) -> dict[str, Any]:
    """JSON Schema 2020-12 of the JSON that a validator of `schema` reads."""
    return _Local(by_alias=True).generate(schema)


class _Local(GenerateJsonSchema):
    """Without titles, which repeat names, and without defaults: on the wire nothing may be left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_is_required(self, field: Any, total: bool) -> bool:
        return not _admits_none(field["schema"])


def _admits_none(schema: Any) -> bool:
    return schema["type"] == "nullable" or (schema["type"] == "default" and _admits_none(schema["schema"]))
