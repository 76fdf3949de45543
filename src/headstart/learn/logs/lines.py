"""Named fields of one line as a LogLine, the same for all formats.

The names are time, client, method, host, url (path and query, or a whole URL), status, size, type,
referer, agent, cache (Cache-Control, None where it is not known), vary, location (Location, the
same), cookie (a Set-Cookie is there), and validated (an ETag or a Last-Modified is there, None
where that is not known). Called by `file`.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.urls import extension, path_of

Fields: TypeAlias = dict[str, Any]
PlainValues: TypeAlias = tuple[str, ...]
"""The fields that most lines of a combined log have, in the order of `_PLAIN_NAMES`."""
_PLAIN_NAMES: Final = (
    *("host", "client", "time", "method", "url"),
    *("status", "size", "referer", "agent"),
)

# Extensions of what answers with a page; "" is a path without one.
_PAGES: Final = frozenset(
    ("", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "jspx", "do", "cgi", "shtml")
)
_HTML: Final = ("text/html", "application/xhtml+xml")

# As Apache and nginx ($time_local) write it: 10/Oct/2025:13:55:36 +0200.
_CLF_TIME: Final = re.compile(
    r"(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d):(\d\d):(\d\d(?:\.\d{1,9})?) ([+-]\d{4})", re.ASCII
)
# No log is from a second above it (the year 5138), and none from a millisecond below (1973).
_MOST_SECONDS: Final = 1e11
SHORT: Final = 512
"""Characters below which a text is remembered; a log may have lines of 64 KiB."""
_PORT: Final = re.compile(r"(?<=[^:]):\d{1,5}|(?<=\]):\d{1,5}", re.ASCII)


class LogLine(NamedTuple):
    """One exchange and when it was, in seconds on the log's own clock."""

    time: float
    exchange: Exchange

    @property
    def is_page(self) -> bool:
        """Return true if it opened a view."""
        return self.exchange.request.destination == "document"


def line_of(fields: Fields, site: str) -> LogLine | None:
    """Return the fields as a LogLine, None where they are not those of a request.

    Args:
        fields: By the names above.
        site: The host of lines that name none.
    """
    try:
        time = _seconds(fields["time"])
        status = int(fields["status"])
        target = str(fields["url"] or "")
        named = ""
        if not target.startswith("/"):
            named, target = _taken_apart(target)
        if not isfinite(time):
            return None
    except (OverflowError, KeyError, TypeError, ValueError):
        return None
    get = fields.get
    cache, location = get("cache"), get("location")
    # By position, which takes half as long.
    answer = Answer(
        status,
        str(get("type") or ""),
        None if cache is None else str(cache),
        str(get("vary") or ""),
        bool(get("cookie")),
        _count(get("size")),
        get("validated"),
        None,
        None,
        None if location is None else str(location),
    )
    host = str(get("host") or named)
    host = (_known_bare(host) if len(host) < SHORT else bare(host)) or site
    return LogLine(time, Exchange(_request(fields, host, target, answer), answer))


def fields_from(values: PlainValues) -> Fields:
    """Return the values by their names."""
    return dict(zip(_PLAIN_NAMES, values, strict=True))


def plain_line_of(values: PlainValues, site: str) -> LogLine | None:
    """Return `line_of` of a combined log's line in less time, or None for odd lines.

    Args:
        values: Of a line that is shorter than `SHORT`.
        site: The host of lines that name none.
    """
    host, client, clock, method, target, status, size, referer, agent = values
    try:
        time = _clf_seconds(clock)
    except (OverflowError, ValueError):  # no such month, day or hour
        return None
    if time is None or target[:1] != "/" or status == "-":
        return None
    host = (_known_bare(host) if host else "") or site
    target, page = _known_target(target)
    number = int(status)
    page = page and method == "GET" and number in (200, 304)
    request = Request(
        _origin(host),
        target,
        client,
        method,
        _shared(agent),
        _known_referer(referer, host),
        None,
        "document" if page else "",
        "",
        False,
        page and number == 304,
    )
    return LogLine(time, Exchange(request, Answer(number, "", None, "", False, _count(size), None)))


def _request(fields: Fields, host: str, target: str, answer: Answer) -> Request:
    get = fields.get
    method = str(get("method") or "")
    status = answer.status
    page = method == "GET" and status in (200, 304) and _is_page(target, answer.content_type)
    agent = str(get("agent") or "")
    return Request(
        _origin(host) if len(host) < SHORT else f"https://{host}",
        target,
        str(get("client") or ""),
        method,
        _shared(agent) if len(agent) < SHORT else agent,
        _referer_of(str(get("referer") or ""), host),
        None,
        "document" if page else "",
        "",
        False,
        page and status == 304,
    )


def _is_page(target: str, content_type: str) -> bool:
    if content_type:
        return content_type.partition(";")[0].strip().lower() in _HTML
    return extension(path_of(target)) in _PAGES


# Lines say the same again and again. Those of a batch share these strings, so that each is hashed
# and sent to another process once.


@lru_cache(maxsize=1024)
def _origin(host: str) -> str:
    return f"https://{host}"


@lru_cache(maxsize=1024)
def _shared(text: str) -> str:
    return text


@lru_cache(maxsize=4096)
def _known_target(target: str) -> tuple[str, bool]:
    """Return a short target, and whether its name is a page's."""
    return target, _is_page(target, "")


def _referer_of(referer: str, host: str) -> str:
    return (_known_referer if len(referer) < SHORT else _referer)(referer, host)


def _referer(referer: str, host: str) -> str:
    """Return the Referer, with the log's one name of the site if it is the site's.

    Logs rarely tell `http` from `https`, `www.` from none, or the port that clients used.
    """
    if referer == "-" or not referer:
        return ""
    if _without_port(host_of(referer)) != _without_port(host):
        return referer
    parts = urlsplit(referer)
    return f"https://{host}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


_known_referer = lru_cache(maxsize=4096)(_referer)


def host_of(url: object) -> str:
    """Return the host of a URL as `bare` does, "" where it has none."""
    try:
        return bare(urlsplit(str(url or "")).netloc)
    except ValueError:
        return ""


def bare(host: object) -> str:
    """Return the host in lower case and without `www.`, as sites are told apart in logs."""
    return str(host or "").lower().removeprefix("www.")


@lru_cache(maxsize=1024)
def _known_bare(host: str) -> str:
    return bare(host)


def _without_port(host: str) -> str:
    return _PORT.sub("", host) if ":" in host else host


def _taken_apart(url: str) -> tuple[str, str]:
    """Return the host of a URL, without the port that its scheme has anyway, and its target."""
    parts = urlsplit(url)
    if not parts.netloc:
        raise ValueError("neither a path nor a URL")
    host = parts.netloc.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _seconds(time: object) -> float:
    """Return a time in seconds.

    Args:
        time: A number of seconds, milliseconds, microseconds or nanoseconds; or text: such a
            number, ISO 8601, Caddy's `2006/01/02 15:04:05`, or as in a combined log.
    """
    text = str(time)
    known = _clf_seconds(text) if "/" in text and len(text) < SHORT else None
    if known is not None:
        return known
    try:
        number = float(text)
    except ValueError:
        iso = text.replace("/", "-").replace("Z", "+00:00")
        return datetime.fromisoformat(iso).timestamp()
    while _MOST_SECONDS < number < float("inf"):
        number /= 1000
    return number


@lru_cache(maxsize=256)
def _clf_seconds(text: str) -> float | None:
    """Return a combined log's time, None if it is not one; many lines are of the same second."""
    match = _CLF_TIME.fullmatch(text)
    if match is None:
        return None
    hour, minutes, seconds, zone = match.groups()
    return _hour(hour, zone) + 60 * int(minutes) + float(seconds)


@lru_cache(maxsize=256)
def _hour(hour: str, zone: str) -> float:
    """Return when an hour such as 10/Oct/2025:13 begins; most lines share theirs with others."""
    return datetime.strptime(f"{hour} {zone}", "%d/%b/%Y:%H %z").timestamp()


def _count(size: object) -> int:
    text = str(size or "0")
    return int(text) if text.isdecimal() and len(text) < 19 else 0
