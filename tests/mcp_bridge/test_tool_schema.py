"""What an agent reads of the tools before it calls one: all that it needs, once, and short enough to reach it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import msgspec
from mcp_types import Tool
from tests.mcp_bridge.agents import agent, project

from stratum.contracts.plans.plan import Accumulate, Command, ExecutionPlan, Gate, Repeat, Step
from stratum.mcp_bridge.tool_schema import shortened

CODEX_READS = {
    "type",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "$ref",
}
"""Keys of a schema that Codex keeps."""
CODEX_KEEPS_WORDS = 5_000
"""Bytes of what it keeps, up to which that is with the descriptions; longer ones are shown without any."""


async def listed(folder: Path) -> dict[str, Tool]:
    async with agent(project(folder)) as codex:
        return {tool.name: tool for tool in (await codex.client.list_tools()).tools}


def parts_of(schema: Any) -> list[dict[str, Any]]:
    """The schema and all that are in it."""
    parts = [cast(dict[str, Any], schema)]
    for part in parts:
        inner = [*part.get("properties", {}).values(), *part.get("$defs", {}).values(), *part.get("anyOf", ())]
        inner += [part[key] for key in ("items", "additionalProperties") if key in part]
        parts += [each for each in inner if isinstance(each, dict)]
    return parts


def undescribed(schema: Any, told: str = "") -> list[str]:
    """Fields of a JSON Schema of which neither they nor what they are in says anything, however deep."""
    told += schema.get("description", "")
    found: list[str] = []
    for name, field in schema.get("properties", {}).items():
        if not field.get("description") and not re.search(rf"\b{name}\b", told):
            found.append(name)
        found += undescribed(field, "" if field.get("description") else told)
    for each in schema.get("$defs", {}).values():
        # What is shared is described where it is used.
        found += [inner for name in each.get("properties", {}) for inner in undescribed(each["properties"][name])]
    within: list[Any] = [*schema.get("anyOf", ()), *(schema.get(key) for key in ("items", "additionalProperties"))]
    return found + [name for each in within if isinstance(each, dict) for name in undescribed(each, told)]


def as_codex_counts(schema: Any) -> int:
    """Bytes of an input schema, of what Codex keeps of it."""

    def kept(part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        known = cast(dict[str, Any], part)
        short = {key: value for key, value in known.items() if key in CODEX_READS}
        for key in ("properties", "$defs"):
            if key in known:
                short[key] = {name: kept(each) for name, each in known[key].items()}
        for key in ("items", "additionalProperties"):
            if key in known:
                short[key] = kept(known[key])
        if "anyOf" in known:
            short["anyOf"] = [kept(each) for each in known["anyOf"]]
        return {**short, "properties": short.get("properties", {})} if short.get("type") == "object" else short

    return len(msgspec.json.encode(kept(schema)))


async def test_every_tool_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    tools = await listed(tmp_path)
    assert len(tools) == 9
    for tool in tools.values():
        assert tool.title and tool.description and tool.annotations and tool.output_schema
        assert len(tool.description) < 300
        assert "\n " not in tool.description
        assert undescribed(tool.input_schema) == []
        assert undescribed(tool.output_schema) == []
        hints = tool.annotations
        assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert tools["stratum_status"].annotations.read_only_hint  # type: ignore[union-attr]  # checked above
    assert tools["stratum_execute"].annotations.destructive_hint  # type: ignore[union-attr]  # checked above
    assert undescribed({"properties": {"a": {"anyOf": [{"items": {"properties": {"b": {}}}}]}}}) == ["a", "b"]
    assert undescribed({"properties": {"a": {"description": "b: so", "properties": {"b": {}, "c": {}}}}}) == ["c"]


async def test_what_a_plan_may_have_by_its_schema_is_what_a_plan_has(tmp_path: Path) -> None:
    def fields(of: type[msgspec.Struct]) -> set[str]:
        return {field.name for field in msgspec.structs.fields(of)}

    schema = (await listed(tmp_path))["stratum_plan"].input_schema
    taken = set(schema["properties"])
    assert taken - {"task", "inputs", "file", "revises"} == fields(ExecutionPlan) - {"goal", "estimate"}
    offered = schema["properties"]["steps"]["items"]["properties"]
    assert offered.keys() == fields(Step)
    assert offered["gate"]["properties"].keys() == fields(Gate)
    assert offered["repeat"]["properties"].keys() == fields(Repeat)
    assert offered["repeat"]["properties"]["accumulate"]["properties"].keys() == fields(Accumulate)
    in_full = offered["command"]["anyOf"][1]["properties"]
    assert in_full.keys() == fields(Command)


async def test_what_the_tools_say_of_themselves_reaches_the_models_of_codex(tmp_path: Path) -> None:
    tools = await listed(tmp_path)
    for tool in tools.values():
        assert as_codex_counts(tool.input_schema) <= CODEX_KEEPS_WORDS, tool.name
    assert (
        sum(len(msgspec.json.encode(tool.model_dump(by_alias=True, exclude_none=True))) for tool in tools.values())
        < 25_000
    )


async def test_nothing_is_said_twice_or_says_nothing(tmp_path: Path) -> None:
    tools = await listed(tmp_path)
    for tool in tools.values():
        for part in [*parts_of(tool.input_schema), *parts_of(tool.output_schema)]:
            assert "title" not in part
            assert part.get("default", 0) not in (None, "")
            name = str(part.get("$ref", "")).rpartition("/")[2]
            assert not name or name in {
                **tool.input_schema.get("$defs", {}),
                **(tool.output_schema or {}).get("$defs", {}),
            }
    whole = [name for name, tool in tools.items() if "AssignmentView" in (tool.output_schema or {}).get("$defs", {})]
    assert whole == ["stratum_execute"]


def test_a_field_that_is_called_title_stays() -> None:
    title = {"type": "string", "title": "Title", "default": ""}
    assert shortened({"title": "X", "properties": {"title": title}, "anyOf": [{"title": "Y", "default": 0}]}) == {
        "properties": {"title": {"type": "string"}},
        "anyOf": [{"default": 0}],
    }
