"""What does a contract cost, decoded, encoded and turned into a schema, beside pydantic?

The baseline, `pydantic`, is a model with the same fields: `model_validate_json(strict=True)`, `model_dump_json`, and for the schema
`model_json_schema` of a class made anew. `stratum` is a contract's codec: an answer's arguments in, a validated value out; bytes for the
journal; the strict schema for the wire, of a class made anew. `small` is some 100 bytes, `nested` some 3 KB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.options import common_options, parser
from benchmarks.timing import Row, compare, report
from stratum import contract
from stratum.contracts.codec import codec

BASELINE = "pydantic"
Level = Literal["low", "medium", "high", "critical"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


@contract
class Risk:
    level: Level
    confidence: Share
    factors: list[str]


@contract
class Report:
    title: Annotated[str, Field(min_length=1, max_length=200)]
    risks: list[Risk]
    totals: dict[str, int]
    note: str | None


class RiskModel(BaseModel):
    model_config = ConfigDict(strict=True)
    level: Level
    confidence: Share
    factors: list[str]


class ReportModel(BaseModel):
    model_config = ConfigDict(strict=True)
    title: Annotated[str, Field(min_length=1, max_length=200)]
    risks: list[RiskModel]
    totals: dict[str, int]
    note: str | None


RISK = {"level": "low", "confidence": 0.5, "factors": ["calm weather", "short distance"]}
REPORT = {
    "title": "All risks",
    "risks": [RISK] * 30,
    "totals": {f"kind {number}": number for number in range(20)},
    "note": None,
}


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def rows_of(
    name: str, ours: type[Any], theirs: type[BaseModel], value: dict[str, Any], *, times: int, rounds: int
) -> list[Row]:
    written = msgspec.json.encode(value)
    own = codec(ours, owner=name, field="value")
    parsed, model = own.decode(written), theirs.model_validate_json(written)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "decode": (lambda: theirs.model_validate_json(written), lambda: own.decode(written)),
        "encode": (model.model_dump_json, lambda: own.encode(parsed)),
    }
    rows: list[Row] = []
    for what, (pydantic, stratum) in pairs.items():
        rows += compare(
            f"{what}, {name}, {len(written):,} bytes",
            {BASELINE: repeated(pydantic, times), "stratum": repeated(stratum, times)},
            baseline=BASELINE,
            units=times,
            rounds=rounds,
        )
    return rows


def schema_rows(*, times: int, rounds: int) -> list[Row]:
    def by_pydantic() -> object:
        made: type[BaseModel] = type("Made", (RiskModel,), {})
        return made.model_json_schema()

    def by_stratum() -> object:
        made = contract(type("Made", (), {"__annotations__": dict(RiskModel.__annotations__), "__module__": __name__}))
        return codec(made, owner="made", field="value").wire_schema

    contenders = {BASELINE: repeated(by_pydantic, times), "stratum": repeated(by_stratum, times)}
    return compare("class and schema, small", contenders, baseline=BASELINE, units=times, rounds=rounds)


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    times = 200 if options.quick else 5000
    rows = [
        *rows_of("small", Risk, RiskModel, RISK, times=times, rounds=options.rounds),
        *rows_of("nested", Report, ReportModel, REPORT, times=times // 10, rounds=options.rounds),
        *schema_rows(times=max(5, times // 100), rounds=options.rounds),
    ]
    report(__doc__ or "", rows, options, packages=("pydantic", "msgspec"), unit="value")


if __name__ == "__main__":
    main()
