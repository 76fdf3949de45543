"""Frames as text, for `h2c start --dump`.

Reads `wire.frames.Frame`s and writes lines, one block a frame with a blank line behind it:

    -> HEADERS(1) 0.012 s, 23 bytes
        + END_STREAM
        - PADDED
        :method: GET

`->` was sent, `<-` was received; the number in parentheses is the stream, 0 the connection. Then
come seconds since the connection was made and octets of payload; flags that are set (`+`) and that
are not (`-`); what the payload says; what is wrong with it (`!`). Values that are secrets are
masked, and no byte of a peer reaches the terminal that it would obey. Called by the background
process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from headstart.errors import ConfigurationError
from headstart.wire.frames import Direction, Frame
from headstart.wire.payloads import KINDS, visible

_SECRET = frozenset({b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"})
_UNKNOWN = re.compile(r"UNKNOWN(_0X[0-9A-F]{2})?")

_BOLD_BLUE = "1;34"
_BOLD_MAGENTA = "1;35"
_GREEN = "32"
_DIM = "2"
_CYAN = "36"
_BOLD_RED = "1;31"
_ARROWS = {Direction.SENT: ("->", _BOLD_BLUE), Direction.RECEIVED: ("<-", _BOLD_MAGENTA)}


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Which frames are shown: all, or only the included ones, and of these not the excluded.

    Make it with `of`, which checks the names.
    """

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    @classmethod
    def of(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> FrameFilter:
        """A filter of frame types by name, upper or lower case, also several with commas between.

        `UNKNOWN` stands for all types without a name, `UNKNOWN_0xbe` for one of them.

        Raises:
            ConfigurationError: A name is none of a frame type.
        """
        return cls(_kinds(include), _kinds(exclude))

    def admits(self, frame: Frame) -> bool:
        """Whether the frame is shown."""
        names = {frame.kind.upper()}
        if frame.kind.startswith("UNKNOWN"):
            names.add("UNKNOWN")
        return bool(not self.include or names & self.include) and not names & self.exclude


def _kinds(names: Iterable[str]) -> frozenset[str]:
    return frozenset(
        _kind(part.strip()) for name in names for part in name.split(",") if part.strip()
    )


def _kind(name: str) -> str:
    kind = name.upper().replace("-", "_")
    if kind not in KINDS and not _UNKNOWN.fullmatch(kind):
        known = ", ".join([*KINDS, "UNKNOWN"])
        raise ConfigurationError(
            f"no frame type is called {name!r}; there are {known}",
            hint="Name frame types with commas between them, for instance HEADERS,PUSH_PROMISE.",
        )
    return kind


class DumpWriter:
    """Writes frames as text.

    Args:
        write: Takes the text of one frame, the blank line included; printable ASCII and line
            feeds, and escape sequences for colour if asked for.
        shown: Which frames.
        color: For a terminal.
        show_secrets: Do not mask credentials and cookies.
    """

    __slots__ = ("_color", "_show_secrets", "_shown", "_write")

    def __init__(
        self,
        write: Callable[[str], None],
        shown: FrameFilter | None = None,
        *,
        color: bool = False,
        show_secrets: bool = False,
    ) -> None:
        self._write = write
        self._shown = FrameFilter() if shown is None else shown
        self._color = color
        self._show_secrets = show_secrets

    def show(self, frame: Frame, connection: str = "") -> None:
        """Write one frame, if the filter admits it.

        Args:
            connection: Names the connection where there are several, "" where there is one.
        """
        if self._shown.admits(frame):
            self._write("\n".join([self._title(frame, connection), *self._lines(frame), "", ""]))

    def _title(self, frame: Frame, connection: str) -> str:
        arrow, code = _ARROWS[frame.direction]
        stream = "" if frame.type_code is None else f"({frame.stream_id})"
        facts = [f"{frame.at:.3f} s", _octets(frame.length)]
        if connection:
            facts.insert(0, f"connection {visible(connection.encode())}")
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
            hidden = name.lower() in _SECRET and not self._show_secrets
            shown = "{hidden}" if hidden else visible(value)
            yield f"{self._paint(visible(name) + ':', _CYAN)} {shown}"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def _octets(number: int) -> str:
    return "1 byte" if number == 1 else f"{number} bytes"
