"""One stream of an HTTP/2 connection as a transport of asyncio (RFC 8441, 5).

Behind an extended CONNECT, the DATA frames of a stream carry another protocol in both directions.
So a protocol that was written for a TCP connection works on the stream: END_STREAM is its end,
RST_STREAM with CANCEL its reset, and the flow-control windows are its back-pressure. Bytes
that the protocol does not read are not given back to the client's window; bytes that the client
does not read wait here, within the room that `scheduler` gives each stream.

Made by `http2_streams.Http2Streams`, which treats it like the `Cycle` of a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, cast

from headstart.errors import StreamGoneError
from headstart.server.stream_connection import StreamConnection
from headstart.wire.connection import ErrorCode
from headstart.wire.events import Fields, WebSocketRequested
from headstart.wire.responses import response_head

# asyncio's own for TCP.
_HIGH_WATER: Final = 64 * 1024
_LOW_WATER: Final = 16 * 1024

_NOBODY: Final = asyncio.Protocol()
"""Hears what comes before there is a protocol, and after the stream was lost."""


class StreamTransport(asyncio.Transport):
    """A stream that an extended CONNECT opened.

    Attributes:
        request: The CONNECT.
        stream_id: The stream's number.
        complete: END_STREAM was handed to the wire.
        awaits_body, uploads: Always False: the protocol above has its own time-outs.
        received: Bytes that came.
    """

    awaits_body = uploads = False

    def __init__(self, connection: StreamConnection, request: WebSocketRequested) -> None:
        super().__init__()
        self.request = request
        self.stream_id = request.stream_id
        self.complete = False
        self.received = 0
        self._connection = connection
        self._protocol = _NOBODY
        self._unread: deque[bytes] = deque()
        """Came, and waits until the protocol reads."""
        self._input_ended = False
        self._reading_paused = False
        self._delivery_due = False
        self._buffer = bytearray()
        """Written, and waits for room."""
        self._writing_paused = False
        self._has_responded = False
        self._closing = False
        self._lost = False

    # Called by the connection.

    def data_received(self, data: bytes, end_stream: bool) -> None:
        """Hand DATA on, or keep it while the protocol does not read."""
        self.received += len(data)
        self._input_ended = self._input_ended or end_stream
        if self._closing:
            self._connection.consumed(self.stream_id, len(data))
            return
        if data:
            self._unread.append(data)
        self._deliver()

    def body_ended(self) -> None:
        """Reset the stream: a second header section is an error here (RFC 9113, 8.5)."""
        self._connection.reset_for_mistake(self.stream_id)
        self.disconnect()

    @property
    def answered_early(self) -> bool:
        """This side has ended the stream, and the client has not."""
        return self.complete and not self._input_ended

    def disconnect(self) -> None:
        """End it here: the stream was reset, or the connection lost."""
        self._closing = True
        self._buffer.clear()
        self.drop_body()
        self._lose()

    def writable(self) -> None:
        """Send more: there may be room."""
        self._send()

    def drop_body(self) -> None:
        """Give the window of unread bytes back to the connection."""
        size = sum(map(len, self._unread))
        self._unread.clear()
        if size:
            self._connection.consumed(self.stream_id, size)

    # The handshake.

    def respond(self, status: int, fields: Fields, body: bytes) -> None:
        """Answer the CONNECT (RFC 8441, 5.1).

        A 200 opens the tunnel. Any other response has a body, and `close` ends the stream.

        Raises:
            LocalProtocolError: A field may not be sent.
        """
        if self._lost:
            return
        head = response_head(status, fields, [])
        try:
            self._connection.respond(self.stream_id, head, False, b"")
        except StreamGoneError:
            self.disconnect()
            return
        self._has_responded = True
        self.write(body)

    # Reading.

    def _deliver_soon(self) -> None:
        if not self._delivery_due:
            self._delivery_due = True
            self._connection.loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Give received bytes to the protocol while it reads, and the client its window back."""
        self._delivery_due = False
        while self._unread and not (self._reading_paused or self._closing):
            data = self._unread.popleft()
            self._connection.consumed(self.stream_id, len(data), not self._input_ended)
            self._protocol.data_received(data)
        if self._input_ended and not (self._unread or self._reading_paused or self._closing):
            self._protocol.eof_received()
            self.close()

    def is_reading(self) -> bool:
        """Return whether received bytes go to the protocol."""
        return not (self._reading_paused or self._closing)

    def pause_reading(self) -> None:
        """Keep received bytes; the client may send as much as its window allows."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Pass received bytes to the protocol."""
        if self._reading_paused:
            self._reading_paused = False
            self._deliver_soon()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, as far as there is room; the rest waits."""
        if self._closing or not data:
            return
        self._buffer += data
        self._send()
        if len(self._buffer) > _HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _send(self) -> None:
        scheduler = self._connection.scheduler
        try:
            while self._buffer:
                room = scheduler.room(self.stream_id)
                if room <= 0:
                    self._connection.wait_for_room(self)
                    break
                part = bytes(self._buffer[:room])
                del self._buffer[:room]
                self._connection.send_data(self.stream_id, part, False)
            if self._closing and not (self._buffer or self.complete):
                self.complete = True
                self._connection.send_data(self.stream_id, b"", True)
                self._lose()
        except StreamGoneError:
            self.disconnect()
            return
        if self._writing_paused and len(self._buffer) <= _LOW_WATER:
            self._writing_paused = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the client's window, or this turn of the loop, still holds back."""
        return len(self._buffer) + self._connection.queued_on(self.stream_id)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return between which sizes the protocol is told to write again and to pause."""
        return _LOW_WATER, _HIGH_WATER

    def can_write_eof(self) -> bool:
        """Return False: a protocol closes its stream, and the client may still end its own side."""
        return False

    # Ends.

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._closing

    def close(self) -> None:
        """End the stream after all written bytes; drop bytes that still come."""
        if self._closing:
            return
        self._closing = True
        self.drop_body()
        if self._has_responded:
            self._send()
        else:
            self._connection.reset(self.stream_id, ErrorCode.INTERNAL_ERROR)
            self.disconnect()

    def abort(self) -> None:
        """Reset the stream (RFC 8441, 5); unsent bytes are lost."""
        if not self._lost:
            self._connection.reset(self.stream_id, ErrorCode.CANCEL)
            self.disconnect()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._connection.loop.call_soon(self._tell_lost)

    def _tell_lost(self) -> None:
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(None)

    # What it is.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass received bytes to this protocol."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets the received bytes."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the connection's values that `asyncio.BaseTransport.get_extra_info` names."""
        return self._connection.get_extra_info(name, default)
