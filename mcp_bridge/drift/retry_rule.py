"""manual-retry: loops, decorators and self-calls that try a model call again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stratum.mcp_bridge.drift.finding import Spot
from stratum.mcp_bridge.drift.model_calls import Module, called_name
from stratum.mcp_bridge.drift.scopes import FUNCTIONS, Function, own_nodes
from stratum.mcp_bridge.drift.sdk_calls import is_model_call

Loop = ast.For | ast.AsyncFor | ast.While
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_DECORATORS: Final = re.compile(
    r"(?:tenacity\.(?:[a-z_]+\.)*|retry\.(?:api\.)?|retrying\.|stamina\.|retry_async\.|tenacity\.asyncio\.)retry(?:\(\))*"
    r"|backoff\.(?:[a-z_]+\.)?on_(?:exception|predicate)\(\)"
    r"|tenacity\.(?:[a-z_]+\.)*(?:Async)?Retrying\(\)(?:\.wraps)?"
)
_CALLERS: Final = re.compile(
    r"(?:tenacity\.(?:[a-z_]+\.)*(?:Async)?Retrying\(\)(?:\.call)?|stamina\.\w*RetryingCaller\(\).*|retry\.(?:api\.)?retry_call)"
)
_ITERATORS: Final = re.compile(r"tenacity\.(?:[a-z_]+\.)*(?:Async)?Retrying\(\)|stamina\.retry_context\(\)")
_COUNTERS: Final = {"builtins.range()", "itertools.count()", "itertools.repeat()"}
_HINT: Final = re.compile(r"retr(?:y|ies)|attempt|(?:^|_)tr(?:y|ies)(?:$|_)", re.IGNORECASE)


def manual_retries(module: Module) -> Iterator[Spot]:
    """Everything in the module that runs a model call again after it failed."""
    for node in module.layout.nodes:
        if isinstance(node, _LOOPS):
            yield from _loop(module, node)
        elif isinstance(node, FUNCTIONS):
            yield from _decorated(module, node)
            yield from _calls_itself(module, node)
        elif isinstance(node, ast.Call):
            yield from _retrying_caller(module, node)


def _loop(module: Module, loop: Loop) -> Iterator[Spot]:
    call = next(module.reaching_calls(*loop.body), None)
    if call is None:
        return
    if not isinstance(loop, ast.While) and any(map(_ITERATORS.fullmatch, module.names.paths(loop.iter))):
        yield Spot(node=loop, message=f"retries {called_name(call)} with a retry library")
        return
    tried = next(_retried(module, loop), None)
    if tried is not None:
        yield Spot(node=loop, message=f"tries {called_name(tried)} again after an exception")
    elif _asks_until_good(module, loop):
        yield Spot(node=loop, message=f"asks {called_name(call)} again until its answer is accepted")


def _retried(module: Module, loop: Loop) -> Iterator[ast.Call]:
    """The calls that are tried again: one of their handlers goes on with the loop, and success leaves it."""
    for node in own_nodes(*loop.body):
        if isinstance(node, ast.Try | ast.TryStar) and _loop_around(module, node) is loop:
            goes_on = any(not _leaves(handler.body) for handler in node.handlers)
            if goes_on and _success_leaves(module, node, loop):
                yield from (call for call in module.reaching_calls(*node.body) if not _searches(loop, call))


def _success_leaves(module: Module, tried: ast.Try | ast.TryStar, loop: Loop) -> bool:
    within = [*tried.body, *tried.orelse]
    if any(_is_exit(module, node, loop) for node in own_nodes(*within)):
        return True
    assigned = set(_assigned(within))
    if isinstance(loop, ast.While) and assigned & _mentioned(loop.test):
        return True
    for after in _following(module, tried):
        if isinstance(after, ast.Return | ast.Break):
            return True
        if isinstance(after, ast.If) and _mentioned(after.test) & assigned:
            return _holds_exit(module, after, loop)
    return False


def _searches(loop: Loop, call: ast.Call) -> bool:
    """Whether each round asks something else: the loop's variable is in the call, and not as its model."""
    if isinstance(loop, ast.While):
        return False
    if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "range":
        return False
    targets = _mentioned(loop.target)
    asked = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "model")]
    return any(targets & _mentioned(argument) for argument in asked)


def _asks_until_good(module: Module, loop: Loop) -> bool:
    """A counted loop, named or written as attempts, that an `if` on the answer leaves."""
    if not _counts_attempts(module, loop):
        return False
    answers: set[str] = set()
    for node in own_nodes(*loop.body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            calls = list(module.reaching_calls(node.value))
            if any("tools" in {keyword.arg for keyword in call.keywords} for call in calls):
                return False  # an agent's turns, not attempts
            if calls or answers & _mentioned(node.value):
                answers.update(_assigned([node]))
        elif isinstance(node, ast.If) and answers & _mentioned(node.test) and _holds_exit(module, node, loop):
            return True
    return False


def _holds_exit(module: Module, branch: ast.If, loop: Loop) -> bool:
    return any(_is_exit(module, node, loop) for node in own_nodes(*branch.body, *branch.orelse))


def _counts_attempts(module: Module, loop: Loop) -> bool:
    if isinstance(loop, ast.While):
        return any(map(_HINT.search, _mentioned(loop.test)))
    if not module.names.paths(loop.iter) & _COUNTERS:
        return False
    names = _mentioned(loop.target) | _mentioned(loop.iter)
    return "_" in names or any(map(_HINT.search, names))


def _decorated(module: Module, function: Function) -> Iterator[Spot]:
    if function not in module.reaching and not module.step_kind(function):
        return
    for decorator in function.decorator_list:
        if any(map(_DECORATORS.fullmatch, module.names.paths(decorator))):
            yield Spot(node=decorator, message=f"runs {function.name} again, and the model call in it")


def _calls_itself(module: Module, function: Function) -> Iterator[Spot]:
    for node in own_nodes(*function.body):
        if isinstance(node, ast.Try | ast.TryStar) and next(module.reaching_calls(*node.body), None) is not None:
            for inner in own_nodes(*node.handlers):
                if isinstance(inner, ast.Call) and function in module.called(inner):
                    yield Spot(node=inner, message=f"{function.name} calls itself again after its model call failed")


def _retrying_caller(module: Module, call: ast.Call) -> Iterator[Spot]:
    """`Retrying(...)(function, ...)`, `retry(...)(function)`."""
    if not call.args or not any(
        _CALLERS.fullmatch(path) or _DECORATORS.fullmatch(path) for path in module.names.paths(call.func)
    ):
        return
    target = call.args[0]
    if any(function in module.reaching for function, _ in module.names.functions(target)) or _is_sdk_function(
        module, target
    ):
        yield Spot(node=call, message=f"runs {ast.unparse(target)} again, and the model call in it")


def _is_sdk_function(module: Module, node: ast.expr) -> bool:
    return any(map(is_model_call, module.names.paths(node)))


def _is_exit(module: Module, node: ast.AST, loop: Loop) -> bool:
    if any(
        isinstance(above, ast.ExceptHandler) and _inside(module, above, loop) for above in module.layout.above(node)
    ):
        return False
    return isinstance(node, ast.Return) or (isinstance(node, ast.Break) and _loop_around(module, node) is loop)


def _inside(module: Module, node: ast.AST, loop: Loop) -> bool:
    return any(above is loop for above in module.layout.above(node))


def _loop_around(module: Module, node: ast.AST) -> ast.AST | None:
    return next((above for above in module.layout.above(node) if isinstance(above, _LOOPS)), None)


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise | ast.Return | ast.Break)


def _following(module: Module, statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements after it in its block."""
    parent = module.layout.parent[statement]
    for name in ("body", "orelse", "finalbody"):
        block: Sequence[ast.stmt] = getattr(parent, name, ())  # whatever holds a statement holds lists of them
        if statement in block:
            yield from block[block.index(statement) + 1 :]


def _assigned(statements: Iterable[ast.AST]) -> Iterator[str]:
    for node in own_nodes(*statements):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _mentioned(node: ast.AST) -> set[str]:
    names = {inner.id for inner in own_nodes(node) if isinstance(inner, ast.Name)}
    return names | {inner.attr for inner in own_nodes(node) if isinstance(inner, ast.Attribute)}
