"""TLS between the socket of one connection and its protocol.

Replaces asyncio's own TLS, which takes longer for each response: there an exception ends each read,
and each write goes through a queue. A protocol to the TCP transport below, and the
transport of the protocol above. Made by `client.connect`; `client.dialing` waits for its handshake.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, Protocol, cast

from headstart.client.channel import Channel
from headstart.tls_object import extra_info, is_closed_by_both

# As asyncio's: what one read takes at most.
_READ: Final = 256 * 1024
# RFC 8446, 5.1: the content of one record at most. A smaller buffer would leave a part of it in
# OpenSSL, of which the incoming bytes tell nothing.
_RECORD: Final = 16 * 1024
# As asyncio's: seconds for the handshake, and for the server's answer to our close_notify.
_HANDSHAKE_PATIENCE: Final = 60.0
_CLOSE_PATIENCE: Final = 30.0


class _Decrypting(Protocol):
    """`SSLObject.read` with a buffer, for which its type has no result of its own."""

    def __call__(self, size: int, buffer: memoryview, /) -> int: ...


class TlsTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """TLS of one connection to a server.

    A renegotiation ends the connection, as HTTP/2 wants it (RFC 9113, 9.2.1).

    Args:
        protocol: Gets the decrypted bytes.
        context: Certificates and rules.
        name: The host that the server's certificate must name.
    """

    def __init__(self, protocol: Channel, context: ssl.SSLContext, name: str) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._context, self._name = context, name
        self._tls: ssl.SSLObject
        self._decrypting: _Decrypting
        self._buffer = memoryview(bytearray(_READ))
        # Plain flags, as a member of an enum takes longer to look up than a record to decrypt.
        self._is_open = False
        """Can be written to: between the handshake and our close_notify."""
        self._has_begun = False
        """The protocol above has its transport."""
        self._established: asyncio.Future[None] = self._loop.create_future()
        self._failure: Exception | None = None
        self._raw = asyncio.Transport()
        self._timer: asyncio.TimerHandle | None = None

    async def established(self) -> None:
        """Wait until the handshake is done, and the protocol above has its transport.

        Raises:
            ssl.SSLError: It failed.
            OSError: The connection was lost, or the server took too long.
        """
        try:
            await self._established
        except BaseException:
            self.abort()
            raise

    # The protocol of the TCP transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        # uvloop's transports have the methods of asyncio's, and another base.
        self._raw = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(_HANDSHAKE_PATIENCE, self._handshake_took_too_long)
        try:
            self._tls = self._context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=self._name
            )
        except (ssl.SSLError, ValueError, TypeError) as error:  # such as a server's context
            self._fail(error)
            return
        self._decrypting = cast(_Decrypting, self._tls.read)
        self._shake_hands()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came from the server."""
        self._incoming.write(self._buffer[:nbytes])
        if self._is_open:
            self._read()
        elif self._has_begun:
            if self._drop():
                self._raw.close()
        else:
            self._shake_hands()

    def eof_received(self) -> bool:
        """Handle the end of the server's bytes, with or without its close_notify before."""
        if not self._has_begun:
            self._fail(ConnectionResetError())
        elif self._is_open:
            self._is_open = False
            self._protocol.eof_received()
            self._limit_end()
        return False

    def pause_writing(self) -> None:
        """TCP holds enough."""
        if self._has_begun:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """TCP has room again."""
        if self._has_begun:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone."""
        self._stop_timer()
        self._is_open = False
        self._buffer = memoryview(b"")  # the connection may be kept for what was pushed on it
        error, self._failure = self._failure or exc, None
        # Also if it has begun: `connection_made` of the protocol above may have failed.
        self._refuse(error or ConnectionResetError())
        if self._has_begun:
            self._protocol.connection_lost(error)

    # In.

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._stop_timer()
        if self._established.done():  # the caller that waited was cancelled
            self.abort()
            return
        self._is_open = self._has_begun = True
        # Its first bytes go out together with the end of the handshake. If it refuses the
        # connection, the server gets neither.
        self._protocol.connection_made(self)
        self._established.set_result(None)
        self._read()

    def _handshake_took_too_long(self) -> None:
        self._fail(ConnectionAbortedError(f"no TLS handshake within {_HANDSHAKE_PATIENCE:g} s"))

    def _read(self) -> None:
        """Give the content of all complete records to the protocol above.

        To ask OpenSSL for more than there is raises an exception each time, so the incoming bytes
        say whether to ask again.
        """
        incoming, protocol = self._incoming, self._protocol
        try:
            while incoming.pending and self._is_open:
                if incoming.pending > _RECORD:
                    self._read_many()
                elif data := self._tls.read(_RECORD):
                    # Mostly there is one record, which costs less without the protocol's buffer.
                    protocol.data_received(data)
                else:
                    self._end_received()
        except ssl.SSLWantReadError:
            pass  # a part of a record, or one without content
        except ssl.SSLError as error:
            self._fail(error)
        # Such as the answer to a KeyUpdate, or the end of the handshake.
        if self._outgoing.pending and not self._raw.is_closing():
            self._send()

    def _read_many(self) -> None:
        """Give the content of as many records as there is room for, in one piece."""
        incoming, protocol, size, filled = self._incoming, self._protocol, 1, 0
        buffer = protocol.get_buffer(-1)
        try:
            while size and incoming.pending and len(buffer) - filled >= _RECORD:
                size = self._decrypting(len(buffer) - filled, buffer[filled:])
                filled += size
        finally:
            if filled:
                protocol.buffer_updated(filled)
        if not size:
            self._end_received()

    def _end_received(self) -> None:
        """Handle the server's close_notify."""
        self._protocol.eof_received()
        self.close()

    def _drop(self) -> bool:
        """Drop the bytes before the server's close_notify; return true if it is here."""
        try:
            while self._incoming.pending:
                if not self._decrypting(_READ, self._buffer):
                    return True
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:  # it is here, or what came is not TLS
            return True
        return False

    # Out.

    def _send(self) -> None:
        self._raw.write(self._outgoing.read())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt, and give it to TCP."""
        if not self._is_open or not data:
            return
        try:
            self._tls.write(data)  # all of it, since a MemoryBIO has always room
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._send()

    # The end.

    def _fail(self, error: Exception) -> None:
        """End the connection; OpenSSL's alert is the last record sent."""
        self._failure = error
        if self._outgoing.pending:
            self._send()
        if not self._has_begun:
            self._refuse(error)
        self.abort()

    def _refuse(self, error: Exception) -> None:
        if not self._established.done():
            self._established.set_exception(error)
            # The caller may wait no longer, and asyncio would warn that nobody read the exception.
            self._established.exception()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Send close_notify behind what was written, and wait for the server's for a while.

        To close TCP while the server still sends would reset the connection, and drop bytes that it
        has not read.
        """
        if not self._has_begun:
            self.abort()
        if not self._is_open:
            return
        self._is_open = False
        over = self._drop()  # before, as OpenSSL takes content behind close_notify for a failure
        over = is_closed_by_both(self._tls) or over
        self._send()
        if over:
            self._raw.close()
        self._limit_end()

    def _limit_end(self) -> None:
        """Give the server's close_notify, and what TCP still has to send, a while."""
        self._timer = self._loop.call_later(_CLOSE_PATIENCE, self._raw.abort)

    def abort(self) -> None:
        """End at once; unsent bytes are lost."""
        self._is_open = False
        self._raw.abort()

    # The rest of a transport.

    def is_closing(self) -> bool:
        """Return true if nothing can be written any more."""
        return not self._is_open or self._raw.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a value of TLS or of TCP; see `asyncio.BaseTransport.get_extra_info`."""
        return extra_info(self._tls, self._raw, name, default)
