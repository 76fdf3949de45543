"""TLS of one connection: a transport for HTTP, on top of the TCP transport.

`loop.start_tls` would do, but both event loops do it at length in Python, keep large buffers for
each connection, and want a task for the handshake. Here OpenSSL is driven directly: `Handshake` is
given what arrives until it is over, then `TlsTransport` takes its place. Each whole record is given
to OpenSSL by itself, so that one which carries nothing is noticed, and no call raises for want of
more. Nothing waits in here but a record that has not arrived as a whole: what is encrypted is the
TCP transport's at once, so its limits are the connection's.

Made by `protocol.HeadstartProtocol`; changes the two transports and the worker's `Buffers` only.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

from headstart.reasons import Closing
from headstart.wire.guard import TokenBucket

# RFC 8446, 5.1: type, version, length.
_HEADER: Final = 5
# What is encrypted at once, so that the buffer stays small. It is four records.
_PIECE: Final = 64 * 1024
# Records without content: a key update costs ten times what it costs to send. An honest client
# sends one in many gigabytes.
_FREE_EMPTY: Final = 32
_EMPTY_A_SECOND: Final = 1.0


class TlsFailed(ConnectionError):
    """What came after the handshake could not be read, or should not have come.

    Attributes:
        reason: For the log and the counters.
        detail: OpenSSL's word for it.
    """

    def __init__(self, reason: Closing, detail: str = "") -> None:
        super().__init__(detail or str(reason))
        self.reason = reason
        self.detail = detail


class Buffers:
    """What OpenSSL reads from and writes to: one pair for all connections of an event loop.

    Each connection empties both before another's turn. A pair of its own would keep the size of
    the largest record for as long as the connection lives, however idle it is.
    """

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()

    def clear(self) -> None:
        """Drop what a failure left behind."""
        self.incoming.read()
        self.outgoing.read()


class Handshake:
    """The first part of a connection (RFC 8446, 4; RFC 5246, 7.3).

    Args:
        raw: Where the answers are written to.
        context: Certificate and rules.
        buffers: The event loop's.

    Raises:
        ssl.SSLError: The context is not one for servers.
    """

    __slots__ = ("_buffers", "_raw", "tls")

    def __init__(self, raw: asyncio.Transport, context: ssl.SSLContext, buffers: Buffers) -> None:
        self._raw = raw
        self._buffers = buffers
        self.tls = context.wrap_bio(buffers.incoming, buffers.outgoing, server_side=True)

    def step(self, data: bytes) -> bytes | None:
        """Go on with what arrived.

        Returns:
            None if the client has to say more; after the end, what it has said behind it.

        Raises:
            ssl.SSLError: It came to nothing; the client was told why.
        """
        buffers = self._buffers
        buffers.incoming.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            rest = None
        except BaseException:
            self._raw.write(buffers.outgoing.read())  # the alert
            buffers.clear()
            raise
        else:
            rest = buffers.incoming.read()
        if buffers.outgoing.pending:
            self._raw.write(buffers.outgoing.read())
        return rest


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A transport to the protocol above, and the protocol of the TCP transport beneath.

    Args:
        raw: The TCP transport; whoever makes this sets its protocol.
        tls: After its handshake.
        buffers: Those that `tls` was made with.
        loop: The event loop.
        shutdown_timeout: Seconds that the client has, after `close`, to read what is left or to
            say that it closes too.
    """

    __slots__ = (
        "_closing",
        "_empty",
        "_failure",
        "_incoming",
        "_loop",
        "_outgoing",
        "_partial",
        "_peer_closed",
        "_protocol",
        "_raw",
        "_shutdown_timeout",
        "_timer",
        "_tls",
    )

    def __init__(
        self,
        raw: asyncio.Transport,
        tls: ssl.SSLObject,
        buffers: Buffers,
        loop: asyncio.AbstractEventLoop,
        shutdown_timeout: float,
    ) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls
        self._incoming = buffers.incoming
        self._outgoing = buffers.outgoing
        self._loop = loop
        self._shutdown_timeout = shutdown_timeout
        self._protocol = _NOBODY
        self._partial = b""
        """The begin of a record."""
        self._empty = TokenBucket(_FREE_EMPTY, _EMPTY_A_SECOND, loop.time())
        self._closing = False
        self._peer_closed = False
        self._failure: TlsFailed | None = None
        self._timer: asyncio.TimerHandle | None = None

    # The protocol beneath: what comes from TCP.

    def data_received(self, data: bytes) -> None:
        """Decrypt the records that are whole, and hand on what was in them in one piece."""
        try:
            content = self._decrypt(self._partial + data if self._partial else data)
        except TlsFailed as failure:
            self._fail(failure)
            return
        except BaseException:
            self._give_up()
            raise
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())
        if content and not self._closing:
            self._protocol.data_received(content)
        if self._peer_closed:
            self._input_ended()

    def eof_received(self) -> bool:
        """The client closed TCP, whether or not it had closed TLS before."""
        self._peer_closed = True
        self._input_ended()
        return False

    def pause_writing(self) -> None:
        """TCP holds enough."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """TCP has room again."""
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone; whoever still holds this object keeps nobody else alive."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(self._failure or exc)

    def _decrypt(self, data: bytes) -> bytes:
        parts = []
        size, begin = len(data), 0
        while size - begin >= _HEADER:
            end = begin + _HEADER + (data[begin + 3] << 8 | data[begin + 4])
            if end > size or self._peer_closed:
                break
            self._incoming.write(data if end - begin == size else data[begin:end])
            parts.append(self._read(end - begin))
            begin = end
        self._partial = data[begin:]
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        """The content of the record of that size which is in the buffer."""
        try:
            content = self._tls.read(size)
        except ssl.SSLWantReadError:
            if not self._empty.take(self._loop.time()):
                raise TlsFailed(Closing.TLS_FLOOD) from None
            return b""
        except ssl.SSLZeroReturnError:
            content = b""
        except ssl.SSLError as error:
            raise TlsFailed(Closing.TLS_ERROR, error.reason or "") from error
        if not content:
            self._peer_closed = True
        return content

    def _input_ended(self) -> None:
        if self._closing:
            self._raw.close()
        else:
            self._protocol.eof_received()
            self.close()

    def _fail(self, failure: TlsFailed) -> None:
        """Nothing can be read any more: what OpenSSL has to say of it is the last that is sent."""
        self._failure = failure
        self._incoming.read()
        self._raw.write(self._outgoing.read())
        self._closing = True
        self._finish(over=True)

    def _give_up(self) -> None:
        """There is no memory, for instance: whatever happens, others find the buffers empty."""
        self.abort()
        self._incoming.read()
        self._outgoing.read()

    # The transport above: what the protocol asks for.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt, and give it to TCP."""
        if self._closing or not data:
            return
        if self._outgoing.pending:
            raise RuntimeError("written amid another connection's turn, by a finalizer")
        try:
            if len(data) <= _PIECE and type(data) is bytes:
                self._tls.write(data)
                self._raw.write(self._outgoing.read())
            else:
                self._write_pieces(memoryview(data).cast("B"))
        except ssl.SSLError as error:
            self._fail(TlsFailed(Closing.TLS_ERROR, error.reason or ""))
        except BaseException:
            self._give_up()
            raise

    def _write_pieces(self, data: memoryview) -> None:
        # Not `writelines`: asyncio's of Python 3.13.0 never says that it holds too much.
        while data and not self._closing:
            data = data[self._tls.write(data[:_PIECE]) :]
            self._raw.write(self._outgoing.read())

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt all of it, and give it to TCP."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Send what is written, then close_notify; wait for the client's for a while.

        Closing TCP while the client still sends would reset the connection, and with it would go
        what it has not read.
        """
        if self._closing:
            return
        self._closing = True
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            over = False
        except ssl.SSLError:
            over = True
        else:
            over = True
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())
        self._finish(over or self._peer_closed)

    def _finish(self, over: bool) -> None:
        if over:
            self._raw.close()
        else:
            self._raw.resume_reading()
        left = self._raw.get_write_buffer_size()
        self._timer = self._loop.call_later(self._shutdown_timeout, self._finished_too_late, left)

    def _finished_too_late(self, left: int) -> None:
        """Time is up, unless the client has read some of the rest."""
        now_left = self._raw.get_write_buffer_size()
        if now_left < left:
            self._timer = self._loop.call_later(
                self._shutdown_timeout, self._finished_too_late, now_left
            )
        else:
            self._raw.abort()

    def abort(self) -> None:
        """End at once; what is not sent is lost."""
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closing or self._raw.is_closing()

    def can_write_eof(self) -> bool:
        """No: TLS has no half of a connection that both ends could count on."""
        return False

    def write_eof(self) -> None:
        """Not offered."""
        raise NotImplementedError

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand on what comes to another protocol."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that what comes is handed on to."""
        return self._protocol

    def is_reading(self) -> bool:
        """Whether what comes is handed on."""
        return not self._closing and self._raw.is_reading()

    def pause_reading(self) -> None:
        """Leave what comes with TCP; at most a part of a record is kept here."""
        if not self._closing:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what comes."""
        if not self._closing:
            self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that TCP has not taken."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The TCP transport's, low and high, in encrypted bytes."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the TCP transport's."""
        self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What `asyncio.BaseTransport.get_extra_info` names, of TLS and of TCP."""
        match name:
            case "ssl_object":
                return self._tls
            case "sslcontext":
                return self._tls.context
            case "peercert":
                return self._tls.getpeercert()
            case "cipher":
                return self._tls.cipher()
            case "compression":
                return self._tls.compression()
            case _:
                return self._raw.get_extra_info(name, default)


_NOBODY: Final = asyncio.Protocol()
"""Who hears what comes before there is a protocol, and after the connection was lost."""
