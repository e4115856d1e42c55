"""Which names of SDKs are calls to a model, and whether such a call names a schema for its answer."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["chat", "responses", "completion", "messages"]

# What returns the same client, or the same call with the answer's headers.
_NEUTRAL: Final = re.compile(r"\.(?:with_options|copy)\(\)|\.with_raw_response|\.with_streaming_response|\.beta(?=\.)")
_OPENAI: Final = r"openai(?:\.(?:[a-z_]\w*\.)*(?:Async)?(?:Azure|AzureAD)?(?:OpenAI|Client)\(\))?"
_ANTHROPIC: Final = (
    r"anthropic\.(?:[a-z_]\w*\.)*(?:Async)?(?:Anthropic|Client)(?:Bedrock|Vertex|Foundry)?(?:Mantle)?\(\)"
)
_LITELLM: Final = r"litellm(?:\.(?:router\.)?Router\(\))?"
_CALLS: Final[Mapping[Kind, re.Pattern[str]]] = {
    "chat": re.compile(
        rf"{_OPENAI}\.chat\.completions\.(?:create|parse|stream)|openai\.ChatCompletion\.a?create"
        rf"|{_LITELLM}\.(?:main\.)?(?:a|batch_)?completion"
    ),
    "responses": re.compile(rf"{_OPENAI}\.responses\.(?:create|parse|stream)|{_LITELLM}\.a?responses"),
    "completion": re.compile(
        rf"{_OPENAI}\.completions\.create|openai\.Completion\.a?create|{_ANTHROPIC}\.completions\.create"
        rf"|{_LITELLM}\.a?text_completion"
    ),
    "messages": re.compile(rf"{_ANTHROPIC}\.messages\.(?:create|parse|stream)"),
}
_SCHEMAS: Final = ("response_format", "text_format", "output_format", "output_config", "response_model")
"""Keywords whose value is, or may be, a schema."""
_TOOLS: Final = ("tools", "functions")


def sdk_call(path: str) -> Kind | None:
    """The kind of model call that the full name `path` is."""
    plain = _NEUTRAL.sub("", path)
    return next((kind for kind, pattern in _CALLS.items() if pattern.fullmatch(plain)), None)


def is_model_call(path: str) -> bool:
    return sdk_call(path) is not None


def names_schema(path: str, keywords: Mapping[str, ast.expr]) -> bool:
    """Whether the answer's form is stated: a schema, or tools whose arguments have one."""
    if path.endswith(".parse"):
        return True
    if any(name in keywords and _may_be_schema(keywords[name]) for name in _SCHEMAS):
        return True
    if "text" in keywords and not path.startswith("litellm"):
        return _may_be_schema(keywords["text"])
    return any(name in keywords and not _is_nothing(keywords[name]) for name in _TOOLS)


def _may_be_schema(value: ast.expr) -> bool:
    """False where it is certain that this is no schema: `{"type": "json_object"}`, or nothing."""
    if _is_nothing(value):
        return False
    if not isinstance(value, ast.Dict):
        return True  # a class, or a value from elsewhere
    stated = {
        key.value: its for key, its in zip(value.keys, value.values, strict=True) if isinstance(key, ast.Constant)
    }
    if isinstance(inner := stated.get("format"), ast.Dict):
        return _may_be_schema(inner)
    match stated.get("type"):
        case ast.Constant(value=("json_object" | "text")):
            return False
        case None:
            return None in value.keys or bool({"format", "schema", "json_schema"} & stated.keys())
        case _:
            return True


def _is_nothing(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=None) | ast.List(elts=[]) | ast.Tuple(elts=[]):
            return True
        case _:
            return False
