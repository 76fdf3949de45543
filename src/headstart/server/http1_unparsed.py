"""The bytes of one HTTP/1.1 connection that wait to be parsed.

A client may pipeline thousands of requests in one segment. All of them at once would take a
hundred times the memory of their bytes, so the connection parses a little at a time and stops while
too many requests wait. Owned by `http1.Http1Connection`, which reads nothing more meanwhile.
"""

from __future__ import annotations

from typing import Final

# As many requests as fit into this wait at most beyond the limit: about 150 of the shortest.
_HEAD: Final = 4 * 1024
# Requests may be behind a body, too.
_BODY: Final = 16 * 1024


class Unparsed:
    """Bytes in the order in which they came.

    Attributes:
        size: The number of bytes.
    """

    __slots__ = ("_at", "_data", "size")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        """Add bytes."""
        self._data = self._data[self._at :] + data if self.size else data
        self._at = 0
        self.size = len(self._data)

    def take(self, *, in_body: bool) -> bytes:
        """Remove and return the bytes to parse next.

        Args:
            in_body: The first of them belong to a request's body.
        """
        most = _BODY if in_body else _HEAD
        if self.size <= most:
            return self.take_all()
        taken = self._data[self._at : self._at + most]
        self._at += most
        self.size -= most
        return taken

    def take_all(self) -> bytes:
        """Remove and return all bytes."""
        data = self._data[self._at :] if self._at else self._data
        self._data, self._at, self.size = b"", 0, 0
        return data
