"""Request, response and route of the admin port: what a page there is written with.

A handler takes a `Request` and the `Workers` to ask, and returns a `Response`. `pages` has the
table of routes; `app` calls the handlers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headstart.admin.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that has passed the guard.

    Attributes:
        method: GET or POST; a HEAD is a GET here.
        path: Decoded, without the query.
        query: The last value of each parameter.
        form: The last value of each field of a POST (application/x-www-form-urlencoded).
        headers: By name in lower case.
        csrf: The token that each form must carry as its field `csrf`.
    """

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response; the guard adds its fields, among them `Cache-Control: no-store`.

    Attributes:
        body: The content, or its parts as they come: for `text/event-stream`.
        status: The status code.
        content_type: Of the body.
        headers: More fields, for instance `location`.
    """

    body: bytes | AsyncIterator[bytes] = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


Handler: TypeAlias = Callable[[Request, Workers], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path and its handler.

    Attributes:
        method: GET or POST. The form of a POST is checked for `Request.csrf` before its handler.
        path: Compared as a whole.
        handler: Makes the response. An error that it raises is logged and answered 500.
        public: Served without the token.
    """

    method: str
    path: str
    handler: Handler
    public: bool = False


def text(content: str, status: int = 200) -> Response:
    """Return a response of plain text."""
    return Response(body=content.encode(), status=status)
