"""The command line: called in this process, or typed at a terminal of its own."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import subprocess
import sys

from click.testing import CliRunner, Result

from stratum.cli import stratum


def call(*arguments: str) -> Result:
    return CliRunner().invoke(stratum, arguments, catch_exceptions=False)


class Terminal:
    """A command at a terminal, as a person has it."""

    def __init__(self, *arguments: str) -> None:
        self._terminal, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stratum", *arguments], stdin=other, stdout=other, stderr=other
        )
        os.close(other)
        self.said = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character

    def expect(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` is there."""
        while (found := re.search(pattern, self.said)) is None:
            assert self._read(), f"it ended after: {self.said}"
        return found

    def type(self, line: str) -> None:
        os.write(self._terminal, line.encode() + b"\n")

    def ended(self) -> int:
        """Its exit code, once it has said all."""
        # Read before it is waited for: it waits for its part until a full terminal is read.
        while self._read():
            pass
        os.close(self._terminal)
        return self.process.wait(60)

    def _read(self) -> bool:
        """More of what it says; false once there is no more."""
        ready, _, _ = select.select([self._terminal], [], [], 60)
        assert ready, f"nothing more after: {self.said}"
        try:
            read = os.read(self._terminal, 4096)
        except OSError:  # Linux says so where the other side is closed
            read = b""
        self.said += self._decoder.decode(read)
        return bool(read)
