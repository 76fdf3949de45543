"""WebSockets whose clients send what nobody wants, or read nothing of what they asked for."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import socket
import ssl
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server import worker as worker_module
from headstart.server.counters import Counters
from headstart.server.early import SILENCE
from headstart.server.websocket import WebSocketConnection
from headstart.server.worker import Worker
from tests.server.apps import Receive, Recorder, Scope, Send, lifespan
from tests.server.live import PATIENCE, Gate, LiveServer, certificate, running, until
from tests.server.websockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Arrived,
    Connect,
    Http1Client,
    frame,
    handshake,
    over_http1,
    over_http2,
    packed,
)

MB = 1_000_000
PAGE = bytes(60_000)
"""More than a small receive buffer takes."""
NORMAL, POLICY, TOO_BIG, INTERNAL_ERROR = (
    code.to_bytes(2, "big") for code in (1000, 1008, 1009, 1011)
)


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def connected(request: pytest.FixtureRequest) -> Connect:
    return over_http1 if request.param == "HTTP/1.1" else over_http2


class Socket:
    """An application that accepts and then does as its path says."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.alive = 0
        self.denied = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/denied":
            await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
            await send({"type": "websocket.http.response.body", "body": PAGE})
            self.denied = True
            return None
        await send({"type": "websocket.accept"})
        self.alive += 1
        try:
            await self._act(scope["path"], receive, send)
        finally:
            self.alive -= 1
        return None

    async def _act(self, path: str, receive: Receive, send: Send) -> None:
        match path:
            case "/fails":
                raise RuntimeError("it fails")
            case "/returns":
                await send({"type": "websocket.send", "bytes": b"all"})
            case "/close":
                await send({"type": "websocket.close", "code": 1000})
            case "/large":
                for _ in range(100):
                    await send({"type": "websocket.send", "bytes": bytes(MB)})
            case "/page":
                await send({"type": "websocket.send", "bytes": PAGE})
                await self.gate.passed()
                await send({"type": "websocket.close", "code": 1000})
            case "/hang":
                await asyncio.Event().wait()
            case "/tidy":
                while (await receive())["type"] != "websocket.disconnect":
                    pass
                await self.gate.passed()
            case _:
                await self.gate.passed()
                while (message := await receive())["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "bytes": message["bytes"]})


@pytest.fixture
def app() -> Socket:
    return Socket()


def worker_of(server: LiveServer) -> Worker:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop)


def counters(server: LiveServer) -> Counters:
    return worker_of(server).counters


def websockets(server: LiveServer) -> list[WebSocketConnection]:
    return [c for c in list(worker_of(server).watched) if isinstance(c, WebSocketConnection)]


def ends(server: LiveServer) -> Counter[Closing]:
    """Why WebSockets ended, over HTTP/1.1 with their connections."""
    counted = counters(server)
    return counted.connections + counted.requests


def is_unfinished(server: LiveServer) -> bool:
    """Return whether its only WebSocket has the beginning of a message."""
    found = websockets(server)
    return bool(found) and bool(found[0]._message.begun or found[0]._conn.reader.buffer)


def held(server: LiveServer) -> int:
    """What its only WebSocket holds."""
    found = websockets(server)
    return found[0].held() if found else 0


def test_upgrade_may_have_a_target_in_absolute_form() -> None:
    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    recorder = Recorder(accept)
    with running(recorder) as server, over_http1(server, "http://a.test/chat%20room?q=1"):
        scope = recorder.next()

    assert (scope["type"], scope["path"]) == ("websocket", "/chat room")
    assert (scope["raw_path"], scope["query_string"]) == (b"/chat%20room", b"q=1")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"a.test"]


def test_message_right_behind_the_handshake_waits_for_the_answer(app: Socket) -> None:
    """RFC 6455, 4.1 lets a client send only behind it; what came is not lost all the same."""
    app.gate.open()
    lines = ["GET / HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2FtcGxlIG5vbmNlAAAAAA==", "", ""]
    with running(app) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as early:
            early.sendall("\r\n".join(lines).encode() + frame(PING) + frame(BINARY, b"early"))
            data = early.recv(65536)
            while not data.endswith(b"early"):
                data += early.recv(65536)
        assert data.startswith(b"HTTP/1.1 101 ")


def test_text_that_is_not_utf_8_ends_the_websocket(app: Socket, connected: Connect) -> None:
    with running(app) as server, connected(server) as client:
        client.send(frame(TEXT, b"\xff"))

        assert client.rest() == [(CLOSE, (1007).to_bytes(2, "big") + b"not UTF-8")]
        until(lambda: ends(server) == {Closing.PROTOCOL_ERROR: 1}, "the reason")


def test_messages_that_wait_arrive_whole_and_in_order(app: Socket, connected: Connect) -> None:
    messages = [b"%d" % number * 12 for number in range(1000)]
    with running(app) as server, connected(server) as client:
        client.send(b"".join(frame(BINARY, message) for message in messages))
        app.gate.open()

        assert [client.read() for _ in messages] == [(BINARY, message) for message in messages]


def test_messages_that_nobody_takes_are_not_unpacked(app: Socket, connected: Connect) -> None:
    """A segment of 24 KB that is 24 MB."""
    with running(app) as server, connected(server, deflate=True) as client:
        client.send(packed(2 * MB) * 12)
        until(lambda: held(server) >= 2 * MB, "the first message")

        assert held(server) < 5 * MB
        app.gate.open()
        sizes = [len(client.read()[1]) for _ in range(12)]
        # The server's frames are packed, too.
        assert all(size < 10_000 for size in sizes)
        until(lambda: held(server) == 0, "the last message")


def test_client_that_sends_while_it_reads_nothing_is_served_when_it_reads(app: Socket) -> None:
    app.gate.open()
    message = bytes(range(256)) * 400
    with running(app) as server, over_http1(server) as client:
        client.socket.settimeout(0.5)
        sent = bytearray()
        with suppress(TimeoutError):
            for _ in range(400):
                sent += frame(BINARY, message)
                client.socket.sendall(frame(BINARY, message))
        assert held(server) < 4 * MB
        client.socket.settimeout(PATIENCE)

        assert client.read()[0] == BINARY
        assert counters(server).connections.total() == 0


FLOODS = {
    "PING": (frame(PING, bytes(125)), Closing.CONTROL_FLOOD),
    "PONG": (frame(PONG), Closing.CONTROL_FLOOD),
    "empty fragments": (frame(CONTINUATION, end=False), Closing.USELESS_FRAMES),
}


@pytest.mark.parametrize("name", FLOODS)
def test_client_that_floods_is_sent_away(name: str, app: Socket, connected: Connect) -> None:
    again, reason = FLOODS[name]
    with running(app) as server, connected(server) as client:
        client.send(frame(BINARY, end=False))
        while client.send(again * 100):
            assert held(server) < MB
        until(lambda: not websockets(server), "the end")

        assert ends(server) == {reason: 1}


def test_client_is_told_why_it_is_sent_away(app: Socket, connected: Connect) -> None:
    with running(app) as server, connected(server) as client:
        client.send(frame(PING) * 2000)

        assert client.rest()[-1] == (CLOSE, POLICY + b"control-flood")


# Clients that still send when their WebSockets end.


def narrow(server: LiveServer, tls: bool) -> socket.socket:
    """A connection whose client's system takes little, so that the rest waits in the server's."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(PATIENCE)
    plain.connect(("127.0.0.1", server.port))
    if not tls:
        return plain
    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    return context.wrap_socket(plain, server_hostname="localhost")


def read_slowly(connection: socket.socket) -> bytes:
    """Read little at a time, and send a message each time, until the end or a reset."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(4000):
            parts.append(part)
            with suppress(OSError):
                connection.sendall(frame(BINARY, b"more"))
    return b"".join(parts)


def mistaken(server: LiveServer, client: Http1Client, app: Socket) -> None:
    client.send(frame(3))


def flooding(server: LiveServer, client: Http1Client, app: Socket) -> None:
    client.send(frame(PONG) * 2000)


def not_text(server: LiveServer, client: Http1Client, app: Socket) -> None:
    client.send(frame(TEXT, b"\xff"))


def too_long(server: LiveServer, client: Http1Client, app: Socket) -> None:
    client.send(frame(BINARY, bytes(len(PAGE) + 1)))


def never_answering(server: LiveServer, client: Http1Client, app: Socket) -> None:
    server.skip(21)


def stopped(server: LiveServer, client: Http1Client, app: Socket) -> None:
    server.call(websockets(server)[0].shutdown)


def never_closing(server: LiveServer, client: Http1Client, app: Socket) -> None:
    app.gate.open()
    until(lambda: not app.alive, "the end of the call")
    server.skip(11)


End: TypeAlias = Callable[[LiveServer, Http1Client, Socket], None]
ENDS: dict[End, int] = {
    mistaken: 1002,
    flooding: 1008,
    not_text: 1007,
    too_long: 1009,
    never_answering: 1011,
    stopped: 1012,
    never_closing: 1000,
}


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("end", ENDS)
def test_client_that_still_sends_when_its_websocket_ends_reads_everything_and_the_code(
    end: End, tls: bool, app: Socket
) -> None:
    more: dict[str, Any] = (
        {"ws_ping_interval": 10, "ws_ping_timeout": 10} if end is never_answering else {}
    )
    with (
        running(app, tls=tls, skipping=True, ws_max_size=len(PAGE), **more) as server,
        narrow(server, tls) as connection,
    ):
        client = Http1Client(server, "/page", False, connection)
        until(lambda: app.alive, "the message")
        (websocket,) = websockets(server)
        end(server, client, app)
        until(lambda: websocket._conn.close_sent, "the close frame")
        came = Arrived(client.unread + read_slowly(connection)).rest()

    kind, payload = came[-1]
    assert came[0] == (BINARY, PAGE)
    assert (kind, int.from_bytes(payload[:2], "big")) == (CLOSE, ENDS[end])


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_sends_behind_its_handshake_reads_the_whole_refusal(
    tls: bool, app: Socket
) -> None:
    with running(app, tls=tls) as server, narrow(server, tls) as connection:
        connection.sendall(handshake("/denied") + frame(BINARY, b"at once"))
        until(lambda: app.denied, "the refusal")
        came = read_slowly(connection)

    head, _, content = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert content == PAGE


def test_websocket_that_has_ended_holds_its_place_for_seconds(app: Socket) -> None:
    with running(app, skipping=True) as server, over_http1(server) as client:
        client.send(frame(3))
        client.rest()
        server.skip(SILENCE / 2)
        held = counters(server).open
        server.skip(SILENCE)

        assert held == 1
        until(lambda: not counters(server).open, "the end of the connection")
        assert ends(server) == {Closing.PROTOCOL_ERROR: 1}


@pytest.mark.parametrize(("size", "count"), [(1, 40_000), (10, 3000), (300, 2000), (2000, 100)])
def test_message_in_many_fragments_arrives_whole(
    size: int, count: int, app: Socket, connected: Connect
) -> None:
    app.gate.open()
    parts = [bytes([number % 251]) * size for number in range(count)]
    with running(app) as server, connected(server) as client:
        client.send(frame(BINARY, end=False))
        client.send(b"".join(frame(CONTINUATION, part, end=False) for part in parts))
        client.send(frame(CONTINUATION))

        assert client.read() == (BINARY, b"".join(parts))


def test_small_fragments_without_end_take_as_much_memory_as_they_say_and_no_more(
    app: Socket,
    connected: Connect,
) -> None:
    """A fragment by itself takes fifty octets, or more."""
    # Traced, they may take a busy machine longer than a client has to answer a PING.
    with (
        running(app, ws_max_size=100_000, ws_ping_interval=None) as server,
        connected(server) as client,
    ):
        client.send(frame(BINARY, b"x", end=False))
        tracemalloc.start()
        try:
            while client.send(frame(CONTINUATION, b"xy", end=False) * 1000):
                assert tracemalloc.get_traced_memory()[0] < 2 * MB
        finally:
            tracemalloc.stop()
        until(lambda: not websockets(server), "the end")

        assert ends(server) == {Closing.PROTOCOL_ERROR: 1}


def test_others_have_their_turn_while_small_fragments_come(app: Socket, connected: Connect) -> None:
    """A segment of 256 KiB holds 40,000 of them, which take a third of a second."""
    turns: list[int] = []
    with running(app) as server, connected(server) as client:
        client.send(frame(BINARY, b"x", end=False))
        until(lambda: held(server) > 0, "the message")
        (connection,) = websockets(server)
        segment = frame(CONTINUATION, b"x", end=False) * 20_000

        def watch() -> None:
            turns.append(connection.held())
            if len(turns) < 25:
                server.server.loop.call_soon(watch)

        def feed() -> None:
            connection.data_received(segment)
            watch()

        server.call(feed)
        until(lambda: len(turns) == 25, "the turns")

    # One octet is kept of seven, so that what is held falls with each turn.
    assert all(before - after < 7 * 1500 for before, after in itertools.pairwise(turns))
    assert turns[0] > turns[-1]


def test_client_that_breaks_the_protocol_is_logged_so(app: Socket, connected: Connect) -> None:
    with running(app) as server, connected(server) as client:
        client.send(frame(3))
        client.rest()
        until(lambda: not websockets(server), "the end")

        assert ends(server) == {Closing.PROTOCOL_ERROR: 1}


def test_message_over_the_limit_is_refused(app: Socket, connected: Connect) -> None:
    with running(app, ws_max_size=1000) as server, connected(server, deflate=True) as client:
        client.send(packed(2000))
        kind, payload = client.rest()[-1]

        assert (kind, payload[:2]) == (CLOSE, TOO_BIG)


@pytest.mark.parametrize(
    ("path", "reason"), [("/close", Closing.CLOSED), ("/tidy", Closing.PEER_LEFT)]
)
def test_ordinary_end_is_counted(path: str, reason: Closing, app: Socket) -> None:
    app.gate.open()
    with running(app) as server, over_http1(server, path) as client:
        client.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        client.rest()
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {reason: 1}


def test_end_of_the_server_is_counted(app: Socket) -> None:
    with running(app) as server, over_http1(server) as client:
        server.begin_to_stop()

        assert client.rest()[-1] == (CLOSE, (1012).to_bytes(2, "big"))
        until(lambda: counters(server).connections == {Closing.DRAINED: 1}, "the end")


def test_whoever_reads_nothing_is_cut_off(app: Socket, connected: Connect) -> None:
    options = ServerOptions(stall_timeout=0.4)
    with (
        running(app, options) as server,
        connected(server, "/large", reads=False),
    ):
        until(lambda: not websockets(server), "the end")

        assert set(ends(server)) == {Closing.STALLED}


def test_whoever_does_not_answer_a_ping_is_cut_off(app: Socket, connected: Connect) -> None:
    with (
        running(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        connected(server) as client,
    ):
        client.rest()
        until(lambda: not websockets(server), "the end")

        assert ends(server) == {Closing.STALLED: 1}


def test_pong_behind_a_message_that_the_application_does_not_take_is_waited_for(
    app: Socket, connected: Connect
) -> None:
    with (
        running(app, skipping=True, ws_ping_interval=10, ws_ping_timeout=10) as server,
        connected(server) as client,
    ):
        client.send(frame(BINARY, b"x"))
        until(lambda: held(server) > 0, "the message")
        for _ in range(3):
            server.skip(11)
            kind, payload = client.read()
            assert kind == PING
            client.send(frame(PONG, payload))
            server.skip(11)
        app.gate.open()

        assert client.read() == (BINARY, b"x")


@pytest.mark.parametrize("begun", [frame(BINARY, b"x", end=False), frame(BINARY, b"xyz")[:-1]])
def test_message_that_does_not_go_on_is_not_waited_for(
    begun: bytes, app: Socket, connected: Connect
) -> None:
    # Its own PINGs would have to be answered.
    with (
        running(
            app, ServerOptions(body_timeout=30), skipping=True, ws_ping_interval=None
        ) as server,
        connected(server) as client,
    ):
        client.send(begun)
        until(lambda: is_unfinished(server), "the beginning of the message")
        server.skip(45)

        assert client.rest() == [(CLOSE, POLICY + b"body-timeout")]
        until(lambda: ends(server) == {Closing.BODY_TIMEOUT: 1}, "the reason")


def test_client_of_an_application_that_fails_is_told_so(app: Socket, connected: Connect) -> None:
    with running(app) as server, connected(server, "/fails") as client:
        assert client.rest() == [(CLOSE, INTERNAL_ERROR)]


def test_websocket_of_an_application_that_returns_is_closed_cleanly(
    app: Socket, connected: Connect
) -> None:
    with running(app) as server, connected(server, "/returns") as client:
        assert client.rest() == [(BINARY, b"all"), (CLOSE, NORMAL)]


def test_message_that_goes_on_is_waited_for(app: Socket, connected: Connect) -> None:
    app.gate.open()
    options = ServerOptions(body_timeout=100, min_body_rate=10)
    # Its own PINGs would have to be answered.
    with (
        running(app, options, skipping=True, ws_ping_interval=None) as server,
        connected(server) as client,
    ):
        client.send(frame(BINARY, end=False))
        for _ in range(10):
            client.send(frame(CONTINUATION, bytes(1000), end=False))
            client.send(frame(PING))
            assert client.read()[0] == PONG
            server.skip(25)
        client.send(frame(CONTINUATION))

        assert client.read()[0] == BINARY


def test_call_that_does_not_hear_that_its_client_left_is_cancelled(
    app: Socket, connected: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with running(app, ServerOptions(call_grace=0.05)) as server:
        for _ in range(5):
            with connected(server, "/hang"):
                pass
        until(lambda: app.alive == 0 and not websockets(server), "the end of the calls")

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 5
    assert all("--call-grace" in record.getMessage() for record in warnings)


def test_websocket_whose_call_has_ended_is_freed_before_the_grace_is_over(
    app: Socket, connected: Connect
) -> None:
    app.gate.open()
    with running(app, ServerOptions(call_grace=1000)) as server:
        with connected(server, "/echo"):
            until(lambda: websockets(server), "the connection")
            ended = weakref.ref(websockets(server)[0])

        until(lambda: gc.collect() >= 0 and ended() is None, "its end")


def test_calls_that_clients_left_behind_are_bounded_by_their_number(
    app: Socket, connected: Connect
) -> None:
    with running(app, ServerOptions(max_abandoned_calls=2)) as server:
        for _ in range(5):
            with connected(server, "/hang"):
                pass
        until(lambda: app.alive == 2 and not websockets(server), "the end of all but two")


def test_call_that_heard_may_take_its_time(app: Socket, connected: Connect) -> None:
    with running(app, ServerOptions(call_grace=0.02)) as server:
        with connected(server, "/tidy"):
            pass
        until(lambda: not websockets(server), "the end of the connection")
        left = worker_of(server)._loop.time()
        until(lambda: worker_of(server)._loop.time() > left + 0.2, "more than the grace")
        assert app.alive == 1

        app.gate.open()
        until(lambda: app.alive == 0, "its end")


def test_large_message_is_cut_off_when_memory_is_short(
    app: Socket, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = 0
    monkeypatch.setattr(worker_module, "_SECOND", 0.01)
    monkeypatch.setattr(worker_module, "used_memory", lambda: used)
    monkeypatch.setattr(worker_module, "used_blocks", lambda: 0)
    with (
        running(app, ServerOptions(max_memory=800 * MB)) as server,
        connected(server) as large,
    ):
        large.send(frame(BINARY, bytes(MB), end=False))
        until(lambda: held(server) >= MB, "the message")
        with connected(server) as small:
            used = 701 * MB
            until(lambda: worker_of(server).shedding, "the shedding")
            assert ends(server).total() == 0
            used = 801 * MB
            assert large.rest() == []
            used = 0
            app.gate.open()
            small.send(frame(BINARY, b"x"))

            assert small.read() == (BINARY, b"x")
            assert ends(server) == {Closing.MEMORY: 1}


class OtherWebSocket(WebSocketsSansIOProtocol):
    """An implementation other than ours, which `--ws` may name."""


def test_another_implementation_keeps_its_seat(app: Socket) -> None:
    """`--ws` may name one that knows of none."""
    with running(app, ws=OtherWebSocket) as server:
        with over_http1(server):
            assert counters(server).open == 1
        until(lambda: counters(server).open == 0, "its slot")


def test_another_implementation_whose_client_reads_nothing_does_not_outlive_the_server(
    app: Socket,
) -> None:
    def connections() -> list[Any]:
        return list(server.server.server_state.connections)

    with running(app, ws=OtherWebSocket, timeout_graceful_shutdown=0.1) as server:
        with over_http1(server, "/large"):
            until(
                lambda: any(one.transport.get_write_buffer_size() for one in connections()),
                "more than the client's system takes",
            )
            server.stop()

        assert not connections()


def test_another_implementation_whose_client_does_not_end_tls_is_cut_off(app: Socket) -> None:
    """Its slot is free from the moment at which it closes, so nothing else is open."""
    app.gate.open()
    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    with (
        running(app, ws=OtherWebSocket, tls=True, skipping=True) as server,
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        client = Http1Client(server, "/", False, secured)
        client.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        until(lambda: counters(server).open == 0, "its slot")
        server.skip(SILENCE + 1)

        until(lambda: not worker_of(server).watched, "the end of TCP")
        assert client.rest() == [(CLOSE, (1000).to_bytes(2, "big"))]
