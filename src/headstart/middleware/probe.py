"""A request for neither a page nor a known asset: a probe, not all that is read else.

Most requests of an API are such. Reads a scope of our own server, which tells connections apart,
and the head of the answer; keeps beside the connection's requests which fields say nothing of
pages. Called by `middleware` for each GET of a connection on which nobody viewed a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from headstart.deliver.asgi import Message, Scope, Send
from headstart.deliver.held import HELD
from headstart.middleware.shared import Shared
from headstart.middleware.translation import headers_of, learned_request
from headstart.middleware.watch import answered, take_part

# Connections whose plain fields are kept, up to 16 KiB each; others are looked at anew.
_MOST_PLAIN = 256
# Name of what takes the body of a page that such a request asked for.
_CAPTURE = "headstart.capture"


def is_no_page(shared: Shared, scope: Scope, ours: Mapping[str, Any]) -> bool:
    """Return true if this is probably not a page, as far as the request shows.

    Where nobody viewed a page on the connection, it is nobody's asset either.

    Args:
        ours: The scope's extension `headstart`.
    """
    headers = scope["headers"]
    if shared.learner.knows_path(scope["raw_path"]) or _says_page(headers):
        return False
    keep_plain(shared, ours["connection"], headers)
    return True


def keep_plain(shared: Shared, connection: int, headers: Any) -> None:
    """Keep fields of the connection that say nothing of pages; the oldest go first."""
    plain = shared.plain
    plain.pop(connection, None)
    plain[connection] = list(headers)
    if len(plain) > _MOST_PLAIN:
        del plain[next(iter(plain))]


def probe(
    shared: Shared, scope: Scope, connection: int, send: Send, message: Message
) -> Awaitable[None]:
    """Return a `send` for a probably irrelevant request that checks whether its response matters.

    It does if it opens a view, being HTML, or if it says that a resource is missing. This is not a
    coroutine itself, since two of them per request cost more than the work done here.
    """
    if message["type"] == "http.response.start":
        if message["status"] != 200 or _may_be_html(message) or connection in shared.viewers:
            capture = answered(shared, scope, learned_request(scope, shared.referer), message)
            if capture is not None:
                scope[_CAPTURE] = capture
        message = scope[HELD].released(message)
    elif _CAPTURE in scope:
        take_part(scope[_CAPTURE], message)
    return send(message)


def _says_page(headers: Any) -> bool:
    """Return true if the headers of a request suggest a page: a browser's, or ones that ask for
    HTML.
    """
    found: dict[bytes, bytes] = dict(headers)
    return b"sec-fetch-dest" in found or found.get(b"accept", b"").find(b"text/html") >= 0


def _may_be_html(message: Message) -> bool:
    """Return true if a response seems to be HTML; a closer look decides.

    Not by `in`: with bytes on both sides that takes ten times as long as `find`.
    """
    headers = message.get("headers")
    if type(headers) is not list:
        headers = headers_of(message)
    for name, value in headers:
        if name == b"content-type":
            # The first says it: of two, it is none (`learned_answer` joins them).
            return value.find(b"html") >= 0
    return b" ".join([value for _, value in headers]).find(b"html") >= 0
