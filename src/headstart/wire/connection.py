"""Wrap the engine: the common part of a server's and a client's side of a connection.

A `Connection` owns one ngh2 connection. It takes bytes (`receive`), returns events, and returns
bytes to write (`output`), at most as many as asked for. It never raises for a peer's bytes: when
the engine gives up, this module writes the final GOAWAY, since the engine then writes nothing any
more, and the last event is `ConnectionEnded`. Subclassed by `wire.server` and `wire.client`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import ngh2
from hyperframe.frame import GoAwayFrame
from ngh2 import ErrorCode, Setting

from headstart.errors import StreamGoneError
from headstart.reasons import Closing
from headstart.wire.events import ConnectionEnded
from headstart.wire.fields import checked_fields

T = TypeVar("T")

# What one call of `output` gives at most: with no bound, a peer that opens its windows and does
# not read makes the engine serialize all that is queued (290 MB were measured).
OUTPUT_CHUNK = 64 * 1024


class Connection(ABC):
    """One side of one HTTP/2 connection."""

    __slots__ = (
        "_engine",
        "_failed",
        "_full_window",
        "_held",
        "_last_words",
        "_leaks",
        "_peers_words",
        "_window",
        "ended",
        "goaway",
        "last_peer_stream",
        "received",
        "written",
    )

    def __init__(
        self,
        role: ngh2.Role,
        configuration: ngh2.Configuration,
        settings: Mapping[int, int],
        connection_window: int,
    ) -> None:
        self._engine = ngh2.Connection(role, configuration)
        self._begin(settings)
        self._engine.set_local_window_size(connection_window)
        self._last_words = b""
        self._failed = False
        self._full_window = self._window = connection_window
        self._held = 0
        """Bytes of bodies that were shown and not acknowledged."""
        self._leaks = False
        """A stream was reset, so that the engine may have lost a part of the window."""
        self.ended: ConnectionEnded | None = None
        """The last event, once the connection is over."""
        self.goaway = False
        """A GOAWAY was sent or received: no new streams."""
        self._peers_words: tuple[int, bytes] | None = None
        """Error and debug data of the peer's last GOAWAY."""
        self.last_peer_stream = 0
        """The highest stream of the peer's that was shown to anybody."""
        self.received = 0
        """Bytes of bodies that were shown."""
        self.written = 0
        """Bytes that `output` gave."""

    def _begin(self, settings: Mapping[int, int]) -> None:
        self._engine.initiate_connection(settings)

    def output(self, limit: int = OUTPUT_CHUNK) -> bytes:
        """Up to `limit` bytes to write, b"" when there is nothing to write now."""
        if self._failed:
            words, self._last_words = self._last_words, b""
            return words
        data = self._engine.data_to_send(limit)
        self.written += len(data)
        return data

    @property
    def wants_output(self) -> bool:
        """Return true if `output` would return bytes; DATA held back by a window does not count."""
        return bool(self._last_words) if self._failed else self._engine.want_write

    def queued(self) -> int:
        """Bytes of all bodies that wait in the engine for a window or for `output`."""
        return 0 if self._failed else self._engine.queued_body_size()

    def unacknowledged(self) -> int:
        """Bytes of bodies that were shown and that nobody has consumed yet."""
        return self._held

    def queued_on(self, stream_id: int) -> int:
        """Bytes of one body that wait in the engine; 0 for a stream that is gone."""
        try:
            return self._engine.queued_body_size(stream_id)
        except ngh2.NGH2Error:
            return 0

    def windows(self, stream_id: int = 0) -> tuple[int, int] | None:
        """Return the bytes that may still be sent and received on a stream, 0 for the connection.

        Returns None for a closed stream or connection.
        """
        try:
            if not stream_id:
                return self._engine.remote_window_size, self._engine.local_window_size
            return (
                self._engine.stream_remote_window_size(stream_id),
                self._engine.stream_local_window_size(stream_id),
            )
        except ngh2.NGH2Error:
            return None

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body. The caller bounds the queue with `queued` and `queued_on`.

        Raises:
            StreamGoneError: The stream has ended or was reset.
        """
        try:
            self._engine.send_data(stream_id, data, end_stream=end_stream)
        except ngh2.NGH2Error as error:
            raise StreamGoneError(f"stream {stream_id} takes no more data: {error}") from error

    def acknowledge(self, amount: int, stream_id: int) -> None:
        """Acknowledge that many consumed bytes of a body, so the peer may send as many more.

        Also for streams that have ended: the connection's own window is given back with it.
        """
        self._held -= amount
        try:
            self._engine.acknowledge_received_data(amount, stream_id)
        except ngh2.NGH2Error:
            return  # the connection is over, there is no window any more
        if self._leaks:
            self._mend_window()

    @property
    @abstractmethod
    def _is_idle(self) -> bool:
        """No stream is open."""

    def _mend_window(self) -> None:
        """Give back the window that the engine loses.

        Of a DATA frame of which a part had come when its stream was reset, the engine tells
        nothing, so nobody can give that part back. Where nothing is under way the window must be
        at least half open, since the engine updates it from there; if it is not, it leaks.
        """
        if self._held or self.goaway or not self._is_idle:
            return
        self._leaks = False
        try:
            missing = self._full_window - self._engine.local_window_size
            if 2 * missing > self._full_window:
                self._window += missing
                self._engine.set_local_window_size(self._window)
        except ngh2.NGH2Error:
            return  # the engine has ended; the event that says so is still to come

    def send_trailers(self, stream_id: int, headers: Iterable[Iterable[bytes]]) -> None:
        """End a body with trailers (RFC 9113, 8.1), after all of its queued data.

        Raises:
            LocalProtocolError: A field may not be sent.
            StreamGoneError: The stream has ended or was reset.
        """
        fields = checked_fields(headers, [])
        self._call(self._engine.send_trailers, stream_id, fields)

    def reset(self, stream_id: int, error_code: int = ErrorCode.CANCEL) -> None:
        """End one stream with RST_STREAM; nothing happens where it or the connection has ended."""
        try:
            self._engine.reset_stream(stream_id, error_code)
        except ngh2.NGH2Error:
            return  # it is gone: what the caller wants is so already

    def ping(self, payload: bytes) -> None:
        """Send a PING; `PingAcknowledged` with the same eight bytes answers it (RFC 9113, 6.7)."""
        self._call(self._engine.ping, payload)

    def close(
        self,
        error_code: int = ErrorCode.NO_ERROR,
        reason: Closing = Closing.CLOSED,
        detail: str = "",
    ) -> ConnectionEnded:
        """Say GOAWAY and end the connection; streams that are open end with it.

        Returns:
            How it ended: so, or in another way before.
        """
        if self.ended is None:
            self.goaway = True
            self.ended = ConnectionEnded(int(error_code), reason, detail)
            try:
                self._engine.terminate_connection(error_code)
            except ngh2.NGH2Error:
                self._say_goaway(error_code)
        return self.ended

    def _call(self, method: Callable[..., T], *args: object) -> T:
        """Call the engine; its refusal means that the stream or the connection is gone."""
        try:
            return method(*args)
        except ngh2.NGH2Error as error:
            raise StreamGoneError(str(error)) from error

    def _feed(self, data: bytes | memoryview) -> list[ngh2.Event]:
        """Give bytes to the engine; its failure becomes GOAWAY bytes and `ended`."""
        if self.ended is not None:
            return []  # RFC 9113, 6.8: after GOAWAY for an error, frames are discarded
        try:
            self._engine.receive_data(data)
        except ngh2.DenialOfServiceError as error:
            self._fail(ErrorCode.ENHANCE_YOUR_CALM, Closing.ENGINE_LIMIT, str(error))
        except ngh2.NGH2Error as error:
            self._fail(ErrorCode.PROTOCOL_ERROR, Closing.PROTOCOL_ERROR, str(error))
        return self._engine.events()

    def _fail(self, error_code: ErrorCode, reason: Closing, detail: str) -> None:
        self.ended = ConnectionEnded(int(error_code), reason, detail)
        self._say_goaway(error_code)

    def _say_goaway(self, error_code: int) -> None:
        # The engine answers neither terminate_connection nor data_to_send once it has failed.
        self._failed = True
        self._last_words = GoAwayFrame(
            last_stream_id=self.last_peer_stream, error_code=int(error_code)
        ).serialize()

    def _goaway_received(self, event: ngh2.GoAwayReceived) -> None:
        self.goaway = True
        self._peers_words = event.error_code, event.debug_data

    @property
    def peers_goaway(self) -> str:
        """The error code and the debug data of the peer's last GOAWAY in words, "" if none came."""
        return "" if self._peers_words is None else f"GOAWAY {_in_words(*self._peers_words)}"

    def _engine_closed(self, event: ngh2.ConnectionClosed) -> ConnectionEnded:
        """Handle that the engine ended the connection with its own GOAWAY, or the peer's.

        That is at once or, where streams were open, when the last of them has ended.
        """
        if self.ended is None:
            reason = Closing.PROTOCOL_ERROR if event.error_code else Closing.PEER_LEFT
            detail = _in_words(event.error_code, event.debug_data)
            if event.error_code and (event.error_code, event.debug_data) == self._peers_words:
                reason, detail = Closing.PEER_ERROR, f"GOAWAY {detail}"
            self.ended = ConnectionEnded(event.error_code, reason, detail)
        return self.ended


def _in_words(error_code: int, debug_data: bytes) -> str:
    """Return the name of an error code and perhaps the peer's words (RFC 9113, 6.8).

    They are shown on terminals.
    """
    why = "".join(chr(c) if 32 <= c < 127 else "?" for c in debug_data[:200])
    return error_name(error_code) + (f": {why}" if why else "")


def error_name(code: int) -> str:
    """Return the name of an error code (RFC 9113, 7), or its number if it is unknown."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error 0x{code:x}"


__all__ = ["OUTPUT_CHUNK", "Connection", "ErrorCode", "Setting", "error_name"]
