"""`Handle`: a step of a plan that is being built, and `Output`: what it will return, before anybody knows what that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, NoReturn, TypeVar, cast

import msgspec

from stratum.contracts.annotation import contract_of
from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.json_value import json_value
from stratum.contracts.shape import is_dict, is_sequence

R = TypeVar("R")


class Output:
    """Stands for a value of the run: its fields and items can be named, and that is all that can be done with it."""

    __slots__ = ("_path", "_refuse")

    def __init__(self, path: str, refuse: Callable[[str], NoReturn]) -> None:
        self._path = path
        self._refuse = refuse

    def __getattr__(self, name: str) -> Output:
        if name.startswith("__"):
            raise AttributeError(name)
        return Output(f"{self._path}.{name}", self._refuse)

    def __getitem__(self, key: str | int) -> Output:
        return Output(f"{self._path}.{key}", self._refuse)

    def __repr__(self) -> str:
        return f"<what {self._path} will be>"

    def __bool__(self) -> NoReturn:  # noqa: PLE0304 - it has no value yet
        self._refuse("whether it is true")

    def __iter__(self) -> Any:
        self._refuse("its items")

    def __len__(self) -> NoReturn:  # noqa: PLE0303 - nor items
        self._refuse("how many items it has")

    def __eq__(self, other: object) -> bool:
        self._refuse("what it is equal to")

    def __lt__(self, other: object) -> bool:
        self._refuse("what it is less than")

    __le__ = __gt__ = __ge__ = __lt__
    __hash__ = None  # type: ignore[assignment]  # it has no value yet

    def __contains__(self, item: object) -> bool:
        self._refuse("what it contains")

    def __str__(self) -> NoReturn:  # noqa: PLE0307 - nor a text
        self._refuse("its text")

    def __format__(self, spec: str) -> NoReturn:
        self._refuse("its text")


class Handle(Generic[R]):
    """One step."""

    def __init__(
        self, id: str, *, changed: Callable[[str, dict[str, Any]], None], refuse: Callable[[str], NoReturn]
    ) -> None:
        self.id = id
        self._changed = changed
        self._refuse = refuse

    @property
    def output(self) -> R:
        """What the step will return, to be passed to later steps, whole or in part: `routes.output.paths`."""
        return cast(R, Output(f"$.steps.{self.id}.output", self._refuse))

    def having(
        self,
        *,
        after: list[Handle[Any]] | None = None,
        require: Literal["all", "any"] | int | None = None,
        files: list[str] | None = None,
        ensure: str | list[Any] | None = None,
        retries: int | None = None,
        budget: Any = None,
        repair: Handle[Any] | None = None,
        when: str | None = None,
        on_fail: Handle[Any] | None = None,
        model: str | None = None,
    ) -> Handle[R]:
        """Say more of the step, in the words of a plan; those not given stay as they are."""
        said: dict[str, Any] = {
            "depends_on": None if after is None else tuple(handle.id for handle in after),
            "require": require,
            "files": None if files is None else tuple(files),
            "ensure": tuple(ensure) if isinstance(ensure, list) else ensure,
            "retries": retries,
            "budget": budget,
            "repair": None if repair is None else repair.id,
            "when": when,
            "on_fail": None if on_fail is None else on_fail.id,
            "model": model,
        }
        self._changed(self.id, {key: value for key, value in said.items() if value is not None})
        return self


def written(value: Any) -> Any:
    """A value as a plan has it: references for outputs, JSON values for the rest."""
    if isinstance(value, Output):
        return value._path
    if isinstance(value, str):
        return f"$${value[1:]}" if value.startswith("$.") else value
    if contract_of(value) is not None:
        return written(json_value(value))
    if is_dict(value):
        return {str(key): written(item) for key, item in value.items()}
    if is_sequence(value):
        return [written(item) for item in value]
    if isinstance(value, Handle):
        raise ContractDefinitionError(
            owner="plan", problem=f"step {value.id} itself is no value", fix="pass its output: handle.output"
        )
    return ANY_JSON.validate(msgspec.to_builtins(value))


def inputs_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A step's inputs, as a plan has them."""
    return {name: written(value) for name, value in arguments.items()}
