"""Show frames as text or as JSON lines: `h2c start --dump`, `h2c wiretap`.

Reads `wire.frames.Frame`s. The text is one block per frame, followed by a blank line:

    -> HEADERS(1) 0.012 s, 23 bytes
        + END_STREAM
        - PADDED
        :method: GET

`->` was sent, `<-` was received; the number in parentheses is the stream, 0 the connection. Then
come seconds since the connection was made and octets of payload; flags that are set (`+`) and that
are not (`-`); the payload's contents; errors in it (`!`). Control characters of a peer never reach
the terminal.

As JSON a frame is an object on a line of its own, and a member of `_frames` in a HAR file.
docs/h2c.md lists its members. A peer's bytes in a string are the code points U+0000 to U+00FF, so
none is lost, and `json` escapes all but printable ASCII. Called by `tap` and `har`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from headstart.h2c.dump.settings import FrameFilter
from headstart.wire.frames import Direction, Frame
from headstart.wire.payloads import visible

HIDDEN = b"{hidden}"
"""Stands for a value that is a secret."""

_SECRET = frozenset({b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"})

_BOLD_BLUE = "1;34"
_BOLD_MAGENTA = "1;35"
_GREEN = "32"
_DIM = "2"
_CYAN = "36"
_BOLD_RED = "1;31"
_ARROWS = {Direction.SENT: ("->", _BOLD_BLUE), Direction.RECEIVED: ("<-", _BOLD_MAGENTA)}


@dataclass(frozen=True, slots=True)
class Source:
    """The connection that a frame is from.

    Attributes:
        number: 1 for the first one.
        began: When it was made, in seconds of Unix time.
    """

    number: int
    began: float


class Writer(Protocol):
    """Writes frames in one format."""

    def show(self, frame: Frame, source: Source) -> None:
        """Write the next frame, or keep the parts that are needed later."""
        ...

    def end(self, source: Source) -> None:
        """End the connection's output."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


def masked(frame: Frame) -> Frame:
    """Return the frame with `HIDDEN` in place of every secret value."""
    headers = tuple(
        (name, HIDDEN if name.lower() in _SECRET else value) for name, value in frame.headers
    )
    return frame if headers == frame.headers else replace(frame, headers=headers)


class TextWriter:
    """Writes frames as text.

    Args:
        write: Takes the text of one frame, the blank line included; printable ASCII and line
            feeds, and escape sequences for colour if asked for.
        shown: Which frames.
        color: For a terminal.
        named: Number the first connection, too, while there is no other.
    """

    __slots__ = ("_color", "_named", "_shown", "_write")

    def __init__(
        self,
        write: Callable[[bytes], None],
        shown: FrameFilter,
        *,
        color: bool = False,
        named: bool = False,
    ) -> None:
        self._write = write
        self._shown = shown
        self._color = color
        self._named = named

    def show(self, frame: Frame, source: Source) -> None:
        """Write one frame, if the filter admits it."""
        self._named = self._named or source.number > 1
        if self._shown.admits(frame):
            text = "\n".join([self._title(frame, source), *self._lines(frame), "", ""])
            self._write(text.encode("ascii"))

    def end(self, source: Source) -> None:
        """Nothing is kept that would be written now."""

    def close(self) -> None:
        """Nothing is kept that would be written now."""

    def _title(self, frame: Frame, source: Source) -> str:
        arrow, code = _ARROWS[frame.direction]
        stream = "" if frame.type_code is None else f"({frame.stream_id})"
        facts = [f"{frame.at:.3f} s", _octets(frame.length)]
        if self._named:
            facts.insert(0, f"connection {source.number}")
        if frame.informational:
            facts.append(f"informational {frame.status}")
        if frame.trailers:
            facts.append("trailers")
        return f"{self._paint(f'{arrow} {frame.kind}{stream}', code)} {', '.join(facts)}"

    def _lines(self, frame: Frame) -> Iterator[str]:
        """All lines below the first, indented."""
        for name, is_set in frame.flags:
            line = f"+ {name}" if is_set else f"- {name}"
            yield "    " + self._paint(line, _GREEN if is_set else _DIM)
        content = [*self._details(frame), *self._headers(frame)]
        if frame.data:
            content.append(f"{{{_octets(len(frame.data))}}}")
        if frame.problem:
            content.append(self._paint(f"! {frame.problem}", _BOLD_RED))
        if not content and frame.kind not in ("CONTINUATION", "PREFACE"):
            # Those two have a content, which is shown elsewhere or known.
            content.append("{empty}")
        for line in content:
            yield "    " + line

    def _details(self, frame: Frame) -> Iterator[str]:
        for name, value in frame.details:
            yield f"{self._paint(name + ':', _CYAN)} {value}"

    def _headers(self, frame: Frame) -> Iterator[str]:
        for name, value in frame.headers:
            yield f"{self._paint(visible(name) + ':', _CYAN)} {visible(value)}"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def _octets(number: int) -> str:
    return "1 byte" if number == 1 else f"{number} bytes"


def text_of(octets: bytes) -> str:
    """Each octet as the code point of the same number (ISO 8859-1)."""
    return octets.decode("latin-1")


def date_of(seconds: float) -> str:
    """Return a Unix time in ISO 8601, in UTC and to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def frame_fields(frame: Frame) -> dict[str, Any]:
    """Return the frame's members; leave out those that do not apply to it."""
    fields: dict[str, Any] = {
        "at": round(frame.at, 6),
        "direction": frame.direction.value,
        "type": frame.kind,
        "type_code": frame.type_code,
        "stream": frame.stream_id,
        "length": frame.length,
        "flags": [name for name, is_set in frame.flags if is_set],
    }
    if frame.headers:
        fields["headers"] = [[text_of(name), text_of(value)] for name, value in frame.headers]
    if frame.details:
        fields["details"] = [[name, value] for name, value in frame.details]
    if frame.data:
        fields["data_length"] = len(frame.data)
    if frame.status is not None:
        fields["status"] = frame.status
    if frame.informational:
        fields["informational"] = True
    if frame.trailers:
        fields["trailers"] = True
    if frame.problem:
        fields["problem"] = frame.problem
    return fields


class JsonWriter:
    """Writes each frame as an object on a line of its own.

    Args:
        write: Takes one line, the line feed included; ASCII.
        shown: Which frames.
    """

    __slots__ = ("_shown", "_write")

    def __init__(self, write: Callable[[bytes], None], shown: FrameFilter) -> None:
        self._write = write
        self._shown = shown

    def show(self, frame: Frame, source: Source) -> None:
        """Write one frame, if the filter admits it."""
        if self._shown.admits(frame):
            place = {"connection": source.number, "time": date_of(source.began + frame.at)}
            fields = {**place, **frame_fields(frame)}
            self._write(json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n")

    def end(self, source: Source) -> None:
        """Nothing is kept that would be written now."""

    def close(self) -> None:
        """Nothing is kept that would be written now."""
