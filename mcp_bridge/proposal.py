"""A plan as an agent proposes it: the JSON Schema of stratum_plan's arguments, short enough to be read with every session.

What is proposed is checked by `stratum.contracts.plans.text`, which tells everything that is wrong at once; the schema says what
can be written, and refuses nothing. docs/plans.md has every key in full.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _shared(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_NUMBER: Final[Schema] = {"type": "number"}
_YES: Final[Schema] = {"type": "boolean"}
_OBJECT: Final[Schema] = {"type": "object"}
_LIST: Final = _shared("Texts")
_TYPE: Final[Schema] = {"anyOf": [_TEXT, _OBJECT]}

STEP: Final[Schema] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": _text("Letters, digits, _ and -."),
        "fn": _text("A registered function, one of plans, or your name for what you will do."),
        "kind": {
            "type": "string",
            "enum": ["infer", "compute", "agent", "command", "gate", "plan"],
            "description": "Default: as command, gate, fn say; else agent (you).",
        },
        "intent": _text("What is to be done."),
        "inputs": {
            "type": "object",
            "description": "Values, or references ($.input.NAME, $.steps.ID.output.path), which order the steps, too.",
        },
        "output": {**_TYPE, "description": "Its type: a contract's name, list[str], int | None, or a JSON Schema."},
        "depends_on": {**_LIST, "description": "More steps to wait for."},
        "require": {
            "anyOf": [{"type": "string", "enum": ["all", "any"]}, {"type": "integer", "minimum": 1}],
            "description": "How many of the steps it waits for must succeed; others' output is null.",
        },
        "files": {
            **_LIST,
            "description": "All that you or a command may change (src/*.py); no two steps at once may share any.",
        },
        "ensure": {
            "anyOf": [_shared("Condition"), {"type": "array", "items": _shared("Condition")}],
            "description": "What must hold: an expression over result, inputs, steps (`len(result.files) > 0`; or {expr}), plain English "
            "for a judge (or {judge}), or {command: argv} that must exit with 0.",
        },
        "retries": {"type": "integer", "description": "After a violation; default 3."},
        "repair": _text("The earlier step to send a violation to."),
        "when": _text("An expression; false: skipped."),
        "on_fail": _text("The step in its place if it fails for good."),
        "repeat": {
            "type": "object",
            "description": "Again until an expression is true, at most limit times; the best by score, an expression, is kept. "
            "accumulate: all results' items of the list `field`, each key once; dry times without a new one end it.",
            "properties": {
                "until": _TEXT,
                "limit": _WHOLE,
                "score": _TEXT,
                "accumulate": {"type": "object", "properties": {"field": _TEXT, "key": _TEXT, "dry": _WHOLE}},
            },
        },
        "budget": {**_shared("Budget"), "description": "Within the plan's."},
        "model": {"anyOf": [_TEXT, _LIST], "description": "Of infer steps."},
        "service_tier": {
            "type": "string",
            "enum": ["auto", "default", "flex", "priority"],
            "description": "Of infer steps; flex: half the price, slow.",
        },
        "command": {
            "anyOf": [
                _LIST,
                {
                    "type": "object",
                    "properties": {"argv": _LIST, "cwd": _TEXT, "env": _OBJECT, "shell": _YES, "network": _YES},
                },
            ],
            "description": "A program that Stratum runs; no shell reads argv, unless shell: sh -c runs argv[0]. cwd: in the project. "
            "env: more variables. network: in a sandbox, too.",
        },
        "gate": {
            "type": "object",
            "description": "A question to the user. revise: the earlier step that they may have redone, max_rounds (3) times. "
            "on_timeout (kill): the answer after timeout_s.",
            "properties": {
                "question": _TEXT,
                "revise": _TEXT,
                "max_rounds": _WHOLE,
                "timeout_s": _NUMBER,
                "on_timeout": {"type": "string", "enum": ["kill", "approve"]},
            },
        },
    },
}

SHARED: Final[Schema] = {
    "Texts": {"type": "array", "items": _TEXT},
    "Condition": {
        "anyOf": [_TEXT, {"type": "object", "properties": {"expr": _TEXT, "command": _LIST, "judge": _TEXT}}]
    },
    "Budget": {
        "type": "object",
        "properties": {"usd": _NUMBER, "tokens": _WHOLE, "ms": _NUMBER},
    },
}
"""What several parts are, by name."""

FIELDS: Final[Schema] = {
    "steps": {"type": "array", "items": STEP, "description": "What you propose."},
    "contracts": {
        "type": "object",
        "additionalProperties": _OBJECT,
        "description": "JSON Schemas by name.",
    },
    "input": {"type": "object", "additionalProperties": _TYPE, "description": "Types of $.input, by name."},
    "inputs": {"type": "object", "description": "Values of $.input."},
    "output": _text("A reference to what the plan returns; default: its last step's."),
    "budget": {**_shared("Budget"), "description": "Hard limits: usd, tokens in and out, ms of running time."},
    "fail_fast": {"type": "boolean", "description": "false: after a failure, finish what does not depend on it."},
    "max_in_flight": {"type": "integer", "minimum": 1, "description": "Steps at once at most."},
    "plans": {
        "type": "object",
        "description": "Plans by name, for a step's fn; its inputs are their $.input. Each: input, steps, output, as here.",
    },
}
"""The arguments of stratum_plan that are parts of a plan, by name."""


def document(**given: Any) -> dict[str, Any]:
    """The plan document of what was given; absent and empty parts are left to their defaults.

    What is empty but of another type stays, to be refused: a budget of `[]` may have been meant as none at all, or as nothing.
    """
    return {key: value for key, value in given.items() if value is not None and value != _EMPTY.get(key)}


_EMPTY: Final[Schema] = {"goal": "", "contracts": {}, "input": {}, "steps": [], "output": "", "budget": {}, "plans": {}}
