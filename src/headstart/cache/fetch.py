"""One call of the application, whose response is recorded if it may be stored.

The response passes as it comes; a client that reads slowly holds only itself up. Made by
`middleware` for each request that the cache cannot answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from headstart.cache.memory import Entry
from headstart.cache.policy import Fields, freshness, stored_fields
from headstart.cache.requests import CachedRequest, listed, number
from headstart.deliver.asgi import Message, Receive, Send

# RFC 5861, 4.
_ERRORS = frozenset((500, 502, 503, 504))


class Fetch:
    """The response to one request, on its way to its client and into the cache.

    Args:
        request: As the client made it.
        send: The client's.
        store: Takes the whole response.
        max_entry: Bytes of a body that is stored.
        clock: Seconds since 1970.
        why: For Cache-Status: why the application is asked.
        old: The stored response that is validated by the call.

    Attributes:
        request: As the client made it.
        decided: Done once its response is stored, or will not be; others wait for that.
        begun: When the application was asked, on the event loop's clock.
        status: The response's; 0 until it begins.
        storable: The response may be stored, as far as it has come.
        stored: The response is stored, or the old one is confirmed.
        not_modified: The old response is still right.
        outdated: The old response is not right any more, as one to HEAD shows.
        confirmed: The old response with the fields of the 304 that confirmed it.
        varies: The 304 says that the response depends on other fields than the old one did.
        failed: The application failed, and the old response may be used instead.
    """

    def __init__(
        self,
        request: CachedRequest,
        send: Send,
        store: Callable[[Entry], None],
        max_entry: int,
        clock: Callable[[], float],
        why: bytes,
        old: Entry | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.decided: asyncio.Future[None] = loop.create_future()
        self.begun = loop.time()
        self.status = 0
        self.storable = False
        self.stored = False
        self.not_modified = False
        self.outdated = False
        self.confirmed: Entry | None = None
        self.varies = False
        self.failed = False
        self.request = request
        self._send = send
        self._store = store
        self._max_entry = max_entry
        self._clock = clock
        self._why = why
        self._old = old
        self._entry: Callable[[bytes], Entry] | None = None
        self._parts: list[bytes] = []
        self._length = 0

    def receive_with(self, receive: Receive) -> Receive:
        """Return a `receive` that notices content: a GET with content is stored for nobody."""

        async def watched() -> Message:
            message = await receive()
            if message.get("body"):
                self.give_up()
            return message

        return watched

    def give_up(self) -> None:
        """Store nothing; the response still passes."""
        self.storable = False
        self._entry = None
        self._parts = []
        if not self.decided.done():
            self.decided.set_result(None)

    def send(self, message: Message) -> Awaitable[None]:
        """ASGI's send for the application."""
        kind = message["type"]
        if kind == "http.response.start":
            return self._send_nothing() if self._begin(message) else self._send(self._told(message))
        if self.not_modified or self.failed:
            return self._send_nothing()  # the old response is sent in its place
        if kind == "http.response.body":
            self._record(message)
        elif kind == "http.response.pathsend":
            self.give_up()
        # What the server's own returns is awaited by the application: a coroutine around it would
        # double the cost of a push.
        return self._send(message)

    async def _send_nothing(self) -> None:
        """Send nothing: the client must not see it."""

    def _begin(self, message: Message) -> bool:
        """Decide how to use the response; return true if the client must not see it."""
        self.status = message["status"]
        old, now = self._old, self._clock()
        if old is not None and self.status == 304:
            self.not_modified = True
            self._confirm(old, _lower(message.get("headers") or ()), now)
            return True
        if old is not None and self.status in _ERRORS and -old.left(now) < old.freshness.if_error:
            self.failed = True
            return True
        fields = _lower(message.get("headers") or ())
        fresh = None
        if old is not None and self.request.method == "HEAD" and self.status == 200:
            self._compare(old, fields, now)
        storable = self.request.method == "GET" and not message.get("trailers")
        if storable and self._entry is None and not self.decided.done():
            fresh = freshness(self.request, self.status, fields, now)
        if fresh is None or _length(fields) > self._max_entry:
            self.give_up()
            return False
        self.storable = True
        single = dict(fields)
        vary = _vary(fields)
        request, status, kept = self.request, self.status, stored_fields(fields)
        self._entry = lambda body: Entry(
            status,
            _with_length(kept, status, body),
            body,
            vary,
            request.selecting(vary),
            fresh,
            now,
            single.get(b"etag", b""),
            single.get(b"last-modified", b""),
        )
        return False

    def _compare(self, old: Entry, fields: Fields, now: float) -> None:
        """Update the stored response from one to HEAD, or note its end (RFC 9111, 4.3.5)."""
        single = dict(fields)
        length = _length(fields)
        validators = single.get(b"etag", b""), single.get(b"last-modified", b"")
        if validators == (old.etag, old.modified) and length in (-1, len(old.body)):
            self._confirm(old, fields, now)
        else:
            self.outdated = True

    def _confirm(self, old: Entry, fields: Fields, now: float) -> None:
        """Update the stored response from a 304 (RFC 9111, 4.3.4)."""
        new = {name for name, _ in fields} - {b"content-length", b"content-encoding"}
        kept = [pair for pair in old.fields if pair[0] not in new]
        merged = kept + [pair for pair in stored_fields(fields) if pair[0] in new]
        # The question carried only what the old response depended on.
        self.varies = _vary(merged) != old.vary
        fresh = freshness(self.request, old.status, merged, now)
        # A Set-Cookie, for instance, must not become a part of what others get.
        if fresh is None or self.varies or self.decided.done():
            return
        single = dict(merged)
        self.confirmed = replace(
            old,
            fields=merged,
            freshness=fresh,
            received=now,
            etag=single.get(b"etag", b""),
            modified=single.get(b"last-modified", b""),
            shown=False,
            head=None,
        )
        self._store(self.confirmed)
        self.stored = True

    def _told(self, message: Message) -> Message:
        """Add Cache-Status."""
        told = b"headstart; %b%b" % (self._why, b"; stored" if self.storable else b"")
        fields = [*(message.get("headers") or ()), (b"cache-status", told)]
        return {**message, "headers": fields}

    def _record(self, message: Message) -> None:
        if self._entry is None:
            return
        body = message.get("body", b"")
        self._length += len(body)
        if self._length > self._max_entry:
            self.give_up()
            return
        if body:
            self._parts.append(bytes(body))
        if not message.get("more_body", False):
            entry, self._entry = self._entry(b"".join(self._parts)), None
            self._parts = []
            if _length(entry.fields) in (-1, len(entry.body)):
                self._store(entry)
                self.stored = True
            if not self.decided.done():
                self.decided.set_result(None)


def _lower(fields: Any) -> Fields:
    return [(bytes(name).lower(), bytes(value)) for name, value in fields]


def _vary(fields: Fields) -> tuple[bytes, ...]:
    return listed(b",".join(value for name, value in fields if name == b"vary"))


def _with_length(fields: Fields, status: int, body: bytes) -> Fields:
    """Return the fields of a stored response with its length, which was not known while it came.

    Over HTTP/1.1 it is sent without chunks then. RFC 9110, 8.6: a 204 has none.
    """
    if status == 204 or _length(fields) >= 0:
        return fields
    return [*fields, (b"content-length", b"%d" % len(body))]


def _length(fields: Fields) -> int:
    for name, value in fields:
        if name == b"content-length" and value.isdigit():
            return number(value) or 0
    return -1
