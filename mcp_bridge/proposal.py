"""A plan as an agent proposes it: the JSON Schema of its parts, short enough to be read with every session.

What is proposed is checked by `stratum.contracts.plans.text`, which tells everything that is wrong at once; the schema says what
can be written, and refuses nothing. docs/plans.md has every key in full.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


_TYPE: Final[Schema] = {"anyOf": [{"type": "string"}, {"type": "object"}]}
_ARGV: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_PROGRAM: Final[Schema] = {**_ARGV, "description": "A program and its arguments; no shell reads them."}
_CONDITION: Final[Schema] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "Exactly one of these.",
            "properties": {
                "expr": _text("An expression."),
                "command": _PROGRAM,
                "judge": _text("Plain English."),
            },
        },
    ]
}

BUDGET: Final[Schema] = {
    "type": "object",
    "properties": {
        "usd": {"type": "number", "description": "US dollars."},
        "tokens": {"type": "integer", "description": "Tokens, in and out."},
        "ms": {"type": "number", "description": "Milliseconds of running time."},
    },
}

STEP: Final[Schema] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": _text("Letters, digits, _ and -."),
        "fn": _text("A registered function, or your own name for what you will do in this step."),
        "kind": {
            "type": "string",
            "enum": ["infer", "compute", "agent", "command", "gate"],
            "description": "Who does it. Leave it out: command and gate follow from those keys, else the function's, else agent (you). "
            "A plan within a plan is written to a file.",
        },
        "intent": _text("What is to be done, in words."),
        "inputs": {
            "type": "object",
            "description": "By name: values, or references $.input.NAME and $.steps.ID.output.path, which also order the steps.",
        },
        "output": {
            **_TYPE,
            "description": "What it returns: a contract's name, list[str], int | None, or a JSON Schema.",
        },
        "depends_on": {"type": "array", "items": {"type": "string"}, "description": "Ids of steps to wait for."},
        "require": {
            "anyOf": [{"type": "string", "enum": ["all", "any"]}, {"type": "integer", "minimum": 1}],
            "description": "How many of the steps it waits for must succeed; outputs of those that failed are null. Default all.",
        },
        "files": {
            **_ARGV,
            "description": "For your steps and commands: the only files that may change, as paths or patterns (src/*.py). "
            "Steps that do not wait for one another must not share any.",
        },
        "ensure": {
            "anyOf": [*_CONDITION["anyOf"], {"type": "array", "items": _CONDITION}],
            "description": "What must hold of the result: an expression over result, inputs, steps (`len(result.files) > 0`), "
            "plain English for a judge, or {command: [argv]} that must exit with 0.",
        },
        "retries": {"type": "integer", "description": "After a violation; default 3."},
        "repair": _text("The earlier step that a violation here is sent to instead of this one."),
        "when": _text("An expression; if it is false, the step is skipped."),
        "on_fail": _text("The step that stands in when this one has failed for good."),
        "repeat": {
            "type": "object",
            "description": "Do it again until the expression is true; the best result by score is kept.",
            "properties": {
                "until": _text("An expression."),
                "limit": {"type": "integer", "description": "Times at most."},
                "score": _text("An expression for a number, the higher the better."),
                "accumulate": {
                    "type": "object",
                    "description": "Keep the items of a list in all results, each once; `dry` times without a new one end it.",
                    "properties": {
                        "field": _text("Of the result: a list."),
                        "key": _text("Of each item: what tells whether it was found before."),
                        "dry": {"type": "integer", "description": "0: never ends it."},
                    },
                },
            },
        },
        "budget": {**BUDGET, "description": "Hard limits on this step, within the plan's own."},
        "model": {"anyOf": [{"type": "string"}, _ARGV], "description": "For infer steps."},
        "service_tier": {
            "type": "string",
            "enum": ["auto", "default", "flex", "priority"],
            "description": "For infer steps: how OpenAI serves the call; flex costs half and may take minutes.",
        },
        "command": {
            "anyOf": [
                _ARGV,
                {
                    "type": "object",
                    "properties": {
                        "argv": _PROGRAM,
                        "cwd": _text("A folder of the project."),
                        "env": {"type": "object", "description": "Variables besides the few that every command gets."},
                        "shell": {"type": "boolean", "description": "Have sh -c run argv[0]."},
                        "network": {"type": "boolean", "description": "Let it reach the network from a sandbox."},
                    },
                },
            ],
            "description": "A program that Stratum runs in the project.",
        },
        "gate": {
            "type": "object",
            "description": "A question to the user before going on.",
            "properties": {
                "question": _text("What they are asked."),
                "revise": _text("The earlier step that they may send back."),
                "max_rounds": {"type": "integer", "description": "Revisions at most; default 3."},
                "timeout_s": {"type": "number", "description": "Seconds to answer; default any time."},
                "on_timeout": {"type": "string", "enum": ["kill", "approve"], "description": "Default kill."},
            },
        },
    },
}

STEPS: Final[Schema] = {"type": "array", "items": STEP, "description": "The steps you propose."}
CONTRACTS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "object"},
    "description": "JSON Schemas by name, for the steps' outputs.",
}
INPUT: Final[Schema] = {"type": "object", "additionalProperties": _TYPE, "description": "Types of $.input, by name."}


def document(**given: Any) -> dict[str, Any]:
    """The plan document of what was given; absent and empty parts are left to their defaults.

    What is empty but of another type stays, to be refused: a budget of `[]` may have been meant as none at all, or as nothing.
    """
    return {key: value for key, value in given.items() if value is not None and value != _EMPTY[key]}


_EMPTY: Final[Schema] = {"goal": "", "contracts": {}, "input": {}, "steps": [], "output": "", "budget": {}}
