"""`Mail`: what other processes ask of the runs at work here: taken from the journal's inbox, given to whoever looks after each run.

Below: the journal. Above: flows, which can be stopped; plans, whose gates are answered and limits raised; questions to people.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import trio

from stratum.actors.inbox import POLL_S
from stratum.actors.journal import Journal
from stratum.contracts.messages import Message

Reader = Callable[[Message], None]
"""Does what is asked, and leaves what is for others."""


class Mail:
    """Of one session."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._readers: dict[str, list[Reader]] = {}
        self._begun = trio.Event()

    @contextmanager
    def read_by(self, reader: Reader, *, run: str) -> Generator[None]:
        """Give it what is asked of the run from here to the end of the block, beside the other readers that the run has."""
        readers = self._readers.setdefault(run, [])
        readers.append(reader)
        self._begun.set()
        try:
            yield
        finally:
            readers.remove(reader)
            if not readers:
                del self._readers[run]

    async def deliver(self) -> None:
        """Beside the runs; looks only while one has a reader. What none of them is for is dropped."""
        while True:
            if not self._readers:
                self._begun = trio.Event()
                await self._begun.wait()
            # First: most runs are over before anybody asks something of them, and a look keeps the journal's writer from them.
            await trio.sleep(POLL_S)
            for run, message in await self._journal.messages(self._readers) if self._readers else ():
                for reader in list(self._readers.get(run, ())):
                    reader(message)
