"""A request of httpx as `headstart.client` sends it.

Called by `transport` and `sync`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import httpx

from headstart.client.contents import Content
from headstart.client.origin import Origin, split_url
from headstart.client.prepared import PreparedRequest
from headstart.errors import ConfigurationError

# RFC 9113, 8.2.2: HTTP/2 has no such headers, and httpx sets some of them in every request.
_OF_HTTP1 = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def prepared(request: httpx.Request) -> PreparedRequest:
    """Return a request of httpx as the client sends it.

    Raises:
        ConfigurationError: The URL is not of http or https, or has no scheme.
    """
    url = request.url
    timeouts = request.extensions.get("timeout", {})
    read, write = timeouts.get("read"), timeouts.get("write")
    content = _content(request)
    # One time-out counts until the response begins; a body that the server does not take is given
    # up as a write.
    both = read if content is None or isinstance(content, bytes) else _longer(read, write)
    # httpx has parsed the URL already: its parts are taken as they are.
    return PreparedRequest(
        _origin(url.scheme, url.raw_host.decode("ascii"), url.port),
        request.method,
        _target(request),
        [field for field in _fields(request.headers.raw) if field[0] not in _OF_HTTP1],
        content,
        [],
        None,
        both,
        slot_timeout=_endless(timeouts.get("pool")),
        connect_timeout=_endless(timeouts.get("connect")),
    )


def _target(request: httpx.Request) -> str:
    """Return the path and query, or the extension in their place; for instance `*`."""
    given = request.extensions.get("target")
    return request.url.raw_path.decode("ascii") if given is None else given.decode("latin-1")


# To check an origin costs as much as the rest, and programs ask the same few.
@lru_cache(maxsize=512)
def _origin(scheme: str, host: str, port: int | None) -> Origin:
    bracketed = f"[{host}]" if ":" in host else host
    origin, _ = split_url(f"{scheme}://{bracketed}" + (f":{port}" if port else ""))
    if origin is None:
        raise ConfigurationError(
            "the request's URL does not begin with https:// or http://",
            hint="Give a full URL, or give base_url to the client.",
        )
    return origin


def _fields(raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    # RFC 9113, 8.2.1: names are in lower case; httpx keeps a caller's spelling.
    return [(name.lower(), value) for name, value in raw]


def _content(request: httpx.Request) -> Content:
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):  # it was given as a whole, so it can be sent again
        return b"".join(stream) or None
    return cast(Content, stream)


def _longer(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


def _endless(seconds: float | None) -> float:
    """In a `PreparedRequest`, None is the client's own time-out."""
    return math.inf if seconds is None else seconds
