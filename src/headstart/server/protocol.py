"""Which protocol a connection speaks.

Over TLS, ALPN says it; in cleartext, the first bytes do: the HTTP/2 preface (RFC 9113, 3.4), or
anything else, which is HTTP/1.1 and goes to uvicorn together with WebSockets. uvicorn makes one
`HeadstartProtocol` per connection (`Config(http=...)`); it lives until it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.http2 import Http2Connection

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class HeadstartProtocol(asyncio.Protocol):
    """Waits until the protocol is known, then hands the transport over."""

    # uvicorn offers these by ALPN.
    alpn_protocols: ClassVar[list[str]] = ["h2", "http/1.1"]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._server_state = server_state
        self._connections: set[Any] = server_state.connections
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._options: ServerOptions = getattr(config, "headstart", None) or ServerOptions()
        self._transport: asyncio.Transport
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS knows already; cleartext has `preface_timeout` seconds to say it."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._hand_over(http2=tls.selected_alpn_protocol() == "h2")
            return
        self._connections.add(self)
        self._timer = self._loop.call_later(self._options.preface_timeout, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Gather bytes until they are, or can no longer become, the preface."""
        self._received += data
        if len(self._received) < len(PREFACE) and PREFACE.startswith(self._received):
            return
        self._leave()
        self._hand_over(http2=self._received.startswith(PREFACE))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it had said anything."""
        self._leave()

    def shutdown(self) -> None:
        """The server stops: nothing was asked for on this connection."""
        self._transport.close()

    def _leave(self) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _hand_over(self, http2: bool) -> None:
        make: Callable[..., asyncio.Protocol] = Http2Connection if http2 else AutoHTTPProtocol
        protocol = make(
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._received:
            protocol.data_received(self._received)
