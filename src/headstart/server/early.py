"""Uploads whose response is complete before all of the content has come.

RFC 9113, 8.1 lets a server reset such a stream after its complete response. A reset at once does
harm: a client that is writing may notice the reset before it reads the response, and httpx reads
nothing as long as it may write. So the rest of the upload is dropped for a while, as `http1` does
before it closes a connection. The while is bounded in seconds for each stream and in bytes for the
connection. `http2_streams.Http2Streams` owns one
`EarlyResponses` and tells it of each part that follows a complete response, and every few seconds
of the streams on which nothing may come any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from headstart.errors import StreamGoneError
from headstart.wire.connection import ErrorCode
from headstart.wire.events import StreamSet
from headstart.wire.guard import TokenBucket
from headstart.wire.server import ServerConnection

_UPLOAD_ENDED: Final = b"uploaded"

# A client that sends nothing for so long has stopped to send.
SILENCE: Final = 5.0
# As long as an upload may be slow that is not answered yet (`--body-timeout`).
SECONDS: Final = 30.0
# A client of its own may send so much in one burst; many behind a proxy share the rate.
BYTES: Final = 16 * 1024 * 1024
BYTES_A_SECOND: Final = 4 * 1024 * 1024
# More than any window, and far from the largest that there may be.
_OPEN: Final = 1024 * 1024 * 1024


class EarlyResponses:
    """The streams of one connection whose responses are complete and whose requests are not.

    Args:
        wire: The connection.
        now: Seconds, on the clock that `drop_part` is told the time of.

    Attributes:
        waiting: Streams to reset as soon as their responses are written, each with the bytes of
            window that it did not get back.
    """

    __slots__ = ("_bucket", "_moved", "_opened", "_since", "_wire", "waiting")

    def __init__(self, wire: ServerConnection, now: float) -> None:
        self._wire = wire
        self._bucket = TokenBucket(BYTES, BYTES_A_SECOND, now)
        self._since: dict[int, float] = {}
        """Streams -> when the first part came behind the response."""
        self._moved: dict[int, float] = {}
        """Streams -> when the last part came behind the response, or the first look."""
        self._opened: StreamSet = {}
        """Streams whose windows were opened, to be reset with the next write."""
        self.waiting: dict[int, int] = {}

    def drop_part(self, stream_id: int, size: int, now: float) -> None:
        """Drop a part that follows a complete response; the client may go on for a while."""
        since = self._since.setdefault(stream_id, now)
        self._moved[stream_id] = now
        if now - since < SECONDS and self._bucket.take(now, size):
            self._wire.acknowledge(size, stream_id)
        else:
            self.waiting[stream_id] = self.waiting.get(stream_id, 0) + size

    def look(self, streams: Iterable[int], now: float) -> None:
        """End the time of streams on which the client may have stopped to send.

        Args:
            streams: Those that are answered, and whose requests have not ended.
            now: Seconds.
        """
        for stream_id in streams:
            if now - self._moved.setdefault(stream_id, now) >= SILENCE:
                self.waiting.setdefault(stream_id, 0)

    def end(self) -> bool:
        """Reset the streams whose time is over and whose responses are written.

        httpx, when it waits for a window, sees a reset only as it writes again. So the window is
        opened first, and the reset goes out with the next write.

        Returns:
            Whether there were any.
        """
        written = [one for one in self.waiting if self._wire.is_response_written(one)]
        for stream_id in written:
            if stream_id in self._opened:
                self._wire.reset(stream_id, ErrorCode.NO_ERROR)
            else:
                self._opened[stream_id] = None
                self._wire.widen(stream_id, _OPEN)
        return bool(written)

    def ended(self, stream_id: int, size: int) -> None:
        """Take the last part of an upload, and wake the client by a PING.

        curl 7.88 has read the response by then, but notices that the exchange is over only when it
        hears from the server again.
        """
        self._wire.acknowledge(size, stream_id)
        with suppress(StreamGoneError):
            self._wire.ping(_UPLOAD_ENDED)

    def closed(self, stream_id: int) -> bool:
        """Forget a stream, and give back the window of its dropped parts.

        Returns:
            Whether there were any.
        """
        self._since.pop(stream_id, None)
        self._moved.pop(stream_id, None)
        self._opened.pop(stream_id, None)
        withheld = self.waiting.pop(stream_id, 0)
        if withheld:
            self._wire.acknowledge(withheld, stream_id)
        return withheld > 0
