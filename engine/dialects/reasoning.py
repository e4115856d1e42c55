"""Which models think before they answer."""

from __future__ import annotations

import re

# o1, o3-mini, o4-mini, gpt-5, gpt-5.5, gpt-6.1-sol, also behind a vendor's prefix (`openai/gpt-5`, `ft:gpt-5...`).
# The chat variants (`gpt-5-chat-latest`) do not reason and refuse the options of those that do.
_reasoning = re.compile(r"(?:.*[/:])?(?:o[1-9]|gpt-(?:[5-9]|\d\d))(?![a-z0-9])(?!.*-chat).*")


def is_reasoning_model(model: str) -> bool:
    """True where output tokens include reasoning and `reasoning.encrypted_content` may be asked for."""
    return _reasoning.fullmatch(model) is not None
