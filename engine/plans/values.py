"""`Values`: what the steps of a plan have returned so far, and how a step's arguments are made of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.codec import Codec
from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import Step
from stratum.contracts.reference import Reference, follow, is_reference, read_reference, substitute
from stratum.contracts.violation import Violation


class Values:
    """By step number. What a function returned is kept as it is, and turned into JSON when somebody asks for a part."""

    def __init__(self, compiled: CompiledPlan, inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs
        """The plan's, as JSON values."""
        self._compiled = compiled
        self.results: list[Any] = [None] * len(compiled.plan.steps)
        """By step number; changed by `set` alone, but for a step that had none."""
        self._plain: dict[int, Any] = {}

    def codec(self, number: int) -> Codec[Any]:
        """What the step returns."""
        return self._compiled.outputs[number] or ANY_JSON

    def set(self, number: int, result: Any) -> None:
        """The step is done, or skipped with `None`."""
        self.results[number] = result
        if self._plain:
            self._plain.pop(number, None)

    def result(self, number: int) -> Any:
        """What the step returned, of its own type."""
        return self.results[number]

    def plain(self, number: int) -> Any:
        """The same as JSON values."""
        result = self.results[number]
        if result is None or isinstance(result, (str, int, float)):
            return result
        if number not in self._plain:
            self._plain[number] = self.codec(number).jsonable(result, redact=False)
        return self._plain[number]

    def at(self, reference: Reference) -> Any:
        """What a reference refers to, as JSON values; null where something on the way is null.

        Raises:
            ContractViolation: there is nothing at that path.
        """
        whole = self.plain(self._compiled.index[reference.step]) if reference.step else self.inputs
        try:
            return follow(whole, reference.path)
        except LookupError as error:
            raise ContractViolation(
                contract="reference", violations=[Violation(kind="schema", condition=str(error.args[0]))]
            ) from error

    def arguments(self, step: Step, taken: Mapping[str, Codec[Any]]) -> dict[str, Any]:
        """A step's inputs, references resolved, each of the type it is taken as; those not `taken` as JSON values.

        Raises:
            ContractViolation: an input is not what the function takes.
        """
        return {name: self._argument(value, name, taken.get(name)) for name, value in step.inputs.items()}

    def plain_arguments(self, step: Step) -> dict[str, Any]:
        """A step's inputs as JSON values, references resolved."""
        return {name: substitute(value, self.at) for name, value in step.inputs.items()}

    def text(self, argument: str) -> str:
        """A program's argument: itself, or what it refers to, as text."""
        value = substitute(argument, self.at)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _argument(self, value: Any, name: str, codec: Codec[Any] | None) -> Any:
        if codec is None:
            return substitute(value, self.at)
        if is_reference(value):
            reference = read_reference(value, path=name)
            if reference.step and not reference.path:
                number = self._compiled.index[reference.step]
                if self.codec(number).annotation is codec.annotation:
                    return self.results[number]  # checked when it was returned
        plain = substitute(value, self.at)
        if plain is None or isinstance(plain, (str, int, float)):
            try:
                return codec.validate(plain, at=name)
            except ContractViolation:
                pass  # its JSON may still be read: a date is a text there
        return codec.decode_value(msgspec.json.encode(plain), at=name)
