"""Which connections are taken in, and which protocol each speaks.

A connection needs a slot first (`admission`). Over TLS, ALPN then says the protocol; in cleartext
the first bytes do: the HTTP/2 preface (RFC 9113, 3.4), or anything else, which is HTTP/1.1 and goes
to `http1` together with WebSockets. uvicorn makes one `HeadstartProtocol` per connection
(`Config(http=...)`); it lives until it knows. It does the TLS handshake itself, so that the
connection counts, and its time runs, before the handshake has ended.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, ClassVar, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.admission import ConnectionSlot
from headstart.server.deadlines import standstill
from headstart.server.http1 import DRAIN_GRACE, Http1Connection
from headstart.server.http1_response import answer
from headstart.server.http2 import Http2ServerConnection
from headstart.server.proxied import ProxiedTransport
from headstart.server.proxy_header import MalformedHeader, read_header
from headstart.server.reachable import keep_alive
from headstart.server.tls import Handshake, TlsBroken, TlsTransport
from headstart.server.worker import Worker

# No method that is registered is longer.
_LONGEST_METHOD: Final = 18
# How long a client that speaks no TLS may take to read that it should.
_LINGER: Final = 2.0
_SPEAK_TLS: Final = b"This is an HTTPS port: use https:// in place of http://.\n"

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def speaks_plain_http(data: bytes) -> bool | None:
    """Return whether the first bytes, of which there is one, begin a request without TLS.

    Returns:
        None if there are too few of them. No record of TLS begins with a letter (RFC 8446, 5.1).
    """
    method, space, _ = data[:_LONGEST_METHOD].partition(b" ")
    if not (method.translate(None, b"-").isalpha() and method.isupper()):
        return False
    if space:
        return True
    return None if len(data) < _LONGEST_METHOD else False


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
        self._slot: ConnectionSlot | None = None
        self._handshake: Handshake | None = None
        self._answered_at: float | None = None
        """When the client was last sent a part of the TLS handshake that it had to wait for."""
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._end: Closing | None = None
        self._detail = ""
        """What more there is to say of it."""
        self._awaits_header = False
        """The PROXY protocol's header has to come first."""

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a place; a cleartext client then has `preface_timeout` seconds to choose a
        protocol.
        """
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")
        slot = self._worker.ask(self._peer)
        if isinstance(slot, Closing):
            self._refuse(slot)
            return
        self._slot = slot
        keep_alive(transport)
        self._worker.wake()
        self._connections.add(self)
        self._draining = self._worker.draining
        if not self._options.proxy_protocol:
            self._begin()
        elif self._worker.trusts(self._peer):
            self._awaits_header = True
            self._close_after(self._options.preface_timeout, Closing.PREFACE_TIMEOUT)
        else:
            self._refuse_header("its sender is not trusted (--forwarded-allow-ips)")

    def _begin(self) -> None:
        """Begin with TLS, or wait for the first bytes of a cleartext client."""
        transport = self._transport
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
        if self._awaits_header:
            self._read_header(data)
            return
        if self._handshake is not None:
            self._shake_hands(self._handshake, data)
            return
        self._received += data
        if len(self._received) < len(PREFACE) and PREFACE.startswith(self._received):
            return
        self._hand_over(self._received.startswith(PREFACE))

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after a client that disconnected before its first bytes, or was refused."""
        if self._slot is not None:
            self._slot.free()
            self._slot = None
            self._tell(self._end or Closing.PEER_LEFT, self._detail)
        self._leave()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def shutdown(self) -> None:
        """Stop; requests of the moment before still get a response."""
        self._draining = self._worker.draining = True
        self._close_after(DRAIN_GRACE, Closing.DRAINED)

    # The PROXY protocol.

    def _read_header(self, data: bytes) -> None:
        """Read the header that names the client; the bytes after it are the client's."""
        data = self._received + data
        try:
            header = read_header(data)
        except MalformedHeader as error:
            self._refuse_header(str(error))
            return
        if header is None:
            self._received = data
            return
        self._awaits_header, self._received = False, b""
        if header.source is not None and header.destination is not None:
            self._peer = header.source
            if self._slot is not None and (full := self._worker.ask_for(self._slot, self._peer)):
                self._refuse(full)
                return
            self._transport = ProxiedTransport(self._transport, header.source, header.destination)
        self._begin()
        if rest := data[header.size :]:
            self.data_received(rest)

    def _refuse_header(self, detail: str) -> None:
        self._end, self._detail = Closing.PROXY_HEADER, detail
        self._transport.abort()

    # TLS.

    def _begin_handshake(self, context: ssl.SSLContext) -> None:
        self._close_after(self._options.handshake_timeout, Closing.HANDSHAKE_TIMEOUT)
        try:
            self._handshake = Handshake(self._transport, context, self._worker.tls_buffers)
        except ssl.SSLError as error:
            self._handshake_failed(error.reason or "")

    def _shake_hands(self, handshake: Handshake, data: bytes) -> None:
        """Go on with the handshake; at its end, speak TLS on the connection."""
        if not handshake.begun:
            data = self._received + data
            plain = speaks_plain_http(data)
            if plain is None:
                self._received = data
                return
            if plain:
                self._answer_plain_http(data)
                return
            self._received = b""
        try:
            rest = handshake.step(data)
        except ssl.SSLError as error:
            self._handshake_failed(error.reason or "")
            return
        except TlsBroken as failure:
            self._handshake_failed(failure.detail)
            return
        if rest is None:
            if handshake.answered:
                self._answered_at = self._loop.time()
            return
        raw, tls, worker = self._transport, handshake.tls, self._worker
        transport = TlsTransport(raw, tls, worker.tls_buffers, worker.turns, worker)
        raw.set_protocol(transport)
        self._transport = transport
        self._hand_over(tls.selected_alpn_protocol() == "h2")
        if rest:
            transport.data_received(rest)

    def _handshake_failed(self, detail: str) -> None:
        self._end = Closing.HANDSHAKE_FAILED
        self._detail = detail
        self._transport.close()  # behind the alert; its time goes on

    def _answer_plain_http(self, data: bytes) -> None:
        """Say in plain text that this port speaks TLS, and let the client read it.

        Closing with something unread would reset the connection, and the answer would be lost.
        """
        self._end = Closing.HANDSHAKE_FAILED
        self._detail = "HTTP_REQUEST"
        bare = data.startswith(b"HEAD ")
        defaults = self._server_state.default_headers
        self._transport.write(answer(400, _SPEAK_TLS, defaults, bare=bare))
        self._transport.write_eof()
        self._close_after(_LINGER, Closing.HANDSHAKE_FAILED)

    # Ends.

    def _close_after(self, delay: float, reason: Closing) -> None:
        if self._draining:
            delay, reason = DRAIN_GRACE, Closing.DRAINED
        if self._timer is not None:
            self._timer.cancel()
        due = self._loop.time() + delay
        self._timer = self._loop.call_later(delay, self._time_is_over, due, reason)

    def _time_is_over(self, due: float, reason: Closing) -> None:
        """Refuse the client; one that could not be heard has as much time again."""
        missed = standstill(self._loop.time(), due)
        if missed and not self._draining:
            self._close_after(missed, reason)
        else:
            self._refuse(reason)

    def _refuse(self, reason: Closing) -> None:
        self._end = self._end or reason
        if self._slot is None:
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
        make = Http2ServerConnection if http2 else Http1Connection
        protocol: Http1Connection | Http2ServerConnection = make(
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        if isinstance(protocol, Http2ServerConnection) and self._answered_at is not None:
            protocol.round_trip_took(self._loop.time() - self._answered_at)
        protocol.slot, self._slot = self._slot, None
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._received:
            protocol.data_received(self._received)
        if self._draining:
            protocol.shutdown()
