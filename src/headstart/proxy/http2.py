"""One request to an upstream over HTTP/2, on a connection shared by several.

`headstart.client` implements the protocol. This module gives one of its streams the interface that
`exchange` expects of a connection, and turns its errors into `UpstreamError`. Made by `pool`.

    start() ── next_head() ── next_chunk() ... None

A task of the stream sends the request and reads. It waits while a part of the response waits to be
taken, and ends with the stream: an unread response is reset (RFC 9113, 8.1), on both sides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from headstart.client import ClientError, ClientTimeoutError, RequestError
from headstart.client.connection import Http2ClientConnection
from headstart.config import ProxyOptions
from headstart.errors import LocalProtocolError
from headstart.proxy.failures import UpstreamError
from headstart.proxy.fields import Fields
from headstart.proxy.heads import RequestHead
from headstart.proxy.responses import ResponseHead
from headstart.reasons import Gateway


class Http2Stream:
    """A stream to an upstream, for one request.

    Attributes:
        connection: The one that it is of.
        when_slow: Called by the pool once a second until it returns True.
        ended: The whole response has come and was taken.
        trailers: Fields behind the content; there once it has ended.
        closed: It can serve nothing more.
        reusable: Always False: the connection is shared, the stream is not used again.
        used: Always False: nothing was asked on this stream before.
    """

    reusable = used = False

    def __init__(self, connection: Http2ClientConnection, options: ProxyOptions) -> None:
        self.connection = connection
        self.ended = False
        self.closed = False
        self.trailers: Fields = []
        self.when_slow: Callable[[], bool] | None = None
        self._options = options
        self._heads: deque[ResponseHead] = deque()
        self._final = False
        self._informational = 0
        self._chunk: bytes | None = None
        self._content: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._error: UpstreamError | None = None
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, head: RequestHead, target: bytes, first: bytes, *, more: bool) -> None:
        """Send a request; see `Http1Connection.start`."""
        content: AsyncIterator[bytes] | bytes | None = None
        if more:
            content = self._parts(first)
        elif first or head.content_length is not None:
            content = first
        self._task = asyncio.get_running_loop().create_task(self._run(head, target, content))

    async def _parts(self, first: bytes) -> AsyncIterator[bytes]:
        if first:
            yield first
        while (part := await self._content.get()) is not None:
            yield part

    async def send_content(self, data: bytes, *, last: bool) -> None:
        """Send more of the request; waits while the upstream takes no more.

        Raises:
            UpstreamError: The stream ended.
        """
        for part in (data, None) if last else (data,):
            if part == b"":
                continue
            putting = asyncio.ensure_future(self._content.put(part))
            assert self._task is not None
            try:
                await asyncio.wait([putting, self._task], return_when=asyncio.FIRST_COMPLETED)
            finally:
                putting.cancel()
            if self._error is not None:
                raise self._error

    async def next_head(self) -> ResponseHead:
        """Return the next header section: any number of 1xx, then the final one.

        Raises:
            UpstreamError: None comes.
        """
        await self._until(lambda: bool(self._heads))
        return self._heads.popleft()

    async def next_chunk(self) -> bytes | None:
        """Return the received part of the response's content; None at its end.

        Raises:
            UpstreamError: It broke off.
        """
        await self._until(lambda: self._chunk is not None or self.ended)
        return self.take() or None

    def check(self) -> None:
        """Look whether the response broke off before any of its content.

        Raises:
            UpstreamError: It did, as far as is known without waiting.
        """
        if self._error is not None and self._chunk is None:
            raise self._error

    def take(self) -> bytes:
        """Return the content that is there without waiting, or b""."""
        chunk, self._chunk = self._chunk, None
        self._taken.set()
        return chunk or b""

    def close(self) -> None:
        """End the stream at once."""
        self.closed = True
        if self._task is not None:
            self._task.cancel()
        if not self.ended and self._error is None:
            self._fail(UpstreamError(Gateway.CLOSED, "the proxy closed the stream"))

    # The task.

    async def _run(
        self, head: RequestHead, target: bytes, content: AsyncIterator[bytes] | bytes | None
    ) -> None:
        try:
            await self._ask(head, target, content)
        except ClientTimeoutError as error:
            self._fail(UpstreamError(Gateway.RESPONSE_TIMEOUT, str(error)))
        except RequestError as error:
            unanswered = not self._heads and not self._final
            again = unanswered and (error.stale or not error.processed)
            self._fail(
                UpstreamError(_reason(error), str(error), stale=again, unanswered=unanswered)
            )
        except ClientError as error:
            self._fail(UpstreamError(Gateway.CLOSED, str(error)))
        except LocalProtocolError as error:
            self._fail(UpstreamError(Gateway.MALFORMED, str(error)))
        except UpstreamError as error:
            self._fail(error)

    async def _ask(
        self, head: RequestHead, target: bytes, content: AsyncIterator[bytes] | bytes | None
    ) -> None:
        fields = [*head.fields, *head.trace]
        if head.content_length is not None:
            fields.append((b"content-length", b"%d" % head.content_length))
        response = await self.connection.request(
            head.method,
            target.decode("ascii"),
            fields,
            content,
            timeout=self._options.upstream_response_timeout,
            read_timeout=self._options.upstream_read_timeout,
            use_pushes=False,
            informed=self._inform,
        )
        async with response:
            self._final = True
            self._heads.append(ResponseHead(response.status_code, list(response.headers.raw)))
            self._changed.set()
            async for part in response.aiter_bytes():
                self._taken.clear()
                self._chunk = bytes(part)
                self._changed.set()
                while self._chunk is not None:
                    await self._taken.wait()
                    self._taken.clear()
            self.trailers = list(response.trailers.raw)
            self.ended = True
            self._changed.set()

    def _inform(self, status: int, fields: Fields) -> None:
        self._informational += 1
        if self._informational > self._options.max_upstream_informational:
            raise UpstreamError(Gateway.TOO_LARGE, "it sends 1xx responses without end")
        self._heads.append(ResponseHead(status, list(fields)))
        self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()

    def _fail(self, error: UpstreamError) -> None:
        self.closed = True
        self._error = self._error or error
        self._changed.set()
        self._taken.set()


def _reason(error: RequestError) -> Gateway:
    if error.too_large:
        return Gateway.TOO_LARGE
    return Gateway.MALFORMED if error.malformed else Gateway.CLOSED
