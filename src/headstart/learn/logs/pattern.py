r"""Logs in a format of the user's own, as nginx's `log_format` or Apache's `LogFormat` says it.

    pattern = Pattern('$remote_addr [$time_local] "$request" $status "$http_referer"')
    pattern.fields_of(line)

A line is taken apart from left to right: the text between two variables ends the first of them.
So it is read in time that is linear in its length, and two variables side by side are refused.
Between quotes a quote that is escaped (`\"`) ends nothing. Called by `file`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from headstart.errors import ConfigurationError
from headstart.learn.logs.lines import Fields
from headstart.learn.logs.text import forwarded, request_line, unescaped

_NGINX: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_APACHE: Final = re.compile(r"%(?:[!\d,]*)([<>]?)(?:\{([^}]*)\})?(\^[A-Za-z]{2}|[A-Za-z]|%)")
_NGINX_DIRECTIVE: Final = re.compile(r"\s*log_format\s+\S+\s+(?:escape=\w+\s+)?")
_APACHE_DIRECTIVE: Final = re.compile(r'\s*LogFormat\s+"((?:[^"\\]|\\.)*)"')
_NGINX_STRING: Final = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
# A quoted value: to the next quote that is not escaped.
_QUOTED: Final = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+')

# Variables side by side that are the target, or the whole URL, together.
_TOGETHER: Final = (
    (re.compile(r"\$scheme://\$(?:http_)?host\$request_uri"), "$request_uri"),
    (re.compile(r"\$uri\$is_args\$(?:args|query_string)"), "$request_uri"),
    (re.compile(r"%U%q"), "%{target}U"),
)
_NGINX_NAMES: Final = {
    "remote_addr": "client",
    "realip_remote_addr": "client",
    "http_x_forwarded_for": "forwarded",
    "proxy_add_x_forwarded_for": "forwarded",
    "time_local": "time",
    "time_iso8601": "instant",
    "msec": "instant",
    "request": "request",
    "request_method": "method",
    "request_uri": "url",
    "uri": "path",
    "document_uri": "path",
    "args": "query",
    "query_string": "query",
    "status": "status",
    "body_bytes_sent": "size",
    "bytes_sent": "size",
    "host": "host",
    "http_host": "host",
    "server_name": "host",
    "http_referer": "referer",
    "http_user_agent": "agent",
    "sent_http_content_type": "type",
    "sent_http_cache_control": "cache",
    "sent_http_vary": "vary",
}
_APACHE_NAMES: Final = {
    "h": "client",
    "a": "client",
    "t": "time",
    "r": "request",
    "m": "method",
    "U": "path",
    "q": "query",
    "s": "status",
    "b": "size",
    "B": "size",
    "O": "size",
    "v": "host",
    "V": "host",
}
_ASKED: Final = {
    "referer": "referer",
    "user-agent": "agent",
    "x-forwarded-for": "forwarded",
    "host": "host",
}
_SAID: Final = {"content-type": "type", "cache-control": "cache", "vary": "vary"}
# Unquoted values that have spaces, for instance.
_SPACED: Final = {"time": "%d/%b/%Y:%H:%M:%S %z", "request": "GET / HTTP/1.1"}
_UNITS: Final = {"sec": 1.0, "msec": 1e3, "usec": 1e6}


class _Part(NamedTuple):
    """A variable, and the text that ends it.

    Attributes:
        name: Of the field, or "" where it is of no use.
        clock: A time's format for `strptime`, or a unit of `_UNITS`; "" for the usual ones.
        end: The text behind it, "" at the end of the line.
        within: How often that text is in the value itself, too.
        quoted: It stands between quotes.
    """

    name: str
    clock: str
    end: str
    within: int
    quoted: bool


class Pattern:
    """A format of lines.

    Args:
        text: The format, or the whole directive that defines it.

    Raises:
        ConfigurationError: It is neither nginx's nor Apache's, cannot be read back, or has too
            little in it.
    """

    def __init__(self, text: str) -> None:
        text = _definition(text).strip()
        for side_by_side, together in _TOGETHER:
            text = side_by_side.sub(together, text)
        pieces = _pieces(text)
        self._start = pieces.pop(0)[0] if pieces else text
        self._parts = [
            _Part(
                name,
                clock,
                end,
                (clock or _SPACED.get(name, "")).count(end) if end else 0,
                end.startswith('"') and before.endswith('"'),
            )
            for (before, _, _), (end, name, clock) in zip(
                [(self._start, "", ""), *pieces], pieces, strict=False
            )
        ]
        self._check(text)

    def _check(self, text: str) -> None:
        names = {part.name for part in self._parts}
        if not self._parts:
            raise ConfigurationError(
                f"{text!r} has no variable such as $remote_addr or %h",
                hint="Leave it out for combined, JSON lines, W3C, HAProxy, HAR and traces, which "
                "are recognised. Otherwise give the text of nginx's log_format or Apache's "
                "LogFormat.",
            )
        if any(not part.end for part in self._parts[:-1]):
            raise ConfigurationError(
                f"{text!r} has two variables with nothing between them, so a line cannot be read",
                hint="Let the server write a space between them.",
            )
        missing = [
            wanted
            for wanted, known in (
                ("the time", names & {"time", "instant"}),
                ("the request", names & {"request", "url", "path"}),
                ("the status", names & {"status"}),
            )
            if not known
        ]
        if missing:
            *others, last = missing
            listed = f"{', '.join(others)} and {last}" if others else last
            raise ConfigurationError(
                f"{text!r} does not have {listed}",
                hint="Add $time_local, $request and $status, or %t, %r and %>s.",
            )

    def fields_of(self, line: str) -> Fields | None:
        """Return the named fields of a line, None where it does not match."""
        line = line.strip("\r\n")
        if not line.startswith(self._start):
            return None
        place = len(self._start)
        found: Fields = {}
        for part in self._parts:
            if not part.end:
                end = len(line)
            elif part.quoted:
                match = _QUOTED.match(line, place)
                end = match.end() if match is not None else place
                if not line.startswith(part.end, end):
                    return None
            else:
                end = line.find(part.end, place)
                for _ in range(part.within):
                    if end >= 0:
                        end = line.find(part.end, end + len(part.end))
                if end < 0:
                    return None
            if part.name and part.name not in found:
                value = unescaped(line[place:end])
                found[part.name] = _time(value, part.clock) if part.clock else value
            place = end + len(part.end)
        return _completed(found)


def _definition(text: str) -> str:
    """Return the format of a directive as it stands in a configuration, or the text itself."""
    if match := _APACHE_DIRECTIVE.match(text):
        return re.sub(r"\\(.)", r"\1", match[1])
    if match := _NGINX_DIRECTIVE.match(text):
        strings = _NGINX_STRING.findall(text, match.end())
        return "".join(re.sub(r"\\(.)", r"\1", one or other) for one, other in strings)
    return text.replace('\\"', '"')


def _pieces(text: str) -> list[tuple[str, str, str]]:
    """Return the text before the first variable, then each variable's text behind it, name, clock.

    The first piece has no variable.
    """
    nginx = _NGINX.search(text) is not None
    found: list[tuple[str, str, str]] = []
    before, name, clock, place = "", "", "", 0
    for match in (_NGINX if nginx else _APACHE).finditer(text):
        before += text[place : match.start()]
        place = match.end()
        if match[0] == "%%":
            before += "%"
            continue
        found.append((before, name, clock))
        before, clock = "", ""
        if nginx:
            name = _NGINX_NAMES.get(match[1] or match[2], "")
        else:
            name, clock, before = _apache(match)
            if before:  # %t stands between brackets
                found[-1] = (found[-1][0] + "[", *found[-1][1:])
    return [*found, (before + text[place:], name, clock)] if found else []


def _apache(match: re.Match[str]) -> tuple[str, str, str]:
    """Return the name and the clock of one of Apache's, and the text that ends it anyway."""
    _, argument, letter = match.groups()
    argument = argument or ""
    if letter == "i":
        return _ASKED.get(argument.lower(), ""), "", ""
    if letter == "o":
        return _SAID.get(argument.lower(), ""), "", ""
    if letter == "t" and argument:
        clock = argument.removeprefix("begin:")
        return ("", "", "") if clock.startswith(("end:", "msec_", "usec_")) else ("time", clock, "")
    if letter == "t":
        return "time", "", "]"
    if letter == "U" and argument:
        return "url", "", ""
    return _APACHE_NAMES.get(letter, ""), "", ""


def _time(value: str, clock: str) -> object:
    """Return a time in Apache's `%{...}t` as seconds, or as it is where it is not one."""
    try:
        if clock in _UNITS:
            return float(value) / _UNITS[clock]
        time = datetime.strptime(value, clock)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return value


def _completed(found: Fields) -> Fields | None:
    """Return the fields with those that others imply, None where the request is not one."""
    if "request" in found:
        asked = request_line(found.pop("request"))
        if asked is None:
            return None
        found = {**asked, **found}
    if "instant" in found:
        found.setdefault("time", found.pop("instant"))
    if "url" not in found:
        query = str(found.pop("query", "")).removeprefix("?")
        path = str(found.pop("path"))
        found["url"] = f"{path}?{query}" if query not in ("", "-") else path
    found.setdefault("method", "GET")
    if "forwarded" in found:
        client = str(found.get("client", ""))
        found["client"] = forwarded(client, str(found["forwarded"])) or client
    return {name: "" if value == "-" else value for name, value in found.items()}
