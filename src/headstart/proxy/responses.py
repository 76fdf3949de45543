"""The header sections of an upstream's responses, and responses that come in one piece.

Most responses are plain: one read has all of them, and nothing is left to decide. llhttp calls back
for each field, which takes ten times as long, so it gets the others only. Upstreams repeat
themselves, so header sections are remembered. Pure; used by `http1`.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from headstart.proxy.fields import HOP_BY_HOP, Fields, passed_to_client

_Read = TypeVar("_Read")

# RFC 9110, 15.4.5 and 15.3.5: responses without content.
NO_CONTENT: Final = frozenset((204, 304))
# RFC 9112, 4 and 5, as strictly as they are written: a final status, and a field without white
# space in front of the colon.
_STATUS = re.compile(rb"HTTP/1\.1 ([2-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_NOT_PLAIN: Final = frozenset((b"transfer-encoding", b"upgrade", b"trailer"))
# Digits of the length of what one read holds.
_LONGEST_NUMBER: Final = 9
# What is remembered for one upstream, below a mebibyte with the fields that were read of it: an
# upstream writes a new Date each second, but most lines are those of an hour ago.
_MOST_SECTIONS: Final = 64
_LONGEST_SECTION: Final = 2048
_MOST_LINES: Final = 512
_LONGEST_LINE: Final = 256


class ResponseHead:
    """The header section of a response. Names are in lower case. Treat it as immutable.

    Args:
        passed: The fields that the client gets, where they are known.

    Attributes:
        status: From 100 to 999. Below 200 another head follows.
        fields: As they came, in order.
        single: The last value of each name.
        dated: It has a Date.
        announces_trailers: It has a Trailer field.
    """

    __slots__ = ("_passed", "announces_trailers", "dated", "fields", "single", "status")

    def __init__(self, status: int, fields: Fields, passed: Fields | None = None) -> None:
        self.status = status
        self.fields = fields
        self.single = single = dict(fields)
        self.dated = b"date" in single
        self.announces_trailers = b"trailer" in single
        self._passed = passed

    def passed(self) -> Fields:
        """Return a list of the fields that the client gets."""
        if self._passed is None:
            self._passed = passed_to_client(self.fields)
        return self._passed.copy()  # applications around the proxy change such lists


class PlainResponses:
    """Reads the plain responses of one upstream."""

    __slots__ = ("_fields", "_sections", "_statuses")

    def __init__(self) -> None:
        self._sections: dict[bytes, tuple[ResponseHead, int]] = {}
        """With the length of the content behind it."""
        self._fields: dict[bytes, tuple[bytes, bytes]] = {}
        self._statuses: dict[bytes, int] = {}

    def head_of(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """Return the head of a plain response, and its size; None if the response is not plain.

        Args:
            data: The first read of the response, to any method but HEAD.
        """
        size = data.find(b"\r\n\r\n") + 4
        section = data[:size]
        found = self._sections.get(section)
        if found is None:
            found = self._read(section)
            if found is None:
                return None
            if size <= _LONGEST_SECTION:
                _remember(self._sections, section, found, _MOST_SECTIONS)
        head, length = found
        return (head, size) if length == len(data) - size else None

    def _read(self, section: bytes) -> tuple[ResponseHead, int] | None:
        """Return the head and the length of the content; None if the response is not plain."""
        first, *lines = section[:-4].split(b"\r\n")
        status = self._statuses.get(first) or self._status(first)
        known = self._fields
        fields: Fields = []
        passed: Fields = []
        decided: dict[bytes, bytes] = {}
        for line in lines:
            pair = known.get(line) or self._field(line)
            if pair is None:
                return None
            fields.append(pair)
            name = pair[0]
            if name not in HOP_BY_HOP:
                passed.append(pair)
                if name != b"content-length":
                    continue
            if name in decided:
                return None
            decided[name] = pair[1]
        length = decided.get(b"content-length", b"")
        if (
            not status
            or status in NO_CONTENT
            or not length.isdigit()
            or len(length) > _LONGEST_NUMBER
            or decided.get(b"connection", b"keep-alive").lower() != b"keep-alive"
            or not _NOT_PLAIN.isdisjoint(decided)
        ):
            return None
        return ResponseHead(status, fields, passed), int(length)

    def _status(self, line: bytes) -> int:
        """Return the status of a line that is not known; 0 if it has none."""
        found = _STATUS.fullmatch(line)
        if found is None:
            return 0
        status = int(found[1])
        if len(line) <= _LONGEST_LINE:
            _remember(self._statuses, line, status, _MOST_LINES)
        return status

    def _field(self, line: bytes) -> tuple[bytes, bytes] | None:
        """Return the field of a line that is not known; None if it is not strictly one."""
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        pair = found[1].lower(), found[2].strip(b" \t")
        if len(line) <= _LONGEST_LINE:
            _remember(self._fields, line, pair, _MOST_LINES)
        return pair


def _remember(known: dict[bytes, _Read], text: bytes, read: _Read, most: int) -> None:
    if len(known) >= most:
        known.clear()
    known[text] = read
