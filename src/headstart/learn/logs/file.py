"""One log: its format, its lines, and the number of unreadable ones.

Called by `replay` and the command line.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Self, TypeAlias, assert_never
from urllib.parse import urlsplit

from headstart.errors import ConfigurationError
from headstart.learn.logs import balancers, har, httplog, json_lines, text, w3c
from headstart.learn.logs.bare import BareFormat, bare_format_of
from headstart.learn.logs.lines import (
    SHORT,
    Fields,
    LogLine,
    PlainValues,
    fields_from,
    host_of,
    line_of,
    plain_line_of,
)
from headstart.learn.logs.pattern import Pattern
from headstart.learn.logs.source import DAMAGED, Source, head_of, lines_of
from headstart.learn.safety import kind_of_path

# Lines that are looked at to learn which host a log without host names belongs to.
_SAMPLE: Final = 20_000
# Lines that are looked at to learn what is in them: before the first request there may be others.
_FIRST: Final = 200
# Characters of a line that an error shows.
_SHOWN: Final = 60
_TRACE: Final = "t\tclient\t"
_TRACE_COLUMNS: Final = 11
_TRACE_NAMES: Final = (
    *("time", "client", "method", "host", "url"),
    *("status", "size", "type", "referer", "agent"),
)
_OPEN_ARCHIVE: Final = re.compile(r'\{\s*"log"\s*:\s*\{')
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BOM: Final = "\ufeff"

_Parsed: TypeAlias = Fields | PlainValues
_Parser: TypeAlias = Callable[[str], _Parsed | None]


class LogFormat(StrEnum):
    """The formats that are read."""

    COMBINED = "combined"
    GIVEN = "given"
    W3C = "w3c"
    BALANCER = "balancer"
    HTTPLOG = "httplog"
    JSON_LINES = "json-lines"
    HAR = "har"
    TRACE = "trace"


class LogFile:
    """One log: iterate over it for its lines, in the log's order. A pipe can be read once.

    Args:
        path: A file, or a pipe that has a name; an open pipe's name for messages.
        pipe: An open pipe, for instance standard input.
        pattern: The format of its lines; None to recognise it.

    Attributes:
        size: Bytes of the file as it is stored; 0 for a pipe.
        format: The format it was recognised as.
        lines, broken: Lines read so far, and those of them that could not be.
        unread: The beginning of the first line that could not be read, "" where there is none.
        damage: Why the log was not read to its end, "" where it was. What comes before counts.
        names_referer: Whether any line had a place for the Referer, be it empty. Without one
            nothing can be learned.
        has_referer: Whether any line had a Referer.
        bare_format: The format of the first lines, if it is one that has none.
        has_assets: Whether any line without one, before the first with one, asked for an asset.
        own_referers: How often the first lines so far have a Referer of their own site: by the
            origin that the log's lines have, and the Referer's, with its scheme and `www.`.

    Raises:
        ConfigurationError: The log cannot be read, or is not one.
    """

    def __init__(
        self, path: Path, pipe: IO[bytes] | None = None, pattern: Pattern | None = None
    ) -> None:
        self._path = path
        self._pattern = pattern
        try:
            self._source = Source(path, pipe)
            with self._source.sample() as stream:
                head = head_of(stream)
        except DAMAGED as error:
            raise ConfigurationError(
                f"cannot read {path}: {_told(error)}",
                hint="Give a log, plain or compressed with gzip, bzip2, xz or zstd.",
            ) from error
        self.size = self._source.size
        self.bare_format: BareFormat | None = None
        self.format = LogFormat.GIVEN if pattern is not None else self._recognised(head)
        self.lines = 0
        self.broken = 0
        self.unread = ""
        self.damage = ""
        self.names_referer = False
        self.has_referer = False
        self.has_assets = False
        self.own_referers: Counter[tuple[str, str]] = Counter()
        self._known_site: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pipe, if it was opened here."""
        self._source.close()

    @property
    def position(self) -> int:
        """Bytes of `size` that have been read, for a progress bar."""
        return self._source.position

    def __iter__(self) -> Iterator[LogLine]:
        with self:
            for parsed in self._fields():
                self.lines += 1
                line = self._line(parsed)
                if parsed is None or line is None:
                    self.broken += 1
                    continue
                if self.lines <= _SAMPLE:
                    self._count_own_referer(parsed, line)
                # After the first Referer, there is nothing left to find out.
                if not self.has_referer:
                    request = line.exchange.request
                    self.has_referer = bool(request.referer)
                    self.has_assets = self.has_assets or bool(kind_of_path(request.target))
                yield line

    def _line(self, parsed: _Parsed | None) -> LogLine | None:
        if parsed is None:
            return None
        if isinstance(parsed, tuple):
            self.names_referer = True
            line = plain_line_of(parsed, "" if parsed[0] else self._site())
            if line is not None:
                return line
        fields = _named(parsed)
        self.names_referer = self.names_referer or "referer" in fields
        return line_of(fields, "" if fields.get("host") else self._site())

    def _count_own_referer(self, parsed: _Parsed, line: LogLine) -> None:
        request = line.exchange.request
        if request.referer.startswith(request.origin + "/") and kind_of_path(request.target):
            origin = _origin_of(str(_named(parsed).get("referer")))
            self.own_referers[request.origin, origin] += 1

    def _fields(self) -> Iterator[_Parsed | None]:
        """Yield the named fields of each line; a truncated archive ends with a broken one."""
        try:
            with self._source.open() as stream:
                if self.format is LogFormat.HAR:
                    yield from har.entries_of(stream)
                else:
                    yield from self._parsed(stream)
        except DAMAGED as error:
            self.damage = _told(error)
            yield None

    def _parsed(self, stream: IO[bytes]) -> Iterator[_Parsed | None]:
        lines = lines_of(stream)
        match self.format:
            case LogFormat.COMBINED:
                parse: _Parser = _from_combined
            case LogFormat.GIVEN:
                assert self._pattern is not None
                parse = self._pattern.fields_of
            case LogFormat.W3C:
                columns = w3c.Columns()
                lines, parse = columns.requests(lines), columns.fields_of
            case LogFormat.BALANCER:
                parse = balancers.fields_of
            case LogFormat.HTTPLOG:
                parse = _from_httplog
            case LogFormat.JSON_LINES:
                parse = _from_json
            case LogFormat.TRACE:
                lines, parse = islice(lines, 1, None), _from_trace
            case LogFormat.HAR:
                return
            case _:
                assert_never(self.format)
        for number, line in enumerate(lines):
            if line is None:
                yield None
                continue
            fields = parse(line if number else line.removeprefix(_BOM))
            if fields is None and not self.unread:
                self.unread = line.strip()[:_SHOWN].rstrip()
            yield fields

    def _site(self) -> str:
        """Return the host that most Referers of a log without host names have."""
        if self._known_site is None:
            self._known_site = self._most_referring()
        return self._known_site

    def _most_referring(self) -> str:
        hosts: Counter[str] = Counter()
        try:
            with self._source.sample() as stream:
                for parsed in islice(self._parsed(stream), _SAMPLE):
                    fields = _named(parsed) if parsed else {}
                    if kind_of_path(str(fields.get("url"))):
                        hosts[host_of(fields.get("referer"))] += 1
        except DAMAGED:
            pass  # an archive that is cut off, or the part of a pipe that is looked at
        del hosts[""]
        return hosts.most_common(1)[0][0] if hosts else "localhost"

    def _recognised(self, head: bytes) -> LogFormat:
        if head.startswith(_UTF_16):
            raise ConfigurationError(
                f"{self._path} is UTF-16", hint="Convert it before: iconv -f UTF-16 -t UTF-8"
            )
        lines = head.decode("utf-8-sig", "replace").split("\n", _FIRST)[:_FIRST]
        if lines[0].startswith(_TRACE):
            return LogFormat.TRACE
        if _begins_archive(lines):
            return LogFormat.HAR
        for line in lines:
            if line.startswith(w3c.FIELDS):
                return LogFormat.W3C
            if balancers.fields_of(line):
                return LogFormat.BALANCER
            bare = bare_format_of(text.message_of(line))
            if _from_httplog(line):
                self.bare_format = bare
                return LogFormat.HTTPLOG
            if _from_text(line):
                self.bare_format = bare
                return LogFormat.COMBINED
            if _from_json(line):
                self.bare_format = None
                return LogFormat.JSON_LINES
            self.bare_format = self.bare_format or bare
        return LogFormat.COMBINED


def _begins_archive(lines: list[str]) -> bool:
    """Return true if a HAR begins so: on one line, or as an object that spans several."""
    first = lines[0].lstrip()
    if not first.startswith("{"):
        return False
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        # The only entry of an archive may fill the second line, as h2c writes it. Two JSON lines,
        # of which the first is cut off, begin alike.
        if len(lines) < 2 or json_lines.object_of(lines[1]) is None:
            return True
        return bool(_OPEN_ARCHIVE.match(first)) and not _OPEN_ARCHIVE.match(lines[1].lstrip())
    return isinstance(found.get("log"), dict)


def _origin_of(url: str) -> str:
    """Return the scheme and authority of a URL, "" if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _told(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


# The parsers: a line's named fields, None where it has none.


def _from_combined(line: str) -> _Parsed | None:
    values = text.plain_values_of(line)
    if values is None:
        return text.fields_of(text.message_of(line))
    return values if len(line) < SHORT else fields_from(values)


def _from_text(line: str) -> Fields | None:
    parsed = _from_combined(line)
    return None if parsed is None else _named(parsed)


def _named(parsed: _Parsed) -> Fields:
    return fields_from(parsed) if isinstance(parsed, tuple) else parsed


def _from_httplog(line: str) -> Fields | None:
    return httplog.fields_of(text.message_of(line))


def _from_json(line: str) -> Fields | None:
    found = json_lines.object_of(text.message_of(line))
    if found is None:
        return None
    inner = json_lines.wrapped_in(found)
    if inner is not None:
        if fields := _from_text(inner):
            return fields
        found = json_lines.object_of(text.message_of(inner)) or found
    return json_lines.fields_of(found)


def _from_trace(line: str) -> Fields | None:
    columns = ["" if column == "-" else column for column in line.rstrip("\r\n").split("\t")]
    if len(columns) != _TRACE_COLUMNS:
        return None
    return {**dict(zip(_TRACE_NAMES, columns, strict=False)), **_cache_column(columns[-1])}


def _cache_column(column: str) -> dict[str, Any]:
    if not column:
        return {}
    fields = dict.fromkeys(("cache-control", "vary"), "")
    for part in column.split("|"):
        name, _, value = part.partition("=")
        fields[name] = value
    return {
        "cache": fields["cache-control"],
        "vary": fields["vary"],
        "cookie": "set-cookie" in fields,
    }
