"""The types in a plan: what its names and schemas stand for, and whether what one step gives is what another takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratum.contracts.codec import Codec, codec
from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.expressions.fields import Schema, Shape
from stratum.contracts.inline_schema import SchemaReader
from stratum.contracts.plans.plan import TypeReference
from stratum.contracts.problem import Problems, at, did_you_mean, visible
from stratum.contracts.reference import Malformed
from stratum.contracts.registry import Registry, value_schema
from stratum.contracts.schema_fit import misfit
from stratum.contracts.type_reference import BUILT_IN, named_type


class PlanTypes:
    """Resolves types against the plan's own contracts and the registered ones; each is compiled once."""

    def __init__(self, declared: Mapping[str, dict[str, Any]], registry: Registry, problems: Problems) -> None:
        self._declared = declared
        self._registry = registry
        self._problems = problems
        self._reader = SchemaReader(self._contract)
        self._contracts: dict[str, Any] = {}
        self._reading: set[str] = set()
        self._codecs: dict[str | bytes, Codec[Any]] = {}
        self._schemas: dict[int, tuple[Codec[Any], Schema]] = {}
        self._misfits: dict[tuple[int, int], tuple[Shape, str]] = {}
        for name in declared:
            self._check_name(name)
            self._contract(name)

    def codec(self, written: TypeReference, *, path: str, name: str) -> Codec[Any] | None:
        """The codec of a type written at `path`; `None` if none is written, or a wrong one, which is then noted.

        A schema's class is called `name`.
        """
        if written == "":
            return None
        key = written if isinstance(written, str) else canonical_json(written)
        if key not in self._codecs:
            compiled = self._compiled(written, path, name)
            if compiled is None:
                return None  # and noted again wherever else it is written
            self._codecs[key] = compiled
        return self._codecs[key]

    def schema(self, of: Codec[Any]) -> Schema:
        """The schema of its values; the same object again for the same codec."""
        if id(of) not in self._schemas:
            self._schemas[id(of)] = of, value_schema(of)
        return self._schemas[id(of)][1]

    def misfit(self, given: Shape, taken: Codec[Any]) -> str:
        """Why values of the shape `given`, part of a `schema`, may not be `taken`; empty if they are."""
        schema = self.schema(taken)
        key = (id(given.schema), id(schema))
        if key not in self._misfits:
            self._misfits[key] = given, misfit(given, Shape(schema, schema))  # `given` kept: its id is the key
        return self._misfits[key][1]

    def _compiled(self, written: TypeReference, path: str, name: str) -> Codec[Any] | None:
        try:
            if isinstance(written, str):
                annotation = named_type(written, self._contract, path=path)
            else:
                annotation = self._reader.read(written, name=name, path=path)
                self._note_schema_problems()
            return None if annotation is Any else codec(annotation, owner=name, field="output")
        except Malformed as malformed:
            self._problems.add(malformed.path, malformed.problem, malformed.fix)
        except ContractDefinitionError as error:
            self._problems.add(path, error.problem, error.fix)
        except LookupError as unknown:
            wanted = str(unknown.args[0])
            known = (*self._declared, *self._registry.contracts, *BUILT_IN)
            fix = did_you_mean(wanted, known, otherwise="declare it under `contracts`")
            self._problems.add(path, f"there is no contract {visible(wanted)}", fix)
        return None

    def _contract(self, name: str) -> Any:
        """A contract by name; `Any` if its declaration is wrong.

        Raises:
            LookupError: there is none.
            Malformed: it refers to itself.
        """
        if name in self._reading:
            fix = "write out as many levels as are needed, or declare it in Python"
            raise Malformed(at("$.contracts", name), f"the contract {visible(name)} refers to itself", fix)
        if name in self._declared and name not in self._contracts:
            self._reading.add(name)
            self._contracts[name] = self._reader.read(self._declared[name], name=name, path=at("$.contracts", name))
            self._reading.remove(name)
            self._note_schema_problems()
        if name in self._contracts:
            return self._contracts[name]
        if name not in self._registry.contracts:
            raise LookupError(name)
        return self._registry.contracts[name]

    def _note_schema_problems(self) -> None:
        while self._reader.problems and not self._reading:
            malformed = self._reader.problems.pop(0)
            self._problems.add(malformed.path, malformed.problem, malformed.fix)

    def _check_name(self, name: str) -> None:
        path = at("$.contracts", name)
        if not (name.isascii() and name.isidentifier() and len(name) <= 64):
            self._problems.add(path, f"{visible(name)} is not a name", "use letters, digits and _: RouteMap")
        elif name in BUILT_IN or name in self._registry.contracts:
            self._problems.add(path, f"there is a contract {visible(name)} already", "use that one, or another name")
