"""How people are asked: `open_runtime(sinks=[...])` takes any of these, and whatever else is a `Sink`."""

from __future__ import annotations

from stratum.engine.people.review import Review, Sink
from stratum.engine.people.sinks import ConsoleSink, FileSink, PageSink

__all__ = ["ConsoleSink", "FileSink", "PageSink", "Review", "Sink"]
