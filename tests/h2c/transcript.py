"""Frames by hand, for tests of what is made of them."""

from __future__ import annotations

from headstart.wire.frames import Direction, Frame
from headstart.wire.payloads import HeaderList

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


def fields(*pairs: tuple[str, str]) -> HeaderList:
    return tuple((name.encode(), value.encode()) for name, value in pairs)


def headers(
    at: float,
    direction: Direction,
    stream: int,
    *pairs: tuple[str, str],
    end: bool = False,
    length: int = 10,
) -> Frame:
    flags = (("END_STREAM", end),)
    return Frame(at, direction, "HEADERS", 1, stream, length, flags, fields(*pairs))


def request(
    at: float, stream: int, path: str = "/", *more: tuple[str, str], method: str = "GET"
) -> Frame:
    """The request's HEADERS; a GET ends with it."""
    pairs = (
        (":method", method),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", path),
        *more,
    )
    return headers(at, SENT, stream, *pairs, end=method == "GET")


def response(
    at: float, stream: int, status: int, *more: tuple[str, str], end: bool = False
) -> Frame:
    return headers(at, RECEIVED, stream, (":status", str(status)), *more, end=end)


def data(at: float, direction: Direction, stream: int, body: bytes, *, end: bool = False) -> Frame:
    flags = (("END_STREAM", end),)
    return Frame(at, direction, "DATA", 0, stream, len(body), flags, data=body)


def promise(at: float, stream: int, promised: int, path: str) -> Frame:
    asked = fields(
        (":method", "GET"), (":scheme", "https"), (":authority", "example.org"), (":path", path)
    )
    details = (("promised stream", str(promised)),)
    return Frame(
        at, RECEIVED, "PUSH_PROMISE", 5, stream, 30, (("END_HEADERS", True),), asked, details
    )


def reset(at: float, direction: Direction, stream: int, error: str = "CANCEL") -> Frame:
    return Frame(at, direction, "RST_STREAM", 3, stream, 4, details=(("error", error),))
