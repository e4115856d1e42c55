"""Which calls of a module reach a model: an SDK's, a step's, or those of a function that makes one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from stratum.mcp_bridge.drift.names import Names
from stratum.mcp_bridge.drift.scopes import Function, Layout, own_nodes
from stratum.mcp_bridge.drift.sdk_calls import Kind, is_model_call, names_schema, sdk_call

Reach = Literal["sdk", "step", "through"]
_STEPS: Final = {"infer": "infer", "flow": "flow", "refine": "infer"}


@dataclass(frozen=True, slots=True)
class SdkCall:
    """One call of an SDK."""

    node: ast.Call
    path: str
    kind: Kind
    typed: bool | None
    """`None`: its arguments come from elsewhere."""
    keywords: Mapping[str, ast.expr]


class Module:
    """One module as the rules see it."""

    def __init__(self, tree: ast.Module) -> None:
        self.layout = Layout(tree)
        self.names = Names(self.layout, reaches_model=is_model_call)

    @cached_property
    def calls(self) -> list[ast.Call]:
        found = (node for node in self.layout.nodes if isinstance(node, ast.Call))
        return sorted(found, key=lambda call: (call.lineno, call.col_offset))

    @cached_property
    def sdk_calls(self) -> dict[ast.Call, SdkCall]:
        return {call: found for call in self.calls if (found := self._sdk_call(call)) is not None}

    @cached_property
    def reaching(self) -> set[Function]:
        """The functions that make a model call, themselves or through others of this module."""
        callers: dict[Function, set[Function]] = {}
        found: set[Function] = set()
        for call in self.calls:
            if (around := self.layout.function(call)) is None:
                continue
            if call in self.sdk_calls:
                found.add(around)
            for callee in self.called(call):
                callers.setdefault(callee, set()).add(around)
                if self.step_kind(callee):
                    found.add(around)
        waiting = list(found)
        while waiting:
            for caller in callers.get(waiting.pop(), ()):
                if caller not in found:
                    found.add(caller)
                    waiting.append(caller)
        return found

    def reach(self, call: ast.Call) -> Reach | None:
        """How `call` reaches a model, if it does."""
        if call in self.sdk_calls:
            return "sdk"
        called = self.called(call)
        if any(self.step_kind(function) for function in called):
            return "step"
        return "through" if any(function in self.reaching for function in called) else None

    def called(self, call: ast.Call) -> list[Function]:
        """The functions of this module that `call` runs: itself, by `.sync(...)`, or handed to `stratum.run(...)`."""
        found = [function for function, path in self.names.functions(call.func) if _runs(path)]
        if call.args and self.is_stratum(call.func, "run"):
            handed = call.args[0]
            found += [
                function
                for function, _ in self.names.functions(handed.func if isinstance(handed, ast.Call) else handed)
            ]
        return found

    def reaching_calls(self, *roots: ast.AST) -> Iterator[ast.Call]:
        """The calls below `roots` that reach a model; not those in functions that are only defined there."""
        return (node for node in own_nodes(*roots) if isinstance(node, ast.Call) and self.reach(node))

    def step_kind(self, function: Function) -> Literal["infer", "flow"] | None:
        """Whether the function is decorated as a step that calls a model, or as a flow."""
        for decorator in function.decorator_list:
            callee = decorator.func if isinstance(decorator, ast.Call) else decorator
            for name, kind in _STEPS.items():
                if self.is_stratum(callee, name):
                    return "flow" if kind == "flow" else "infer"
        return None

    def option(self, function: Function, name: str) -> ast.expr | None:
        """What the step's decorator is given as `name`."""
        for decorator in function.decorator_list:
            for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
                if keyword.arg == name:
                    return keyword.value
        return None

    def is_stratum(self, node: ast.AST, name: str) -> bool:
        """Whether `node` is Stratum's `name`, wherever it is imported from."""
        return any(
            path.startswith("stratum.") and path.count("()") == 0 and path.rpartition(".")[2] == name
            for path in self.names.paths(node)
        )

    def answers(self, node: ast.AST) -> list[SdkCall]:
        """The model calls that `node` is an answer of, or a part or text of such an answer."""
        calls = (origin.call for origin in self.names.origins(node) if origin.call is not None)
        return [self.sdk_calls[call] for call in calls if call in self.sdk_calls]

    def _sdk_call(self, call: ast.Call) -> SdkCall | None:
        for origin in self.names.origins(call.func):
            if origin.call is None and (kind := sdk_call(origin.path)) is not None:
                keywords, complete = self._keywords([*origin.given, *call.keywords])
                typed = names_schema(origin.path, keywords)
                return SdkCall(call, origin.path, kind, True if typed else (False if complete else None), keywords)
        return None

    def _keywords(self, keywords: list[ast.keyword]) -> tuple[dict[str, ast.expr], bool]:
        """By name, those of `**` dictionaries written in the module too; and whether these are all."""
        found: dict[str, ast.expr] = {}
        complete = True
        for keyword in keywords:
            if keyword.arg is not None:
                found[keyword.arg] = keyword.value
            elif (more := self._dictionary(keyword.value)) is not None:
                found |= more
            else:
                complete = False
        return found, complete

    def _dictionary(self, node: ast.expr) -> dict[str, ast.expr] | None:
        """The entries of a dictionary that is written where `node` gets its value, and never filled further."""
        if isinstance(node, ast.Dict):
            entries = list(zip(node.keys, node.values, strict=True))
            if all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key, _ in entries):
                return {str(key.value): value for key, value in entries if isinstance(key, ast.Constant)}
            return None
        if not isinstance(node, ast.Name):
            return None
        bindings = self.layout.scope(node).lookup(node.id) or []
        if len(bindings) != 1 or not isinstance(bindings[0].node, ast.Dict) or node.id in self._filled:
            return None
        return self._dictionary(bindings[0].node)

    @cached_property
    def _filled(self) -> set[str]:
        """Names with which something is done besides reading them whole: an item set, a method called."""
        return {
            node.value.id
            for node in self.layout.nodes
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.value, ast.Name)
        }


def called_name(call: ast.Call) -> str:
    """How the call is written, short: for messages."""
    text = ast.unparse(call.func) if _depth_within(call.func, 12) else "the call"
    return text if len(text) <= 60 else f"…{text[-59:]}"


def _depth_within(node: ast.expr, limit: int) -> bool:
    while isinstance(node, ast.Attribute | ast.Call) and limit:
        node, limit = (node.value if isinstance(node, ast.Attribute) else node.func), limit - 1
    return isinstance(node, ast.Name)


def _runs(path: str) -> bool:
    _, _, attribute = path.partition(".")
    return attribute in ("", "sync")
