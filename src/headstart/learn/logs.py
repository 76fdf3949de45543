"""Access logs as the learner's input: combined logs, JSON lines, HAR files, and traces.

Reads one file, plain or compressed with gzip; a broken line is counted and left out. Called by
`replay`. What a log leaves open stays open: it has no cache headers, so what is learned from it is
not `verified`, and a file name's extension stands for the type.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from io import TextIOWrapper
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import IO, Any, TypeAlias, assert_never
from urllib.parse import urlsplit

from headstart.errors import ConfigurationError
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.safety import kind_of_path
from headstart.learn.urls import extension, path_of

# Extensions of what answers with a page; "" is a path without one.
_PAGES = frozenset(
    ("", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "jspx", "do", "cgi", "shtml")
)
_HTML = ("text/html", "application/xhtml+xml")
# Lines that are looked at to learn which host a log without host names belongs to.
_SAMPLE = 20_000
_TRACE_COLUMNS = 11
_TRACE_NAMES = (
    *("time", "client", "method", "host", "url"),
    *("status", "size", "type", "referer", "agent"),
)


class LogFormat(StrEnum):
    """The formats that are read."""

    COMBINED = "combined"
    JSON_LINES = "json-lines"
    HAR = "har"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One exchange and when it was, in seconds on the log's own clock."""

    time: float
    exchange: Exchange

    @property
    def is_page(self) -> bool:
        """Whether it opened a view."""
        return self.exchange.request.destination == "document"


_Fields: TypeAlias = dict[str, Any]


class LogFile:
    """One file: iterate over it for its lines, in the file's order.

    Attributes:
        size: Bytes of the file as it is stored.
        format: What it was recognised as.
        lines, broken: Lines read so far, and those of them that could not be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.size = path.stat().st_size
            with self._open() as stream:
                self.format = _recognise(stream)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigurationError(
                f"cannot read {path}: {error}", hint="Is it a log, plain or compressed with gzip?"
            ) from error
        self.lines = 0
        self.broken = 0
        self._raw: IO[bytes] | None = None

    @property
    def position(self) -> int:
        """Bytes of `size` that have been read, for a progress bar."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def __iter__(self) -> Iterator[LogLine]:
        site = self._site() if self.format is LogFormat.COMBINED else ""
        for fields in self._readable():
            self.lines += 1
            line = _line(fields, site) if fields is not None else None
            if line is None:
                self.broken += 1
            else:
                yield line

    def _readable(self) -> Iterator[_Fields | None]:
        """The fields of each line; an archive that is cut off ends with a broken one."""
        try:
            yield from self._fields()
        except (OSError, EOFError, zlib.error):
            yield None

    @contextmanager
    def _open(self) -> Iterator[IO[str]]:
        with self._path.open("rb") as raw:
            self._raw = raw
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: Any = gzip.GzipFile(fileobj=raw) if compressed else raw
            with TextIOWrapper(plain, encoding="utf-8", errors="replace") as stream:
                yield stream

    def _fields(self) -> Iterator[_Fields | None]:
        with self._open() as stream:
            match self.format:
                case LogFormat.COMBINED:
                    yield from map(_combined_parser(), stream)
                case LogFormat.JSON_LINES:
                    yield from map(_from_json, stream)
                case LogFormat.TRACE:
                    yield from map(_from_trace, islice(stream, 1, None))
                case LogFormat.HAR:
                    yield from _from_har(stream.read())
                case _:
                    assert_never(self.format)

    def _site(self) -> str:
        """The host that most assets of a log without host names say they are referred from."""
        hosts: Counter[str] = Counter()
        for fields in islice(self._readable(), _SAMPLE):
            if fields and kind_of_path(fields["url"]):
                hosts[_host_of(fields["referer"])] += 1
        del hosts[""]
        return hosts.most_common(1)[0][0] if hosts else "localhost"


def _recognise(stream: IO[str]) -> LogFormat:
    first = stream.readline(1 << 20)
    if first.startswith("t\tclient\t"):
        return LogFormat.TRACE
    if not first.lstrip("\ufeff \t").startswith("{"):
        return LogFormat.COMBINED
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        return LogFormat.HAR
    return LogFormat.HAR if isinstance(found.get("log"), dict) else LogFormat.JSON_LINES


# From one line to named fields: time, client, method, host, url (path and query), status, size,
# type, referer, agent, cache (Cache-Control or None), vary, cookie (Set-Cookie is there)


def _combined_parser() -> Callable[[str], _Fields | None]:
    """A parser of one line of a combined log, with or without a virtual host or a last field."""
    # By name: it has no types, and a server, which reads no logs, need not load it.
    apachelogs = import_module("apachelogs")
    combined = apachelogs.COMBINED
    parsers = [
        apachelogs.LogParser(form, encoding="utf-8", errors="replace")
        for form in (combined, apachelogs.VHOST_COMBINED, combined + ' "%{X-Forwarded-For}i"')
    ]

    def parse(line: str) -> _Fields | None:
        for parser in tuple(parsers):
            try:
                entry = parser.parse(line.rstrip("\r\n"))
            except (apachelogs.InvalidEntryError, ValueError):
                continue
            if parser is not parsers[0]:
                parsers.remove(parser)
                parsers.insert(0, parser)
            return _from_entry(entry)
        return None

    return parse


def _from_entry(entry: Any) -> _Fields | None:
    words = (entry.request_line or "").split(" ")
    if len(words) < 2 or entry.request_time is None:
        return None
    return {
        "time": entry.request_time.timestamp(),
        "client": entry.remote_host,
        "method": words[0],
        "host": getattr(entry, "virtual_host", "") or "",
        "url": words[1],
        "status": entry.final_status,
        "size": entry.bytes_sent,
        "referer": entry.headers_in["Referer"],
        "agent": entry.headers_in["User-Agent"],
    }


def _from_trace(line: str) -> _Fields | None:
    columns = ["" if column == "-" else column for column in line.rstrip("\r\n").split("\t")]
    if len(columns) != _TRACE_COLUMNS:
        return None
    return {**dict(zip(_TRACE_NAMES, columns, strict=False)), **_cache_column(columns[-1])}


def _cache_column(column: str) -> _Fields:
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


# Names that web servers give these fields in JSON logs: nginx's variables, Caddy's, and plain ones.
_ALIASES = {
    "time": ("time", "ts", "timestamp", "@timestamp", "msec", "time_iso8601", "t"),
    "client": ("client", "remote_addr", "remote_ip", "client_ip", "ip", "remote_host", "address"),
    "method": ("method", "request_method"),
    "host": ("host", "http_host", "server_name", "vhost"),
    "url": ("url", "request_uri", "uri", "path", "target"),
    "status": ("status", "status_code", "response_status"),
    "size": ("size", "body_bytes_sent", "bytes_sent", "bytes", "response_size"),
    "type": ("type", "content_type", "sent_http_content_type", "mime"),
    "referer": ("referer", "http_referer", "referrer"),
    "agent": ("agent", "http_user_agent", "user_agent", "ua"),
    "cache": ("cache_control", "sent_http_cache_control"),
    "vary": ("vary", "sent_http_vary"),
}


def _from_json(line: str) -> _Fields | None:
    try:
        found = json.loads(line)
        flat = {**_caddy(found), **found}
        return {
            name: next((flat[alias] for alias in aliases if alias in flat), None)
            for name, aliases in _ALIASES.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _caddy(found: _Fields) -> _Fields:
    """Caddy's log nests the request and both heads."""
    request = found.get("request")
    if not isinstance(request, dict):
        return {}
    asked = _first_values(request.get("headers"))
    said = _first_values(found.get("resp_headers"))
    return {
        **request,
        "http_referer": asked.get("referer"),
        "http_user_agent": asked.get("user-agent"),
        "content_type": said.get("content-type"),
        "cache_control": said.get("cache-control", ""),
        "vary": said.get("vary"),
    }


def _first_values(headers: Any) -> dict[str, Any]:
    return {name.lower(): values[0] for name, values in (headers or {}).items() if values}


def _from_har(text: str) -> Iterator[_Fields | None]:
    try:
        entries = json.loads(text)["log"]["entries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        yield None
        return
    for entry in sorted(entries, key=_started):
        try:
            yield _from_har_entry(entry)
        except (KeyError, TypeError, AttributeError, ValueError):
            yield None


def _started(entry: Any) -> str:
    return str(entry.get("startedDateTime")) if isinstance(entry, dict) else ""


def _from_har_entry(entry: _Fields) -> _Fields:
    request, response = entry["request"], entry["response"]
    asked, said = _har_headers(request), _har_headers(response)
    url = urlsplit(request["url"])
    content = response.get("content") or {}
    return {
        "time": entry["startedDateTime"],
        "client": entry.get("pageref") or "page",
        "method": request["method"],
        "host": url.netloc,
        "url": url.path + (f"?{url.query}" if url.query else ""),
        "status": response["status"],
        "size": max(response.get("bodySize") or 0, content.get("size") or 0),
        "type": content.get("mimeType"),
        "referer": asked.get("referer"),
        "agent": asked.get("user-agent"),
        "cache": said.get("cache-control", ""),
        "vary": said.get("vary"),
        "cookie": "set-cookie" in said,
    }


def _har_headers(message: _Fields) -> dict[str, str]:
    return {header["name"].lower(): header["value"] for header in message.get("headers") or ()}


# From named fields to an exchange


def _line(fields: _Fields, site: str) -> LogLine | None:
    try:
        time = _seconds(fields["time"])
        status = int(fields["status"])
        target = str(fields["url"] or "")
        if not target.startswith("/"):
            target = _target(target)
        if not isfinite(time):
            return None
    except (OverflowError, KeyError, TypeError, ValueError):
        return None
    origin = "https://" + (_bare(fields.get("host")) or site)
    answer = Answer(
        status=status,
        content_type=str(fields.get("type") or ""),
        cache_control=None if fields.get("cache") is None else str(fields["cache"]),
        vary=str(fields.get("vary") or ""),
        sets_cookie=bool(fields.get("cookie")),
        size=_count(fields.get("size")),
    )
    request = _request(fields, origin, target, answer)
    return LogLine(time, Exchange(request, answer))


def _request(fields: _Fields, origin: str, target: str, answer: Answer) -> Request:
    method = str(fields.get("method") or "")
    page = method == "GET" and answer.status in (200, 304) and _is_page(target, answer)
    return Request(
        origin=origin,
        target=target,
        address=str(fields.get("client") or ""),
        method=method,
        user_agent=str(fields.get("agent") or ""),
        referer=_referer(str(fields.get("referer") or ""), origin),
        destination="document" if page else "",
        conditional=page and answer.status == 304,
    )


def _is_page(target: str, answer: Answer) -> bool:
    if answer.content_type:
        return answer.content_type.partition(";")[0].strip().lower() in _HTML
    return extension(path_of(target)) in _PAGES


def _referer(referer: str, origin: str) -> str:
    """The Referer, on the log's one name of the site if it is the site's: logs rarely tell
    `http` from `https`, or `www.` from none."""
    if referer == "-" or not referer:
        return ""
    if "https://" + _host_of(referer) != origin:
        return referer
    parts = urlsplit(referer)
    return origin + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host_of(referer: object) -> str:
    try:
        return _bare(urlsplit(str(referer or "")).netloc)
    except ValueError:
        return ""


def _bare(host: object) -> str:
    return str(host or "").lower().removeprefix("www.")


def _target(url: str) -> str:
    parts = urlsplit(url)
    if not parts.netloc:
        raise ValueError("neither a path nor a URL")
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _seconds(time: object) -> float:
    """A time as a number of seconds, or in ISO 8601."""
    try:
        return float(str(time))
    except ValueError:
        return datetime.fromisoformat(str(time).replace("Z", "+00:00")).timestamp()


def _count(size: object) -> int:
    text = str(size or "0")
    return int(text) if text.isdecimal() else 0
