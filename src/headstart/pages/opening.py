"""The beginning of one page, read while it goes out.

Pure: parts of a body in, names out. Made by the middleware for clients that take pushes. Each asset
is promised before the part of the page that names it (RFC 9113, 8.4). Only the first 64 KiB are
read, each byte twice on average: the page is read again only once twice as much is there.
"""

from __future__ import annotations

import re

from headstart.learn import Named
from headstart.pages.codings import KNOWN, undo
from headstart.pages.markup import read_markup

_MOST_BYTES = 64 * 1024
_CHARSET = re.compile(r"charset=\s*\"?([A-Za-z0-9_:.+-]+)", re.IGNORECASE)


class Opening:
    """The beginning of a page's body, as far as it went out.

    Args:
        url: The page's own.
        content_type: The whole field.
        coding: Content-Encoding, a member of `KNOWN`.
    """

    def __init__(self, url: str, content_type: str, coding: str) -> None:
        charset = _CHARSET.search(content_type)
        self._url = url
        self._charset = charset[1] if charset else ""
        self._coding = coding
        self._held = b""
        self._read = 0
        self._named: set[str] = set()

    @property
    def done(self) -> bool:
        """Return true if nothing more is read."""
        return len(self._held) >= _MOST_BYTES

    def add(self, part: bytes) -> list[Named]:
        """Take a part. Return the assets that the page names now and had not named before."""
        self._held = (self._held + part)[:_MOST_BYTES]
        if len(self._held) < min(2 * self._read, _MOST_BYTES) or len(self._held) == self._read:
            return []
        self._read = len(self._held)
        undone = undo(self._held, self._coding, _MOST_BYTES)
        if undone is None:
            return []
        named = read_markup(undone[0], self._url, self._charset).named
        new = [each for each in named if each.target not in self._named]
        self._named.update(each.target for each in new)
        return new


def opening_of(url: str, content_type: str, coding: str) -> Opening | None:
    """Return a reader for a page that goes out, or None if it cannot be read.

    Args:
        url: The page's own.
        content_type: The whole field.
        coding: Content-Encoding, or "".
    """
    coding = coding.strip().lower()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "text/html" or coding not in KNOWN:
        return None
    return Opening(url, content_type, coding)
