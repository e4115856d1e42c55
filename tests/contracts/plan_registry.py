"""The functions and contracts that the tests' plans may name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stratum.contracts.contract import contract
from stratum.contracts.registry import Function, Registry
from stratum.contracts.signature import Signature


@contract
class RouteMap:
    routes: list[str]
    prefix: str


@contract
class Limits:
    per_second: Annotated[int, Field(ge=1)]
    burst: int | None


@contract
class Spec:
    name: str
    limits: Limits
    level: Literal["low", "high"]


def read_routes(path: str) -> RouteMap: ...  # type: ignore[empty-body]
def count(names: list[str], at_most: int = 100) -> int: ...  # type: ignore[empty-body]
def design(routes: RouteMap, level: Literal["low", "high"]) -> Spec: ...  # type: ignore[empty-body]
def name_of(limits: Limits) -> str: ...  # type: ignore[empty-body]
def tree(node: dict[str, list[int]]) -> list[Spec]: ...  # type: ignore[empty-body]


REGISTRY = Registry.of(
    [
        Function.of(Signature.of(read_routes), "compute"),
        Function.of(Signature.of(count), "compute"),
        Function.of(Signature.of(design), "infer", least_picousd=10**10, least_tokens=500),
        Function.of(Signature.of(name_of), "infer"),
        Function.of(Signature.of(tree), "compute"),
    ]
)
