"""What a process held of memory at its height. Standard library only: it runs in the peers' environments too."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mb(pid: int | None = None) -> float | None:
    """Of this process, or on Linux of another one that still runs; None where that is not known."""
    if sys.platform == "linux":
        # Not getrusage's, which begins with what the process that started it held.
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6
    if sys.platform == "win32" or pid is not None:
        return None
    import resource

    # In kilobytes, but on macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
