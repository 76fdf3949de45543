"""One request on its way to an upstream, and its response on the way back.

A request's first content is taken before an upstream connection is, so slow clients hold
none. While an upload goes on, the response is already read: an upstream may answer early. Content
is passed on as it comes, and nothing is read that the other side has no room for. Called by `app`
and `attempt`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeAlias

from headstart.deliver.asgi import Message, Receive, Scope, Send, offers
from headstart.errors import LocalProtocolError
from headstart.proxy.failures import UpstreamError
from headstart.proxy.fields import Fields, leading_back, trailers_to_client
from headstart.proxy.heads import RequestHead
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.http2 import Http2Stream
from headstart.proxy.responses import ResponseHead
from headstart.reasons import Gateway

# RFC 9110, 9.2.2: what may be sent once more if it may have been received already.
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
_STORABLE = frozenset(("GET", "HEAD"))
_CONTINUE_SECONDS: Final = 1.0
_MISCOUNTED: Final = "The request's content is not as long as its Content-Length says"

UpstreamConnection: TypeAlias = Http1Connection | Http2Stream


class ClientLeft(Exception):
    """The client disconnected before its request was whole."""


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task of an exchange, and wait until it has."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class ForwardedRequest:
    """One request and its response.

    Attributes:
        started: A final header section went to the client.
        left: The client disconnected.
        head: The header section for the upstream, but for its target.
        target: Path and query.
        trace: Fields that tell the upstream of the request's place in a trace.
        status: Of the upstream's response, or 0 before it came.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        head: RequestHead,
        target: bytes,
        inner_host: bytes = b"",
    ) -> None:
        self.started = False
        self.left = False
        self.head = head
        self.target = target
        self.trace: Fields = []
        self.status = 0
        self._scope = scope
        self._inner_host = inner_host
        self._receive = receive
        self._send = send
        self._first = b""
        # A client that waits for a 100 gets it from the upstream, so its content comes later.
        self._more = head.expects_continue
        self._due = head.content_length
        self._miscounted = False
        self._upload: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._go_on: asyncio.Event | None = None
        self._connection: UpstreamConnection | None = None

    def begin_with(self, message: Message) -> None:
        """Take the first part of the request's content, before there is a connection.

        Raises:
            ClientLeft: The client disconnected.
        """
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._first = message.get("body", b"")
        self._more = message.get("more_body", False)

    @property
    def repeatable(self) -> bool:
        """The whole request is still here, and may be sent twice."""
        return not self._more and not self.started and self.head.method in _IDEMPOTENT

    async def run(self, connection: UpstreamConnection) -> None:
        """Send the request on `connection` and pass the response on.

        Raises:
            UpstreamError: The response did not come whole.
            LocalProtocolError: The request's content is not as long as it says.
            ClientLeft: The client disconnected.
        """
        self._due = self.head.content_length
        self._count(self._first, self._more)
        head = self.head.with_trace(self.trace) if self.trace else self.head
        kept = connection.used
        connection.start(head, self.target, self._first, more=self._more)
        if self._more:
            if self.head.expects_continue:
                self._go_on = asyncio.Event()
            self._upload = asyncio.create_task(self._send_content(connection))
        self._connection = connection
        connection.when_slow = self._watch_client
        try:
            answer = await connection.next_head()
            # RFC 9110, 15.5.9: servers say so to an idle connection, and a request may cross it.
            if answer.status == HTTPStatus.REQUEST_TIMEOUT and kept and self.repeatable:
                raise UpstreamError(Gateway.CLOSED, "it gave up waiting", stale=True)
            await self._respond(connection, answer)
        except UpstreamError:
            if self.left:
                raise ClientLeft from None
            if self._miscounted:
                raise LocalProtocolError(_MISCOUNTED) from None
            raise
        finally:
            connection.when_slow = None
            if self._upload is not None:
                await _ended(self._upload)
            if self._watch is not None:
                await _ended(self._watch)

    def _watch_client(self) -> bool:
        """Begin to listen for the client's disconnect, unless its content is still read."""
        if self._connection is None or (self._upload is not None and not self._upload.done()):
            return False
        self._watch = asyncio.create_task(self._until_left(self._connection))
        return True

    async def _until_left(self, connection: UpstreamConnection) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not connection.ended:
            self.left = True
            connection.close()

    # Towards the upstream.

    def _count(self, body: bytes, more: bool) -> None:
        """Check the content against its Content-Length; bytes beyond would be another request."""
        if self._due is None:
            return
        self._due -= len(body)
        if self._due < 0 or (self._due and not more):
            raise LocalProtocolError(_MISCOUNTED)

    async def _send_content(self, connection: UpstreamConnection) -> None:
        """Pass the rest of the request's content on, as the upstream takes it."""
        if self._go_on is not None:
            # An upstream that knows no Expect waits for the content (RFC 9110, 10.1.1).
            with suppress(TimeoutError):
                await asyncio.wait_for(self._go_on.wait(), _CONTINUE_SECONDS)
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left = True
                connection.close()  # the upstream must not take what it has for the whole
                return
            body, more = message.get("body", b""), message.get("more_body", False)
            try:
                self._count(body, more)
            except LocalProtocolError:
                self._miscounted = True
                connection.close()
                return
            try:
                await connection.send_content(body, last=not more)
            except UpstreamError:
                return  # the response, or its lack, tells

    # Towards the client.

    async def _respond(self, connection: UpstreamConnection, head: ResponseHead) -> None:
        while head.status < 200:
            await self._inform(head)
            head = await connection.next_head()
        self.status = head.status
        fields = head.passed()
        if self._inner_host:
            root = self._scope.get("root_path", "").encode()
            plain = b"" if self._scope.get("scheme") == "https" else root + self.target
            fields = leading_back(fields, self._inner_host, root, plain)
        if not head.dated:
            fields.append((b"date", formatdate(usegmt=True).encode("ascii")))
        start: Message = {"type": "http.response.start", "status": head.status, "headers": fields}
        early = None
        # Broken off before its content, it can still become a 502. Mostly one read has both.
        if not connection.ended and self._may_hold(head):
            early = connection.take() or await connection.next_chunk()
        else:
            connection.check()
        self.started = True
        trailers = self._passes_trailers(connection, head)
        if connection.ended and not trailers:  # most responses are whole by now
            await self._send(start)
            await self._send(
                {"type": "http.response.body", "body": (early or b"") + connection.take()}
            )
            return
        if trailers:
            start["trailers"] = True
        await self._send(start)
        while (chunk := early or await connection.next_chunk()) is not None:
            early = None
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
        if trailers:
            await self._send(
                {
                    "type": "http.response.trailers",
                    "headers": trailers_to_client(connection.trailers),
                }
            )

    def _passes_trailers(self, connection: UpstreamConnection, head: ResponseHead) -> bool:
        """Return whether the client is to expect trailers behind the content.

        Servers of gRPC announce none. A response to GET or HEAD has none unless it announces them:
        the cache stores no response with trailers, and Firefox asks for trailers with every
        request.
        """
        if not offers(self._scope, "http.response.trailers"):
            return False
        if head.announces_trailers or self._scope["method"] in _STORABLE:
            return head.announces_trailers
        if connection.ended:
            return bool(connection.trailers)
        return b"content-length" not in head.single

    def _may_hold(self, head: ResponseHead) -> bool:
        """Return whether the head may wait for the first content.

        A stream of events has no Content-Length, and its head is news; but over HTTP/2 the server
        waits for content itself. A client that still sends may wait for the head.
        """
        is_uploading = self._upload is not None and not self._upload.done()
        is_awaited = b"content-length" in head.single or self._scope.get("http_version") == "2"
        return is_awaited and not is_uploading

    async def _inform(self, head: ResponseHead) -> None:
        """Pass a 1xx on: 100 asks for the content, 103 goes to a client that takes it."""
        if head.status == 100:
            if self._go_on is not None:
                self._go_on.set()
        elif head.status == 103 and offers(self._scope, "http.response.early_hint"):
            links = [value for name, value in head.fields if name == b"link"]
            if links:
                await self._send({"type": "http.response.early_hint", "links": links})
