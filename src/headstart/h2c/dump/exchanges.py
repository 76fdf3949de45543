"""Group the frames of many connections into exchanges: a request and its response.

Pure: takes frames, returns finished exchanges. An exchange begins with the request's HEADERS or
with the PUSH_PROMISE. It is finished when both sides have sent END_STREAM, when either has sent
RST_STREAM, or when its connection ends. Memory is bounded: the beginning of each body, the first
frames of each exchange, and a total above which the oldest exchange is written unfinished. Called
by `har`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from headstart.h2c.dump.text import Source
from headstart.wire.frames import Direction, Frame
from headstart.wire.payloads import HeaderList

# As SETTINGS_MAX_HEADER_LIST_SIZE counts a field (RFC 9113, 6.5.2).
_FIELD_OVERHEAD = 32


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept.

    Attributes:
        body: Octets of each body.
        frames: Frames of each exchange, and octets of their text.
        open_exchanges: Exchanges that are not finished.
        total: Octets of all that is kept for these.
        strays: Octets of the text of frames that belong to no exchange.
    """

    body: int = 1024 * 1024
    frames: int = 1000
    frame_text: int = 256 * 1024
    open_exchanges: int = 1000
    total: int = 32 * 1024 * 1024
    strays: int = 1024 * 1024


@dataclass(slots=True)
class Message:
    """A request or a response.

    Attributes:
        began, ended: When its first and its last frame came, in seconds since the connection was
            made; None for not yet.
        body: Its content, or the beginning of it.
        size: Octets of its content.
        transferred: Octets of its HEADERS, CONTINUATION and DATA frames, frame headers included.
    """

    headers: HeaderList = ()
    trailers: HeaderList = ()
    began: float | None = None
    ended: float | None = None
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    transferred: int = 0

    @property
    def truncated(self) -> bool:
        """Return true if the end of the body was dropped."""
        return len(self.body) < self.size

    def value(self, name: bytes) -> bytes:
        """Return the first value of the named header, b"" if it is missing."""
        return next((value for found, value in self.headers if found == name), b"")


@dataclass(frozen=True, slots=True)
class Informational:
    """An informational response, such as a 103, and when it came."""

    at: float
    status: int
    headers: HeaderList


@dataclass(slots=True)
class Exchange:
    """A request and its response so far.

    Attributes:
        began, last: When its first and its latest frame came, in seconds since the connection was
            made.
        parent: The stream of the request that the promise belongs to; 0 for a client's request.
        error, reset_by: The error of RST_STREAM and its sender; "" and None without a reset.
        frames: The text of its frames.
        frames_omitted: The number of further frames.
        unfinished: Written before both sides had ended it.
    """

    source: Source
    stream_id: int
    began: float
    parent: int = 0
    request: Message = field(default_factory=Message)
    response: Message = field(default_factory=Message)
    informational: list[Informational] = field(default_factory=list)
    error: str = ""
    reset_by: Direction | None = None
    frames: list[bytes] = field(default_factory=list)
    frames_omitted: int = 0
    unfinished: bool = False
    last: float = 0.0
    weight: int = 0
    frame_text: int = 0

    @property
    def status(self) -> int:
        """The final response's status; 0 where none has come."""
        status = self.response.value(b":status")
        return int(status) if len(status) == 3 and status.isdigit() else 0

    @property
    def finished(self) -> bool:
        """Return true if nothing more can come."""
        both = self.request.ended is not None and self.response.ended is not None
        return both or self.reset_by is not None


class Exchanges:
    """Group frames into exchanges.

    Args:
        text: Returns the text of a frame to keep, b"" to keep nothing.

    Attributes:
        strays: The text of the latest frames that belong to no exchange.
    """

    __slots__ = ("_bounds", "_open", "_strays_text", "_text", "_weight", "strays")

    def __init__(
        self, text: Callable[[Frame, Source], bytes], bounds: Bounds | None = None
    ) -> None:
        self._text = text
        self._bounds = bounds or Bounds()
        self._open: dict[tuple[int, int], Exchange] = {}
        self._weight = 0
        self._strays_text = 0
        self.strays: deque[bytes] = deque()

    def take(self, frame: Frame, source: Source) -> list[Exchange]:
        """Take the next frame of a connection; give the exchanges that it finished, and those that
        are given up for the room it takes."""
        text = self._text(frame, source)
        exchange = self._open.get((source.number, frame.stream_id)) or self._begun(frame, source)
        if frame.kind == "PUSH_PROMISE":
            self._promise(frame, source, text)
        if exchange is None:
            self._stray(text)
            return self._given_up()
        before = exchange.weight
        _act(exchange, frame, self._bounds)
        self._list(exchange, text)
        self._weight += exchange.weight - before
        done = [self._closed(exchange)] if exchange.finished else []
        return done + self._given_up()

    def end(self, source: Source) -> list[Exchange]:
        """End the connection; yield its remaining exchanges as unfinished."""
        left = [exchange for exchange in self._open.values() if exchange.source is source]
        return [self._unfinished(exchange) for exchange in left]

    def close(self) -> list[Exchange]:
        """Give all that is left, unfinished."""
        return [self._unfinished(exchange) for exchange in list(self._open.values())]

    def _begun(self, frame: Frame, source: Source) -> Exchange | None:
        """Begin an exchange if the frame is a request."""
        asks = frame.kind in ("HEADERS", "UPGRADE") and frame.direction is Direction.SENT
        if not (asks and _is_request(frame)):
            return None
        return self._opened(Exchange(source, frame.stream_id, frame.at))

    def _promise(self, frame: Frame, source: Source, text: bytes) -> None:
        stream_id = int(dict(frame.details).get("promised stream", "0"))
        if not _is_request(frame) or (source.number, stream_id) in self._open:
            return
        exchange = self._opened(Exchange(source, stream_id, frame.at, parent=frame.stream_id))
        exchange.last = frame.at
        _begin(exchange, exchange.request, frame)
        exchange.request.ended = frame.at
        self._list(exchange, text)
        self._weight += exchange.weight

    def _opened(self, exchange: Exchange) -> Exchange:
        self._open[exchange.source.number, exchange.stream_id] = exchange
        return exchange

    def _closed(self, exchange: Exchange) -> Exchange:
        del self._open[exchange.source.number, exchange.stream_id]
        self._weight -= exchange.weight
        return exchange

    def _unfinished(self, exchange: Exchange) -> Exchange:
        exchange.unfinished = True
        return self._closed(exchange)

    def _given_up(self) -> list[Exchange]:
        """Yield the oldest exchanges while there are too many or they take too much memory."""
        given_up = []
        bounds = self._bounds
        while self._open and (
            self._weight > bounds.total or len(self._open) > bounds.open_exchanges
        ):
            given_up.append(self._unfinished(next(iter(self._open.values()))))
        return given_up

    def _list(self, exchange: Exchange, text: bytes) -> None:
        if not text:
            return
        room = exchange.frame_text + len(text) <= self._bounds.frame_text
        if room and len(exchange.frames) < self._bounds.frames:
            exchange.frames.append(text)
            exchange.frame_text += len(text)
            exchange.weight += len(text)
        else:
            exchange.frames_omitted += 1

    def _stray(self, text: bytes) -> None:
        if text:
            self.strays.append(text)
            self._strays_text += len(text)
        while self._strays_text > self._bounds.strays:
            self._strays_text -= len(self.strays.popleft())


def _is_request(frame: Frame) -> bool:
    return any(name == b":method" for name, _ in frame.headers)


def _act(exchange: Exchange, frame: Frame, bounds: Bounds) -> None:
    """Apply a frame on the exchange's stream to the exchange."""
    sent = frame.direction is Direction.SENT
    message = exchange.request if sent else exchange.response
    exchange.last = frame.at
    match frame.kind:
        case "UPGRADE" if sent:
            _begin(exchange, message, frame)
            message.ended = frame.at  # RFC 7540, 3.2: the client's side of the stream is closed
        case "HEADERS" | "UPGRADE" if frame.informational and not sent:
            exchange.informational.append(Informational(frame.at, frame.status or 0, frame.headers))
            exchange.weight += _weight_of(frame.headers)
        case "HEADERS" if message.began is None and not frame.trailers:
            _begin(exchange, message, frame)
        case "HEADERS":
            message.trailers = frame.headers
            exchange.weight += _weight_of(frame.headers)
        case "DATA":
            kept = frame.data[: max(0, bounds.body - len(message.body))]
            message.body += kept
            message.size += len(frame.data)
            exchange.weight += len(kept)
        case "RST_STREAM":
            exchange.error = dict(frame.details).get("error", "")
            exchange.reset_by = frame.direction
        case _:
            pass
    _count(message, frame)


def _begin(exchange: Exchange, message: Message, frame: Frame) -> None:
    message.headers = frame.headers
    message.began = frame.at
    exchange.weight += _weight_of(frame.headers)


def _count(message: Message, frame: Frame) -> None:
    if frame.kind in ("HEADERS", "CONTINUATION", "DATA"):
        message.transferred += frame.length + 9
    if ("END_STREAM", True) in frame.flags:
        message.ended = frame.at


def _weight_of(headers: HeaderList) -> int:
    return sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in headers)
