"""The output of one HTTP/1.1 connection: responses, framed, written once per turn of the loop.

Gathers the bytes of a turn (`turns`), so that header section and body go out in one system call,
and says how much room there is. Makes the response's framing from `http1_response`. Owned by
`http1.Http1Connection`, and its cycles' `scheduler`; changes only the transport.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from headstart.server.counters import Counters
from headstart.server.http1_cycle import Http1Cycle
from headstart.server.http1_response import (
    CHUNKED,
    CLOSE,
    END,
    LAST_CHUNK,
    Http1Head,
    chunk,
    trailer_section,
)
from headstart.server.turns import Turns
from headstart.wire.events import Fields

# Bytes that wait for the end of the turn before they are written at once. asyncio's own for TCP.
_MOST_UNWRITTEN: Final = 64 * 1024


class Output:
    """The output of one connection.

    Args:
        transport: Where it goes.
        turns: Tells when a turn ends.
        counters: Count the bytes.

    Attributes:
        own_room: How much may be written: any number of bytes, or none while the transport is full.
        size: Bytes that wait for the end of the turn.
    """

    __slots__ = (
        "_counters",
        "_due",
        "_in_chunks",
        "_parts",
        "_started",
        "_transport",
        "_turns",
        "_wrote",
        "own_room",
        "size",
    )

    def __init__(self, transport: asyncio.Transport, turns: Turns, counters: Counters) -> None:
        self._transport = transport
        self._turns = turns
        self._counters = counters
        self._parts: list[bytes] = []
        self._due = self._wrote = False
        self._in_chunks = False
        self._started: Http1Cycle | None = None
        """A request whose response has started in this turn."""
        self.own_room = sys.maxsize
        self.size = 0

    def room(self, stream_id: int) -> int:
        """Return how much may be written."""
        return self.own_room

    def takes_last(self, stream_id: int, size: int) -> bool:
        """Return whether the last part of a body may be written as a whole."""
        return self.own_room > 0

    def is_full(self, full: bool) -> None:
        """Note whether the transport takes more."""
        self.own_room = 0 if full else sys.maxsize

    # Responses.

    def head(self, head: Http1Head, cycle: Http1Cycle) -> None:
        """Put a header section, and the framing of the content that follows it."""
        framed = head.content_length is not None or cycle.no_body
        self._in_chunks = not framed and cycle.takes_chunks
        # The most frequent one is made once for all equal responses.
        if cycle.keeps_alive and framed:
            self.put(head.whole)
            return
        lines = [head.lines]
        if not (cycle.keeps_alive or head.closes):
            lines.append(CLOSE)
        if self._in_chunks:
            lines.append(CHUNKED)
        self.put(b"".join([*lines, END]))

    def content(self, data: bytes | memoryview, ends: bool) -> None:
        """Put a part of a response's content."""
        if not self._in_chunks:
            self.put(data)
            return
        for part in chunk(data):
            self.put(part)
        if ends:
            self.put(LAST_CHUNK)

    def trailers(self, trailers: Fields) -> None:
        """End the content with trailers if it goes out in chunks, and without them if not."""
        if self._in_chunks:
            self.put(trailer_section(trailers))

    def head_waits(self, cycle: Http1Cycle) -> None:
        """Write a header section when the turn ends, unless its body has begun."""
        self._started = cycle
        self._write_soon()

    # Writing.

    def put(self, data: bytes | memoryview) -> None:
        """Write at the end of the turn, or now if it is much."""
        if data:
            if type(data) is not bytes:
                data = bytes(data)  # the application may change it before the turn ends
            self._parts.append(data)
            self.size += len(data)
            if self.size > _MOST_UNWRITTEN:
                self.write()
            else:
                self._write_soon()

    def _write_soon(self) -> None:
        if not self._due:
            self._due = True
            self._turns.write_soon(self)

    def write_out(self) -> None:
        """Write all that the turn brought about."""
        cycle, self._started = self._started, None
        if cycle is not None:
            cycle.send_head()
        self._due = False
        self.write()

    def write(self) -> None:
        """Write now."""
        parts, size = self._parts, self.size
        if not parts:
            return
        self._parts, self.size = [], 0
        if self._transport.is_closing():
            return
        self._counters.bytes_sent += size
        self._wrote = True
        if size <= _MOST_UNWRITTEN:
            self._transport.write(b"".join(parts))
            return
        # Not `writelines`: asyncio's of Python 3.13.0 never says that it holds too much.
        for part in parts:
            self._transport.write(part)

    def was_written(self) -> bool:
        """Return whether anything was written since the last call."""
        wrote, self._wrote = self._wrote, False
        return wrote

    def abort(self) -> None:
        """End the connection at once, since writing failed."""
        self._transport.abort()
