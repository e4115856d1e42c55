"""An agent that needs no account: it does the plan's steps as an agent might, the mistake in step 3 included.

Its edits are real; what it "spends" is what SEED.md's example spent, at a dollar per thousand output tokens.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stratum import Price, Usage
from stratum.plans import Assignment, PlanRun

MODEL = "a-scripted-model"
PRICE = Price.per_million(input=0, output=1000)
SPENT = {("1", 1): 0.002, ("2", 1): 0.006, ("3", 1): 0.005, ("3", 2): 0.006, ("4", 1): 0.010, ("4", 2): 0.008}

MIDDLEWARE = '''\
"""Token bucket rate limiting, per client and route."""

import time

PREFIXES = {prefixes!r}
EXCLUDED = {excluded!r}
CAPACITY, PER_SECOND = {capacity}, {per_second}


class RateLimited:
    def __init__(self, application):
        self.application = application
        self.buckets = {{}}

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if path not in EXCLUDED and path.startswith(tuple(PREFIXES)) and not self.admits(environ, path):
            start_response("429 Too Many Requests", [("Content-Type", "application/json"), ("Retry-After", "1")])
            return [b'{{"error": "too many requests"}}']
        return self.application(environ, start_response)

    def admits(self, environ, path):
        key, now = (environ.get("REMOTE_ADDR"), path), time.monotonic()
        tokens, since = self.buckets.get(key, (CAPACITY, now))
        tokens = min(CAPACITY, tokens + (now - since) * PER_SECOND)
        self.buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
'''

TESTS = """\
import unittest

import probe


class RateLimiting(unittest.TestCase):
{tests}

if __name__ == "__main__":
    unittest.main()
"""


class ScriptedAgent:
    """Does what it is handed, in the run's own workspace."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    async def serve(self, run: PlanRun) -> None:
        done: set[str] = set()
        status = run.status()
        while not run.ended.is_set():
            for assignment in status.assignments:
                if assignment.ticket in done:
                    continue
                done.add(assignment.ticket)
                inputs = run.assignments[assignment.step].arguments
                result = self._do(assignment, inputs, run.workspace.folder)
                await run.report(
                    assignment.step, result, ticket=assignment.ticket, usage=self._usage(assignment.step), model=MODEL
                )
            status = await run.changed(status.version)

    def _do(self, assignment: Assignment, inputs: dict[str, Any], folder: Path) -> Any:
        match assignment.fn:
            case "read_routing_config":
                routes = re.findall(r'"(/api/[^"]*)"', (folder / "routing.py").read_text())
                excluded = [route for route in routes if route.endswith(("/health", "/metrics"))]
                return {"routes": [route for route in routes if route not in excluded], "excluded": excluded}
            case "design_middleware":
                return {"algorithm": "token bucket", "capacity": 20, "per_second": 5, **inputs["routes"]}
            case "implement_middleware":
                missed = re.findall(r"not applied to (\S+) prefix", assignment.message)
                return implemented(folder, inputs["spec"], missed=missed)
            case _:
                return tested(folder, inputs["code"])

    def _usage(self, step: str) -> Usage:
        self._times[step] = times = self._times.get(step, 0) + 1
        return Usage(input_tokens=0, output_tokens=round(SPENT[step, times] * 1000))


def implemented(folder: Path, spec: dict[str, Any], *, missed: list[str]) -> dict[str, Any]:
    """The mistake: it takes the first prefix for the only one, until it is told what it missed."""
    prefixes = ["/api/v1/", *missed]
    code = MIDDLEWARE.format(
        prefixes=prefixes,
        excluded=spec["excluded"],
        capacity=spec["capacity"],
        per_second=spec["per_second"],
    )
    (folder / "ratelimit.py").write_text(code)
    wsgi = (folder / "wsgi.py").read_text()
    if "ratelimit" not in wsgi:
        wsgi = wsgi.replace("import routing\n", "import ratelimit\nimport routing\n")
        (folder / "wsgi.py").write_text(f"{wsgi}\n\napplication = ratelimit.RateLimited(application)\n")
    return {"module": "ratelimit.py", "routes": spec["routes"], "excluded": spec["excluded"]}


def tested(folder: Path, code: dict[str, Any]) -> dict[str, Any]:
    """A test for each route: limited, or never."""
    tests = ""
    names: list[str] = []
    for verb, routes in (("True", code["routes"]), ("False", code["excluded"])):
        for route in routes:
            name = "test" + route.replace("/", "_") + ("_is_limited" if verb == "True" else "_is_never_limited")
            tests += f"    def {name}(self):\n        self.assert{verb}(probe.limited({route!r}))\n\n"
            names.append(name)
    (folder / "test_ratelimit.py").write_text(TESTS.format(tests=tests))
    return {"file": "test_ratelimit.py", "tests": names}
