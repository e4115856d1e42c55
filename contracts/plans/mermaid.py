"""A plan's graph as a Mermaid flowchart."""

from __future__ import annotations

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.joins import is_join
from stratum.contracts.plans.plan import Kind, Step
from stratum.contracts.problem import visible

_SHAPES: dict[Kind, tuple[str, str]] = {
    "infer": ("([", "])"),
    "compute": ("[", "]"),
    "agent": ("(", ")"),
    "command": ("[[", "]]"),
    "gate": ("{{", "}}"),
    "plan": ("[/", "/]"),
}


def render_mermaid(compiled: CompiledPlan) -> str:
    """Solid arrows are dependencies, labelled where not all must succeed, dotted ones what a violation, a revision or a failure leads to."""
    lines = ["flowchart TD"]
    for number, step in enumerate(compiled.plan.steps):
        opening, closing = _SHAPES[compiled.kinds[number]]
        # Nodes are numbered: an id such as `end` would be a word of Mermaid's own.
        lines.append(f'  s{number}{opening}"{_label(step)}"{closing}')
    for number, before in enumerate(compiled.dependencies):
        step = compiled.plan.steps[number]
        arrow = f"-- {step.require} -->" if is_join(step) else "-->"
        lines += [f"  s{other} {arrow} s{number}" for other in before]
    for number, step in enumerate(compiled.plan.steps):
        revise = step.gate.revise if step.gate is not None else ""
        for target, word in ((step.repair, "repair"), (revise, "revise"), (step.on_fail, "on failure")):
            if target:
                lines.append(f"  s{number} -. {word} .-> s{compiled.index[target]}")
    return "\n".join(lines)


def _label(step: Step) -> str:
    name = step.fn or (step.program.argv[0] if step.program is not None else "") or step.intent
    if step.gate is not None:
        name = step.gate.question
    text = f"{step.id}: {visible(name)[1:-1]}"
    # Mermaid reads `#35;` as the character with that number; everything else is kept from meaning anything to it.
    return "".join(char if char.isalnum() or char in " .,:_-?!/" else f"#{ord(char)};" for char in text)
