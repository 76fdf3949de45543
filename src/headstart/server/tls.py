"""TLS of one connection: a transport for HTTP, on top of the TCP transport.

`loop.start_tls` would do, but both event loops implement it in much Python code, keep large buffers
for each connection, and want a task for the handshake. Here OpenSSL is driven directly: `Handshake`
gets the first bytes until it is complete, then `TlsTransport` takes its place. Each whole record
goes to OpenSSL by itself, so that an empty one is noticed, and no call raises for want of more.
Only an incomplete record waits in here: encrypted bytes go to the TCP transport at once, so its
limits are the connection's.

Made by `protocol.HeadstartProtocol`; changes the two transports and the worker's `Buffers` only.
A transport that is closed lingers: the worker looks at its time (`lingering`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

from headstart.reasons import Closing
from headstart.server.lingering import DRAIN_SILENCE, Lingering, Watcher, end_output
from headstart.server.turns import Turns
from headstart.tls_object import extra_info, is_closed_by_both
from headstart.wire.guard import TokenBucket
from headstart.wire.hello import offered_by_alpn

# RFC 8446, 5.1: type, version, length.
_HEADER: Final = 5
# What is encrypted at once: four records. Lines that are shorter in all are put together before.
_PIECE: Final = 64 * 1024
# What is given to TCP at once, by one system call, and the size that the buffer keeps.
_GIVEN: Final = 256 * 1024
# Records without content: a key update costs ten times what it costs to send. An honest client
# sends one in many gigabytes.
_FREE_EMPTY: Final = 32
_EMPTY_A_SECOND: Final = 1.0
# HTTP/1.0 is not offered, but spoken to who wants it.
_SPOKEN: Final = frozenset({"h2", "http/1.1", "http/1.0"})
_AMID: Final = "written amid another connection's turn, by a finalizer"
# RFC 8446, 6: an alert, fatal, no_application_protocol. Before any key is agreed on.
_NO_APPLICATION_PROTOCOL: Final = b"\x15\x03\x03\x00\x02\x02\x78"


class TlsBroken(ConnectionError):
    """Bytes after the handshake could not be read, or were not allowed.

    Attributes:
        reason: For the log and the counters.
        detail: OpenSSL's word for it.
    """

    def __init__(self, reason: Closing, detail: str = "") -> None:
        super().__init__(detail or str(reason))
        self.reason = reason
        self.detail = detail


class Buffers:
    """OpenSSL's input and output buffers: one pair for all connections of an event loop.

    Each connection empties both before the next one's turn. A pair per connection would keep the
    size of its largest record for as long as the connection lives, even if it is idle.
    """

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()

    def clear(self) -> None:
        """Drop the bytes that a failure left behind."""
        self.incoming.read()
        self.outgoing.read()


class Handshake:
    """The first part of a connection (RFC 8446, 4; RFC 5246, 7.3).

    Args:
        raw: Where the answers are written to.
        context: Certificate and rules.
        buffers: The event loop's.

    Attributes:
        answered: The last step wrote something, which the client needs for its next bytes.

    Raises:
        ssl.SSLError: The context is not one for servers.
    """

    __slots__ = ("_buffers", "_hello", "_raw", "answered", "tls")

    def __init__(self, raw: asyncio.Transport, context: ssl.SSLContext, buffers: Buffers) -> None:
        self._raw = raw
        self._buffers = buffers
        self._hello: bytes | None = b""
        """The first record, as far as it has come; None once it was looked at."""
        self.answered = False
        self.tls = context.wrap_bio(buffers.incoming, buffers.outgoing, server_side=True)

    @property
    def begun(self) -> bool:
        """Return true if any byte has come."""
        return self._hello != b""

    def step(self, data: bytes) -> bytes | None:
        """Go on with the received bytes.

        Returns:
            None if the handshake needs more; after its end, the bytes behind it.

        Raises:
            ssl.SSLError: The handshake failed; the client was told why.
            TlsBroken: The client offers no protocol that this server supports, and was told so.
        """
        if self._hello is not None:
            self._look_at_hello(self._hello + data)
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
        self.answered = buffers.outgoing.pending > 0
        if self.answered:
            self._raw.write(buffers.outgoing.read())
        return rest

    def _look_at_hello(self, hello: bytes) -> None:
        """Send the alert for an offer without common protocol (RFC 7301, 3.2).

        Python's `ssl` goes on without a protocol instead. Looked at once, when the first record is
        whole; a ClientHello that is cut up into several, which no client does, is let pass.
        """
        if len(hello) < _HEADER or len(hello) < _HEADER + (hello[3] << 8 | hello[4]):
            self._hello = hello
            return
        self._hello = None
        offered = offered_by_alpn(hello)
        if offered and _SPOKEN.isdisjoint(offered):
            self._raw.write(_NO_APPLICATION_PROTOCOL)
            raise TlsBroken(Closing.HANDSHAKE_FAILED, "NO_APPLICATION_PROTOCOL")


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A transport to the protocol above, and the protocol of the TCP transport beneath.

    Args:
        raw: The TCP transport; the caller sets its protocol.
        tls: After its handshake.
        buffers: The buffers of `tls`.
        turns: The phases of the event loop's turns.
        worker: Looks for how long the client reads the rest after `close`, and says that it closes
            too.
    """

    __slots__ = (
        "_closing",
        "_empty",
        "_failure",
        "_incoming",
        "_lingering",
        "_outgoing",
        "_partial",
        "_peer_closed",
        "_protocol",
        "_raw",
        "_tls",
        "_turns",
        "_worker",
    )

    def __init__(
        self,
        raw: asyncio.Transport,
        tls: ssl.SSLObject,
        buffers: Buffers,
        turns: Turns,
        worker: Watcher,
    ) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls
        self._incoming = buffers.incoming
        self._outgoing = buffers.outgoing
        self._turns = turns
        self._worker = worker
        self._protocol = _NOBODY
        self._partial = b""
        """The begin of a record."""
        self._empty = TokenBucket(_FREE_EMPTY, _EMPTY_A_SECOND, worker.time())
        self._closing = False
        self._peer_closed = False
        self._failure: TlsBroken | None = None
        self._lingering: Lingering | None = None

    # The protocol beneath: what comes from TCP.

    def data_received(self, data: bytes) -> None:
        """Keep TCP's bytes until the loop has read for all connections."""
        self._turns.arrived(self, data)

    def act(self, data: bytes) -> None:
        """Decrypt the complete records, and pass on their content in one piece."""
        if self._lingering is not None and not self._drop(len(data), self._lingering):
            return
        if self._partial:
            data, self._partial = self._partial + data, b""
        size = len(data)
        try:
            # As mostly: one record, and no more.
            if (
                size > _HEADER
                and (data[3] << 8 | data[4]) == size - _HEADER
                and not self._peer_closed
            ):
                self._incoming.write(data)
                content = self._read(size)
            else:
                content = self._decrypt(data)
        except TlsBroken as failure:
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

    def _drop(self, size: int, lingering: Lingering) -> bool:
        """Count bytes behind the end; return whether they are looked through for a close_notify."""
        if not lingering.drop(size, self._worker.time()):
            self._raw.abort()
        return self._failure is None and not self._raw.is_closing()

    def eof_received(self) -> bool:
        """Handle that the client closed TCP, with or without closing TLS before."""
        self._turns.act()
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
        self._worker.watched.discard(self)
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(self._failure or exc)

    def _decrypt(self, data: bytes) -> bytes:
        """Return the content of all records, and keep the begin of one that is incomplete."""
        parts = []
        size, begin = len(data), 0
        while size - begin >= _HEADER:
            end = begin + _HEADER + (data[begin + 3] << 8 | data[begin + 4])
            if end > size or self._peer_closed:
                break
            self._incoming.write(data[begin:end])
            parts.append(self._read(end - begin))
            begin = end
        self._partial = data[begin:]
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        """Return the content of the record of that size in the buffer."""
        try:
            content = self._tls.read(size)
        except ssl.SSLWantReadError:
            if not self._empty.take(self._worker.time()):
                raise TlsBroken(Closing.TLS_FLOOD) from None
            return b""
        except ssl.SSLZeroReturnError:
            content = b""
        except ssl.SSLError as error:
            raise TlsBroken(Closing.TLS_ERROR, error.reason or "") from error
        if not content:
            self._peer_closed = True
        return content

    def _input_ended(self) -> None:
        if self._closing:
            self._raw.close()
        else:
            self._protocol.eof_received()
            self.close()

    def _fail(self, failure: TlsBroken) -> None:
        """End after a failed read: OpenSSL's alert is the last record sent."""
        self._failure = failure
        self._incoming.read()
        self._raw.write(self._outgoing.read())
        self._closing = True
        self._finish(over=not end_output(self._raw))

    def _give_up(self) -> None:
        """End after an error such as a lack of memory, and leave empty buffers to others."""
        self.abort()
        self._incoming.read()
        self._outgoing.read()

    # The transport above: what the protocol asks for.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt, and give it to TCP."""
        if self._closing or not data:
            return
        if self._outgoing.pending:
            raise RuntimeError(_AMID)
        try:
            if len(data) <= _PIECE and type(data) is bytes:
                self._tls.write(data)
                self._raw.write(self._outgoing.read())
            else:
                self._write_all((data,))
        except BaseException as error:
            self._write_failed(error)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt all of it, and give it to TCP; what is short is put together before."""
        lines = list(list_of_data)
        if sum(map(len, lines)) <= _PIECE:
            self.write(b"".join(lines))
        else:
            self.write_chunks(lines)

    def write_chunks(self, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt each chunk as soon as it is made, and give them to TCP together.

        No more chunks are made once the connection is lost.
        """
        if self._closing:
            return
        if self._outgoing.pending:
            raise RuntimeError(_AMID)
        try:
            self._write_all(chunks)
        except BaseException as error:
            self._write_failed(error)

    def _write_all(self, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        # Not `writelines`: asyncio's of Python 3.13.0 never says that it holds too much.
        raw, outgoing, encrypt = self._raw, self._outgoing, self._tls.write
        if self.is_closing():
            return
        for chunk in chunks:
            rest = memoryview(chunk).cast("B")
            while rest:
                rest = rest[encrypt(rest[:_PIECE]) :]
                if outgoing.pending >= _GIVEN:
                    raw.write(outgoing.read())
                    if self.is_closing():
                        return  # asyncio warns of bytes that are written after a loss
        if outgoing.pending:
            raw.write(outgoing.read())

    def _write_failed(self, error: BaseException) -> None:
        if not isinstance(error, ssl.SSLError):
            self._give_up()
            raise error
        self._fail(TlsBroken(Closing.TLS_ERROR, error.reason or ""))

    def close(self) -> None:
        """Send the written bytes, then close_notify; wait for the client's for a while.

        Closing TCP while the client still sends would reset the connection, and drop the bytes that
        it has not read.
        """
        if self._closing:
            return
        self._closing = True
        over = is_closed_by_both(self._tls)
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())
        self._finish(over or self._peer_closed)

    def _finish(self, over: bool) -> None:
        worker = self._worker
        if over:
            self._raw.close()
        else:
            self._raw.resume_reading()
        self._lingering = Lingering(self._raw, worker.options, worker.time())
        worker.watched.add(self)

    def second_passed(self, now: float) -> None:
        """Close TCP if the client has had its time."""
        lingering = self._lingering
        assert lingering is not None
        if self._worker.draining:
            lingering.silence = DRAIN_SILENCE
        if lingering.is_over(now):
            self._raw.abort()

    def abort(self) -> None:
        """End at once; unsent bytes are lost."""
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Return true if nothing can be written any more."""
        return self._closing or self._raw.is_closing()

    def can_write_eof(self) -> bool:
        """No: TLS has no half of a connection that both ends could count on."""
        return False

    def write_eof(self) -> None:
        """Not offered."""
        raise NotImplementedError

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass decrypted bytes to another protocol."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets the decrypted bytes."""
        return self._protocol

    def is_reading(self) -> bool:
        """Return true if decrypted bytes go to the protocol."""
        return not self._closing and self._raw.is_reading()

    def pause_reading(self) -> None:
        """Leave bytes in TCP; at most a part of a record is kept here."""
        if not self._closing:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Pass decrypted bytes to the protocol."""
        if not self._closing:
            self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that TCP has not taken."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the TCP transport's limits, low and high, in encrypted bytes."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the TCP transport's."""
        self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a value of TLS or of TCP; see `asyncio.BaseTransport.get_extra_info`."""
        return extra_info(self._tls, self._raw, name, default)


_NOBODY: Final = asyncio.Protocol()
"""Hears all that comes before there is a protocol, and after the connection was lost."""
