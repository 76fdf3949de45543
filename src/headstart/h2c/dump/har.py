"""HTTP archives (HAR 1.2): `--dump-format har`.

Writes one entry per exchange when it is finished, so that a long session needs memory only for open
exchanges and a killed process leaves an archive of all finished ones. HAR lets
others add members that begin with an underscore; docs/h2c.md lists ours. `_was_pushed` is
the name that WebPageTest and its readers use. No library writes archives both piece by piece and
with members of one's own. Cookies are read leniently (RFC 6265, 5.2 and 5.4): `http.cookies` gives
up all of a field for one odd octet in it. Called by `tap`.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from headstart import __version__
from headstart.h2c.codings import undone
from headstart.h2c.dump.exchanges import Bounds, Exchange, Exchanges, Message
from headstart.h2c.dump.settings import FrameFilter
from headstart.h2c.dump.text import Source, date_of, frame_fields, text_of
from headstart.wire.frames import Direction, Frame
from headstart.wire.payloads import HeaderList

_Fields: TypeAlias = dict[str, Any]

_VERSION = "HTTP/2"
_END = b"\n]}}\n"
# What Chromium writes for a content without a type; the member must be there.
_NO_TYPE = "x-unknown"


class HarWriter:
    """Write an archive.

    Args:
        write: Takes a piece, and the end of the file until the next piece comes; both ASCII.
        shown: The frames listed in `_frames`. Entries are made of all frames.
    """

    __slots__ = ("_exchanges", "_shown", "_started", "_write")

    def __init__(
        self,
        write: Callable[[bytes, bytes], None],
        shown: FrameFilter,
        bounds: Bounds | None = None,
    ) -> None:
        self._write = write
        self._shown = shown
        self._exchanges = Exchanges(self._text, bounds)
        self._started = False
        creator = {"name": "h2c", "version": __version__}
        log = _dumped({"version": "1.2", "creator": creator, "pages": []})
        self._write(b'{"log":' + log[:-1] + b',"entries":[', _END)

    def show(self, frame: Frame, source: Source) -> None:
        """Take one frame; write the exchanges that it finished."""
        self._add(self._exchanges.take(frame, source))

    def end(self, source: Source) -> None:
        """Write the remaining exchanges of the connection."""
        self._add(self._exchanges.end(source))

    def close(self) -> None:
        """Write the remaining exchanges, and the frames that belong to no exchange."""
        self._add(self._exchanges.close())
        strays = self._exchanges.strays
        if strays:
            self._write(b'\n],"_frames":[\n' + b",\n".join(strays) + b"\n]}}\n", b"")

    def _text(self, frame: Frame, source: Source) -> bytes:
        if not self._shown.admits(frame):
            return b""
        return _dumped({"connection": source.number, **frame_fields(frame)})

    def _add(self, exchanges: Iterable[Exchange]) -> None:
        for exchange in exchanges:
            separator = b",\n" if self._started else b"\n"
            self._started = True
            frames = b",".join(exchange.frames)
            entry = _dumped(entry_of(exchange))[:-1] + b',"_frames":[' + frames + b"]}"
            self._write(separator + entry, _END)


def _dumped(fields: _Fields) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def entry_of(exchange: Exchange) -> _Fields:
    """Return the entry of an exchange, without `_frames`."""
    timings = _timings(exchange)
    entry: _Fields = {
        "startedDateTime": date_of(exchange.source.began + exchange.began),
        "time": round(sum(timings.values()), 3),
        "request": _request(exchange.request),
        "response": _response(exchange),
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, **timings},
        "connection": str(exchange.source.number),
        "_streamId": exchange.stream_id,
    }
    entry.update(_extensions(exchange))
    return entry


def _extensions(exchange: Exchange) -> Iterator[tuple[str, Any]]:
    if exchange.parent:
        yield "_was_pushed", 1
        yield "_parentStreamId", exchange.parent
    if exchange.informational:
        yield "_informational", _informational(exchange)
    if exchange.reset_by is not None:
        yield "_resetBy", "client" if exchange.reset_by is Direction.SENT else "server"
        yield "_error", exchange.error
    if exchange.unfinished:
        yield "_unfinished", True
    if exchange.frames_omitted:
        yield "_framesOmitted", exchange.frames_omitted


def _informational(exchange: Exchange) -> list[_Fields]:
    return [
        {
            "status": response.status,
            "startedDateTime": date_of(exchange.source.began + response.at),
            "time": _milliseconds(exchange.began, response.at),
            "headers": _headers(response.headers),
        }
        for response in exchange.informational
    ]


def _timings(exchange: Exchange) -> dict[str, float]:
    """Milliseconds of the request's way, the server's thought, and the response's way.

    A response may begin before the request has ended; then nothing was waited for.
    """
    request, response = exchange.request, exchange.response
    answered = exchange.last if response.began is None else response.began
    sent = min(answered, exchange.last if request.ended is None else request.ended)
    ended = exchange.last if response.ended is None else response.ended
    return {
        "send": _milliseconds(exchange.began, sent),
        "wait": _milliseconds(sent, answered),
        "receive": _milliseconds(answered, ended),
    }


def _milliseconds(begin: float, end: float) -> float:
    return round(max(0.0, end - begin) * 1000, 3)


def _request(request: Message) -> _Fields:
    target = text_of(request.value(b":path"))
    fields: _Fields = {
        "method": text_of(request.value(b":method")),
        "url": _url(request, target),
        "httpVersion": _VERSION,
        "cookies": request_cookies(text_of(v) for n, v in request.headers if n == b"cookie"),
        "headers": _headers(request.headers),
        "queryString": _query(target),
        "headersSize": -1,
        "bodySize": request.size,
    }
    if request.size:
        fields["postData"] = {"mimeType": _type(request), "params": [], **_body(request, "_")}
    if request.trailers:
        fields["_trailers"] = _headers(request.trailers)
    return fields


def _url(request: Message, target: str) -> str:
    scheme = text_of(request.value(b":scheme")) or "https"
    authority = text_of(request.value(b":authority") or request.value(b"host"))
    # `*`, and what has no path at all, stand for the server itself (RFC 9110, 9.3.6 and 9.3.7).
    return f"{scheme}://{authority}{target if target.startswith('/') else ''}"


def _query(target: str) -> list[_Fields]:
    query = target.partition("?")[2]
    return [
        {"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)
    ]


def _response(exchange: Exchange) -> _Fields:
    response = exchange.response
    fields: _Fields = {
        "status": exchange.status,
        "statusText": "",
        "httpVersion": _VERSION,
        "cookies": response_cookies(
            text_of(value) for name, value in response.headers if name == b"set-cookie"
        ),
        "headers": _headers(response.headers),
        "content": _content(response),
        "redirectURL": text_of(response.value(b"location")),
        "headersSize": -1,
        "bodySize": response.size,
        "_transferSize": response.transferred,
    }
    if response.trailers:
        fields["_trailers"] = _headers(response.trailers)
    return fields


def _content(response: Message) -> _Fields:
    """Return the content, decoded if its coding is supported."""
    coding = response.value(b"content-encoding")
    whole = b"" if response.truncated else bytes(response.body)
    plain = undone(whole, coding)
    if plain is None:
        size = {"size": response.size}
        return {**size, "mimeType": _type(response), **_body(response, "")}
    size = {"size": len(plain), "compression": len(plain) - response.size}
    return {**size, "mimeType": _type(response), **_text(plain, "", is_whole=True)}


def _headers(headers: HeaderList) -> list[_Fields]:
    return [{"name": text_of(name), "value": text_of(value)} for name, value in headers]


def _type(message: Message) -> str:
    return text_of(message.value(b"content-type")) or _NO_TYPE


def _body(message: Message, underscore: str) -> _Fields:
    """Describe the kept part of the content as sent."""
    truncated = {"_truncated": True} if message.truncated else {}
    return {**_text(bytes(message.body), underscore, is_whole=not truncated), **truncated}


def _text(octets: bytes, underscore: str, *, is_whole: bool) -> _Fields:
    """Return the bytes as text, or in base64 if they are not text.

    Args:
        underscore: Stands before `encoding`, which HAR defines for responses only.
        is_whole: Otherwise a character that is cut off at the end is not an error, and is left out.
    """
    try:
        return {"text": codecs.getincrementaldecoder("utf-8")().decode(octets, final=is_whole)}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(octets).decode("ascii"), f"{underscore}encoding": "base64"}


def request_cookies(values: Iterable[str]) -> list[dict[str, Any]]:
    """Return a request's cookies; HTTP/2 may split them over several fields (RFC 9113, 8.2.3)."""
    pairs = [pair.strip() for value in values for pair in value.split(";")]
    return [_named(pair) for pair in pairs if "=" in pair]


def response_cookies(values: Iterable[str]) -> list[dict[str, Any]]:
    """Return the cookies that a response sets."""
    return [_cookie(value) for value in values if "=" in value.partition(";")[0]]


def _cookie(value: str) -> dict[str, Any]:
    pair, *attributes = value.split(";")
    cookie = _named(pair)
    for attribute in attributes:
        name, _, content = (part.strip() for part in attribute.partition("="))
        match name.lower():
            case "path" | "domain" as known:
                cookie[known] = content
            case "secure":
                cookie["secure"] = True
            case "httponly":
                cookie["httpOnly"] = True
            case "expires":
                cookie.update(_expiry(content))
            case _:  # HAR has no other
                pass
    return cookie


def _named(pair: str) -> dict[str, Any]:
    name, _, value = pair.partition("=")
    return {"name": name.strip(), "value": value.strip()}


def _expiry(date: str) -> dict[str, str]:
    """Return the time in ISO 8601, or None if it is invalid."""
    try:
        return {"expires": parsedate_to_datetime(date).isoformat()}
    except (ValueError, OverflowError):
        return {}
