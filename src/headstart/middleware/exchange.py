"""Scopes and messages of ASGI, read as the learner's requests and answers.

Reads what a server or an application made, and changes nothing but headers that can be read only
once, which it keeps as a list. Called for all that the learner is told: by `middleware`, `visit`,
`watch` and `glance`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any

from headstart.deliver.asgi import Message, Scope
from headstart.learn import Answer, Request

_HTTP_1 = ("1.0", "1.1")
_SEQUENCES = (list, tuple)
_CONDITIONS = (b"if-none-match", b"if-modified-since")
_READ = frozenset((b"content-type", b"cache-control", b"vary", b"set-cookie", b"content-length"))


def connection_of(scope: Scope) -> Hashable:
    """What stands for the connection: our server's number for it, or the client's address and port.

    None where there is no such thing: a Unix socket names no client, and a proxy's X-Forwarded-For
    no port, which uvicorn shows as 0.
    """
    ours = (scope.get("extensions") or {}).get("headstart")
    if ours is not None:
        number: int = ours["connection"]
        return number
    client = scope.get("client")
    return tuple(client) if client and client[1] else None


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return str(path + b"?" + query if query else path, "latin-1")


def learned_request(scope: Scope, referer_header: bytes = b"referer") -> Request:
    """What the learner needs of a request.

    Made for each GET: nothing is decoded that is not there, and fields go by position, which takes
    half as long.
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
    )


def headers_of(message: Message) -> Sequence[tuple[bytes, bytes]]:
    """The fields of an answer; ASGI allows an iterator, which can be read once, so it is kept."""
    headers = message.get("headers") or ()
    if not isinstance(headers, _SEQUENCES):
        headers = message["headers"] = list(headers)
    return headers


# An application has few field names and says them again and again, mostly in lower case.
@lru_cache(maxsize=256)
def _read_name(name: bytes) -> bytes | None:
    """The name in lower case, where the learner reads the field; else None."""
    lower = name.lower()
    return lower if lower in _READ else None


def learned_answer(status: int, headers: Any) -> Answer:
    """What the learner needs of the head of an answer."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        read = _read_name(bytes(name))
        if read is not None:
            known = found.get(read)
            found[read] = value if known is None else known + b", " + value
    get = found.get
    content_type, cache_control, vary = get(b"content-type"), get(b"cache-control"), get(b"vary")
    length = get(b"content-length", b"").partition(b",")[0]
    return Answer(
        status,
        str(content_type, "latin-1") if content_type else "",
        str(cache_control, "latin-1") if cache_control else "",
        str(vary, "latin-1") if vary else "",
        b"set-cookie" in found,
        int(length) if length.isdigit() else 0,
    )
