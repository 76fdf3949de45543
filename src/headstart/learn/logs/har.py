"""HTTP archives (HAR) as browsers and `h2c start --dump-format har` write them.

An archive is one JSON value and is read whole, so its size is bounded. Called by `file`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, Final
from urllib.parse import urlsplit

from headstart.errors import ConfigurationError
from headstart.learn.logs.lines import Fields

MAX_ARCHIVE: Final = 64 << 20
"""Bytes of an archive, unpacked. As Python's values it takes up to twenty times as many."""


def entries_of(stream: IO[bytes]) -> Iterator[Fields | None]:
    """Yield the named fields of each entry by its time, None for an invalid one.

    Raises:
        ConfigurationError: The archive is larger than MAX_ARCHIVE.
    """
    text = stream.read(MAX_ARCHIVE + 1)
    if len(text) > MAX_ARCHIVE:
        raise ConfigurationError(
            f"an HTTP archive (HAR) of more than {MAX_ARCHIVE >> 20} MiB is not read",
            hint="Save it without content, or save fewer pages in one archive.",
        )
    try:
        entries = json.loads(text.decode("utf-8-sig", "replace"))["log"]["entries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        yield None
        return
    for entry in sorted(entries, key=_started):
        try:
            yield _entry(entry)
        except (KeyError, TypeError, AttributeError, ValueError):
            yield None


def _started(entry: Any) -> str:
    return str(entry.get("startedDateTime")) if isinstance(entry, dict) else ""


def _entry(entry: Fields) -> Fields:
    request, response = entry["request"], entry["response"]
    asked, said = _headers(request), _headers(response)
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
        "location": response.get("redirectURL") or said.get("location", ""),
        "cookie": "set-cookie" in said,
        "validated": "etag" in said or "last-modified" in said,
    }


def _headers(message: Fields) -> dict[str, str]:
    return {header["name"].lower(): header["value"] for header in message.get("headers") or ()}
