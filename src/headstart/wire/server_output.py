"""The output of the server's side of an HTTP/2 connection: responses, promises, resets, GOAWAY.

Called by `server.http2_streams` and its neighbours. Owns the streams that the client opened, and
the push gate (`wire.push_gate`). `wire.server` adds the input, and takes closed streams out.
"""

from __future__ import annotations

from collections.abc import Iterable

import ngh2
from ngh2 import ErrorCode

from headstart.config import WireLimits
from headstart.errors import StreamGoneError
from headstart.reasons import Refusal
from headstart.wire.connection import Connection
from headstart.wire.events import Fields, StreamSet
from headstart.wire.fields import informational_fields
from headstart.wire.promises import PromiseHead
from headstart.wire.push_gate import PushGate
from headstart.wire.server_settings import server_configuration, server_settings


class ServerOutput(Connection):
    """The server's side of one connection, as far as it sends.

    Args:
        limits: Limits on the client.
        websockets: Offer WebSockets (RFC 8441, 3).
    """

    __slots__ = (
        "_accounted",
        "_gate",
        "_promised",
        "_promises",
        "_pushed",
        "_sends",
        "_streams",
        "push_enabled",
    )

    def __init__(self, limits: WireLimits, *, websockets: bool) -> None:
        super().__init__(
            ngh2.Role.SERVER,
            server_configuration(limits),
            server_settings(limits, websockets),
            limits.connection_window,
        )
        self._streams: dict[int, bytes] = {}
        """Streams that the client opened -> authority, b"" once our response has ended."""
        self._sends = 0
        """Parts of bodies that were sent, beside the last one of each."""
        self._gate = PushGate(self._engine, self._streams, limits)
        # The gate's own: each closed stream is taken out.
        self._promised, self._pushed = self._gate.targets, self._gate.pushed
        self._promises = False
        """Something was promised on this connection."""
        self._accounted: StreamSet = {}
        """Streams reset, by either side, whose closing is still to come."""
        self.push_enabled = True
        """The client's ENABLE_PUSH: 1 until it says otherwise (RFC 9113, 6.5.2)."""

    @property
    def _is_idle(self) -> bool:
        return not (self._streams or self._pushed)

    def respond(
        self, stream_id: int, fields: Fields, end_stream: bool, body: bytes | memoryview = b""
    ) -> None:
        """Send the final response's header section (RFC 9113, 8.3.2), and queue the body's start.

        Args:
            fields: From `wire.fields.response_fields`, which checks them.
            end_stream: Nothing follows `body`.
            body: The beginning of the body; as in `send_data`.

        Raises:
            StreamGoneError: The stream has ended or was reset.
        """
        engine = self._engine
        try:
            if body:
                engine.send_response(stream_id, fields)
                engine.send_data(stream_id, body, end_stream=end_stream)
            else:
                engine.send_response(stream_id, fields, end_stream=end_stream)
        except ngh2.NGH2Error as error:
            raise StreamGoneError(str(error)) from error
        if end_stream:
            self._streams[stream_id] = b""
        elif body:
            self._sends += 1

    def inform(self, stream_id: int, status: int, headers: Iterable[Iterable[bytes]]) -> None:
        """Send an informational response, without END_STREAM (RFC 9113, 8.1).

        Raises:
            LocalProtocolError: Status or fields may not be sent, or the final response has begun.
            StreamGoneError: The stream has ended or was reset.
        """
        fields = informational_fields(status, headers)
        self._call(self._engine.send_informational_response, stream_id, fields)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body; see `Connection.send_data`."""
        try:
            self._engine.send_data(stream_id, data, end_stream=end_stream)
        except ngh2.NGH2Error as error:
            raise StreamGoneError(str(error)) from error
        if end_stream:
            self._streams[stream_id] = b""
        else:
            self._sends += 1

    def send_trailers(self, stream_id: int, headers: Iterable[Iterable[bytes]]) -> None:
        """End a body with trailers; see `Connection.send_trailers`."""
        super().send_trailers(stream_id, headers)
        self._streams[stream_id] = b""

    def widen(self, stream_id: int, size: int) -> None:
        """Let a window grow to that size, 0 for the connection's; a stream may have ended."""
        if not stream_id:
            self._window += size - self._full_window
            size, self._full_window = self._window, size
        try:
            self._engine.set_local_window_size(size, stream_id=stream_id)
        except ngh2.NGH2Error:
            return  # it is gone, or the connection is

    def is_response_written(self, stream_id: int) -> bool:
        """Return true if all of a complete response was given to `output`.

        When a stream is reset, the engine drops its unwritten frames. It counts content only, so a
        header section without content, or the empty frame that ends a body, might be lost. No
        header section waits once the engine has nothing to write, and no empty frame while both
        windows are open.
        """
        if self._streams.get(stream_id) or self.queued_on(stream_id) or self._engine.want_write:
            return False
        windows, whole = self.windows(stream_id), self.windows()
        return windows is not None and whole is not None and windows[0] > 0 and whole[0] > 0

    def reset(self, stream_id: int, error_code: int = ErrorCode.CANCEL) -> None:
        """End one stream with RST_STREAM; not held against the client."""
        if stream_id in self._streams or stream_id in self._pushed:
            self._accounted[stream_id] = None
            self._leaks = True
        super().reset(stream_id, error_code)

    def refuse(self, stream_id: int, error_code: int = ErrorCode.REFUSED_STREAM) -> None:
        """End one stream for lack of room, and count it against the client, which must wait.

        Otherwise a client whose hundred calls hang could open streams and provoke resets without
        end. With another error code, it counts as the client's error.
        """
        super().reset(stream_id, error_code)

    def promise(self, parent_id: int, head: PromiseHead, urgency: int = 0) -> int | Refusal:
        """Promise a response on the page's stream (RFC 9113, 8.4).

        Args:
            parent_id: The page's stream.
            head: The promised request. Its authority must be the page's own, since the connection
                is authoritative for it.
            urgency: Of the pushed response, 0 to 7 (RFC 9218, 4.1); it is never put before the
                page's own.

        Returns:
            The promised stream's id, on which `respond` may be called at once, or the reason why
            nothing was sent.
        """
        if self.goaway or self.ended is not None:
            return Refusal.CONNECTION_CLOSING
        if not self.push_enabled:
            return Refusal.PUSH_DISABLED
        self._promises = True
        return self._gate.promise(parent_id, head, urgency)

    def shutdown_notice(self) -> None:
        """First step of a graceful end: GOAWAY with the largest id (RFC 9113, 6.8)."""
        self.goaway = True
        self._call(self._engine.send_shutdown_notice)

    def last_goaway(self) -> None:
        """Second step: GOAWAY with the last stream that is served; open streams finish."""
        self.goaway = True
        self._call(self._engine.send_goaway)
