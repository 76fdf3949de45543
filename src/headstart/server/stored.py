"""Pushes that are answered from the cache, without a call of the application.

A promised request has no condition, no range and no content, so a fresh stored response answers it
as it is. Anything else goes the way of a call (`cache.CacheMiddleware`), and so does the first push
of each stored response, for the middleware around the cache to see it.

`http2_streams.Http2Streams` owns one `StoredPushes` and says when to send. Reads the cache, and
keeps the header section of a stored response beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from weakref import ref

from headstart.cache import CacheMiddleware
from headstart.cache.memory import Entry
from headstart.cache.requests import CachedRequest
from headstart.cache.serve import told_fields
from headstart.errors import StreamGoneError
from headstart.server.cycle import log_access
from headstart.server.promised import PromisedRequest, PushTemplate
from headstart.server.remainder import Remainder
from headstart.server.scope import FORWARDED, Scopes
from headstart.server.stream_connection import StreamConnection
from headstart.wire.events import Fields, RequestReceived
from headstart.wire.responses import response_head
from headstart.wire.server import ServerConnection


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The header section of a stored response, with its age.

    Attributes:
        fields: `:status` first.
        since, until: Seconds since 1970 between which Age and Cache-Status are right.
        defaults: Date and Server, as the same object.
    """

    fields: Fields
    since: float
    until: float
    defaults: Fields


class StoredPushes:
    """Answers the promised requests of one connection with stored responses.

    Args:
        cache: The cache around the application.
        scopes: The connection's.
        wire: The connection's.

    Attributes:
        due: Promised requests, and the header sections and bodies that go out with the next write.
    """

    __slots__ = ("_cache", "_root", "_scheme", "_scopes", "_wire", "due")

    def __init__(self, cache: CacheMiddleware, scopes: Scopes, wire: ServerConnection) -> None:
        self._cache = cache
        self._scopes = scopes
        self._wire = wire
        self._scheme = scopes.scheme
        self._root: Final = scopes.raw_root
        self.due: list[tuple[int, PromisedRequest, Fields, bytes]] = []

    def take(self, stream_id: int, promised: PromisedRequest, defaults: Fields) -> bool:
        """Answer a promised request with the next write, if a stored response does.

        Args:
            stream_id: The promised stream.
            promised: The promised request.
            defaults: Date and Server; the same object as long as its content is the same.

        Returns:
            False if the request has to go the way of a call.
        """
        now = self._cache.clock()
        # Mostly it is answered as before, by a response whose section still holds.
        if (
            (stored := promised.stored) is not None
            and (entry := stored()) is not None
            and entry.is_kept
            and type(head := entry.head) is StoredHead
            and head.since <= now < head.until
            and head.defaults is defaults
        ):
            entry.hits += 1
        else:
            entry = self._find(promised, now)
            if entry is None:
                return False
            promised.stored = ref(entry)
            head = entry.head = _head_of(entry, now, defaults)
        self.due.append((stream_id, promised, head.fields, entry.body))
        return True

    def _find(self, promised: PromisedRequest, now: float) -> Entry | None:
        """Look for a stored response that answers a promised request.

        As a header section holds for a second at most, the cache hears often enough that the
        response is in use.
        """
        template = promised.template
        if not template.looked_up:
            self._look_up(template)
        asks = template.asks
        if asks is None:
            return None
        key = promised.key
        if key is None:
            scheme, host, _, front = asks.key
            key = promised.key = (scheme, host, self._root + promised.head.target, front)
        return self._cache.ready(asks, key, now)

    def send(self, connection: StreamConnection) -> list[StoredResponse]:
        """Queue what is due, behind what the pages have sent by now.

        Returns:
            Those that are too large to be queued at once, and are on their way.
        """
        due, self.due = self.due, []
        connection.server_state.total_requests += len(due)
        self._cache.count_hits(len(due))
        rest: list[StoredResponse] = []
        own_room, told = connection.scheduler.own_room, connection.notes_responses
        respond = self._wire.respond
        for stream_id, promised, fields, body in due:
            if told:
                self._tell(connection, promised.on(stream_id), fields)
            fits = len(body) <= own_room
            try:
                # No 103 is held for a promised stream, and the write is under way.
                respond(stream_id, fields, fits, body if fits else b"")
            except StreamGoneError:
                continue  # reset with its page, or the whole connection closed
            if not fits:
                rest.append(StoredResponse(connection, promised.on(stream_id), body))
        return rest

    def _tell(self, connection: StreamConnection, request: RequestReceived, fields: Fields) -> None:
        if connection.access_log:
            log_access(request, self._scopes.of_pushed(request)[0], fields)
        if connection.counts is not None:
            status = int(fields[0][1])
            connection.counts.ended("2", True, status, False, time.perf_counter())

    def _look_up(self, template: PushTemplate) -> None:
        """Note how the cache sees requests with this common part."""
        template.looked_up = True
        request = template.request
        if request.method != "GET":
            return
        asks = CachedRequest(
            {
                "method": request.method,
                "scheme": self._scheme,
                "raw_path": b"/",
                "headers": request.headers,
            }
        )
        # What a proxy in front says may change the scheme, which uvicorn's middleware knows.
        if FORWARDED.isdisjoint(asks.names) and not (asks.bypasses or asks.says):
            template.asks = asks


def _head_of(entry: Entry, now: float, defaults: Fields) -> StoredHead:
    """Return the header section of a hit, as `cache.serve` and the application's way make it."""
    age, left = entry.age(now), entry.left(now)
    headers = [*entry.fields, *told_fields(entry, now, b"hit; ttl=%d" % left)]
    until = now + min(int(age) + 1 - age, left - int(left))
    return StoredHead(response_head(entry.status, headers, defaults).fields, now, until, defaults)


class StoredResponse:
    """A stored response that is too large to be queued at once, on its way.

    Attributes:
        request: The promised request.
        stream_id: Its stream.
        complete: All of it was handed to the wire.
        awaits_body, uploads, answered_early: Always False: a promised request has no content.
        received: Always 0.
    """

    awaits_body = uploads = answered_early = False
    received = 0

    def __init__(self, connection: StreamConnection, request: RequestReceived, body: bytes) -> None:
        self.request = request
        self.stream_id = request.stream_id
        self.complete = False
        self._connection = connection
        self._rest: Remainder | None = Remainder(connection, self.stream_id, body)

    def writable(self) -> None:
        """Queue as much as there is room for."""
        if self._rest is None:
            return
        try:
            self.complete = self._rest.go_on()
        except StreamGoneError:
            self.disconnect()
            return
        if self.complete:
            self._rest = None
        else:
            self._connection.wait_for_room(self)

    def disconnect(self) -> None:
        """Send no more: the stream was reset, or the connection lost."""
        self._rest = None

    def data_received(self, data: bytes, end_stream: bool) -> None:
        """Ignore content, which no promised request has."""

    def body_ended(self) -> None:
        """Ignore the end of content."""

    def drop_body(self) -> None:
        """Drop no content: there is none."""
