"""The inbox: messages from other processes to the session that owns a run.

A table of the journal's file, and no part of what happened: the owner records what it does about a message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final

import msgspec

from stratum.contracts.messages import Message

TABLE: Final = """
    CREATE TABLE _inbox (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        message TEXT NOT NULL     -- JSON of contracts/messages.py
    )
"""
POLL_S: Final = 0.25
"""How often an owner looks. SQLite tells nobody that something was written."""

_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def put(connection: sqlite3.Connection, run: str, message: Message) -> None:
    """Leave a message for the owner of `run`."""
    connection.execute("INSERT INTO _inbox (run, message) VALUES (?, ?)", (run, msgspec.json.encode(message).decode()))


def take(connection: sqlite3.Connection, runs: Collection[str]) -> list[tuple[str, Message]]:
    """The messages for these runs, oldest first, each of them once; within a transaction."""
    rows = connection.execute("SELECT id, run, message FROM _inbox ORDER BY id").fetchall()
    mine = [(id, run, message) for id, run, message in rows if run in runs]
    connection.executemany("DELETE FROM _inbox WHERE id = ?", [(id,) for id, _, _ in mine])
    return [(run, _DECODER.decode(message)) for _, run, message in mine]


def is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM _inbox LIMIT 1").fetchone() is None
