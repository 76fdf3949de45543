"""A body as text and as lines, while it arrives.

Reads a Content-Type and the body's parts; called by `client.response`.
"""

from __future__ import annotations

import codecs
from email.message import Message
from io import IncrementalNewlineDecoder


def charset(content_type: str) -> str:
    """Return the encoding that a Content-Type names, or `utf-8` if it names none."""
    message = Message()
    message["content-type"] = content_type
    return message.get_content_charset("utf-8")


def decoder(content_type: str) -> codecs.IncrementalDecoder:
    """Return a decoder of the encoding that a Content-Type names, or of UTF-8."""
    try:
        return codecs.getincrementaldecoder(charset(content_type))("replace")
    except (LookupError, ValueError):  # Python does not know every encoding
        return codecs.getincrementaldecoder("utf-8")("replace")


class LineDecoder:
    """Split a body into lines.

    A line ends with LF, CR LF or CR, as in server-sent events. Other separators, such as U+2028,
    may stand within a line, as in JSON.
    """

    def __init__(self, content_type: str) -> None:
        self._decoder = IncrementalNewlineDecoder(decoder(content_type), translate=True)
        self._begun: list[str] = []
        """The parts of the line that has not ended: joined once, so that a long line is cheap."""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that end in this part of the body."""
        return self._split(self._decoder.decode(data))

    def end(self) -> list[str]:
        """Return the lines that are left at the end of the body."""
        lines = self._split(self._decoder.decode(b"", final=True))
        rest = "".join(self._begun)
        return [*lines, rest] if rest else lines

    def _split(self, text: str) -> list[str]:
        # Not str.splitlines, which also splits at U+2028 and form feeds.
        first, *others = text.split("\n")
        self._begun.append(first)
        if not others:
            return []
        lines = ["".join(self._begun), *others[:-1]]
        self._begun = [others[-1]]
        return lines
