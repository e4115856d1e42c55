"""untyped-call, parsed-by-hand and unbudgeted-call: what a model call lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from stratum.mcp_bridge.drift.finding import Spot
from stratum.mcp_bridge.drift.model_calls import Module, called_name
from stratum.mcp_bridge.drift.scopes import FUNCTIONS, Function

_PARSERS: Final = {
    "json.loads()",
    "orjson.loads()",
    "ujson.loads()",
    "simplejson.loads()",
    "json5.loads()",
    "json_repair.loads()",
    "json_repair.repair_json()",
    "ast.literal_eval()",
    "yaml.safe_load()",
    "yaml.load()",
    "json.JSONDecoder().decode()",
}
_CLEANERS: Final = {"re.sub()", "re.search()", "re.match()", "re.findall()"}
_LIMITS: Final = ("budget", "allowance")


def untyped_calls(module: Module) -> Iterator[Spot]:
    """Calls that take whatever text comes back."""
    for call in module.sdk_calls.values():
        if call.typed is False:
            yield Spot(node=call.node, message=f"{called_name(call.node)} names no schema for its answer")


def parsed_by_hand(module: Module) -> Iterator[Spot]:
    """Answers without a schema that are read as JSON."""
    for call in module.calls:
        if not call.args or not module.names.paths(call) & _PARSERS:
            continue
        for answered in _texts(module, call.args[0]):
            if answered is not False:
                continue
            yield Spot(node=call, message="reads JSON out of a model's text")
            break


def _texts(module: Module, node: ast.expr) -> Iterator[bool | None]:
    """For each model call that the text comes from, also by way of a regular expression: whether it was typed."""
    for answer in module.answers(node):
        yield answer.typed
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            for binding in module.layout.scope(inner).lookup(inner.id) or []:
                if isinstance(binding.node, ast.Call):
                    yield from _cleaned(module, binding.node)
        elif isinstance(inner, ast.Call):
            yield from _cleaned(module, inner)


def _cleaned(module: Module, call: ast.Call) -> Iterator[bool | None]:
    if module.names.paths(call) & _CLEANERS:
        for argument in call.args:
            yield from (answer.typed for answer in module.answers(argument))


def unbudgeted_calls(module: Module) -> Iterator[Spot]:
    """SDK calls, which no budget sees, and steps that are started where none is set."""
    for call in module.sdk_calls.values():
        yield Spot(node=call.node, message=f"{called_name(call.node)} spends outside any Stratum budget")
    for node in module.calls:
        for step in module.called(node):
            if _starts(module, node) and not _is_limited(module, node) and _spends(module, step, set()):
                yield Spot(node=node, message=f"{step.name} is started without a budget")


def _starts(module: Module, call: ast.Call) -> bool:
    """Whether the call opens a runtime of its own: nothing around it can have a budget."""
    return module.is_stratum(call.func, "run") or any(
        path.endswith(".sync") and module.step_kind(function) for function, path in module.names.functions(call.func)
    )


def _is_limited(module: Module, node: ast.AST) -> bool:
    """Whether a budget is set around `node`: its flow's, or its session's."""
    for above in module.layout.above(node):
        if isinstance(above, FUNCTIONS) and module.step_kind(above) and module.option(above, "budget") is not None:
            return True
        for item in above.items if isinstance(above, ast.With | ast.AsyncWith) else []:
            opened = item.context_expr
            if not isinstance(opened, ast.Call) or not module.is_stratum(opened.func, "open_runtime"):
                continue
            if {keyword.arg for keyword in opened.keywords} & {*_LIMITS, None}:
                return True
    return False


def _spends(module: Module, step: Function, seen: set[Function]) -> bool:
    """Whether the step can call a model without a budget of its own or of what it calls."""
    if step in seen or module.option(step, "budget") is not None:
        return False
    seen.add(step)
    if module.step_kind(step) == "infer":
        return True
    inside = (call for call in module.calls if module.layout.function(call) is step)
    return any(
        _spends(module, callee, seen)
        for call in inside
        if not _is_limited(module, call)
        for callee in module.called(call)
    )
