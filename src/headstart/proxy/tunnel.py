"""A WebSocket to an upstream over HTTP/2 (RFC 8441), as `websockets` knows it over HTTP/1.1.

The handshake is an extended CONNECT, and a 200 accepts it. `websockets` writes a GET and waits for
a 101: it gets one, made of the upstream's response. From then on its frames are the content of the
request and of the response. Made by `tunnel_pool`, opened by `websocket`.

    ClientConnection -- write --> Tunnel -- content of the request --> upstream
    ClientConnection <- data_received -- Tunnel <-- body of the response -- upstream
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.uri import WebSocketURI, parse_uri
from websockets.utils import accept_key

from headstart.client import AsyncResponse as Http2Response
from headstart.client import ClientError
from headstart.client.connection import Http2ClientConnection

# asyncio's own for TCP.
_HIGH_WATER: Final = 64 * 1024
# Seconds that the upstream has to end its side once this one has ended.
_CLOSE_SECONDS: Final = 10.0
# Content of a refusal that is passed on, as `websockets` has it over HTTP/1.1.
_MAX_REFUSAL: Final = 1024 * 1024
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
# Of HTTP/1.1's handshake alone.
_OF_HTTP1: Final = frozenset({"connection", "upgrade", "sec-websocket-key"})
_LENGTH: Final = "content-length"


def parsed_uri(uri: str) -> WebSocketURI:
    """Return the URI as `websockets` reads it, but with an empty query, which it drops."""
    parsed = parse_uri(uri)
    if uri.endswith("?") and not parsed.query:
        parsed.path = (parsed.path or "/") + "?"
    return parsed


class _Handshake(ClientProtocol):
    """The Sans-I/O protocol, whose request goes elsewhere."""

    def __init__(self, send: Callable[[Request], None], uri: str, **settings: Any) -> None:
        super().__init__(parsed_uri(uri), **settings)
        self._send = send

    def send_request(self, request: Request) -> None:
        """Send the handshake."""
        self._send(request)


class Tunnel(asyncio.Transport):
    """One stream to an upstream, as a transport for `websockets`.

    Args:
        connection: Must offer tunnels.
        released: Called when the stream has ended.
    """

    def __init__(self, connection: Http2ClientConnection, released: Callable[[], None]) -> None:
        super().__init__()
        self._connection = connection
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.Protocol = asyncio.Protocol()
        self._handshake: _Handshake
        self._buffer = bytearray()
        self._high_water = _HIGH_WATER
        self._writing_paused = False
        self._wanted = asyncio.Event()
        """There is something to send, or nothing more to come."""
        self._reading = asyncio.Event()
        self._reading.set()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(
        self,
        uri: str,
        *,
        additional_headers: list[tuple[str, str]],
        user_agent_header: str | None,
        open_timeout: float,
        **settings: Any,
    ) -> ClientConnection:
        """Do the handshake; return the connection.

        Args:
            settings: Those of `ClientProtocol`; the others are those of `websockets`' `connect`.

        Raises:
            WebSocketException: The upstream refused it, or broke it off.
            TimeoutError: It took longer than `open_timeout` seconds.
        """
        deflate = ClientPerMessageDeflateFactory(
            client_max_window_bits=True, compress_settings={"memLevel": 5}
        )
        try:
            self._handshake = _Handshake(self._ask, uri, extensions=[deflate], **settings)
            protocol = ClientConnection(self._handshake, ping_interval=None)
            self._protocol = protocol
            protocol.connection_made(self)
            async with asyncio.timeout(open_timeout):
                await protocol.handshake(additional_headers, user_agent_header)
        except BaseException:
            self.abort()
            raise
        return protocol

    # The stream.

    def _ask(self, request: Request) -> None:
        self._task = self._loop.create_task(self._run(request))
        self._task.add_done_callback(self._lost)

    async def _run(self, request: Request) -> None:
        """Send the handshake, then pass received bytes on until the upstream ends the stream."""
        fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.raw_items()
            if name.lower() not in _OF_HTTP1
        ]
        response = await self._connection.request(
            "CONNECT",
            request.path,
            fields,
            self._content(),
            use_pushes=False,
            protocol="websocket",
        )
        async with response:
            if response.status_code != HTTPStatus.OK:
                self._protocol.data_received(await self._refusal(response))
                return
            self._protocol.data_received(self._accepted(response))
            async for part in response.aiter_bytes():
                await self._reading.wait()
                self._protocol.data_received(bytes(part))
            self._protocol.eof_received()

    def _accepted(self, response: Http2Response) -> bytes:
        headers = _headers(response)
        headers["Connection"] = "Upgrade"
        headers["Upgrade"] = "websocket"
        headers["Sec-WebSocket-Accept"] = accept_key(self._handshake.key)
        return Response(101, _PHRASES[101], headers).serialize()

    async def _refusal(self, response: Http2Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MAX_REFUSAL:
                raise ConnectionError("the refusal of a WebSocket is too large")
        headers = _headers(response)
        headers["Content-Length"] = str(len(body))
        status = response.status_code
        return Response(status, _PHRASES.get(status, ""), headers, bytes(body)).serialize()

    async def _content(self) -> AsyncIterator[bytes]:
        while True:
            if self._buffer:
                data = bytes(self._buffer)
                self._buffer.clear()
                if self._writing_paused:
                    self._writing_paused = False
                    self._protocol.resume_writing()
                yield data
            elif self._closing:
                return
            else:
                self._wanted.clear()
                await self._wanted.wait()

    def _lost(self, task: asyncio.Task[None]) -> None:
        self._closing = True
        self._wanted.set()
        if self._timer is not None:
            self._timer.cancel()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ClientError):
            error = ConnectionError(str(error))
        self._protocol.connection_lost(cast("Exception | None", error))
        self._released()

    # The transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, as the upstream takes it."""
        if self._closing:
            return
        self._buffer += data
        self._wanted.set()
        if len(self._buffer) > self._high_water and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how much may wait before the protocol is paused."""
        self._high_water = _HIGH_WATER if high is None else high

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait here."""
        return len(self._buffer)

    def can_write_eof(self) -> bool:
        """Return False: the protocol closes the transport."""
        return False

    def pause_reading(self) -> None:
        """Leave received bytes with the connection, whose window runs out."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Pass received bytes on again."""
        self._reading.set()

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._closing

    def close(self) -> None:
        """End this side; the upstream has a while to end the other one."""
        if not self._closing:
            self._closing = True
            self._wanted.set()
            self._timer = self._loop.call_later(_CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Reset the stream, if there is one yet."""
        if self._task is not None:
            self._task.cancel()
        elif not self._closing:
            self._released()
        self._closing = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return nothing: no socket belongs to the stream alone."""
        return default


def _headers(response: Http2Response) -> Headers:
    return Headers(
        (name.decode("ascii"), value.decode("latin-1"))
        for name, value in response.headers.raw
        if name.decode("ascii") != _LENGTH
    )
