"""Decode the content of a response while it arrives, for `--compressed`.

Called by `requesting`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from headstart.client.errors import RequestError
from headstart.h2c.codings import Inflater, codings_of

# A byte of deflate stands for at most 1032 bytes, so a piece never makes more than `_MOST`, beyond
# which an inflater would drop the rest.
_PIECE = 4096
_MOST = 2 * 1032 * _PIECE


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
