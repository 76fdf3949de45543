"""The end of one HTTP/2 connection: when it comes, and the reason that is reported.

Looks at the connection's clocks a few times per timeout (`deadlines`), takes the steps of a
graceful end (`drain`), and closes the transport. Has the connection's timers. Owned by
`http2.Http2ServerConnection`, which passes on the events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from headstart.errors import StreamGoneError
from headstart.reasons import Closing
from headstart.server.deadlines import Deadlines, seconds_between_looks, standstill
from headstart.server.drain import NOTICE_GRACE, Drain
from headstart.server.http2_streams import Http2Streams
from headstart.server.lingering import linger
from headstart.server.reachable import unacknowledged_for
from headstart.server.tls import TlsBroken
from headstart.server.turns import PendingWrite
from headstart.server.worker import Worker
from headstart.wire.connection import ErrorCode
from headstart.wire.events import ConnectionEnded, ConnectionUsedUp
from headstart.wire.server import ServerConnection

# Seconds.
_SHORTEST_DELAY: Final = 0.001

_READS_NOTHING: Final = frozenset({Closing.STALLED, Closing.UNREACHABLE})
_ARE_YOU_THERE: Final = b"present?"


class Http2Lifetime:
    """The clocks and the end of one connection.

    Args:
        client: The client's address, as the transport names it.
        loop: The event loop.
        worker: The process's.
        wire: The connection's.
        streams: The connection's.
        transport: The connection's.
        write: The connection's next write.

    Attributes:
        has_left: All is written. Bytes that the client still sends are dropped.
        heard_at: When the client last sent anything.
        write_paused: The transport is full.
    """

    __slots__ = (
        "_client",
        "_deadlines",
        "_drain",
        "_is_leaving",
        "_is_reported",
        "_look_at",
        "_loop",
        "_options",
        "_stood_still",
        "_streams",
        "_timers",
        "_transport",
        "_was_idle",
        "_wire",
        "_worker",
        "_write",
        "has_left",
        "heard_at",
        "write_paused",
    )

    def __init__(
        self,
        client: object,
        loop: asyncio.AbstractEventLoop,
        worker: Worker,
        wire: ServerConnection,
        streams: Http2Streams,
        transport: asyncio.Transport,
        write: PendingWrite,
    ) -> None:
        self._client = client
        self._loop = loop
        self._worker = worker
        self._options = worker.options
        self._wire = wire
        self._streams = streams
        self._transport = transport
        self._write = write
        self.heard_at = now = loop.time()
        self.write_paused = self.has_left = False
        self._drain = Drain(wire)
        self._was_idle = False
        """No stream was open when the graceful end began."""
        self._deadlines = Deadlines(self._options, wire, now)
        self._is_leaving = self._is_reported = False
        self._look_at = self._stood_still = 0.0
        """When to look, and the seconds in which nobody was late since nothing was read."""
        self._timers: list[asyncio.TimerHandle] = []
        self._look_later()

    # Timeouts.

    def _look(self) -> None:
        """End streams and connections whose time is over."""
        self._stood_still += standstill(self._loop.time(), self._look_at)
        now = self._loop.time() - self._stood_still
        unwritten = self._transport.get_write_buffer_size() if self.write_paused else 0
        handlers = self._streams.open
        reason = self._deadlines.look(now, handlers, unwritten, self.heard_at)
        # A program that reads nothing for now, while it works on an event, answers no PING; but its
        # system has acknowledged it, even if something that was sent later must be repeated.
        is_there = (
            reason is Closing.UNREACHABLE
            and unacknowledged_for(self._transport) < self._options.ping_interval
        )
        if reason is not None and not is_there:
            self.report(reason)
            if unwritten and reason in _READS_NOTHING:
                self._transport.abort()  # a GOAWAY would only wait behind it
            else:
                self._close(reason)
            return
        for stream_id in self._deadlines.slow_bodies(now, handlers):
            self._streams.report(Closing.BODY_TIMEOUT)
            self._streams.reset(stream_id, ErrorCode.CANCEL)
        self._streams.look_at_early(now)
        if self._deadlines.ping_due:
            with suppress(StreamGoneError):  # the connection ends, and its GOAWAY waits to be read
                self._wire.ping(_ARE_YOU_THERE)
            self._write.soon()
        self._look_later()

    def _look_later(self) -> None:
        delay = seconds_between_looks(self._options)
        self._look_at = self._loop.time() + delay
        self._later(delay, self._look)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time()]
        # uvloop makes a handle without a time of a delay that it rounds to none.
        self._timers.append(self._loop.call_later(max(delay, _SHORTEST_DELAY), call))

    # A graceful end.

    def drain(self) -> None:
        """Finish open requests, accept no new ones."""
        if self._drain.begin():
            self._was_idle = not self._streams.open
            # The notice refuses nothing yet, so requests that cross it are still taken.
            self._streams.end_websockets()
            self._later(NOTICE_GRACE, self._last_goaway)
            self._later(self._options.drain_timeout, self._drained_too_long)
            self._write.now()

    def ping_acknowledged(self, opaque_data: bytes) -> None:
        """Go on with a graceful end if the client has seen the notice of it."""
        if self._drain.is_answer(opaque_data):
            self._last_goaway()

    def _last_goaway(self) -> None:
        if self._drain.say_last():
            self._write.now()

    def _drained_too_long(self) -> None:
        self._close(self._drain.reason or Closing.DRAIN_TIMEOUT)

    def _close(self, reason: Closing) -> None:
        self._wire.close(ErrorCode.NO_ERROR, reason)
        self._write.now()

    # The end.

    def ended(self, event: ConnectionEnded | ConnectionUsedUp) -> None:
        """Handle that the wire ended the connection: a write closes the transport."""
        if isinstance(event, ConnectionUsedUp):
            # The wire has told the client which stream is the last.
            if self._drain.said_last(event.reason):
                self._later(self._options.drain_timeout, self._drained_too_long)
            return
        if event.error_code:
            self.report(event.reason, event.detail)
        self._streams.disconnect_all()

    def report(self, reason: Closing, detail: str = "") -> None:
        """Count and log why the connection ended."""
        self._is_reported = True
        self._worker.refusals.connection(reason, self._client, self._loop.time(), detail)

    def leave_if_over(self) -> None:
        """End the connection if nothing is left to do and all is written.

        A client that does not read the rest has its time.
        """
        drain = self._drain
        if drain.ask():
            self._write.now()
            return
        if self._wire.ended is None and not (
            drain.begun and drain.is_over(bool(self._streams.open))
        ):
            return
        if not self._is_leaving:
            self._is_leaving = True
            # Or a client that never reads would keep the connection.
            self._later(self._options.stall_timeout, self._transport.abort)
        if not self._wire.wants_output:
            self._leave()

    def _leave(self) -> None:
        """Let the client read the rest, and do nothing else any more."""
        self.has_left = True
        self._stop()
        silent = self._loop.time() - self.heard_at >= NOTICE_GRACE
        # A server that stops does not wait for one that had nothing to wait for, and says nothing.
        unheard = self._worker.draining and self._was_idle and silent
        linger(self._transport, self._worker, unheard=unheard)

    def _stop(self) -> None:
        self._write.detach()
        for timer in self._timers:
            timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end unless that was done, and stop the timers."""
        if isinstance(exc, TlsBroken):
            self.report(exc.reason, exc.detail)
        elif not self._is_reported:
            self.report(self._how_it_ended())
        self._stop()

    def _how_it_ended(self) -> Closing:
        if self._wire.ended is not None:
            return self._wire.ended.reason
        if not self._drain.begun:
            return Closing.PEER_LEFT
        if self._drain.reason is not None:
            return self._drain.reason
        return Closing.DRAINED if self._worker.draining else Closing.REQUESTS_USED_UP
