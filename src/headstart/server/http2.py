"""One HTTP/2 connection on an asyncio transport.

Passes the transport's bytes to `wire.server`, and the events that they make to the connection's
streams (`http2_streams`) and to its lifetime (`http2_lifetime`); writes the wire's output once per
turn of the loop. Made by `protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, assert_never, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.addresses import remote_address
from headstart.server.admission import ConnectionSlot
from headstart.server.http2_lifetime import Http2Lifetime
from headstart.server.http2_streams import Http2Streams
from headstart.server.http2_websocket import offers_websockets
from headstart.server.tls import TlsTransport
from headstart.server.turns import PendingWrite
from headstart.server.worker import Worker
from headstart.wire.events import (
    ConnectionEnded,
    ConnectionUsedUp,
    DataReceived,
    GoAwayReceived,
    PingAcknowledged,
    PromiseFailed,
    RequestReceived,
    RequestRefused,
    ServerEvent,
    SettingsReceived,
    StreamClosed,
    StreamRefused,
    StreamReset,
    TrailersReceived,
    WebSocketRequested,
)
from headstart.wire.frame_checks import LOOKED_AT
from headstart.wire.server import ServerConnection

# Output is serialized in chunks that stay in the processor's caches. So many of them, 256 KiB, are
# written by one system call. A client that reads nothing leaves as much in memory beside what is
# queued.
_CHUNK: Final = 32 * 1024
_CHUNKS: Final = 8


class Http2ServerConnection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        slot: Its place among the server's connections.
        streams: Its open streams.
    """

    __slots__ = (
        "_app_state",
        "_config",
        "_connections",
        "_counters",
        "_lifetime",
        "_loop",
        "_server_state",
        "_transport",
        "_turns",
        "_unread",
        "_wire",
        "_worker",
        "_write",
        "slot",
        "streams",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._config = config
        self._server_state = server_state
        self._connections: set[Any] = server_state.connections
        self._app_state = app_state
        self._worker = Worker.of(server_state, config, self._loop)
        self._turns = self._worker.turns
        self._counters = self._worker.counters
        self._write = PendingWrite(self._turns, self)
        self.slot: ConnectionSlot | None = None
        limits = self._worker.options.limits
        self._wire = ServerConnection(
            limits, self._loop.time(), websockets=offers_websockets(config)
        )
        self._unread = b""
        """Came, and waits for its turn."""
        self._transport: asyncio.Transport
        self._lifetime: Http2Lifetime
        self.streams: Http2Streams

    def round_trip_took(self, seconds: float) -> None:
        """Note how far away the client is, as the TLS handshake tells before any SETTINGS do."""
        self._wire.round_trip = seconds

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our SETTINGS."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        loop, worker, wire, write = self._loop, self._worker, self._wire, self._write
        self.streams = Http2Streams(
            self._config, self._server_state, self._app_state, loop, worker, wire, transport, write
        )
        client = remote_address(transport)
        self._lifetime = Http2Lifetime(client, loop, worker, wire, self.streams, transport, write)
        self._connections.add(self)
        worker.sheddable.add(self)
        self.shed(worker.shedding)
        self.write_out()

    def data_received(self, data: bytes) -> None:
        """Keep the client's bytes until the loop has read for all connections."""
        if self._turns.acting:
            self.act(data)  # TLS, which takes part itself
        else:
            self._turns.arrived(self, data)

    def act(self, data: bytes) -> None:
        """Act on the client's bytes, or on a part if they are too much for one turn of the loop.

        The rest waits for the next turn, and nothing more is read: other connections have their
        turn.
        """
        if self._unread:
            self._unread += data  # TLS had more
            return
        if self._lifetime.has_left or self._transport.is_closing():
            return
        streams, wire, lifetime = self.streams, self._wire, self._lifetime
        # Most segments are small, and are one part.
        if len(data) > LOOKED_AT and (size := wire.first_part(data)) < len(data):
            self._unread, data = data[size:], data[:size]
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)
        now = lifetime.heard_at = self._loop.time()
        self._counters.bytes_received += len(data)
        for event in wire.receive(data, now):
            if type(event) is RequestReceived:
                streams.request_received(event)
            else:
                self._handle(event)
        if wire.last_opened >= self._worker.last_stream:
            lifetime.drain()
        write = self._write
        # A response that was made at once has asked for a write. If all that came were requests
        # that the application still works on, there is nothing to write.
        if not write.is_due and (wire.owes_output or streams.has_waiting):
            write.soon()

    def _go_on(self) -> None:
        """Act on the next part."""
        data, self._unread = self._unread, b""
        if self._lifetime.has_left or self._transport.is_closing():
            return
        with self._write.once():
            self.act(data)
        if not (self._unread or self._transport.is_closing()):
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """Close: the client will send nothing more, and HTTP/2 has no half-closed connections."""
        self._turns.act()
        return False

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Stop writing; the rest stays in the engine's bounded queues."""
        self._lifetime.write_paused = True

    def resume_writing(self) -> None:
        """Write again."""
        self._lifetime.write_paused = False
        self.write_out()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every application that its client is gone."""
        self._connections.discard(self)
        self._worker.sheddable.discard(self)
        if self.slot is not None:
            self.slot.free(asked=self._wire.last_opened > 0)
        self._lifetime.connection_lost(exc)
        self.streams.connection_lost()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the values that `asyncio.BaseTransport.get_extra_info` names."""
        return self._transport.get_extra_info(name, default)

    # Called by the worker.

    def shed(self, active: bool) -> None:
        """Memory is short, so no stream gets to the application; or it is so no more."""
        self.streams.calls.shed(active)

    def held(self) -> int:
        """Bytes that this connection keeps in memory: of responses and of requests."""
        waiting = self._wire.queued() + self._transport.get_write_buffer_size()
        received = self._wire.unacknowledged() + len(self._unread)
        return waiting + received + self.streams.held()

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._lifetime.report(Closing.MEMORY)
        self._transport.abort()

    def shutdown(self) -> None:
        """Stop."""
        self._worker.draining = True
        self._lifetime.drain()

    # Events.

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case StreamClosed():
                self.streams.stream_closed(event)
            case DataReceived(stream_id=stream_id, data=data, end_stream=end_stream):
                self.streams.data_received(stream_id, data, end_stream, self._lifetime.heard_at)
            case TrailersReceived(stream_id=stream_id):
                self.streams.body_ended(stream_id)
            case StreamReset(stream_id=stream_id):
                self.streams.stream_reset(stream_id)
            case PromiseFailed(stream_id=stream_id, refusal=refusal):
                self.streams.promise_failed(stream_id, refusal)
            case PingAcknowledged(opaque_data=opaque_data):
                self._lifetime.ping_acknowledged(opaque_data)
            case RequestReceived():
                self.streams.request_received(event)
            case WebSocketRequested():
                self.streams.websocket_requested(event)
            case RequestRefused() | StreamRefused():
                self.streams.refused(event)
            case ConnectionEnded() | ConnectionUsedUp():
                self._lifetime.ended(event)
            case SettingsReceived() | GoAwayReceived():
                pass  # the wire keeps what they say
            case _:
                assert_never(event)

    # Output.

    def write_out(self) -> None:
        """Write the output as far as there is room for it, and act on the events that it causes."""
        write, streams, wire, lifetime = self._write, self.streams, self._wire, self._lifetime
        write.is_due = False
        if lifetime.has_left or self._transport.is_closing():
            return
        if streams.uses_ahead:
            write.is_due = True  # this one takes all that is queued until here
            streams.before_write()
            write.is_due = False
        queued_before = wire.queued() if streams.open and streams.scheduler.waiting else 0
        while not lifetime.write_paused:
            data = wire.output(_CHUNK)
            if len(data) == _CHUNK:
                data = self._write_much(data)
            elif data:
                self._counters.bytes_sent += len(data)
                self._transport.write(data)
            if len(data) < _CHUNK or self._transport.is_closing():
                break
        # What a client did wrong it did when its last bytes came, so that is the time to judge by.
        # Calls that answered at once have nothing to learn of how their streams ended.
        watched = streams.uses_ahead or bool(streams.open)
        for event in wire.after_output(lifetime.heard_at, watched):
            if type(event) is StreamClosed:
                streams.stream_closed(event)
            else:
                self._handle(event)
        if streams.has_waiting:
            streams.after_write(queued_before)
        if wire.goaway or wire.ended is not None:
            lifetime.leave_if_over()

    def _write_much(self, first: bytes) -> bytes:
        """Write several chunks of output together, as far as there are so many.

        Args:
            first: The first one.

        Returns:
            The last one. If it is whole, there may be more.
        """
        last = first

        def chunks() -> Iterator[bytes]:
            nonlocal last
            self._counters.bytes_sent += len(first)
            yield first
            for _ in range(_CHUNKS - 1):
                last = self._wire.output(_CHUNK)
                self._counters.bytes_sent += len(last)
                if last:
                    yield last
                if len(last) < _CHUNK:
                    return

        transport = self._transport
        if type(transport) is TlsTransport:
            transport.write_chunks(chunks())
            return last
        *whole, end = chunks()
        if whole:
            transport.writelines(whole)
        # By itself: after `writelines` asyncio of Python 3.13.0 never says that it holds too much.
        transport.write(end)
        return last
