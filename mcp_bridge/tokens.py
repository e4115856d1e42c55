"""Bearer tokens of the HTTP server: this user's own, kept in a file, and those that they name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from stratum.actors.locations import STATE_MODE

MIN_TOKEN: Final = 20
"""Characters: what 120 random bits take in base64."""


def own_token(folder: Path) -> tuple[str, Path]:
    """This user's token for servers on this machine, made at the first call, and the file that holds it."""
    path = folder / "mcp-token"
    folder.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return read_tokens(path.read_text(encoding="ascii"))[0], path
    with open(file, "w", encoding="ascii") as written:
        token = secrets.token_urlsafe(32)
        written.write(f"{token}\n")
    return token, path


def read_tokens(text: str) -> tuple[str, ...]:
    """The tokens in `text`, one a line; empty lines and those that begin with `#` are skipped.

    Raises:
        ValueError: there are none, or one is too short to be safe.
    """
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    if not tokens:
        raise ValueError("there is no token; write one a line")
    if any(len(token) < MIN_TOKEN for token in tokens):
        raise ValueError(f"a token needs at least {MIN_TOKEN} characters; make one with `openssl rand -base64 32`")
    return tokens
