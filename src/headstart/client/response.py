"""The caller's view: a response, and the pushes that came with it.

Made by `client.connection` and `client.pushed`; reads an `ResponseStream`, and releases it when
nobody reads on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import TracebackType
from typing import Any

from headstart.client.errors import HTTPStatusError, RequestError
from headstart.client.headers import Headers
from headstart.client.response_stream import Informational, Promise, ResponseStream, Times
from headstart.client.text import LineDecoder, charset, decoder
from headstart.errors import LocalProtocolError


class AsyncResponse:
    """The response to a request. Its body can be read once.

    Close it with `aclose()`, or use it as an async context manager, unless its body is read to the
    end: unread bytes hold back the other streams of its connection.

    Attributes:
        status_code: 200 to 999.
        headers: A mapping whose names ignore case.
        from_push: The server had pushed it, so that nothing was sent for it.
    """

    __slots__ = (
        "_content",
        "_exchange",
        "_is_cut",
        "_is_reading",
        "_timeout",
        "from_push",
        "headers",
        "status_code",
    )

    def __init__(self, exchange: ResponseStream, timeout: float | None, *, from_push: bool) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._content: bytes | None = None
        self._is_reading = False
        self._is_cut = False
        """It was closed with a part of the body here that nobody had read."""
        self.status_code = exchange.status or 0
        self.headers = Headers(exchange.headers)
        self.from_push = from_push

    def __repr__(self) -> str:
        exchange = self._exchange
        return f"<AsyncResponse {self.status_code} to {exchange.method} {exchange.target}>"

    @property
    def stream_id(self) -> int:
        """The stream that it came on; even where it was pushed."""
        return self._exchange.stream_id

    @property
    def is_complete(self) -> bool:
        """Return true if all of it is here, so that reading it waits for nothing."""
        return self._exchange.ended and self._exchange.error is None

    def extra_info(self, name: str) -> Any:
        """Return information on its connection, or None.

        Args:
            name: As for `asyncio.BaseTransport.get_extra_info`: `peername`, `sockname`,
                `ssl_object`, `socket`.
        """
        return self._exchange.owner.extra_info(name)

    @property
    def times(self) -> Times:
        """When it came; complete once the body was read to its end."""
        exchange = self._exchange
        return Times(exchange.started, exchange.responded, exchange.completed)

    @property
    def informational(self) -> list[Informational]:
        """1xx responses that came before it: seconds since the request, status, fields."""
        return self._exchange.informational

    @property
    def pushes(self) -> Pushes:
        """Return the pushes promised with it (RFC 9113, 8.4), for `async for`."""
        return Pushes(self._exchange, self._timeout)

    @property
    def trailers(self) -> Headers:
        """Fields behind the body (RFC 9110, 6.5), known once the body was read to its end."""
        return Headers(self._exchange.trailers)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body's parts as they arrive, without decoding their Content-Encoding.

        Each part that is taken lets the server send as much more, so a body of any length needs no
        more memory than `ClientLimits.stream_window`. Whoever stops before the end closes the
        response, which resets its stream.

        Raises:
            RequestError: The rest will not come.
            ClientTimeoutError: Nothing came for the request's time-out.
        """
        take = self._exchange.take_part
        while data := take() or await self._next():
            yield data

    async def aiter_text(self) -> AsyncIterator[str]:
        """Yield the body's parts as text; see `text` for its encoding.

        Raises:
            RequestError: The rest will not come.
            ClientTimeoutError: Nothing came within the request's timeout.
        """
        decoding = decoder(self._content_type())
        async for part in self.aiter_bytes():
            if text := decoding.decode(part):
                yield text
        if text := decoding.decode(b"", final=True):
            yield text

    async def aiter_lines(self) -> AsyncIterator[str]:
        """Yield the body's lines as they arrive, without their ends.

        A line ends with LF, CR LF or CR, as in server-sent events. Other separators, such as
        U+2028, may stand within a line, as in JSON.

        Raises:
            RequestError: The rest will not come.
            ClientTimeoutError: Nothing came within the request's timeout.
        """
        decoding = LineDecoder(self._content_type())
        async for part in self.aiter_bytes():
            for line in decoding.feed(part):
                yield line
        for line in decoding.end():
            yield line

    def _content_type(self) -> str:
        return self.headers.get("content-type", "")

    async def _next(self) -> bytes:
        if self._is_cut:
            raise RequestError("the response is closed", hint="Read it before.")
        try:
            return await self._exchange.next_part(self._timeout)
        except BaseException:
            # Time-out or cancellation: nobody reads on.
            self._exchange.owner.cancel(self._exchange)
            raise

    async def aread(self) -> bytes:
        """Return the whole body, or the rest that `aiter_bytes()` has not yielded; always the same.

        Raises:
            RequestError: The rest will not come, or the response is closed.
            ClientTimeoutError: Nothing came within the request's timeout.
            LocalProtocolError: Another task is reading it.
        """
        if self._content is None:
            if self._is_reading:
                raise LocalProtocolError("the body is being read", hint="Wait for that.")
            self._is_reading = True
            try:
                exchange, parts = self._exchange, []
                # Most bodies are whole by now, in one part.
                while not exchange.is_read or self._is_cut:
                    data = exchange.take_part() or await self._next()
                    if not data:
                        break
                    parts.append(data)
                self._content = parts[0] if len(parts) == 1 else b"".join(parts)
            finally:
                self._is_reading = False
        return self._content

    @property
    def content(self) -> bytes:
        """The body, once `aread()` was called; b"" before."""
        return self._content or b""

    @property
    def text(self) -> str:
        """`content` as text, in the encoding that Content-Type names, or else UTF-8."""
        try:
            return self.content.decode(charset(self._content_type()), "replace")
        except (LookupError, ValueError):  # not all that Python knows decode whatever comes
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """`content` as JSON (RFC 8259).

        Raises:
            ValueError: The content is not JSON.
        """
        return json.loads(self.content)

    @property
    def is_success(self) -> bool:
        """Return true if the status is 200 to 299."""
        return 200 <= self.status_code <= 299

    @property
    def is_error(self) -> bool:
        """Return true if the status is 400 or more; above 599 counts as 5xx (RFC 9110, 15)."""
        return self.status_code >= 400

    def raise_for_status(self) -> AsyncResponse:
        """Return the response if its status is 200 to 299.

        Raises:
            HTTPStatusError: It is not.
        """
        if self.is_success:
            return self
        exchange, code = self._exchange, self.status_code
        hint = "To follow redirects, use httpx with headstart.httpx." if code < 400 else ""
        raise HTTPStatusError(
            f"the response to {exchange.method} {exchange.target} has the status {_named(code)}",
            response=self,
            hint=hint,
        )

    async def aclose(self) -> None:
        """Let go of it: a stream that is still open is reset with CANCEL."""
        self._is_cut = self._is_cut or bool(self._exchange.chunks)
        self._exchange.owner.cancel(self._exchange)

    async def __aenter__(self) -> AsyncResponse:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _named(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


class Pushes:
    """The pushes promised on one stream, for `async for`; each loop begins with the first.

    The loop ends when no more can come: when the response has ended or failed, or if push is off.
        An
    unread body does not end, so read it before, or at the same time. The last
    `ClientLimits.max_pushes` are remembered.

    Raises:
        ClientTimeoutError: Nothing moved within the request's timeout.
    """

    def __init__(self, exchange: ResponseStream, timeout: float | None) -> None:
        self._exchange = exchange
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[AsyncServerPush]:
        exchange = self._exchange
        last = 0
        while True:
            # RFC 9113, 5.1.1: each promise has a higher number than the one before.
            promise = next((one for one in exchange.promises if one.stream_id > last), None)
            if promise is not None:
                last = promise.stream_id
                yield AsyncServerPush(promise, self._timeout)
            elif exchange.may_promise:
                await exchange.change(self._timeout)
            else:
                return


class AsyncServerPush:
    """One promised response.

    Attributes:
        request: The request that the server answers unasked.
    """

    def __init__(self, promise: Promise, timeout: float | None) -> None:
        self._promise = promise
        self._timeout = timeout
        self.request = promise.request

    def __repr__(self) -> str:
        return f"<AsyncServerPush {self.request.method} {self.request.url}>"

    @property
    def stream_id(self) -> int:
        """The promised stream, an even number."""
        return self._promise.stream_id

    async def response(self) -> AsyncResponse:
        """Return the response once its header section is here; no other request gets it then.

        Raises:
            RequestError: The server reset it, it was used for another request, or it was dropped
                for lack of room.
            ClientTimeoutError: Nothing moved within the parent's timeout.
        """
        exchange = self._promise.take()
        if exchange is None:
            raise RequestError(
                f"what was pushed for {self.request.target} is no longer here",
                hint="It has answered another request, or there was no room for it.",
            )
        try:
            await exchange.response_begun(self._timeout)
        except BaseException:
            exchange.owner.cancel(exchange)
            raise
        return AsyncResponse(exchange, self._timeout, from_push=True)

    def reject(self) -> None:
        """Refuse it: the stream is reset with CANCEL if it is open (RFC 9113, 8.4.2)."""
        exchange = self._promise.take()
        if exchange is not None:
            exchange.owner.cancel(exchange)
