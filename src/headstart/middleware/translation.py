"""Read ASGI scopes and messages as the learner's requests and responses.

Reads them and changes nothing, except that headers in an iterator, which can be read only once, are
replaced by a list. Called for all traffic that the learner sees: by `middleware`, `visit`, `watch`
and `probe`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Iterable, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from headstart.deliver.asgi import Message, Scope, headstart_extension, query_part
from headstart.deliver.request import is_prefetch
from headstart.learn import Answer, Request

_HTTP_1 = ("1.0", "1.1")
_SEQUENCES = (list, tuple)
_CONDITIONS = (b"if-none-match", b"if-modified-since")
_READ = frozenset(
    (
        b"content-type",
        b"cache-control",
        b"vary",
        b"set-cookie",
        b"content-length",
        b"etag",
        b"last-modified",
        b"expires",
        b"date",
        b"pragma",
        b"location",
    )
)
# RFC 9111, 4.2.2: the share of its age that a file without a lifetime may be kept for, as browsers
# do, and the longest lifetime that is assumed so.
_HEURISTIC_SHARE = 0.1
_LONGEST_HEURISTIC = 24 * 3600
# Browsers look at the age of a file where none of these stands.
_SAYS_LIFETIME = re.compile(r"max-age|no-cache|no-store|must-revalidate", re.IGNORECASE)


def connection_of(scope: Scope) -> Hashable:
    """Return an id of the connection: our server's number for it, or the client's address and port.

    Returns None if there is no id: a Unix socket has no client address, and a proxy's
    X-Forwarded-For has no port, which uvicorn shows as 0.
    """
    ours = headstart_extension(scope)
    if ours is not None:
        return ours["connection"]
    client = scope.get("client")
    return tuple(client) if client and client[1] else None


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return str(path + query_part(scope), "latin-1")


def learned_request(scope: Scope, referer_header: bytes = b"referer") -> Request:
    """Return the parts of a request that the learner needs.

    Made for each GET: only present values are decoded, and attributes are passed by position, which
    takes half as long.
    """
    found: dict[bytes, bytes] = dict(scope["headers"])
    get = found.get
    client = scope.get("client")
    agent, referer = get(b"user-agent"), get(referer_header)
    destination, mode = get(b"sec-fetch-dest"), get(b"sec-fetch-mode")
    accept = get(b"accept")
    return Request(
        scope["scheme"] + "://" + str(get(b"host", b""), "latin-1"),
        _target(scope),
        client[0] if client else "",
        "GET",
        str(agent, "latin-1") if agent else "",
        str(referer, "latin-1") if referer else "",
        # Over HTTP/1.1 a client opens six of them, so one says nothing.
        None if scope.get("http_version", "1.1") in _HTTP_1 else connection_of(scope),
        str(destination, "latin-1") if destination else "",
        str(mode, "latin-1") if mode else "",
        accept is not None and accept.find(b"text/html") >= 0,
        _CONDITIONS[0] in found or _CONDITIONS[1] in found,
        b"authorization" in found,
        is_prefetch(get(b"sec-purpose") or get(b"purpose")),
        get(b"sec-ch-ua-mobile") == b"?1",
        b"cookie" in found,
    )


def headers_of(message: Message) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers of a response; keep them as a list, since ASGI allows an iterator."""
    headers = message.get("headers") or ()
    if not isinstance(headers, _SEQUENCES):
        headers = message["headers"] = list(headers)
    return headers


def coding_of(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the Content-Encoding of a response, or ""."""
    found = b"".join(value for name, value in fields if name.lower() == b"content-encoding")
    return found.decode("latin-1")


# An application has few field names and says them again and again, mostly in lower case.
@lru_cache(maxsize=256)
def _read_name(name: bytes) -> bytes | None:
    """Return the name in lower case if the learner reads the header, else None."""
    lower = name.lower()
    return lower if lower in _READ else None


def learned_answer(status: int, headers: Any) -> Answer:
    """Return the parts of a response's head that the learner needs."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        read = _read_name(bytes(name))
        if read is not None:
            known = found.get(read)
            found[read] = value if known is None else known + b", " + value
    get = found.get
    content_type, cache_control, vary = get(b"content-type"), get(b"cache-control"), get(b"vary")
    length = get(b"content-length", b"").partition(b",")[0]
    modified = get(b"last-modified")
    said = str(cache_control, "latin-1") if cache_control else ""
    if not said and b"no-cache" in get(b"pragma", b""):
        said = "no-cache"  # as browsers and caches read it (RFC 9111, 5.4)
    expires = get(b"expires")
    return Answer(
        status,
        str(content_type, "latin-1") if content_type else "",
        said,
        str(vary, "latin-1") if vary else "",
        b"set-cookie" in found,
        int(length) if length.isdigit() else 0,
        modified is not None or b"etag" in found,
        _heuristic_lifetime(modified) if modified and not _SAYS_LIFETIME.search(said) else None,
        None if expires is None else _expires_in(expires, get(b"date")),
        str(get(b"location", b""), "latin-1"),
    )


def _expires_in(expires: bytes, date: bytes | None) -> int:
    """Return the seconds until `expires`; 0 where it is over or not a date (RFC 9111, 5.3)."""
    until = _timestamp(expires)
    now = _timestamp(date) if date else None
    return 0 if until is None else max(0, int(until - (time.time() if now is None else now)))


def _heuristic_lifetime(modified: bytes) -> int | None:
    """Return how long a browser keeps a response without a lifetime (RFC 9111, 4.2.2), or None."""
    changed = _timestamp(modified)
    if changed is None:
        return None
    age = time.time() - changed
    return min(_LONGEST_HEURISTIC, int(age * _HEURISTIC_SHARE)) if age > 0 else 0


@lru_cache(maxsize=256)
def _timestamp(date: bytes) -> float | None:
    try:
        return parsedate_to_datetime(str(date, "latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None  # not a date of HTTP: as good as none
