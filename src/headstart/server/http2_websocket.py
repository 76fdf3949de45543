"""WebSockets over HTTP/2 (RFC 8441): the protocol of `websocket` on one stream.

The handshake is an extended CONNECT without key, Connection and Upgrade, and a 200 in place of a
101. `websockets` knows only that of HTTP/1.1. So it is given the request in the form of HTTP/1.1,
and its response is sent in that of HTTP/2. Frames, limits, PINGs and the application's side are
those of HTTP/1.1. Made by `http2_streams.Http2Streams`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Response

from headstart.reasons import Closing
from headstart.server.calls import Calls
from headstart.server.stream import StreamTransport
from headstart.server.websocket import Handshake, WebSocketConnection

# What HTTP/1.1 wants of a handshake and HTTP/2 has not (RFC 8441, 5). The key serves to keep caches
# and other protocols' servers out, and HTTP/2 needs none; so it is the same for all.
_HANDSHAKE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)
# RFC 8441, 5.1: not in HTTP/2; RFC 9110, 9.3.6: a tunnel has no length.
_NOT_IN_TUNNEL: Final = frozenset({"sec-websocket-accept", "content-length"})
_SWITCHING_PROTOCOLS: Final = 101
_ORDINARY: Final = frozenset({Closing.CLOSED, Closing.PEER_LEFT, Closing.DRAINED})


def offers_websockets(config: Config) -> bool:
    """Return whether WebSockets are spoken over HTTP/2: `--ws` names uvicorn's newest protocol."""
    return config.ws_protocol_class is WebSocketsSansIOProtocol


class StreamWebSocket(WebSocketConnection):
    """A WebSocket on one stream.

    Args:
        stream: The stream, on which the CONNECT has come.
        calls: The connection's.
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: The lifespan's.
        loop: The event loop.
    """

    def __init__(
        self,
        stream: StreamTransport,
        calls: Calls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._calls = calls
        self._stream = stream
        self._is_called = False

    def open(self) -> None:
        """Call the application, or refuse the handshake."""
        request = self._stream.request
        self._stream.set_protocol(self)
        self.connection_made(self._stream)
        self.begin(Handshake(request.target, request.headers, "2", _HANDSHAKE))
        self._is_called = self._task is not None

    def _respond(self, response: Response) -> None:
        self._conn.send_response(response)
        self._conn.data_to_send()  # in the form of HTTP/1.1
        accepted = response.status_code == _SWITCHING_PROTOCOLS
        fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers.raw_items()
            if not (accepted and name.lower() in _NOT_IN_TUNNEL)
        ]
        status = 200 if accepted else response.status_code
        self._stream.respond(status, fields, bytes(response.body or b""))

    def returned(self) -> None:
        """Note that the application has returned."""
        super().returned()
        self._is_called = False
        self._calls.left.discard(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the call as one that its client has left, until it ends."""
        if self._is_called:
            self._calls.left.add(self)
        super().connection_lost(exc)

    def _tell_end(self, exc: Exception | None) -> None:
        reason, peer, now, detail = self._how_it_ended()
        if reason not in _ORDINARY:
            self._worker.refusals.request(reason, peer, now, detail)

    def _leave(self) -> None:
        """Close the stream: bytes that still come on it reset nothing."""
        self._transport.close()

    def shutdown(self) -> None:
        """Say 1012 and end: the server stops, or the connection does."""
        if not self._transport.is_closing():
            super().shutdown()
