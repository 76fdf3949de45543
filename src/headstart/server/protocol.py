"""Which connections are taken in, and which protocol each speaks.

A connection needs a seat first (`admission`). Over TLS, ALPN then says the protocol; in cleartext
the first bytes do: the HTTP/2 preface (RFC 9113, 3.4), or anything else, which is HTTP/1.1 and goes
to `http1` together with WebSockets. uvicorn makes one `HeadstartProtocol` per connection
(`Config(http=...)`); it lives until it knows. It does the TLS handshake itself, so that the
connection counts, and its time runs, before the handshake has ended.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.admission import Seat
from headstart.server.http1 import DRAIN_GRACE, Http1Connection
from headstart.server.http2 import Http2Connection
from headstart.server.tls import Handshake, TlsTransport
from headstart.server.worker import Worker

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
        self._worker = Worker.of(server_state, config, self._loop)
        self._options = self._worker.options
        self._transport: asyncio.Transport
        self._peer: object = None
        self._seat: Seat | None = None
        self._handshake: Handshake | None = None
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._end: Closing | None = None
        self._detail = ""
        """What more there is to say of it."""

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a seat; then cleartext has `preface_timeout` seconds to say what it speaks."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")
        seat = self._worker.ask(self._peer)
        if isinstance(seat, Closing):
            self._refuse(seat)
            return
        self._seat = seat
        self._worker.wake()
        self._connections.add(self)
        self._draining = self._worker.draining
        context: ssl.SSLContext | None = getattr(self._config, "tls", None)
        if context is not None:
            self._begin_handshake(context)
        elif (tls := transport.get_extra_info("ssl_object")) is not None:
            self._hand_over(tls.selected_alpn_protocol() == "h2")  # the event loop did it
        else:
            self._close_after(self._options.preface_timeout, Closing.PREFACE_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        """Gather bytes until they are, or can no longer become, the preface."""
        if self._end is not None:
            return
        if self._handshake is not None:
            self._shake_hands(self._handshake, data)
            return
        self._received += data
        if len(self._received) < len(PREFACE) and PREFACE.startswith(self._received):
            return
        self._hand_over(self._received.startswith(PREFACE))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it had said anything, or was sent away."""
        if self._seat is not None:
            self._seat.free()
            self._seat = None
            self._tell(self._end or Closing.PEER_LEFT, self._detail)
        self._leave()

    def shutdown(self) -> None:
        """The server stops: what was asked for in the moment before is still answered."""
        self._draining = self._worker.draining = True
        self._close_after(DRAIN_GRACE, Closing.DRAINED)

    # TLS.

    def _begin_handshake(self, context: ssl.SSLContext) -> None:
        self._close_after(self._options.handshake_timeout, Closing.HANDSHAKE_TIMEOUT)
        try:
            self._handshake = Handshake(self._transport, context, self._worker.tls_buffers)
        except ssl.SSLError as error:
            self._handshake_failed(error)

    def _shake_hands(self, handshake: Handshake, data: bytes) -> None:
        """Go on with the handshake; at its end, speak TLS on the connection."""
        try:
            rest = handshake.step(data)
        except ssl.SSLError as error:
            self._handshake_failed(error)
            return
        if rest is None:
            return
        raw, tls, timeout = self._transport, handshake.tls, self._options.stall_timeout
        transport = TlsTransport(raw, tls, self._worker.tls_buffers, self._loop, timeout)
        raw.set_protocol(transport)
        self._transport = transport
        self._hand_over(tls.selected_alpn_protocol() == "h2")
        if rest:
            transport.data_received(rest)

    def _handshake_failed(self, error: ssl.SSLError) -> None:
        self._end = Closing.HANDSHAKE_FAILED
        self._detail = error.reason or ""
        self._transport.close()  # behind the alert; its time goes on

    # Ends.

    def _close_after(self, delay: float, reason: Closing) -> None:
        if self._draining:
            delay, reason = DRAIN_GRACE, Closing.DRAINED
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._refuse, reason)

    def _refuse(self, reason: Closing) -> None:
        self._end = self._end or reason
        if self._seat is None:
            self._tell(reason)
        self._transport.abort()

    def _tell(self, reason: Closing, detail: str = "") -> None:
        self._worker.refusals.connection(reason, self._peer, self._loop.time(), detail)

    def _leave(self) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _hand_over(self, http2: bool) -> None:
        self._leave()
        make = Http2Connection if http2 else Http1Connection
        protocol: Http1Connection | Http2Connection = make(
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        protocol.seat, self._seat = self._seat, None
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._received:
            protocol.data_received(self._received)
        if self._draining:
            protocol.shutdown()
