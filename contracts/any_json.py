"""`ANY_JSON`: the codec of what nobody has given a type: an agent's result, a plan's undeclared input."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stratum.contracts.codec import Codec
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractViolation
from stratum.contracts.json_text import Unreadable, read_json
from stratum.contracts.schema import Schema
from stratum.contracts.violation import Violation


class _AnyJson(Codec[Any]):
    """Takes every JSON value; on the wire it goes as `{"value": ...}`."""

    def __init__(self) -> None:  # nothing to compile
        self.annotation = Any
        self.name = "JSON"
        self.wrapped = True
        self.opaque = False
        self._looks_alike = False
        self._contracts = set()

    def decode(self, arguments: bytes) -> Any:
        read = self.decode_value(arguments)
        if not isinstance(read, dict) or "value" not in read:
            raise _refusal("expected an object with the member `value`")
        return read["value"]  # pyright: ignore[reportUnknownVariableType] - whatever JSON holds

    def decode_value(self, value: bytes, *, at: str = "") -> Any:
        try:
            return read_json(value.decode())
        except (Unreadable, UnicodeDecodeError) as error:
            raise _refusal(f"{at}: expected JSON" if at else "expected JSON", str(error)) from error

    def encode(self, value: Any) -> bytes:
        return msgspec.json.encode({"value": value})

    def plain(self, value: Any) -> Any:
        return value

    def validate(self, value: object, *, at: str = "") -> Any:
        try:
            msgspec.json.encode(value)
        except (TypeError, UnicodeEncodeError, RecursionError) as error:
            raise _refusal(f"{at}: expected a JSON value" if at else "expected a JSON value", str(error)) from error
        return value

    def jsonable(self, value: Any, *, redact: bool) -> Any:
        return value

    def split_opaque(self, value: Any) -> tuple[Any, Any | None]:
        return value, None

    @property
    def schema(self) -> Schema:
        return {"type": "object", "properties": {"value": {}}, "required": ["value"]}

    @property
    def digest(self) -> str:
        return digest12(b"{}")

    @property
    def recursive(self) -> bool:  # it cannot be told from the type
        return False


ANY_JSON: Final[Codec[Any]] = _AnyJson()


def _refusal(condition: str, detail: str = "") -> ContractViolation:
    return ContractViolation(contract="JSON", violations=[Violation(kind="schema", condition=condition, detail=detail)])
