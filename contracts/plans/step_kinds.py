"""The kinds of steps: which one a step is, and what that lets it say."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import normpath

from stratum.contracts.plans.owned_files import check_pattern
from stratum.contracts.plans.plan import Command, ExecutionPlan, Kind, Step
from stratum.contracts.problem import Problems, at, did_you_mean, visible
from stratum.contracts.registry import Function, Registry

_MEANINGLESS: Mapping[Kind, tuple[str, ...]] = {
    "infer": ("command", "gate", "files"),
    "compute": ("command", "gate", "model", "service_tier", "files"),
    "agent": ("command", "gate", "service_tier"),
    "command": ("gate", "model", "service_tier"),
    "gate": (
        *("ensure", "retries", "budget", "repair", "on_fail", "repeat", "model", "service_tier", "command", "output"),
        "files",
    ),
    "plan": ("command", "gate", "model", "service_tier", "output", "retries", "files"),
}


def kind_of(step: Step, plan: ExecutionPlan, registry: Registry) -> Kind:
    """Who does `step`: as it says, else by what it has, else as its function is registered, else the agent."""
    if step.kind is not None:
        return step.kind
    if step.command is not None:
        return "command"
    if step.gate is not None:
        return "gate"
    if step.fn in plan.plans:
        return "plan"
    function = registry.functions.get(step.fn)
    return "agent" if function is None else function.kind


def function_of(step: Step, kind: Kind, registry: Registry) -> Function | None:
    """The registered function that the step calls, or whose contract the agent is to meet."""
    return registry.functions.get(step.fn) if kind in ("infer", "compute", "agent") else None


def check_kind(
    step: Step, kind: Kind, *, path: str, plan: ExecutionPlan, registry: Registry, problems: Problems
) -> None:
    """Note what a step of this kind lacks, and what it cannot have."""
    for name in _MEANINGLESS[kind]:
        if getattr(step, name) not in ("", (), None):
            problems.add(at(path, name), f"a step of kind {kind} has no {name}", "remove it, or set another kind")
    if kind in ("infer", "compute"):
        _check_function(step, kind, path, registry, problems)
    elif kind == "agent" and not step.fn and not step.intent:
        problems.add(path, "it does not say what to do", "give it an fn or an intent")
    elif kind == "command" and step.command is None:
        problems.add(path, "it has no command", 'give it one: command: ["pytest", "-q"]')
    elif kind == "gate" and step.gate is None:
        problems.add(path, "it has no gate", 'give it one: gate: {question: "Ship it?"}')
    elif kind == "plan" and step.fn not in plan.plans:
        fix = did_you_mean(step.fn, plan.plans, otherwise="declare it under `plans`")
        problems.add(at(path, "fn"), f"there is no plan {visible(step.fn)}", fix)
    for number, pattern in enumerate(step.files):
        check_pattern(pattern, at(at(path, "files"), number), problems)
    for number, condition in enumerate(step.conditions):
        _check_arguments(condition.command, at(at(path, "ensure"), number), problems)
    if step.program is not None:
        _check_program(step.program, at(path, "command"), problems)


def _check_function(step: Step, kind: Kind, path: str, registry: Registry, problems: Problems) -> None:
    function = registry.functions.get(step.fn)
    if function is not None and function.kind != kind:
        problems.add(at(path, "kind"), f"{visible(step.fn)} is a function of kind {function.kind}", "remove the kind")
    if function is not None or (kind == "infer" and step.intent and step.output):
        return
    known = [name for name, other in registry.functions.items() if other.kind == kind]
    otherwise = "register it" if kind == "compute" else "register it, or give the step an intent and an output"
    fix = did_you_mean(step.fn, known, otherwise=otherwise)
    problems.add(at(path, "fn"), f"there is no {kind} function {visible(step.fn)}", fix)


def _check_program(program: Command, path: str, problems: Problems) -> None:
    _check_arguments((*program.argv, program.cwd), path, problems)
    if normpath(program.cwd).startswith(".."):
        problems.add(at(path, "cwd"), f"{visible(program.cwd)} is outside the workspace", "name a folder in it")
    for name, value in program.env.items():
        _check_variable(name, value, at(path, "env"), problems)


def _check_arguments(arguments: tuple[str, ...], path: str, problems: Problems) -> None:
    if any("\0" in argument for argument in arguments):
        problems.add(path, "a program's arguments cannot hold NUL characters", "remove them")


def _check_variable(name: str, value: str, path: str, problems: Problems) -> None:
    if not name or "=" in name or "\0" in name + value:
        problems.add(at(path, name), f"{visible(name)} cannot be an environment variable", "correct its name and value")
