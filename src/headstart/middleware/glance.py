"""A request that is no page's and nobody's asset: a glance instead of all that is read else.

Most requests of an API are such. Reads a scope of our own server, which tells connections apart,
and the head of the answer; keeps beside the connection's requests which fields say nothing of
pages. Called by `middleware` for each GET of a connection on which nobody viewed a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from headstart.deliver.asgi import Message, Scope, Send
from headstart.learn import Learner
from headstart.middleware.exchange import headers_of, learned_request
from headstart.middleware.shared import Shared
from headstart.middleware.watch import answered

# Name of what is kept beside a connection's requests: the fields of one that says nothing of pages.
PLAIN = "headstart.plain"


def is_no_page(learner: Learner, scope: Scope, ours: Mapping[str, Any]) -> bool:
    """Whether this is no page, as far as that shows before the answer.

    Where nobody viewed a page on the connection, it is nobody's asset either.

    Args:
        ours: The scope's extension `headstart`.
    """
    headers = scope["headers"]
    if learner.knows_path(scope["raw_path"]) or _says_page(headers):
        return False
    if "kept" in ours:
        ours["kept"][PLAIN] = list(headers)
    return True


def glance(
    shared: Shared, scope: Scope, connection: int, send: Send, message: Message
) -> Awaitable[None]:
    """A `send` for what seems of no interest: looks whether its answer is all the same.

    It is if it opens a view, being HTML, or if it says of something that it is not there. No
    coroutine of its own, since two of them a request cost more than what is done here.
    """
    if message["type"] == "http.response.start" and (
        message["status"] != 200 or _may_be_html(message) or connection in shared.viewers
    ):
        answered(shared, scope, learned_request(scope, shared.referer), message)
    return send(message)


def _says_page(headers: Any) -> bool:
    """Whether the fields of a request say something of pages: of a browser, or that wants HTML."""
    found: dict[bytes, bytes] = dict(headers)
    return b"sec-fetch-dest" in found or found.get(b"accept", b"").find(b"text/html") >= 0


def _may_be_html(message: Message) -> bool:
    """Whether an answer seems to say that it is HTML; a closer look tells.

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
