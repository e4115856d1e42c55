"""What a check found: `Finding`, and `Note` for what it could not check."""

from __future__ import annotations

import ast

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A place where the code goes past the runtime."""

    path: str
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    end_line: int
    end_column: int
    """The first character that is no longer part of it."""
    rule: str
    message: str
    """What is there, and what to write instead."""


class Note(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A file or comment that was not used, and why."""

    path: str
    message: str
    line: int = 0
    """0: the whole file."""


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule reports: a node of the tree, in its own words."""

    node: ast.AST
    message: str
