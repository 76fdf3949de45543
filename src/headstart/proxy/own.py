"""Responses that the proxy makes itself, in the upstream's place.

They name nothing of the inside. Called by `app`.
"""

from __future__ import annotations

from email.utils import formatdate

from headstart.deliver.asgi import Send
from headstart.proxy.fields import Fields
from headstart.proxy.heads import RequestHead

_PAGES = {
    400: b"Bad request: its content is not as long as it says, or a field is malformed.\n",
    405: b"Method not allowed.\n",
    502: b"Bad gateway: the site's server gave no usable response. Please try again.\n",
    503: b"Service unavailable: the site is busy. Please try again.\n",
    504: b"Gateway timeout: the site's server took too long. Please try again.\n",
    508: b"Loop detected: the site's address leads back to this proxy.\n",
}


async def refuse(send: Send, method: str, status: int, *more: tuple[bytes, bytes]) -> None:
    """Answer in the upstream's place."""
    page = _PAGES.get(status, b"")
    fields: Fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(page)),
        (b"cache-control", b"no-store"),
        (b"date", formatdate(usegmt=True).encode("ascii")),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else page})


async def answer_as_last(send: Send, head: RequestHead) -> None:
    """Answer a request that may go no further (RFC 9110, 7.6.2)."""
    if head.method == "OPTIONS":
        await refuse(send, head.method, 200)
    else:  # TRACE would show the client what other proxies added
        await refuse(send, head.method, 405, (b"allow", b"GET, HEAD, OPTIONS"))
