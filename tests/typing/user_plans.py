"""What a type checker makes of plans written in Python."""

from __future__ import annotations

from typing import assert_type

from stratum import compute, contract
from stratum.engine.plans.builder import PlanBuilder
from stratum.engine.plans.handle import Handle


@contract
class Routes:
    paths: list[str]


@compute
def read(path: str) -> Routes:
    return Routes(paths=[path])


@compute
def join(paths: list[str]) -> str:
    return ", ".join(paths)


plan = PlanBuilder()
routes = plan.step(read, plan.input("path", str))
assert_type(routes, Handle[Routes])
assert_type(routes.output.paths, list[str])
text = plan.step(join, paths=routes.output.paths)
assert_type(text.output, str)
plan.step(join, routes.output)  # type: ignore[arg-type]  # a whole contract is no list
