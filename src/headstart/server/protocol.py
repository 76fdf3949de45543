"""Which connections are taken in, and which protocol each speaks.

A connection needs a seat first (`admission`). Over TLS, ALPN then says the protocol; in cleartext
the first bytes do: the HTTP/2 preface (RFC 9113, 3.4), or anything else, which is HTTP/1.1 and goes
to `http1` together with WebSockets. uvicorn makes one `HeadstartProtocol` per connection
(`Config(http=...)`); it lives until it knows. On Python 3.12 and later it does the TLS handshake
itself, so that the connection counts, and its time runs, before the handshake has ended.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Coroutine
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.admission import Seat
from headstart.server.http1 import DRAIN_GRACE, Http1Connection
from headstart.server.http2 import Http2Connection
from headstart.server.worker import Worker

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

if sys.version_info >= (3, 12):
    OWN_HANDSHAKE = True

    def _start(
        handshake: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[None]:
        # At once: uvloop reads from the socket before a task that is merely scheduled has begun.
        return asyncio.Task(handshake, loop=loop, eager_start=True)

else:
    OWN_HANDSHAKE = False

    def _start(
        handshake: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[None]:
        return loop.create_task(handshake)


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
        self._handshake: asyncio.Task[None] | None = None
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._end: Closing | None = None

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
        if self._worker.draining:
            self.shutdown()
        context: ssl.SSLContext | None = getattr(self._config, "tls", None)
        if context is not None:
            self._handshake = _start(self._shake_hands(context), self._loop)
        elif transport.get_extra_info("ssl_object") is not None:
            self._hand_over(self._alpn() == "h2")
        else:
            self._close_after(self._options.preface_timeout, Closing.PREFACE_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        """Gather bytes until they are, or can no longer become, the preface."""
        self._received += data
        if self._handshake is not None:
            return  # the client was quicker than the end of `_shake_hands`
        if len(self._received) < len(PREFACE) and PREFACE.startswith(self._received):
            return
        self._hand_over(self._received.startswith(PREFACE))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it had said anything, or was sent away."""
        if self._handshake is None:  # else it fails, and knows why
            self._gone()

    def shutdown(self) -> None:
        """The server stops: what was asked for in the moment before is still answered."""
        self._draining = self._worker.draining = True
        self._close_after(DRAIN_GRACE, Closing.DRAINED)

    # TLS.

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        """Speak TLS on the connection from now on (RFC 8446, 4)."""
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._options.handshake_timeout,
                ssl_shutdown_timeout=self._options.stall_timeout,
            )
        except ConnectionAbortedError:
            self._handshake_failed(Closing.HANDSHAKE_TIMEOUT)
        except ssl.SSLError as error:
            self._handshake_failed(Closing.HANDSHAKE_FAILED, error.reason or "")
        except OSError:
            self._handshake_failed(Closing.PEER_LEFT)
        else:
            self._handshake = None
            if transport is None or transport.is_closing():
                self._handshake_failed(Closing.PEER_LEFT)
                return
            self._transport = transport
            self._hand_over(self._alpn() == "h2")

    def _handshake_failed(self, reason: Closing, detail: str = "") -> None:
        self._handshake = None
        self._end = self._end or reason
        self._transport.abort()
        self._gone(detail)

    def _alpn(self) -> str | None:
        tls: ssl.SSLObject = self._transport.get_extra_info("ssl_object")
        return tls.selected_alpn_protocol()

    # Ends.

    def _close_after(self, delay: float, reason: Closing) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._refuse, reason)

    def _refuse(self, reason: Closing) -> None:
        self._end = reason
        if self._seat is None:
            self._tell(reason)
        self._transport.abort()

    def _gone(self, detail: str = "") -> None:
        if self._seat is not None:
            self._seat.free()
            self._seat = None
            self._tell(self._end or Closing.PEER_LEFT, detail)
        self._leave()

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
