"""Drift: what each rule finds, and what it leaves alone."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from stratum.mcp_bridge.drift.check import check, check_source
from stratum.mcp_bridge.drift.rules import RULES
from stratum.mcp_bridge.drift.source import Source, parse_source

ROOT = Path(__file__).parents[3]
BOTH = ["unbudgeted-call", "untyped-call"]


def findings(code: str) -> list[tuple[int, str]]:
    source = parse_source(textwrap.dedent(code).strip("\n").encode(), "code.py")
    assert isinstance(source, Source)
    found, notes = check_source(source)
    assert not notes
    return [(finding.line, finding.rule) for finding in found]


def rules(code: str) -> list[str]:
    return [rule for _, rule in findings(code)]


UNTYPED = {
    "openai's module": 'import openai\nopenai.chat.completions.create(model="m", messages=[])',
    "an alias": 'import openai as ai\nai.responses.create(model="m", input="x")',
    "a class imported under another name": "from openai import AsyncOpenAI as Client\nClient().responses.create()",
    "azure": "from openai.lib.azure import AzureOpenAI\nAzureOpenAI().chat.completions.create()",
    "a variable": "import openai\nclient = openai.OpenAI()\nother = client\nother.chat.completions.create()",
    "a bound method": "import openai\nask = openai.OpenAI().chat.completions.create\nask(model='m')",
    "part of a client": "import openai\nchat = openai.OpenAI().chat\nchat.completions.create()",
    "options and headers": (
        "import openai\nopenai.OpenAI().with_options(timeout=1).chat.completions.with_raw_response.create()"
    ),
    "a context manager": "import openai\nwith openai.OpenAI() as client:\n    client.responses.create()",
    "a parameter's annotation": "from openai import OpenAI\ndef f(client: 'OpenAI | None'):\n    client.responses.create()",
    "an attribute of self": (
        "import openai\nclass A:\n    def __init__(self):\n        self.c = openai.OpenAI()\n"
        "    def ask(self):\n        return self.c.responses.create()"
    ),
    "an attribute of a parent class": (
        "import openai\nclass A:\n    c: openai.OpenAI\nclass B(A):\n    def ask(self):\n        self.c.responses.create()"
    ),
    "a property": (
        "import openai\nclass A:\n    @property\n    def c(self):\n        return openai.OpenAI()\n"
        "    def ask(self):\n        self.c.responses.create()"
    ),
    "a function that makes the client": "import openai\ndef make():\n    return openai.OpenAI()\nmake().responses.create()",
    "a global": (
        "import openai\nclient = None\ndef start():\n    global client\n    client = openai.OpenAI()\n"
        "def ask():\n    return client.responses.create()"
    ),
    "functools.partial": (
        "import functools, openai\nask = functools.partial(openai.OpenAI().responses.create, model='m')\nask(input='x')"
    ),
    "a dictionary of arguments": "import openai\nargs = {'model': 'm'}\nopenai.responses.create(**args)",
    "anthropic": "import anthropic\nanthropic.Anthropic().messages.create(model='m', messages=[])",
    "anthropic on bedrock": "from anthropic import AsyncAnthropicBedrock\nAsyncAnthropicBedrock().messages.stream()",
    "litellm": "from litellm import acompletion\nasync def f():\n    await acompletion(model='m')",
    "litellm's router": "import litellm\nrouter = litellm.Router()\nrouter.completion(model='m')",
    "JSON mode, which has no schema": (
        "import openai\nopenai.chat.completions.create(response_format={'type': 'json_object'})"
    ),
    "text format": "import openai\nopenai.responses.create(text={'format': {'type': 'text'}})",
    "no tools": "import openai\nopenai.chat.completions.create(tools=[])",
    "the old interface": "import openai\nopenai.ChatCompletion.create(model='m')",
}


@pytest.mark.parametrize("code", UNTYPED.values(), ids=UNTYPED)
def test_a_call_without_a_schema_is_found_through(code: str) -> None:
    assert rules(code) == BOTH


TYPED = {
    "parse": "import openai\nopenai.chat.completions.parse(response_format=Answer)",
    "a JSON schema": (
        "import openai\nopenai.chat.completions.create(response_format={'type': 'json_schema', 'json_schema': {}})"
    ),
    "a schema from elsewhere": "import openai\nopenai.chat.completions.create(response_format=FORMAT)",
    "a responses format": "import openai\nopenai.responses.create(text={'format': {'type': 'json_schema'}})",
    "tools": "import openai\nopenai.responses.create(tools=TOOLS)",
    "anthropic's tools": "import anthropic\nanthropic.Anthropic().messages.create(tools=[{'name': 'x'}])",
    "arguments from elsewhere": "import openai\ndef f(**kw):\n    return openai.responses.create(**kw)",
    "a dictionary that is filled": (
        "import openai\nargs = {'model': 'm'}\nargs['tools'] = TOOLS\nopenai.responses.create(**args)"
    ),
}


@pytest.mark.parametrize("code", TYPED.values(), ids=TYPED)
def test_a_call_is_only_unbudgeted_with(code: str) -> None:
    assert rules(code) == ["unbudgeted-call"]


OTHERS = {
    "another client of the same shape": "from mine import OpenAI\nOpenAI().chat.completions.create()",
    "a name that is only spelt so": "openai = object()\nopenai.chat.completions.create()",
    "embeddings": "import openai\nopenai.embeddings.create(input='x')",
    "a class that merely looks like it": ("class OpenAI:\n    pass\nOpenAI().chat.completions.create()\n# openai"),
    "text in a string": "code = 'openai.chat.completions.create()'",
}


@pytest.mark.parametrize("code", OTHERS.values(), ids=OTHERS)
def test_nothing_is_found_in(code: str) -> None:
    assert rules(code) == []


CLIENT = "import json, re, time, openai\nfrom tenacity import *\nclient = openai.OpenAI()\n"
TOOLS = "def ask(p):\n    return client.responses.create(input=p, tools=T).output_text\n"
RETRIES = {
    "a for loop": "for i in range(3):\n    try:\n        x = ask('q')\n        break\n    except Exception:\n        time.sleep(i)",
    "a while loop": (
        "def f():\n    while True:\n        try:\n            return ask('q')\n        except ValueError as e:\n            print(e)"
    ),
    "a flag": (
        "done = False\nwhile not done:\n    try:\n        x = ask('q')\n        done = True\n    except ValueError:\n        pass"
    ),
    "an else branch": (
        "for i in range(3):\n    try:\n        x = ask('q')\n    except ValueError:\n        continue\n    else:\n        break"
    ),
    "a break after the try": (
        "for i in range(3):\n    try:\n        x = ask('q')\n    except ValueError:\n        continue\n    if x:\n        break"
    ),
    "a last attempt that raises": (
        "def f():\n    for i in range(3):\n        try:\n            return ask('q')\n        except ValueError:\n"
        "            if i == 2:\n                raise"
    ),
    "one model after the other": (
        "def f():\n    for m in ['a', 'b']:\n        try:\n            return client.responses.create(model=m, tools=T)\n"
        "        except Exception:\n            continue"
    ),
    "answers until one is good": (
        "def f():\n    for attempt in range(3):\n        x = ask('q')\n        if len(x) > 3:\n            return x"
    ),
    "a counter": ("retries = 0\nwhile retries < 3:\n    x = ask('q')\n    if x:\n        break\n    retries += 1"),
    "tenacity's loop": ("import tenacity\nfor attempt in tenacity.Retrying():\n    with attempt:\n        ask('q')"),
    "tenacity's call": "import tenacity\ntenacity.Retrying()(ask, 'q')",
    "itself, again": "def f(n):\n    try:\n        return ask('q')\n    except ValueError:\n        return f(n - 1)",
}


@pytest.mark.parametrize("code", RETRIES.values(), ids=RETRIES)
def test_a_manual_retry_is_found_in(code: str) -> None:
    assert rules(CLIENT + TOOLS + code).count("manual-retry") == 1


@pytest.mark.parametrize(
    "decorator",
    [
        "tenacity.retry",
        "tenacity.retry(stop=3)",
        "backoff.on_exception(backoff.expo, Exception)",
        "backoff.on_predicate(backoff.fibo)",
        "stamina.retry(on=ValueError)",
        "retry.retry(tries=3)",
        "again",
    ],
)
def test_a_retrying_decorator_is_found(decorator: str) -> None:
    code = f"import tenacity, backoff, stamina, retry\nagain = tenacity.retry()\n{CLIENT}@{decorator}\n{TOOLS}"
    assert "manual-retry" in rules(code)


NO_RETRIES = {
    "a batch": "for q in questions:\n    try:\n        out.append(ask(q))\n    except ValueError:\n        print(q)",
    "a search": (
        "def f():\n    for q in questions:\n        try:\n            return ask(q)\n        except ValueError:\n            continue"
    ),
    "a conversation": (
        "while True:\n    q = input()\n    if q == 'quit':\n        break\n    try:\n        print(ask(q))\n"
        "    except ValueError as e:\n        print(e)"
    ),
    "an agent's turns": (
        "for attempt in range(9):\n    r = client.responses.create(input=log, tools=T)\n    if not r.calls:\n        break"
    ),
    "a handler that gives up": "for i in range(3):\n    try:\n        x = ask('q')\n        break\n    except ValueError:\n        raise",
    "a retry of something else": (
        "for i in range(3):\n    try:\n        x = open('f')\n        break\n    except OSError:\n        pass\nask('q')"
    ),
    "a function that is only defined in a loop": (
        "for i in range(3):\n    try:\n        def g():\n            return ask('q')\n        break\n    except ValueError:\n        pass"
    ),
}


@pytest.mark.parametrize("code", NO_RETRIES.values(), ids=NO_RETRIES)
def test_no_manual_retry_is_seen_in(code: str) -> None:
    assert "manual-retry" not in rules(CLIENT + TOOLS + code)


def test_a_loop_around_a_step_is_a_retry_too() -> None:
    code = """
        from stratum import Budget, infer
        @infer(intent="x", budget=Budget(usd=1))
        def guess(q: str) -> str: ...
        async def f():
            for _ in range(3):
                try:
                    return await guess("q")
                except ValueError:
                    continue
    """
    assert findings(code) == [(5, "manual-retry")]


@pytest.mark.parametrize(
    "parse",
    [
        "json.loads(r.output_text)",
        "json.loads(r.output_text.strip())",
        "json.loads(re.sub('```', '', r.output_text))",
        "json.loads(re.search('x', r.output_text).group())",
        "text = r.output_text\njson.loads(text)",
    ],
)
def test_json_read_from_a_models_text_is_found(parse: str) -> None:
    assert "parsed-by-hand" in rules(f"{CLIENT}r = client.responses.create(input='q')\n{parse}")


@pytest.mark.parametrize(
    "code",
    [
        "r = client.responses.create(text={'format': {'type': 'json_schema'}})\njson.loads(r.output_text)",
        "json.loads(open('f').read())",
    ],
)
def test_json_that_has_a_schema_or_is_not_the_models_is_left_alone(code: str) -> None:
    assert "parsed-by-hand" not in rules(CLIENT + code)


STEPS = """
import stratum
from contextlib import suppress
from stratum import Budget, BudgetExceeded, StratumError, contract, flow, infer, opaque, open_runtime
@infer(intent="x", budget=Budget(usd=1))
def bounded(q: str, doc: opaque[str] = "") -> str: ...
@infer(intent="x")
def free(q: str) -> str: ...
@flow()
async def loose(q: str) -> str:
    return await free(q)
@flow(budget=Budget(usd=1))
async def tight(q: str) -> str:
    return await free(q)
@contract
class Page:
    body: opaque[str]
    title: str
"""


def step_rules(code: str) -> list[str]:
    return rules(STEPS + textwrap.dedent(code))


@pytest.mark.parametrize(
    "code", ["free.sync('q')", "loose.sync('q')", "stratum.run(loose, 'q')", "stratum.run(free('q'))"]
)
def test_a_step_that_is_started_without_any_budget_is_found(code: str) -> None:
    assert step_rules(code) == ["unbudgeted-call"]


@pytest.mark.parametrize(
    "code",
    [
        "bounded.sync('q')",
        "tight.sync('q')",
        "stratum.run(tight, 'q')",
        "async def f():\n    return await free('q')  # whoever calls f may have a budget",
        "async def f():\n    async with open_runtime(budget=Budget(usd=1)):\n        await free('q')",
    ],
)
def test_a_step_under_a_budget_is_left_alone(code: str) -> None:
    assert step_rules(code) == []


SWALLOWED = {
    "pass": "try:\n    bounded.sync('q')\nexcept BudgetExceeded:\n    pass",
    "a default": "def f():\n    try:\n        return bounded.sync('q')\n    except BudgetExceeded:\n        return None",
    "its parent": "try:\n    bounded.sync('q')\nexcept (ValueError, StratumError):\n    x = 1",
    "everything": "try:\n    bounded.sync('q')\nexcept Exception:\n    pass",
    "a bare except": "try:\n    bounded.sync('q')\nexcept:\n    print('oh')",
    "suppress": "with suppress(BudgetExceeded):\n    bounded.sync('q')",
    "suppress of everything": "with suppress(Exception):\n    bounded.sync('q')",
}


@pytest.mark.parametrize("code", SWALLOWED.values(), ids=SWALLOWED)
def test_a_swallowed_stop_is_found_in(code: str) -> None:
    assert step_rules(code) == ["swallowed-stop"]


HEEDED = {
    "shown": "try:\n    bounded.sync('q')\nexcept BudgetExceeded as e:\n    print(e)",
    "told": "try:\n    bounded.sync('q')\nexcept BudgetExceeded:\n    sys.exit(3)",
    "raised": "try:\n    bounded.sync('q')\nexcept:\n    clean()\n    raise",
    "let through first": "try:\n    bounded.sync('q')\nexcept BudgetExceeded:\n    raise\nexcept Exception:\n    pass",
    "not around a call": "try:\n    int('x')\nexcept:\n    pass",
    "logged": "try:\n    bounded.sync('q')\nexcept Exception as e:\n    log(e)",
}


@pytest.mark.parametrize("code", HEEDED.values(), ids=HEEDED)
def test_a_stop_is_not_swallowed_where_it_is(code: str) -> None:
    assert step_rules(code) == []


def test_a_bare_except_around_an_sdk_call_is_found() -> None:
    assert "swallowed-stop" in rules(f"{CLIENT}try:\n    client.responses.create(tools=T)\nexcept:\n    pass")


OPAQUE = {
    "an f-string": "def f(doc: opaque[str]):\n    return bounded.sync(f'Read {doc}')",
    "an f-string in a variable": "def f(doc: opaque[str]):\n    p = f'Read {doc}'\n    return bounded.sync(p)",
    "concatenation": "def f(doc: opaque[str]):\n    return bounded.sync('Read ' + doc)",
    "a text put together": "def f(doc: opaque[str]):\n    p = 'Read'\n    p += doc\n    return bounded.sync(p)",
    "an f-string that is added": "def f(doc: opaque[str]):\n    p = 'Read'\n    p += f' {doc}'\n    return bounded.sync(p)",
    "percent": "def f(doc: opaque[str]):\n    return bounded.sync('Read %s' % doc)",
    "format": "def f(doc: 'opaque[str]'):\n    return bounded.sync('Read {}'.format(doc))",
    "join": "def f(doc: opaque[str]):\n    return bounded.sync(' '.join(['Read', doc]))",
    "a contract's field": "def f(page: Page):\n    return bounded.sync(f'Read {page.body}')",
    "a slice": "def f(doc: opaque[str]):\n    return bounded.sync(f'Read {doc[:100]}')",
}


@pytest.mark.parametrize("code", OPAQUE.values(), ids=OPAQUE)
def test_an_opaque_value_in_a_prompt_is_found_in(code: str) -> None:
    assert step_rules(code) == ["opaque-in-prompt"]


def test_a_text_that_is_put_together_line_by_line_is_followed_once() -> None:
    lines = "".join(f"    p = p + 'line {number}'\n    p += f'{{p}}'\n" for number in range(200))
    code = f"def f(doc: opaque[str]):\n    p = 'Read'\n{lines}    p = p + doc\n    return bounded.sync(p)"
    assert step_rules(code) == ["opaque-in-prompt"]
    assert step_rules(code.replace("p + doc", "p + '!'")) == []


def test_an_opaque_value_in_an_sdk_prompt_is_found() -> None:
    code = f"{CLIENT}from stratum import opaque\ndef f(doc: opaque[str]):\n    client.responses.create(input=f'{{doc}}', tools=T)"
    assert "opaque-in-prompt" in rules(code)


@pytest.mark.parametrize(
    "code",
    [
        "def f(doc: opaque[str]):\n    return bounded.sync('Read', doc)",
        "def f(doc: opaque[str]):\n    return bounded.sync('Read', doc=f'{doc}')",
        "def f(page: Page):\n    return bounded.sync(f'Read {page.title}')",
        "def f(doc: opaque[str]):\n    print(f'Read {doc}')\n    return bounded.sync('Read')",
    ],
)
def test_an_opaque_value_elsewhere_is_left_alone(code: str) -> None:
    assert step_rules(code) == []


def test_a_comment_with_a_reason_allows_one_rule() -> None:
    call = "import openai\nopenai.responses.create()"
    assert rules(f"{call}  # stratum: allow[untyped-call] prose is wanted") == ["unbudgeted-call"]
    assert rules(f"{call}  # stratum: allow[untyped-call, unbudgeted-call] a prototype") == []


def test_a_comment_above_allows_the_code_below_it() -> None:
    code = "import openai\n# stratum: allow[untyped-call,unbudgeted-call] a prototype\n# and more\nopenai.responses.create(\n)"
    assert rules(code) == []


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("# stratum: allow[untyped-call]", "without a reason"),
        ("# stratum: allow[untypd-call] why", 'did you mean "untyped-call"'),
    ],
)
def test_a_comment_that_does_not_count_is_told(comment: str, told: str) -> None:
    source = parse_source(f"import openai\nopenai.responses.create()  {comment}".encode(), "code.py")
    assert isinstance(source, Source)
    found, notes = check_source(source)
    assert [finding.rule for finding in found] == BOTH
    assert told in notes[0].message


def test_a_string_that_looks_like_a_comment_allows_nothing() -> None:
    code = "import openai\nx = '# stratum: allow[untyped-call,unbudgeted-call] no'; openai.responses.create()"
    assert rules(code) == BOTH


def test_seeds_code_for_vibe_coders_is_found_and_its_stratum_code_is_not() -> None:
    brute = """
        import openai
        def classify(text):
            response = openai.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": f"Classify this: {text}"}]
            )
            result = response.choices[0].message.content
    """
    assert rules(brute) == BOTH
    assert not check([ROOT / "tests/seed_examples.py"]).findings


def test_this_repository_has_no_drift() -> None:
    drift = check([ROOT / name for name in ("contracts", "actors", "engine", "mcp_bridge", "src", "examples")])
    assert drift.findings == () and drift.notes == ()
    assert drift.files > 200


def test_every_rule_has_its_section_in_the_docs() -> None:
    headings = re.findall(r"^### `([\w-]+)`$", (ROOT / "docs/drift.md").read_text(), flags=re.MULTILINE)
    assert sorted(headings) == sorted(RULES)
