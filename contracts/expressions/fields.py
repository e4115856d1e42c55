"""Fields that an expression reads, checked against declared JSON Schemas before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from stratum.contracts.expressions.limits import Fault
from stratum.contracts.expressions.runtime import field_hint

Schema = Mapping[str, Any]

_NO_FIELDS: Final = {
    "string": "a text",
    "number": "a number",
    "integer": "a number",
    "boolean": "true or false",
    "array": "a list",
    "null": "null",
}


@dataclass(frozen=True)
class Shape:
    """A JSON Schema, and the one it is part of, which holds its `$defs`."""

    schema: Schema
    root: Schema

    def resolved(self) -> Shape:
        """Without references and without `| null`."""
        schema = self.schema
        for _ in range(100):
            if "$ref" in schema:
                name = str(schema["$ref"]).rsplit("/", 1)[-1]
                schema = self.root.get("$defs", {}).get(name, {})
                continue
            options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
            if len(options) != 1:
                break
            schema = options[0]
        return Shape(schema, self.root)

    @property
    def fields(self) -> Mapping[str, Schema] | None:
        """The only fields it may have; `None` where others are allowed too."""
        fields = cast("Mapping[str, Schema] | None", self.schema.get("properties"))
        return None if self.schema.get("additionalProperties") else fields

    def within(self, schema: object) -> Shape | None:
        return Shape(cast("Schema", schema), self.root) if isinstance(schema, Mapping) else None


Shapes = Mapping[str, Shape | None]


def check_fields(node: ast.AST, shapes: Shapes) -> None:
    """Refuse a field that the value it is read from cannot have.

    Raises:
        Fault: at the field.
    """
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        _check_loop(node, shapes)
        return
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        _shape_of(node, shapes, check=True)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # The name of a method is no field.
        children: list[ast.AST] = [node.func.value, *node.args, *node.keywords]
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        check_fields(child, shapes)


def _check_loop(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, shapes: Shapes) -> None:
    inside = dict(shapes)
    for generator in node.generators:
        check_fields(generator.iter, inside)
        items = _shape_of(generator.iter, inside)
        names = [part.id for part in ast.walk(generator.target) if isinstance(part, ast.Name)]
        item = items.within(items.schema.get("items")) if items is not None and len(names) == 1 else None
        inside |= dict.fromkeys(names, item)
        for test in generator.ifs:
            check_fields(test, inside)
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.comprehension):
            check_fields(part, inside)


def _shape_of(node: ast.expr, shapes: Shapes, *, check: bool = False) -> Shape | None:
    """The shape of `node`, where it is known."""
    if isinstance(node, ast.Name):
        shape = shapes.get(node.id)
        return None if shape is None else shape.resolved()
    if not isinstance(node, (ast.Attribute, ast.Subscript)):
        return None
    owner = _shape_of(node.value, shapes)
    field = _field_read(node)
    if owner is None:
        return None
    if field is None:
        inner = owner.within(owner.schema.get("items") or owner.schema.get("additionalProperties"))
    else:
        if check:
            _check_field(node, field, owner)
        fields: Schema = owner.schema.get("properties", {})
        inner = owner.within(fields.get(field, owner.schema.get("additionalProperties")))
    return None if inner is None else inner.resolved()


def _field_read(node: ast.Attribute | ast.Subscript) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else None


def _check_field(node: ast.expr, field: str, owner: Shape) -> None:
    kind = _NO_FIELDS.get(str(owner.schema.get("type")))
    if kind is not None:
        raise Fault(node, f"{kind} has no field {field!r}", "read a field of an object", at_field=True)
    if owner.fields is not None and field not in owner.fields:
        raise Fault(node, f"there is no field {field!r}", field_hint(field, owner.fields), at_field=True)
