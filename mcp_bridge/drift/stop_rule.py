"""swallowed-stop: handlers that go on as if nothing had happened when a budget ran out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from stratum.mcp_bridge.drift.finding import Spot
from stratum.mcp_bridge.drift.model_calls import Module, called_name
from stratum.mcp_bridge.drift.scopes import own_nodes

_BUDGET: Final = ("BudgetExceeded", "BudgetOverrun", "AllowanceExceeded")
_ALL: Final = {"builtins.Exception", "builtins.BaseException"}
_QUIET: Final = ("append", "add", "debug", "info", "extend", "setdefault", "update")
"""Methods after which nobody has been told."""


def swallowed_stops(module: Module) -> Iterator[Spot]:
    """Handlers, and `contextlib.suppress`, that hide an exhausted budget or a cancelled call."""
    for node in module.layout.nodes:
        if isinstance(node, ast.Try | ast.TryStar):
            yield from _handlers(module, node)
        elif isinstance(node, ast.With | ast.AsyncWith):
            yield from _suppressed(module, node)


def _handlers(module: Module, tried: ast.Try | ast.TryStar) -> Iterator[Spot]:
    for handler in tried.handlers:
        if _catches_budget(module, handler.type):
            if _is_silent(handler):
                yield Spot(node=handler, message="BudgetExceeded is caught and nobody is told")
            return  # later handlers no longer see it
        if handler.type is None or "builtins.BaseException" in _caught(module, handler.type):
            call = next(module.reaching_calls(*tried.body), None)
            if call is not None and not _raises(handler.body):
                what = "a bare except" if handler.type is None else "except BaseException"
                yield Spot(
                    node=handler, message=f"{what} around {called_name(call)} also hides cancellation and budgets"
                )
            return
        if "builtins.Exception" in _caught(module, handler.type):
            step = next((call for call in module.reaching_calls(*tried.body) if module.reach(call) == "step"), None)
            if step is not None and _is_silent(handler):
                yield Spot(node=handler, message=f"except Exception around {called_name(step)} hides BudgetExceeded")
            return


def _suppressed(module: Module, block: ast.With | ast.AsyncWith) -> Iterator[Spot]:
    for item in block.items:
        opened = item.context_expr
        if not isinstance(opened, ast.Call) or "contextlib.suppress()" not in module.names.paths(opened):
            continue
        for argument in opened.args:
            wide = bool(module.names.paths(argument) & _ALL)
            step = wide and any(module.reach(call) == "step" for call in module.reaching_calls(*block.body))
            if _catches_budget(module, argument) or step:
                yield Spot(node=opened, message="suppress() hides BudgetExceeded")
                break


def _catches_budget(module: Module, caught: ast.expr | None) -> bool:
    if caught is None:
        return False
    types = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(module.is_stratum(type, name) for type in types for name in (*_BUDGET, "StratumError"))


def _caught(module: Module, caught: ast.expr) -> set[str]:
    types = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return {path for type in types for path in module.names.paths(type)}


def _raises(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, ast.Raise) for node in own_nodes(*body))


def _is_silent(handler: ast.ExceptHandler) -> bool:
    """Neither raised again, nor looked at, nor answered with a call that could tell somebody."""
    if _raises(handler.body):
        return False
    for node in own_nodes(*handler.body):
        if isinstance(node, ast.Name) and node.id == handler.name:
            return False
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Attribute) and node.func.attr in _QUIET):
            return False
    return True
