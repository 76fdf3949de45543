"""TLS of a client's connection: the transport between OpenSSL's other end and a protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.client.channel import Channel
from headstart.client.tls_transport import TlsTransport
from tests.clock import ClockLoop, timeless

_AUTHORITY = trustme.CA()


@lru_cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _AUTHORITY.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


@lru_cache
def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    _AUTHORITY.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    return context


class Wire(asyncio.Transport):
    """TCP. What is written to it is kept; `abort` and `close` are noted."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 443)})
        self._written = b""
        self.writes = 0
        self.ends: list[str] = []

    def taken(self) -> bytes:
        data, self._written = self._written, b""
        return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written += data
        self.writes += 1

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")

    def is_closing(self) -> bool:
        return bool(self.ends)


class Above:
    """The protocol above, with buffers of 40,000 bytes.

    It calls `begin` with its transport, and `then` after each part.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.received = b""
        self.parts = 0
        self.begin: Callable[[TlsTransport], None] = lambda _: None
        self.then: Callable[[], None] = lambda: None
        self._buffer = memoryview(bytearray(40_000))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")
        self.begin(cast(TlsTransport, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self.parts += 1
        self.received += data
        self.then()

    def eof_received(self) -> bool:
        self.events.append("eof")
        return False

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append(error)


class Pair:
    """A connection in memory. It must be made in a running event loop.

    Attributes:
        wire: TCP, as the client's transport sees it.
        above: The client's protocol.
        transport: What is tested.
        server: OpenSSL's other end.
    """

    def __init__(self, name: str = "localhost") -> None:
        self.wire, self.above = Wire(), Above()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server_context().wrap_bio(self._in, self._out, server_side=True)
        self.transport = TlsTransport(cast(Channel, self.above), client_context(), name)
        self.transport.connection_made(self.wire)

    def shake_hands(self) -> Pair:
        """Let both ends say all that belongs to the handshake."""
        for _ in range(3):
            self._in.write(self.wire.taken())
            with suppress(ssl.SSLWantReadError):
                self.server.do_handshake()
            self.receive(self._out.read())
        return self

    def receive(self, data: bytes) -> None:
        """Bring the client's transport bytes from TCP."""
        while data:
            buffer = self.transport.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size], data = data[:size], data[size:]
            self.transport.buffer_updated(size)

    def records(self, data: bytes) -> bytes:
        """Return the server's records with this content; each has 16 KiB at the most."""
        for begin in range(0, len(data), 16384):
            self.server.write(data[begin : begin + 16384])
        return self._out.read()

    def goodbye(self) -> bytes:
        """Return the server's close_notify."""
        with suppress(ssl.SSLWantReadError):
            self.server.unwrap()
        return self._out.read()

    def read(self) -> bytes:
        """Return all that the server gets, b"" at the end."""
        self._in.write(self.wire.taken())
        parts = []
        with suppress(ssl.SSLWantReadError):
            while part := self.server.read(65536):
                parts.append(part)
        return b"".join(parts)

    def says_goodbye(self) -> bool:
        """Return whether the client has sent close_notify."""
        self._in.write(self.wire.taken())
        try:
            self.server.read(1)
        except ssl.SSLZeroReturnError:
            return True
        return False


@timeless
async def test_protocol_above_gets_its_transport_after_the_handshake() -> None:
    pair = Pair()
    before = list(pair.above.events)

    pair.shake_hands()
    await pair.transport.established()

    assert (before, pair.above.events) == ([], ["made"])
    assert pair.server.selected_alpn_protocol() == "h2"
    assert cast(ClockLoop, asyncio.get_running_loop()).timers == []


@given(
    st.lists(st.binary(min_size=1, max_size=60_000), max_size=4),
    st.lists(st.integers(1, 70_000), min_size=1, max_size=20),
)
@settings(max_examples=50)
def test_content_is_the_same_however_tcp_cuts_it(parts: list[bytes], cuts: list[int]) -> None:
    async def received() -> bytes:
        pair = Pair().shake_hands()
        data = b"".join(map(pair.records, parts))
        begin = turn = 0
        while begin < len(data):
            end = begin + cuts[turn % len(cuts)]
            pair.receive(data[begin:end])
            begin, turn = end, turn + 1
        return pair.above.received

    assert asyncio.run(received()) == b"".join(parts)


@timeless
async def test_records_that_come_together_are_passed_on_together() -> None:
    pair = Pair().shake_hands()

    pair.receive(pair.records(b"x" * 32_768))

    assert (len(pair.above.received), pair.above.parts) == (32_768, 1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 300_000])
def test_whatever_is_written_arrives(size: int, kind: Callable[[bytes], Any]) -> None:
    async def arrived() -> bytes:
        pair = Pair().shake_hands()
        pair.transport.write(kind(b"x" * size))
        return pair.read()

    assert asyncio.run(arrived()) == b"x" * size


@timeless
async def test_memoryview_of_larger_items_is_written_as_its_bytes() -> None:
    pair = Pair().shake_hands()

    pair.transport.write(memoryview(b"abcdefgh" * 5000).cast("Q"))

    assert pair.read() == b"abcdefgh" * 5000


@timeless
async def test_bytes_that_openssl_has_to_send_go_out_with_what_is_read() -> None:
    pair = Pair().shake_hands()
    pair.transport._outgoing.write(b"the answer to a KeyUpdate")

    pair.receive(pair.records(b"x"))

    assert pair.wire.taken() == b"the answer to a KeyUpdate"


# The handshake.


@timeless
async def test_first_bytes_go_out_with_the_end_of_the_handshake() -> None:
    pair = Pair()
    pair.above.begin = lambda transport: transport.write(b"first")

    pair.shake_hands()

    assert pair.wire.writes == 2  # with the ClientHello
    assert pair.read() == b"first"


@timeless
async def test_server_that_the_protocol_refuses_does_not_get_the_end_of_the_handshake() -> None:
    pair = Pair()
    pair.above.begin = TlsTransport.abort

    pair.shake_hands()

    assert (pair.wire.writes, pair.wire.ends) == (1, ["abort"])
    assert pair.transport.is_closing()


@timeless
async def test_certificate_for_another_name_is_refused_and_the_server_is_told() -> None:
    pair = Pair("other.example")

    with pytest.raises(ssl.SSLError, match="alert"):
        pair.shake_hands()

    with pytest.raises(ssl.SSLCertVerificationError):
        await pair.transport.established()
    pair.transport.connection_lost(None)
    assert pair.wire.ends[0] == "abort"
    assert pair.above.events == []


@timeless
async def test_server_that_takes_too_long_for_the_handshake_is_given_up() -> None:
    pair = Pair()

    with pytest.raises(ConnectionAbortedError, match="60 s"):
        await pair.transport.established()

    assert asyncio.get_running_loop().time() == 60
    assert pair.wire.ends[0] == "abort"


@timeless
async def test_server_that_closes_tcp_amid_the_handshake_fails_it() -> None:
    ended, lost = Pair(), Pair()

    assert ended.transport.eof_received() is False
    lost.transport.connection_lost(ConnectionResetError("gone"))

    with pytest.raises(ConnectionResetError):
        await ended.transport.established()
    with pytest.raises(ConnectionResetError, match="gone"):
        await lost.transport.established()
    ended.transport.connection_lost(None)
    assert ended.above.events == lost.above.events == []


@timeless
async def test_connection_that_is_lost_without_a_reason_fails_the_handshake() -> None:
    pair = Pair()

    pair.transport.connection_lost(None)

    with pytest.raises(ConnectionResetError):
        await pair.transport.established()


@timeless
async def test_handshake_that_nobody_waits_for_any_more_ends_the_connection() -> None:
    pair = Pair()
    waiting = asyncio.create_task(pair.transport.established())
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    pair.shake_hands()

    assert pair.wire.ends[0] == "abort"
    assert pair.above.events == []


@timeless
async def test_protocol_that_fails_to_begin_fails_the_handshake() -> None:
    def fail(_: TlsTransport) -> None:
        raise ZeroDivisionError

    pair = Pair()
    pair.above.begin = fail

    with pytest.raises(ZeroDivisionError) as raised:
        pair.shake_hands()
    pair.transport.connection_lost(raised.value)  # as the event loop does

    with pytest.raises(ZeroDivisionError):
        await pair.transport.established()
    assert pair.above.events == ["made", raised.value]


@pytest.mark.parametrize(
    ("context", "name", "error"),
    [(client_context, "a..b", UnicodeError), (server_context, "localhost", ssl.SSLError)],
)
async def test_name_or_context_that_openssl_does_not_take_ends_the_connection(
    context: Callable[[], ssl.SSLContext], name: str, error: type[Exception]
) -> None:
    wire = Wire()
    transport = TlsTransport(cast(Channel, Above()), context(), name)

    transport.connection_made(wire)

    with pytest.raises(error):
        await transport.established()
    transport.connection_lost(None)
    assert wire.ends[0] == "abort"


@timeless
async def test_transport_that_is_closed_amid_the_handshake_is_aborted() -> None:
    pair = Pair()

    pair.transport.close()

    assert pair.wire.ends == ["abort"]


@timeless
async def test_full_socket_is_told_of_once_there_is_somebody_to_tell() -> None:
    pair = Pair()
    pair.transport.pause_writing()
    pair.transport.resume_writing()

    pair.shake_hands()
    pair.transport.pause_writing()
    pair.transport.resume_writing()

    assert pair.above.events == ["made", "pause", "resume"]


# The end.


@timeless
async def test_close_notify_of_the_server_is_answered_and_ends_the_connection() -> None:
    pair = Pair().shake_hands()

    pair.receive(pair.records(b"last") + pair.goodbye())

    assert (pair.above.received, pair.above.events) == (b"last", ["made", "eof"])
    assert pair.wire.ends == ["close"]
    assert pair.says_goodbye()


@timeless
async def test_close_notify_behind_much_content_ends_the_connection() -> None:
    pair = Pair().shake_hands()

    pair.receive(pair.records(b"x" * 20_000) + pair.goodbye())

    assert (len(pair.above.received), pair.above.events) == (20_000, ["made", "eof"])
    assert pair.wire.ends == ["close"]


@timeless
async def test_bytes_behind_the_close_notify_are_not_looked_at() -> None:
    pair = Pair().shake_hands()

    pair.receive(pair.goodbye() + b"x" * 20_000)

    assert (pair.above.parts, pair.above.events) == (0, ["made", "eof"])
    assert pair.wire.ends == ["close"]


@timeless
async def test_closed_transport_waits_for_the_servers_close_notify_and_drops_its_bytes() -> None:
    pair = Pair().shake_hands()
    pair.transport.write(b"last")

    pair.transport.close()
    pair.transport.close()
    pair.transport.write(b"too late")
    pair.receive(pair.records(b"x" * 9))
    pair.receive(pair.records(b"x" * 9)[:5])
    open_still = list(pair.wire.ends)
    got = pair.read()

    assert (open_still, got) == ([], b"last")
    assert pair.above.received == b""
    assert pair.transport.is_closing()


@timeless
async def test_closed_transport_ends_with_the_servers_close_notify() -> None:
    pair = Pair().shake_hands()

    pair.transport.close()
    pair.receive(pair.records(b"x") + pair.goodbye())

    assert pair.wire.ends == ["close"]


@timeless
async def test_closed_transport_ends_with_bytes_that_are_not_tls() -> None:
    pair = Pair().shake_hands()

    pair.transport.close()
    pair.receive(b"these bytes are not TLS")

    assert pair.wire.ends == ["close"]


@timeless
async def test_server_that_does_not_answer_close_notify_is_given_up() -> None:
    pair = Pair().shake_hands()

    pair.transport.close()
    await asyncio.sleep(29)
    before = list(pair.wire.ends)
    await asyncio.sleep(1)

    assert (before, pair.wire.ends) == ([], ["abort"])


@timeless
async def test_server_that_closes_and_reads_no_more_is_given_up() -> None:
    closed, ended = Pair().shake_hands(), Pair().shake_hands()

    closed.receive(closed.goodbye())
    ended.transport.eof_received()
    await asyncio.sleep(31)

    assert (closed.wire.ends, ended.wire.ends) == (["close", "abort"], ["abort"])


@timeless
async def test_lost_connection_waits_for_nothing() -> None:
    pair = Pair().shake_hands()
    pair.transport.close()

    pair.transport.connection_lost(None)

    assert pair.above.events == ["made", None]
    assert cast(ClockLoop, asyncio.get_running_loop()).timers == []


@timeless
async def test_transport_that_the_protocol_closes_amid_content_passes_on_no_more() -> None:
    pair = Pair().shake_hands()
    pair.above.then = pair.transport.close

    pair.receive(pair.records(b"x") + pair.records(b"y"))
    open_still = list(pair.wire.ends)
    pair.receive(pair.records(b"z") + pair.goodbye())

    assert (pair.above.received, open_still, pair.wire.ends) == (b"x", [], ["close"])
    assert pair.says_goodbye()


@timeless
async def test_transport_that_the_protocol_closes_before_the_close_notify_ends_with_it() -> None:
    pair = Pair().shake_hands()
    pair.above.then = pair.transport.close

    pair.receive(pair.records(b"x") + pair.records(b"y") + pair.goodbye() + b"z")

    assert (pair.above.received, pair.wire.ends) == (b"x", ["close"])
    assert pair.says_goodbye()


@timeless
async def test_end_of_tcp_without_close_notify_ends_the_connection() -> None:
    pair = Pair().shake_hands()

    assert pair.transport.eof_received() is False
    assert pair.transport.eof_received() is False

    assert pair.above.events == ["made", "eof"]
    assert pair.transport.is_closing()


@timeless
async def test_damaged_record_ends_the_connection_with_an_alert() -> None:
    pair = Pair().shake_hands()
    data = pair.records(b"good") + pair.records(b"bad")

    pair.receive(data[:-1] + bytes([data[-1] ^ 1]))
    pair.transport.connection_lost(None)

    assert pair.above.received == b"good"
    made, error = pair.above.events
    assert (made, type(error), pair.wire.ends) == ("made", ssl.SSLError, ["abort"])
    with pytest.raises(ssl.SSLError, match="alert"):
        pair.read()


@timeless
async def test_write_that_openssl_refuses_ends_the_connection() -> None:
    pair = Pair().shake_hands()
    with suppress(ssl.SSLWantReadError):
        pair.transport._tls.unwrap()  # behind the transport's back

    pair.transport.write(b"x")
    pair.transport.connection_lost(None)

    assert isinstance(pair.above.events[-1], ssl.SSLError)
    assert pair.wire.ends == ["abort"]


@timeless
async def test_aborted_transport_writes_no_more() -> None:
    pair = Pair().shake_hands()
    pair.wire.taken()

    pair.transport.abort()
    pair.transport.write(b"x")

    assert (pair.wire.ends, pair.wire.taken()) == (["abort"], b"")


@timeless
async def test_transport_tells_of_tls_and_of_tcp() -> None:
    transport = Pair().shake_hands().transport
    tls = transport.get_extra_info("ssl_object")

    assert tls.version() == "TLSv1.3"
    assert transport.get_extra_info("sslcontext") is client_context()
    assert transport.get_extra_info("peercert")["subjectAltName"] == (("DNS", "localhost"),)
    assert transport.get_extra_info("cipher") == tls.cipher()
    assert transport.get_extra_info("compression") is None
    assert transport.get_extra_info("peername") == ("127.0.0.1", 443)
    assert transport.get_extra_info("socket", "none") == "none"
    assert not transport.is_closing()
