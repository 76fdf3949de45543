"""A stored response as ASGI messages: whole, one range of it, or 304.

Pure but for `send`. Called by `middleware`.
"""

from __future__ import annotations

import re

from headstart.cache.memory import Entry
from headstart.cache.policy import Fields, date
from headstart.cache.requests import CachedRequest
from headstart.deliver.asgi import Send

# RFC 9110, 15.4.5: what a 304 has of the fields that a 200 would have.
_WITH_304 = frozenset(
    (b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"link")
)
_RANGE = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def send_entry(
    request: CachedRequest, entry: Entry, send: Send, now: float, status_line: bytes
) -> None:
    """Answer the request with the entry.

    Args:
        now: Seconds since 1970, for Age.
        status_line: For Cache-Status (RFC 9211), without the cache's name.
    """
    entry.hits += 1
    own = told_fields(entry, now, status_line)
    status, fields, body = entry.status, entry.fields, entry.body
    asks = request.fields
    if status == 200:
        if _not_modified(asks, entry):
            status, body = 304, b""
            fields = [pair for pair in fields if pair[0] in _WITH_304]
        elif b"range" in asks and request.method == "GET":
            status, fields, body = _part(asks, entry)
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *own]})
    if request.method == "HEAD":
        body = b""
    elif status == 200:
        entry.shown = True
    await send({"type": "http.response.body", "body": body})


def told_fields(entry: Entry, now: float, status_line: bytes) -> Fields:
    """Return Age and Cache-Status; arguments as in `send_entry`."""
    return [
        (b"age", b"%d" % entry.age(now)),
        (b"cache-status", b"headstart; " + status_line),
    ]


def _not_modified(asks: dict[bytes, bytes], entry: Entry) -> bool:
    """RFC 9110, 13.2.2."""
    tags = asks.get(b"if-none-match")
    if tags is not None:
        own = entry.etag.removeprefix(b"W/")
        listed = (tag.strip().removeprefix(b"W/") for tag in tags.split(b","))
        return tags == b"*" or (bool(own) and own in listed)
    since = asks.get(b"if-modified-since")
    if since is None or not entry.modified:
        return False
    asked, modified = date(since), date(entry.modified)
    return asked is not None and modified is not None and modified <= asked


def _part(asks: dict[bytes, bytes], entry: Entry) -> tuple[int, Fields, bytes]:
    """Return the range that is asked for; the whole if it is not a single one (RFC 9110, 14.2)."""
    whole = entry.status, entry.fields, entry.body
    condition = asks.get(b"if-range")
    if condition is not None:
        same = entry.etag if condition.startswith((b'"', b"W/")) else entry.modified
        if condition != same or condition.startswith(b"W/"):
            return whole
    found = _RANGE.fullmatch(asks[b"range"].replace(b" ", b""))
    if found is None or found[1] == found[2] == b"":
        return whole
    length = len(entry.body)
    if not found[1]:
        start, end = max(0, length - int(found[2])), length - 1
    else:
        start = int(found[1])
        end = min(int(found[2]), length - 1) if found[2] else length - 1
    if found[1] and found[2] and int(found[1]) > int(found[2]):
        return whole
    fields = [pair for pair in entry.fields if pair[0] not in (b"content-length", b"content-range")]
    if start >= length or start > end:
        fields = [pair for pair in fields if pair[0] != b"content-type"]
        told = (b"content-range", b"bytes */%d" % length)
        return 416, [*fields, told, (b"content-length", b"0")], b""
    body = entry.body[start : end + 1]
    told = (b"content-range", b"bytes %d-%d/%d" % (start, end, length))
    return 206, [*fields, told, (b"content-length", b"%d" % len(body))], body
