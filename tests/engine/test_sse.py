"""Server-sent events, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stratum.engine.dialects.sse import EventParser

STREAM = (
    b"\xef\xbb\xbfevent: one\r\ndata: 1\r\n\r\n: a comment\ndata:2a\ndata: 2b\n\nid: 7\n\ndata:  three\rretry: 5\r\r"
    b"data\n\n\ndata: never finished"
)
EVENTS = [b"1", b"2a\n2b", b" three", b""]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    events = [event for start, end in pairwise(edges) for event in parser.feed(STREAM[start:end])]
    assert events == EVENTS


def test_one_long_event_in_many_pieces_is_found_once() -> None:
    parser = EventParser()
    pieces = [b"data: ", *[b"x" * 100] * 1000, b"\n", b"\n"]
    assert [event for piece in pieces for event in parser.feed(piece)] == [b"x" * 100_000]
