"""The contract that every framework is asked for: the one of bench_call.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

INTENT = "Assess the risk of this plan"


class RiskAssessment(BaseModel):
    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str]
    recommendation: str


RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "RiskAssessment",
        "schema": RiskAssessment.model_json_schema() | {"additionalProperties": False},
        "strict": True,
    },
}
"""For those that pass requests on to the openai SDK as they are."""
