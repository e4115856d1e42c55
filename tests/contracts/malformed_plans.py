"""Plans that must be refused: what is wrong, the text, and where and how the first problem is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

READ: dict[str, Any] = {"id": "1", "fn": "read_routes", "inputs": {"path": "api"}}
DESIGN: dict[str, Any] = {"id": "2", "fn": "design", "inputs": {"routes": "$.steps.1.output", "level": "low"}}


class Malformed(NamedTuple):
    text: str
    path: str
    problem: str
    """A part of it."""
    fix: str
    """A part of it."""


def plan(*steps: Any, **keys: Any) -> str:
    return json.dumps({"steps": list(steps), **keys})


def step(**keys: Any) -> str:
    """A plan of two good steps and a third."""
    return plan(READ, DESIGN, {"id": "3", "fn": "ship", **keys})


def malformed() -> Iterator[Malformed]:
    yield from texts()
    yield from forms()
    yield from ids()
    yield from dependencies()
    yield from references()
    yield from arguments()
    yield from types()
    yield from expressions()
    yield from kinds()
    yield from gates_and_repairs()
    yield from budgets()
    yield from plans_within()
    yield from bombs()


def texts() -> Iterator[Malformed]:
    """CASES G1."""
    for text in ("", " ", "\n\n", "# nothing", "---\n"):
        yield Malformed(text, "$", "empty" if text != "---\n" else "expected `object`, got `null`", "")
    yield Malformed("{", "$", "not JSON", "")
    yield Malformed('{"steps": [}', "$", "not JSON", "")
    yield Malformed('{"steps": [],}', "$", "not JSON", "")
    yield Malformed("{'steps': []}", "$", "not JSON", "")
    yield Malformed('{"steps": []} x', "$", "not JSON: extra data", "")
    yield Malformed('{"steps": [], "steps": []}', "$", 'the key "steps" twice', "")
    yield Malformed('{"steps": [{"id": "1", "fn": "a", "id": "2"}]}', "$", 'the key "id" twice', "")
    yield Malformed('{"steps": NaN}', "$", "NaN is not JSON", "")
    yield Malformed('{"max_in_flight": -Infinity}', "$", "-Infinity is not JSON", "")
    yield Malformed('{"n": ' + "9" * 5000 + "}", "$", "Exceeds the limit", "")
    yield Malformed("steps: [", "$", "not YAML", "")
    yield Malformed("steps:\n\t- id: 1", "$", "not YAML", "")
    yield Malformed("steps: &a []\nplans: *a", "$", "anchors and aliases", "write the value out")
    yield Malformed("steps: !!python/name:os.system", "$", "tags such as", "remove it")
    yield Malformed("steps: []\nsteps: []", "$", 'the key "steps" is there twice', "remove one")
    yield Malformed("steps: []\n---\nsteps: []", "$", "a second document", "one file holds one plan")
    yield Malformed("1: []", "$", "the key 1 is not a string", 'quote it: "1"')
    yield Malformed("steps: \x00", "$", "#x0000", "")
    for text in ("[]", "3", '"steps"', "null", "steps"):
        yield Malformed(text, "$", "expected `object`", "")


def forms() -> Iterator[Malformed]:
    """CASES G1."""
    yield Malformed("{}", "$", "it has no 'steps'", "steps: [")
    yield Malformed(plan(), "$.steps", "there are no steps", "write steps")
    yield Malformed('{"steps": {}}', "$.steps", "expected `array`, got `object`", "")
    yield Malformed('{"steps": [1]}', "$.steps[0]", "expected `object`, got `int`", "")
    yield Malformed('{"steps": [null]}', "$.steps[0]", "expected `object`, got `null`", "")
    for wrong, right in (
        *(("gaol", "goal"), ("contract", "contracts"), ("inputs", "input"), ("step", "steps"), ("bugdet", "budget")),
        *(("failfast", "fail_fast"), ("outptu", "output"), ("plan", "plans")),
    ):
        yield Malformed(plan(READ, **{wrong: 1}), f"$.{wrong}", f'there is no key "{wrong}"', f'did you mean "{right}"')
    for wrong, right in (
        *(("ensures", "ensure"), ("depend_on", "depends_on"), ("retry", "retries"), ("repiar", "repair")),
        *(
            ("input", "inputs"),
            ("function", ""),
            ("onfail", "on_fail"),
            ("Id", "id"),
            ("cmd", "command"),
            ("wen", "when"),
        ),
    ):
        fix = f'did you mean "{right}"' if right else "there are: id, fn"
        yield Malformed(step(**{wrong: "x"}), f"$.steps[2].{wrong}", f'there is no key "{wrong}"', fix)
    for key, value, problem in (
        ("id", 3, "expected `str`, got `int`"),
        ("id", None, "expected `str`, got `null`"),
        ("id", "x" * 65, "length <= 64"),
        ("fn", ["a"], "expected `str`, got `array`"),
        ("fn", "x" * 129, "length <= 128"),
        ("kind", "inferr", "invalid enum value 'inferr'"),
        ("kind", 1, "expected `str | null`, got `int`"),
        ("inputs", [], "expected `object`, got `array`"),
        ("inputs", "$.input", "expected `object`, got `str`"),
        ("output", 3, "expected `str | object`"),
        ("depends_on", "1", "expected `array`, got `str`"),
        ("retries", -1, "expected `int` >= 0"),
        ("retries", 101, "expected `int` <= 100"),
        ("retries", "3", "expected `int | null`"),
        ("retries", True, "expected `int | null`"),
        ("retries", 1.5, "expected `int | null`"),
        ("when", True, "expected `str`, got `bool`"),
        ("model", 5, "expected `str | array`"),
    ):
        yield Malformed(step(**{key: value}), f"$.steps[2].{key}", problem, "")
    for key, value, fix in (
        ("budget", 5, "write budget: {usd: 0.50}"),
        ("gate", "ok?", 'write gate: {question: "Ship it?"}'),
        ("command", "pytest -q", 'write command: ["pytest", "-q"]'),
        ("repeat", 3, 'write repeat: {until: "result.score > 0.9", limit: 5}'),
    ):
        yield Malformed(step(**{key: value}), f"$.steps[2].{key}", "expected `object", fix)
    yield Malformed(step(depends_on=["1", 2]), "$.steps[2].depends_on[1]", "expected `str`, got `int`", 'quote it: "2"')
    yield Malformed(step(ensure=[3]), "$.steps[2].ensure[0]", "expected `str | object`", "")
    yield Malformed(step(ensure={"expr": "a", "judge": "b"}), "$.steps[2].ensure", "exactly one of expr", "")
    yield Malformed(step(ensure={}), "$.steps[2].ensure", "exactly one of expr", "")
    yield Malformed(step(ensure=""), "$.steps[2]", "exactly one of expr", "")
    yield Malformed(step(ensure={"exp": "a"}), "$.steps[2].ensure.exp", 'no key "exp"', 'did you mean "expr"')
    yield Malformed(step(command=[]), "$.steps[2]", "a command needs a program", "")
    yield Malformed(step(command={"argv": []}), "$.steps[2].command.argv", "length >= 1", "")
    yield Malformed(step(command={"cwd": "x"}), "$.steps[2].command", "it has no 'argv'", "argv: [")
    yield Malformed(
        step(command={"argv": ["x"], "env": {"A": 1}}), "$.steps[2].command.env.A", "expected `str`", 'quote it: "1"'
    )
    yield Malformed(step(gate={}), "$.steps[2].gate", "it has no 'question'", 'question: "Ship it?"')
    yield Malformed(step(gate={"question": "?", "timeout_s": 0}), "$.steps[2].gate.timeout_s", "> 0", "")
    yield Malformed(
        step(gate={"question": "?", "on_timeout": "kil"}), "$.steps[2].gate.on_timeout", "'kil'", 'mean "kill"'
    )
    yield Malformed(step(gate={"question": "?", "max_rounds": 0}), "$.steps[2].gate.max_rounds", ">= 1", "")
    yield Malformed(step(repeat={"until": "True"}), "$.steps[2].repeat", "it has no 'limit'", "limit: 5")
    yield Malformed(step(repeat={"limit": 3}), "$.steps[2].repeat", "it has no 'until'", "until:")
    yield Malformed(step(repeat={"until": "True", "limit": 0}), "$.steps[2].repeat.limit", ">= 1", "")
    yield Malformed(plan(READ, max_in_flight=0), "$.max_in_flight", ">= 1", "")
    yield Malformed(plan(READ, fail_fast="no"), "$.fail_fast", "expected `bool`", "")
    yield Malformed(plan(READ, goal=["x"]), "$.goal", "expected `str`", "")
    yield Malformed(plan(READ, input={"x": 3}), "$.input.x", "expected `str | object`", "")
    yield Malformed(plan(READ, estimate="cheap"), "$.estimate", "expected `object", "")
    yield Malformed("steps:\n- id: 1\n  fn: read_routes", "$.steps[0].id", "expected `str`, got `int`", 'quote it: "1"')


def ids() -> Iterator[Malformed]:
    for id in ("", " ", "a b", "a.b", "a/b", "a\x00", "a\u202eb", "\u2066a", "é", "-a", "a\n", "$", "а"):
        yield Malformed(plan({"id": id, "fn": "x"}), "$.steps[0].id", "is not an id", "use letters, digits, _ and -")
    yield Malformed(plan(READ, READ), "$.steps[1].id", 'the id "1" is there twice, first at $.steps[0]', "another")


def dependencies() -> Iterator[Malformed]:
    """CASES G6, G9."""
    yield Malformed(step(depends_on=["4"]), "$.steps[2].depends_on[0]", 'there is no step "4"', "there are: 1, 2, 3")
    yield Malformed(step(depends_on=["1", ""]), "$.steps[2].depends_on[1]", 'there is no step ""', "there are")
    yield Malformed(step(depends_on=["3"]), "$.steps[2].depends_on[0]", 'step "3" waits for itself', "remove it")
    named = [{"id": "review", "fn": "x"}, {"id": "b", "fn": "x", "depends_on": ["revew"]}]
    yield Malformed(plan(*named), "$.steps[1].depends_on[0]", 'there is no step "revew"', 'did you mean "review"?')
    ring = [{"id": str(n), "fn": "x", "depends_on": [str((n + 1) % 3)]} for n in range(3)]
    yield Malformed(plan(*ring), "$.steps[0]", '"0" -> "2" -> "1" -> "0"', "remove one of the dependencies")
    long = [{"id": str(n), "fn": "x", "depends_on": [str((n + 1) % 50)]} for n in range(50)]
    yield Malformed(plan(*long), "$.steps[0]", '-> … -> "0"', "remove one")
    by_reference = [
        {"id": "a", "fn": "x", "inputs": {"v": "$.steps.b.output"}},
        {"id": "b", "fn": "x", "depends_on": ["a"]},
    ]
    yield Malformed(plan(*by_reference), "$.steps[0]", '"a" -> "b" -> "a"', "remove one")
    by_condition = [{"id": "a", "fn": "x", "when": "steps.b.output == 1"}, {"id": "b", "fn": "x", "depends_on": ["a"]}]
    yield Malformed(plan(*by_condition), "$.steps[0]", '"a" -> "b" -> "a"', "remove one")
    by_stand_in = [{"id": "a", "fn": "x", "on_fail": "b", "depends_on": ["b"]}, {"id": "b", "fn": "x"}]
    yield Malformed(plan(*by_stand_in), "$.steps[0]", '"a" -> "b" -> "a"', "remove one")


def references() -> Iterator[Malformed]:
    for text in (
        "$.",
        "$.x",
        "$.inputs.x",
        "$.steps",
        "$.steps.1",
        "$.steps.1.outptu",
        "$.steps..output",
        "$.input..x",
    ):
        yield Malformed(step(inputs={"a": text}), "$.steps[2].inputs.a", "is not a reference", "$.steps.ID.output")
    yield Malformed(step(inputs={"a": [1, {"b": "$.x"}]}), "$.steps[2].inputs.a[1].b", "is not a reference", "")
    yield Malformed(step(command=["ls", "$.x"]), "$.steps[2].command.argv[1]", "is not a reference", "")
    yield Malformed(
        step(ensure={"command": ["ls", "$.steps.9.output"]}), "$.steps[2].ensure[0].command[1]", 'no step "9"', ""
    )
    yield Malformed(step(inputs={"a": "$.steps.9.output"}), "$.steps[2].inputs.a", 'there is no step "9"', "there are")
    yield Malformed(step(inputs={"a": "$.steps.3.output"}), "$.steps[2].inputs.a", "waits for itself", "")
    for part, problem, fix in (
        ("rutes", 'there is no field "rutes"', 'did you mean "routes"?'),
        ("prefix.x", "a string has no parts", "the whole of it"),
        ("routes.first", 'it is a list, which has no "first"', '".0"'),
        ("routes.0.x", "a string has no parts", ""),
    ):
        yield Malformed(step(inputs={"a": f"$.steps.1.output.{part}"}), "$.steps[2].inputs.a", problem, fix)
    yield Malformed(
        step(inputs={"a": "$.steps.2.output.limits.burts"}), "$.steps[2].inputs.a", 'no field "burts"', 'mean "burst"'
    )
    given = {"path": "$.input.pth"}
    yield Malformed(
        plan({**READ, "inputs": given}, input={"path": "str"}),
        "$.steps[0].inputs.path",
        'no input "pth"',
        'mean "path"',
    )
    for output, problem in (
        ("1", "is not a reference"),
        ("$.steps.9.output", 'there is no step "9"'),
        ("$.steps.1.output.x", 'no field "x"'),
    ):
        yield Malformed(plan(READ, output=output), "$.output", problem, "")


def arguments() -> Iterator[Malformed]:
    yield Malformed(plan({"id": "1", "fn": "read_routes"}), "$.steps[0].inputs", 'read_routes needs "path"', "a value")
    wrong = {"path": "x", "pathh": "y"}
    yield Malformed(plan({**READ, "inputs": wrong}), "$.steps[0].inputs.pathh", 'takes no "pathh"', 'mean "path"?')
    for value, problem in (
        (3, "expected string, got 3"),
        (None, "expected string, got null"),
        (["a"], "expected string"),
    ):
        yield Malformed(plan({**READ, "inputs": {"path": value}}), "$.steps[0].inputs.path", problem, "it takes str")
    level = {"routes": "$.steps.1.output", "level": "mid"}
    yield Malformed(plan(READ, {**DESIGN, "inputs": level}), "$.steps[1].inputs.level", "expected 'low' or 'high'", "")
    counted = {"id": "2", "fn": "count", "inputs": {"names": "$.steps.1.output"}}
    yield Malformed(plan(READ, counted), "$.steps[1].inputs.names", "an object is not a list", "takes list[str]")
    counted = {"id": "2", "fn": "count", "inputs": {"names": "$.steps.1.output.prefix"}}
    yield Malformed(plan(READ, counted), "$.steps[1].inputs.names", "a string is not a list", "takes list[str]")
    named = {"id": "3", "fn": "name_of", "inputs": {"limits": "$.steps.2.output"}}
    yield Malformed(plan(READ, DESIGN, named), "$.steps[2].inputs.limits", 'has no "per_second"', "takes Limits")
    burst: dict[str, Any] = {
        "id": "3",
        "fn": "count",
        "inputs": {"names": [], "at_most": "$.steps.2.output.limits.burst"},
    }
    yield Malformed(plan(READ, DESIGN, burst), "$.steps[2].inputs.at_most", "null is not an integer", "takes int")
    first = {"routes": "$.steps.1.output", "level": "$.steps.1.output.prefix"}
    yield Malformed(
        plan(READ, {**DESIGN, "inputs": first}), "$.steps[1].inputs.level", "a string may be other than", ""
    )
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    deeper = '{"steps": [{"id": "1", "fn": "read_routes", "inputs": {"path": ' + "[" * 700 + "]" * 700 + "}}]}"
    yield Malformed(deeper, "$.steps[0].inputs.path" + "[0]" * 64, "nested deeper than 64", "flatter")
    yield Malformed(step(inputs={"a": deep}), "$.steps[2].inputs.a" + "[0]" * 64, "nested deeper than 64", "flatter")
    yield Malformed(
        '{"steps": [{"id": "1", "fn": "x", "inputs": {"a": 1e999}}]}', "$.steps[0].inputs.a", "inf is not", ""
    )
    yield Malformed('{"steps": [{"id": "1", "fn": "x", "intent": "\\ud800"}]}', "$", "half of a character", "the whole")


def types() -> Iterator[Malformed]:
    """CASES G5, G13."""
    yield Malformed(step(output="RoutMap"), "$.steps[2].output", 'no contract "RoutMap"', 'did you mean "RouteMap"?')
    yield Malformed(step(output="list[Nope]"), "$.steps[2].output", 'no contract "Nope"', "there are: RouteMap")
    for name in ("list", "list[]", "a.b", "int()", "list[int, str]", "x" * 600, "(" * 300):
        yield Malformed(step(output=name), "$.steps[2].output", "is not a type", 'write "RouteMap"')
    yield Malformed(step(output="dict[list[int], str]"), "$.steps[2].output", "key", "")
    yield Malformed(plan({**READ, "output": "Spec"}), "$.steps[0].output", "returns RouteMap, not Spec", "remove it")
    yield Malformed(plan(READ, input={"x": "Nope"}), "$.input.x", 'no contract "Nope"', "")
    schemas: tuple[tuple[dict[str, Any], str, str, str], ...] = (
        ({}, ".type", "null is not a type", "there are: string"),
        ({"type": "strng"}, ".type", '"strng" is not a type', 'did you mean "string"?'),
        ({"typ": "string"}, ".type", "null is not a type", ""),
        ({"type": "string", "minLenght": 1}, ".minLenght", 'no keyword "minLenght"', 'did you mean "minLength"?'),
        ({"type": "string", "minLength": -1}, ".minLength", "it is -1", "0 or more"),
        ({"type": "string", "pattern": "("}, ".pattern", 'it is "("', "unclosed group"),
        ({"type": "string", "pattern": "(?=a)"}, ".pattern", "(?=a)", "look-around"),
        ({"type": "string", "format": "emial"}, ".format", 'the format "emial" is not known', "there are: date"),
        ({"type": "integer", "maximum": "9"}, ".maximum", 'it is "9"', "a number"),
        ({"type": "number", "multipleOf": 0}, ".multipleOf", "it is 0", "above 0"),
        ({"type": "array"}, ".items", "null is not a JSON Schema", "write an object"),
        ({"type": "object"}, "", "it has no properties", ""),
        ({"type": "object", "properties": {}}, "", "it has no properties", ""),
        ({"type": "object", "properties": {"a": {"type": "int"}}}, ".properties.a.type", '"int" is not', '"integer"'),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}, ".required[0]", 'no "b"', ""),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": "a"}, ".required", "not a list", ""),
        (
            {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": True},
            ".additionalProperties",
            "beyond",
            "",
        ),
        ({"type": "string", "format": "date", "pattern": "x"}, "", "does not apply to date", ""),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "date", "minLength": 1}}}, "", "a: ", ""),
        ({"enum": []}, ".enum", "it has no values", "write"),
        ({"enum": [1.5]}, ".enum", "1.5 cannot be one", "strings or integers"),
        ({"anyOf": []}, "", "no alternatives", ""),
        ({"anyOf": [{"type": "x"}]}, ".anyOf[0].type", '"x" is not a type', ""),
        ({"$ref": "#/$defs/Nope"}, '["$ref"]', "is not defined", ""),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, '["$defs"].A', '"A" refers to itself', "levels"),
    )
    for schema, path, problem, fix in schemas:
        yield Malformed(step(output=schema), f"$.steps[2].output{path}", problem, fix)
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(70):
        nested = {"type": "array", "items": nested}
    yield Malformed(step(output=nested), "$.steps[2].output" + ".items" * 64, "nested deeper than 64", "flatter")
    for name, problem in (("1x", "is not a name"), ("a b", "is not a name"), ("Spec", "already"), ("int", "already")):
        path = f"$.contracts.{name}" if name.isidentifier() else f'$.contracts["{name}"]'
        yield Malformed(plan(READ, contracts={name: {"type": "string"}}), path, problem, "")
    circle = {"A": {"type": "array", "items": {"$ref": "B"}}, "B": {"type": "array", "items": {"$ref": "A"}}}
    yield Malformed(plan(READ, contracts=circle), "$.contracts.A", 'the contract "A" refers to itself', "")


def expressions() -> Iterator[Malformed]:
    """CASES G12."""
    for text, problem in (
        ("result.x >", "character"),
        ("result >> 3", "character"),
        ("().__class__ == 1", "underscore"),
        ("result.__class__ == 1", "underscore"),
        ("9**9**9 > result", "the power is too large"),
        ("1/0 == result", "division by zero"),
        ("rsult > 3", "there is no 'rsult'"),
        ("open('/etc/passwd') == result", "open"),
        ("__import__('os').system('x') == 1", ""),
        ("[x for x in y] == result", "there is no 'y'"),
        ("lambda: result", "cannot be used"),
        ("(result := 3) == 3", "cannot be used"),
        ("result == f'{x}'", "cannot be used"),
        ("result == b'x'", "cannot be used"),
        ("steps['9'].output == 1", "there is no field '9'"),
        ("steps['1'].outptu == 1", "there is no field 'outptu'"),
        ("steps['1'].output.rutes == []", "there is no field 'rutes'"),
        ("steps['2'].output.limits.x == 1", "there is no field 'x'"),
        ("steps == 1", "`steps` needs the id"),
        ("(" * 300 + "result" + ")" * 300, ""),
        ("result." + "a" * 3000, "longer than 2,000"),
        ("result\x00 > 1", ""),
        ("command_succeeds(result)", ""),
        ("the result is good", "character"),
        ("coverage > 80%", "character"),
    ):
        yield Malformed(step(ensure=text), "$.steps[2].ensure[0]", problem, "")
    yield Malformed(step(when="result > 1"), "$.steps[2].when", "there is no 'result'", "inputs")
    yield Malformed(step(when="inputs.a == 1", inputs={"b": 1}), "$.steps[2].when", "no field 'a'", "")
    yield Malformed(step(repeat={"until": "x", "limit": 2}), "$.steps[2].repeat.until", "there is no 'x'", "")
    bad_score = {"until": "True", "limit": 2, "score": "y"}
    yield Malformed(step(repeat=bad_score), "$.steps[2].repeat.score", "there is no 'y'", "")
    known = plan({**READ, "ensure": "result.rutes == []"})
    yield Malformed(known, "$.steps[0].ensure[0]", "there is no field 'rutes'", "'routes'")
    known = plan({**READ, "ensure": "inputs.pth == 'x'"})
    yield Malformed(known, "$.steps[0].ensure[0]", "there is no field 'pth'", "'path'")


def kinds() -> Iterator[Malformed]:
    """CASES G6, G14."""
    yield Malformed(step(kind="compute", fn="cuont"), "$.steps[2].fn", 'no compute function "cuont"', 'mean "count"?')
    yield Malformed(step(kind="infer", fn="desing"), "$.steps[2].fn", 'no infer function "desing"', 'mean "design"?')
    yield Malformed(step(kind="infer", fn="", intent="Do"), "$.steps[2].fn", "no infer function", "there are: design")
    yield Malformed(plan({**READ, "kind": "infer"}), "$.steps[0].kind", "is a function of kind compute", "remove")
    yield Malformed(plan({"id": "1"}), "$.steps[0]", "does not say what to do", "an fn or an intent")
    yield Malformed(step(kind="command"), "$.steps[2]", "it has no command", "command: [")
    yield Malformed(step(kind="gate"), "$.steps[2]", "it has no gate", "gate: {")
    yield Malformed(step(kind="plan"), "$.steps[2].fn", 'there is no plan "ship"', "declare it under `plans`")
    yield Malformed(step(kind="agent", command=["ls"]), "$.steps[2].command", "kind agent has no command", "remove it")
    yield Malformed(plan({**READ, "model": "gpt-4o"}), "$.steps[0].model", "kind compute has no model", "remove it")
    yield Malformed(
        plan({**READ, "service_tier": "flex"}),
        "$.steps[0].service_tier",
        "kind compute has no service_tier",
        "remove it",
    )
    yield Malformed(
        plan({"id": "1", "fn": "a", "service_tier": "batch"}),
        "$.steps[0].service_tier",
        "invalid enum value 'batch'",
        "there are: auto, default",
    )
    yield Malformed(step(command=["ls"], gate={"question": "?"}), "$.steps[2].gate", "kind command has no gate", "")
    yield Malformed(step(command=["a\x00b"]), "$.steps[2].command", "NUL", "remove them")
    yield Malformed(step(command={"argv": ["a"], "env": {"A=B": "1"}}), '$.steps[2].command.env["A=B"]', "variable", "")
    yield Malformed(step(command={"argv": ["a"], "env": {"A": "\x00"}}), "$.steps[2].command.env.A", "variable", "")
    gate = {"question": "?"}
    for key, value in (
        *(("ensure", "ok"), ("retries", 1), ("budget", {"usd": 1}), ("repair", "1"), ("on_fail", "1")),
        *(("repeat", {"until": "True", "limit": 2}), ("model", "x"), ("output", "Spec")),
    ):
        yield Malformed(step(gate=gate, **{key: value}), f"$.steps[2].{key}", f"kind gate has no {key}", "remove it")


def gates_and_repairs() -> Iterator[Malformed]:
    """CASES G14, G17."""
    after: list[dict[str, Any]] = [READ, DESIGN, {"id": "3", "fn": "x", "depends_on": ["2"]}, {"id": "4", "fn": "y"}]
    for target, problem in (("9", 'there is no step "9"'), ("4", 'step "4" does not lead'), ("3", 'step "3" does not')):
        steps = [*after[:2], {**after[2], "ensure": "fine", "repair": target}, after[3]]
        yield Malformed(plan(*steps), "$.steps[2].repair", problem, "")
        steps = [*after[:2], {**after[2], "gate": {"question": "?", "revise": target}}, after[3]]
        yield Malformed(plan(*steps), "$.steps[2].gate.revise", problem, "")
    chain = [{"id": str(n), "fn": "x", "depends_on": [str(n - 1)] if n else []} for n in range(2100)]
    for n in range(1050, 2100):
        chain[n] |= {"ensure": "fine", "repair": str(n - 1050)}
    yield Malformed(plan(*chain), "$", "go back to more than 1,000 others", "use fewer")
    steps = [*after[:2], {**after[2], "repair": "1"}]
    yield Malformed(plan(*steps), "$.steps[2].repair", "nothing that could be violated", "give the step an ensure")
    for require, problem, fix in (
        (0, ">= 1", "correct it"),
        (True, "got `bool`", "correct it"),
        ("some", "'some'", "all, any"),
        (3, "waits for 2 only", "require 2 at most"),
    ):
        steps = [*after[:2], {**after[2], "depends_on": ["1", "2"], "require": require}]
        yield Malformed(plan(*steps), "$.steps[2].require", problem, fix)
    yield Malformed(plan({**after[3], "require": "any"}), "$.steps[0].require", "waits for none", "in depends_on")
    asking = {"id": "4", "gate": {"question": "?"}}
    for target, extra, problem in (
        ("9", after[3], 'there is no step "9"'),
        ("3", after[3], 'step "3" cannot stand in'),
        ("4", asking, 'step "4" cannot stand in'),
        ("4", {**after[3], "on_fail": "1"}, 'step "4" cannot stand in'),
    ):
        yield Malformed(plan(READ, DESIGN, {**after[2], "on_fail": target}, extra), "$.steps[2].on_fail", problem, "")
    yield Malformed(plan({"id": "1", "fn": "a", "model": []}), "$.steps[0].model", "length >= 1", "correct it")
    yield Malformed(
        plan({"id": "1", "fn": "a", "model": ["", "b"]}), "$.steps[0].model[0]", "length >= 1", "correct it"
    )
    shared = [{"id": "1", "fn": "a", "on_fail": "3"}, {"id": "2", "fn": "b", "on_fail": "3"}, {"id": "3", "fn": "c"}]
    yield Malformed(plan(*shared), "$.steps[1].on_fail", "cannot stand in", "stands in for no other")
    unlike = [{**READ, "on_fail": "2"}, {"id": "2", "fn": "x", "output": "str"}]
    yield Malformed(plan(*unlike), "$.steps[0].on_fail", "cannot take this one's place", "return the same")


def budgets() -> Iterator[Malformed]:
    """CASES G23."""
    for budget, path, problem in (
        ({"ms": 0}, "$.budget", "pass a number of milliseconds above 0"),
        ({"ms": -1}, "$.budget", "pass a number of milliseconds above 0"),
        ({"ms": "5"}, "$.budget.ms", "expected `float | null`"),
        ({"ms": True}, "$.budget.ms", "expected `float | null`"),
        ({"usd": -1}, "$.budget", "-1"),
        ({"usd": "much"}, "$.budget.usd", "decimal"),
        ({"tokens": 1.5}, "$.budget.tokens", "expected `int | null`"),
        ({"tokens": -5}, "$.budget", "-5"),
        ({"dollars": 1}, "$.budget.dollars", 'no key "dollars"'),
        ({"on_exhaustion": "stop"}, "$.budget.on_exhaustion", "'stop'"),
    ):
        yield Malformed(plan(READ, budget=budget), path, problem, "")
    wide = {"id": "3", "fn": "x", "budget": {"usd": 2, "ms": 1}}
    yield Malformed(
        plan(wide, budget={"usd": 1, "ms": 5}), "$.steps[0].budget.usd", "more than the plan's 1", "lower it"
    )
    yield Malformed(plan(READ, DESIGN, budget={"usd": 0.001}), "$.budget.usd", "may already cost 0.010 USD", "raise it")
    yield Malformed(plan(READ, DESIGN, budget={"tokens": 9}), "$.budget.tokens", "may already take 500 tokens", "500")
    poor = {**DESIGN, "budget": {"usd": 0}}
    yield Malformed(plan(READ, poor), "$.steps[1].budget.usd", "may already cost 0.010 USD", "raise it")


def plans_within() -> Iterator[Malformed]:
    """CASES G19."""
    inner = {"steps": [{"id": "1", "fn": "x"}], "input": {"n": "int"}}
    yield Malformed(
        plan({"id": "1", "fn": "inner"}, plans={"inner": inner}), "$.steps[0].inputs", 'inner needs "n"', "a value"
    )
    call = {"id": "1", "fn": "inner", "inputs": {"n": 1, "m": 2}}
    yield Malformed(plan(call, plans={"inner": inner}), "$.steps[0].inputs.m", 'inner takes no "m"', "")
    call = {"id": "1", "fn": "inner", "inputs": {"n": "x"}}
    yield Malformed(plan(call, plans={"inner": inner}), "$.steps[0].inputs.n", "expected integer", "it takes int")
    call = {"id": "1", "fn": "inner", "inputs": {"n": 1}}
    for key, value in (("model", "x"), ("output", "int"), ("retries", 1)):
        yield Malformed(plan({**call, key: value}, plans={"inner": inner}), f"$.steps[0].{key}", "kind plan has no", "")
    itself = {"steps": [{"id": "1", "fn": "inner"}]}
    yield Malformed(
        plan(READ, plans={"inner": itself}), "$.plans.inner.steps[0].fn", 'runs itself: "inner" -> "inner"', "repeat"
    )
    broken = {"steps": [{"id": "1", "fn": "x", "depends_on": ["2"]}]}
    yield Malformed(plan(READ, plans={"a": broken}), "$.plans.a.steps[0].depends_on[0]", 'no step "2"', "")
    nested = {"steps": [{"id": "1", "fn": "x"}], "plans": {"b": broken}}
    yield Malformed(plan(READ, plans={"a": nested}), "$.plans.a", "plans or contracts of its own", "outermost")
    returning = {"steps": [READ], "output": "$.steps.1.output.prefix"}
    uses = [{"id": "1", "fn": "a"}, {"id": "2", "fn": "count", "inputs": {"names": "$.steps.1.output"}}]
    yield Malformed(plan(*uses, plans={"a": returning}), "$.steps[1].inputs.names", "a string is not a list", "")


def bombs() -> Iterator[Malformed]:
    million = '{"steps": [' + ",".join(['{"id": "a", "fn": "b"}'] * 10**6) + "]}"
    yield Malformed(million, "$", "more than 400,000 objects", "split the plan")
    many = '{"steps": [' + ",".join(['{"id":"a"}'] * 100_001) + "]}"
    yield Malformed(many, "$.steps", "there are 100,001 steps", "split")
    yield Malformed('{"steps": [' + "1," * 10**6 + "1]}", "$.steps[0]", "expected `object`, got `int`", "")
    yield Malformed('{"steps": "' + "a" * 10**7 + '"}', "$.steps", "expected `array`, got `str`", "")
    yield Malformed(" " * (33 * 2**20) + "{}", "$", "longer than 32 MiB", "split the plan")
    yield Malformed("#" * (5 * 2**20), "$", "longer than 4 MiB", "split the plan")
    yield Malformed("[" * 10**6, "$", "nested too deeply", "flatter")
    yield Malformed("steps: " + "[" * 10**6, "$", "nested too deeply", "flatter")
    yield Malformed("steps:\n" + "- {id: a, fn: b}\n" * 50_000, "$", "more than 100,000 parts", "as JSON")
    yield Malformed('{"a":' * 300_000, "$", "nested too deeply", "flatter")
    deep = '{"steps": [], "plans": {"a":' * 200 + "{}" + "}}" * 200
    yield Malformed(deep, "$.plans.a.plans.a.plans.a.plans.a.plans.a.plans", "nested too deeply", "flatter")
    wide = {
        f"R{n}": {"anyOf": [{"type": "array", "items": {"$ref": f"R{n + 1}"}}, {"$ref": f"R{n + 1}"}]}
        for n in range(15)
    }
    schema = {"$ref": "R0", "$defs": {**wide, "R15": {"type": "string"}}}
    yield Malformed(
        step(output=schema), '$.steps[2].output["$defs"].R15', "more than 1,000 schemas", "declare types once"
    )
    many = list(range(300_000))
    yield Malformed(step(output={"enum": many}), "$.steps[2].output.enum", "more than 1,000 values", "without them")
    endless = plan(READ, {"id": "2", "gate": {"question": "?", "timeout_s": 1.5}}).replace("1.5", "1e999")
    yield Malformed(endless, "$", "not finite", "write one that is")
    for cwd in ("..", "a/../../b"):
        outside = {"id": "2", "command": {"argv": ["ls"], "cwd": cwd}}
        yield Malformed(plan(READ, outside), "$.steps[1].command.cwd", "outside the workspace", "a folder in it")
    circle = {f"p{n}": {"steps": [{"id": "1", "fn": f"p{(n + 1) % 99}"}]} for n in range(99)}
    yield Malformed(plan(READ, plans=circle), "$.plans.p98.steps[0].fn", "this plan runs itself", "break the circle")
    yield Malformed(
        plan(READ, plans={f"p{n}": {"steps": [READ]} for n in range(101)}), "$.plans", "more than 100 plans", "split"
    )
