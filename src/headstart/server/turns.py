"""The phases of an event loop's turn: read all, act on all, write all.

Each return from a system call finds the processor's caches cold. If a hundred connections have
something to read, acting on each as it is read would pay for that a hundred times in the
interpreter. So received bytes are noted while the loop reads; then all of them are acted on, one
connection after the other, and then each connection writes.

A lone request waits for nothing: the loop comes here as soon as it has read all there is. The
waiting bytes are bounded; beyond the bound they are acted on at once. Each `worker.Worker` has one
`Turns`; `http1.Http1Connection`, `http2.Http2ServerConnection` and `tls.TlsTransport` use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

# Bytes of all connections together that may wait while the loop reads.
MOST_WAITING: Final = 1024 * 1024


class Connection(Protocol):
    """A connection that takes part in turns."""

    def abort(self) -> None:
        """End at once."""


class Reader(Connection, Protocol):
    """A protocol whose transport reads for it."""

    def act(self, data: bytes) -> None:
        """Act on bytes that arrived."""


class Writer(Connection, Protocol):
    """A protocol that gathers its output."""

    def write_out(self) -> None:
        """Write all that acting brought about."""


class Turns:
    """The phases of one event loop's turns.

    Args:
        loop: The event loop.

    Attributes:
        acting: The loop has read; a connection's new bytes are acted on directly.
        writing: Those that write in this turn's last phase.
    """

    __slots__ = ("_arrived", "_loop", "_size", "acting", "writing")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: list[tuple[Reader, bytes]] = []
        self.writing: list[Writer] = []
        self._size = 0
        self.acting = False

    def arrived(self, reader: Reader, data: bytes) -> None:
        """Keep bytes for the phase in which all act."""
        if not self._arrived:
            self._loop.call_soon(self.act)
        self._arrived.append((reader, data))
        self._size += len(data)
        if self._size > MOST_WAITING:
            self.act()

    def write_soon(self, writer: Writer) -> None:
        """Let a connection write: in this turn's last phase, or at the end of the turn.

        Calls that went on waiting answer outside of a turn's phases. All that answer in one turn of
        the loop are written together, too.
        """
        if not (self.acting or self.writing):
            self._loop.call_soon(self._write_all)
        self.writing.append(writer)

    def act(self) -> None:
        """Act on all that arrived, then let all write."""
        if self.acting or not self._arrived:
            return
        arrived, self._arrived = self._arrived, []
        self._size = 0
        self.acting = True
        try:
            for reader, data in arrived:
                try:
                    reader.act(data)
                except Exception as error:
                    self._failed(reader, error)
        finally:  # SystemExit ends a program in good order, if its loop goes on for a while
            self.acting = False
            self._write_all()

    def _write_all(self) -> None:
        writing, self.writing = self.writing, []
        for writer in writing:
            try:
                writer.write_out()
            except Exception as error:
                self._failed(writer, error)

    def _failed(self, connection: Connection, error: Exception) -> None:
        """Do as the event loop does where a protocol raises: the others' turns go on."""
        message = "Fatal error: a connection failed while it acted on what it received."
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "protocol": connection}
        )
        connection.abort()


class PendingWrite:
    """The next write of one connection: one for all that happens in a turn of the loop.

    Args:
        turns: The worker's.
        writer: The connection.

    Attributes:
        is_due: It will be done without another word. The connection sets this back when it writes.
    """

    __slots__ = ("_turns", "_writer", "is_due")

    def __init__(self, turns: Turns, writer: Writer) -> None:
        self._turns = turns
        self._writer: Writer | None = writer
        self.is_due = False

    def soon(self) -> None:
        """Write at the end of this turn."""
        writer = self._writer
        if not self.is_due and writer is not None:
            self.is_due = True
            turns = self._turns
            if turns.acting:  # as nearly always; a call for each would cost more than this
                turns.writing.append(writer)
            else:
                turns.write_soon(writer)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Write at the end of a block, once for all that happens in it."""
        self.is_due = True
        try:
            yield
        finally:
            self.now()

    def now(self) -> None:
        """Write at once."""
        if self._writer is not None:
            self._writer.write_out()

    def detach(self) -> None:
        """Forget the writer, which was lost: nothing is written any more."""
        self._writer = None
