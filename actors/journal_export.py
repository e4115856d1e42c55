"""`export_journal`: everything that can still be read, as JSON Lines."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from stratum.actors.journal_check import ChainCheck, Row, open_for_rescue, readable_rows


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What `export_journal` wrote."""

    records: int
    runs: int
    broken: dict[str, int]
    """Runs of which records are missing or altered: the first such one. Those after it are marked `sound: false`."""


class ExportedRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line."""

    run: str
    n: int
    """Its place in the run, from 1."""
    at: str
    """UTC, ISO 8601."""
    hash: str
    record: msgspec.Raw
    """As in `contracts/records.py`."""
    sound: bool = True
    """The run's chain holds up to here."""


def export_journal(path: Path, out: BinaryIO) -> Exported:
    """Write every readable record, one JSON object a line, in the order they were committed. Changes nothing.

    Works on a damaged file: what cannot be read is left out, and the runs it was of are named.

    Raises:
        JournalError: there is no journal, or nothing in it can be read.
    """
    check = ChainCheck()
    encoder = msgspec.json.Encoder()
    with closing(open_for_rescue(path)) as connection:
        out.writelines(encoder.encode(_line(row, check)) + b"\n" for row in readable_rows(connection, path))
    return Exported(records=check.records, runs=check.runs, broken=check.broken)


def _line(row: Row, check: ChainCheck) -> ExportedRecord:
    sound = check.feed(row)
    at = datetime.fromtimestamp(row.at / 1000, tz=UTC).isoformat(timespec="milliseconds")
    return ExportedRecord(
        run=row.run, n=row.n, at=at, hash=row.hash.hex(), record=_as_json(row.body, sound=sound), sound=sound
    )


def _as_json(body: str, *, sound: bool) -> msgspec.Raw:
    """The body; of a damaged one that is not JSON any more, its text."""
    encoded = body.encode()
    if not sound:
        try:
            msgspec.json.decode(encoded)
        except msgspec.DecodeError:
            encoded = msgspec.json.encode(body)
    return msgspec.Raw(encoded)
