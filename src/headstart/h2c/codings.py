"""Decode compressed content (RFC 9110, 8.4), as far as Python's zlib can.

Supports the same codings as browsers: gzip with several members, deflate with or without the zlib
format that RFC 9110, 8.4.1.2 requires, and several codings applied in a row. Pure: takes bytes and
a Content-Encoding, and returns the content, of a whole body (`undone`) or while it arrives
(`Decoding`). Called by `dump.har` and by `daemon`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from headstart.client.errors import RequestError

LONGEST = 4 * 1024 * 1024
"""Bytes of content that are made of what was sent; a few KiB can stand for gigabytes."""

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW = zlib.MAX_WBITS + 16
# RFC 1952, 2.3.1: a member begins with it.
_MEMBER = b"\x1f"
_ZLIB_HEADER = 2
# More codings than these are nonsense, and each can make a thousand bytes of one.
_MOST_CODINGS = 3
# A byte of deflate stands for at most 1032 bytes, so a piece never makes more than `_MOST`, beyond
# which an inflater would drop the rest.
_PIECE = 4096
_MOST = 2 * 1032 * _PIECE


class Inflater:
    """Undoes one coding, piece by piece.

    Attributes:
        is_whole: The content is here to its end, as far as the coding tells.
    """

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding in _GZIP
        self._decoder = zlib.decompressobj(_GZIP_WINDOW) if self._is_gzip else None
        self._head = b""
        """The first bytes of deflate, which tell if it is in the zlib format."""
        self.is_whole = False

    def feed(self, data: bytes, most: int) -> bytes:
        """Decode the next piece and return at most so many bytes of it; discard the rest.

        Raises:
            zlib.error: The piece is not in the coding.
        """
        if self._decoder is None:
            self._head += data
            if len(self._head) < _ZLIB_HEADER:
                return b""
            data = self._head
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS * (1 if _is_zlib(data) else -1))
        content = bytearray()
        while data and len(content) < most:
            if self.is_whole:
                if not (self._is_gzip and data.startswith(_MEMBER)):
                    break  # padding, which browsers ignore
                self._decoder = zlib.decompressobj(_GZIP_WINDOW)
            content += self._decoder.decompress(data, most - len(content))
            self.is_whole, data = self._decoder.eof, self._decoder.unused_data
        return bytes(content)


def codings_of(content_encoding: str) -> list[str] | None:
    """Return the codings in the order in which they were applied; None if one is unknown."""
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    known = all(coding in _GZIP or coding == "deflate" for coding in codings)
    return codings if known and len(codings) <= _MOST_CODINGS else None


def undone(body: bytes, content_encoding: bytes) -> bytes | None:
    """Return the decoded content.

    Args:
        body: The complete encoded content.
        content_encoding: The value of the header.

    Returns:
        None if the content has no coding, an unknown coding or invalid data, or if it is too long.
    """
    codings = codings_of(content_encoding.decode("latin-1"))
    if not codings or not body:
        return None
    for coding in reversed(codings):
        inflater = Inflater(coding)
        try:
            body = inflater.feed(body, LONGEST + 1)
        except zlib.error:
            return None
        if not inflater.is_whole or len(body) > LONGEST:
            return None
    return body


def _is_zlib(data: bytes) -> bool:
    """Return whether the bytes begin as RFC 1950, 2.2 says."""
    method, flags = data[0], data[1]
    return method & 0x0F == zlib.DEFLATED and not (method << 8 | flags) % 31


class Decoding:
    """Undo the codings of a response.

    Args:
        content_encoding: The value of the header.

    Raises:
        RequestError: One of the codings is unknown.
    """

    def __init__(self, content_encoding: str) -> None:
        codings = codings_of(content_encoding)
        if codings is None:
            raise RequestError(
                f"the content has the coding {content_encoding!r}, which h2c cannot decode",
                hint="Leave out --compressed to get it as it is.",
            )
        self._coding = content_encoding
        self._is_empty = True
        self._inflaters = [Inflater(coding) for coding in reversed(codings)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content that the next part of the body stands for.

        Raises:
            RequestError: The part is not in the coding.
        """
        pieces = _pieces(data)
        self._is_empty = self._is_empty and not data
        for inflater in self._inflaters:
            pieces = self._inflated(inflater, pieces)
        yield from pieces

    def _inflated(self, inflater: Inflater, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            try:
                content = inflater.feed(piece, _MOST)
            except zlib.error:
                raise self._broken() from None
            yield from _pieces(content)

    def end(self) -> None:
        """Check that the content is whole.

        Raises:
            RequestError: It ends within its coding.
        """
        # A response to HEAD names the coding of a content that it does not have.
        if not self._is_empty and not all(inflater.is_whole for inflater in self._inflaters):
            raise self._broken()

    def _broken(self) -> RequestError:
        return RequestError(
            f"the content is not {self._coding}, or ends within it",
            hint="Leave out --compressed to get it as it is.",
        )


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
