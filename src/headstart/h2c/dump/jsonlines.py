"""Frames as JSON, one object per line: `--dump-format json`, and `_frames` of a HAR file.

Pure: takes a frame and returns data for `json`. docs/h2c.md lists the members. A peer's bytes in a
string are the code points U+0000 to U+00FF, so none is lost, and `json` escapes all but printable
ASCII. Called by `tap` and `har`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from headstart.h2c.dump.text import FrameFilter, Source
from headstart.wire.frames import Frame


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
