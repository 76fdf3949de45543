"""Ends of connections whose clients still send: nothing that was written is lost."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import ngh2
import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.server.deadlines import seconds_between_looks
from headstart.server.drain import NOTICE_GRACE
from headstart.server.early import BYTES, BYTES_A_SECOND, SECONDS, SILENCE
from headstart.server.lingering import DRAIN_SILENCE, LAST_WORDS, Lingering, end_output
from headstart.server.reachable import undelivered
from headstart.server.worker import Worker
from headstart.wire.frames import Direction
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket
from tests.peers import peer
from tests.relay import relay
from tests.server.apps import Receive, Recorder, Scope, Send, body, hello, start
from tests.server.hostile import ACK, GOAWAY, PING, Hostile, frame
from tests.server.live import PATIENCE, Gate, LiveServer, certificate, running, until
from tests.server.raw import RawClient

LARGE, HUGE = 60_000, 20_000_000
OPTIONS = ServerOptions(stall_timeout=60, min_read_rate=256)
LOOK = seconds_between_looks(ServerOptions())
ASKED = frame(PING, 0, 0, b"are you?")


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with more than a small receive buffer takes."""
    await send(start())
    await send(body(bytes(LARGE)))


async def huge(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with more than the systems of both ends take."""
    await send(start())
    await send(body(bytes(HUGE)))


# Every end of an HTTP/2 connection.


@contextmanager
def narrow(server: LiveServer, tls: bool, window: int = 2 * LARGE) -> Iterator[RawClient]:
    """A client whose system takes little, so that the rest waits in the server's."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", server.port))
    if tls:
        context = ssl.create_default_context(cafile=certificate().ca_certfile)
        context.set_alpn_protocols(["h2"])
        plain = context.wrap_socket(plain, server_hostname="localhost")
    windows: dict[int, int] = {ngh2.Setting.INITIAL_WINDOW_SIZE: window}
    with RawClient(server.port, windows, connected=plain, tls=tls) as client:
        client.engine.set_local_window_size(window)
        yield client


def connections(server: LiveServer) -> set[Any]:
    return server.server.server_state.connections


def until_left(server: LiveServer) -> None:
    """Wait until the server has nothing more to say to anybody."""
    until(
        lambda: all(one._lifetime.has_left for one in connections(server)),
        "the end of what is said",
    )


def until_delivered(server: LiveServer) -> None:
    """Wait until all has reached the systems of the clients."""
    transports = [one._transport for one in connections(server)]
    transports = [getattr(one, "_raw", one) for one in transports]
    until(lambda: not any(map(undelivered, transports)), "the acknowledgement")


def read_slowly(client: RawClient) -> None:
    """Read little at a time, and send a PING each time."""
    with suppress(ConnectionResetError):
        while data := client.socket.recv(4000):
            client.frames += client._frames.feed(Direction.RECEIVED, data, 0.0)
            with suppress(ngh2.ConnectionStateError):  # behind the last GOAWAY
                client.engine.receive_data(data)
            for event in client.engine.events():
                client._take(event)
            with suppress(OSError):
                client.socket.sendall(ASKED)


def used_up(server: LiveServer, client: RawClient) -> None:
    """The only request that it may make."""
    server.skip(NOTICE_GRACE)


def idle(server: LiveServer, client: RawClient) -> None:
    """Send nothing after the first request."""
    server.skip(ServerOptions().idle_timeout + LOOK)


def half_a_frame(server: LiveServer, client: RawClient) -> None:
    """Send half a frame and never the rest."""
    client.socket.sendall(ASKED[:-1])
    server.skip(ServerOptions().header_timeout + LOOK)


def mistaken(server: LiveServer, client: RawClient) -> None:
    """Break a rule of HTTP/2."""
    client.socket.sendall(frame(PING, 0, 1, b"a stream"))


def stopped(server: LiveServer, client: RawClient) -> None:
    """The server stops."""
    (connection,) = connections(server)
    server.call(connection.shutdown)
    until(lambda: connection._lifetime._drain.begun, "the notice")
    server.skip(NOTICE_GRACE)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("end", [used_up, idle, half_a_frame, mistaken, stopped])
def test_client_that_sends_during_the_end_of_its_connection_gets_every_byte(
    end: Callable[[LiveServer, RawClient], None], tls: bool
) -> None:
    limits = WireLimits(max_requests=1) if end is used_up else WireLimits()
    app = Recorder(large)
    with (
        running(app, ServerOptions(limits=limits), tls=tls, skipping=True) as server,
        narrow(server, tls) as client,
    ):
        client.settle()
        stream = client.request()
        app.next()
        until(lambda: not server.server.server_state.tasks, "the end of the call")
        end(server, client)
        until_left(server)
        read_slowly(client)

        assert client.responses[stream].body == bytes(LARGE)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_sends_during_the_end_gets_every_byte_from_uvloop_too(tls: bool) -> None:
    app = Recorder(large)
    with running(app, tls=tls, loop="uvloop") as server, narrow(server, tls) as client:
        client.settle()
        stream = client.request()
        app.next()
        until(lambda: not server.server.server_state.tasks, "the end of the call")
        client.socket.sendall(frame(PING, 0, 1, b"a stream"))
        until_left(server)
        read_slowly(client)

        assert client.responses[stream].body == bytes(LARGE)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_reads_slowly_gets_the_rest_and_a_goaway_though_its_frame_was_too_slow(
    tls: bool,
) -> None:
    """Its transport is full at that time."""
    app = Recorder(huge)
    with running(app, tls=tls, skipping=True) as server, narrow(server, tls, HUGE) as client:
        client.settle()
        stream = client.request()
        app.next()
        (connection,) = connections(server)
        until(lambda: connection._lifetime.write_paused, "a full transport")
        client.socket.sendall(ASKED[:-1])
        server.skip(ServerOptions().header_timeout + LOOK)
        until(lambda: connection._lifetime._is_reported, "the end")
        read_slowly(client)

        assert 2 * LARGE < len(client.responses[stream].body) < HUGE
        assert client.goaways


_SLOW_PAGE = """
const session = require("http2").connect(process.argv[1], {
  ca: process.argv[2] && require("fs").readFileSync(process.argv[2]),
  settings: { initialWindowSize: 4_000_000 },
});
session.on("connect", () => session.setLocalWindowSize(4_000_000));
session.on("error", (error) => console.log("session", error.code));
const pings = setInterval(() => session.destroyed || session.ping(() => {}), 20);
const stream = session.request({ ":path": "/" });
let size = 0;
stream.on("response", () => console.log("begun"));
stream.on("data", (data) => { size += data.length; });
stream.on("error", (error) => console.log("stream", error.code));
stream.on("close", () => { console.log(size); clearInterval(pings); session.close(); });
"""


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_node_that_sends_pings_behind_a_slow_link_gets_the_whole_page(tls: bool) -> None:
    size = 700_000
    begun = Gate()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x", more_body=True))
        await begun.passed()
        await send(body(bytes(size - 1)))

    options = ServerOptions(limits=WireLimits(max_requests=1))
    with running(Recorder(page), options, tls=tls) as server, relay(server.port) as link:
        scheme, ca = ("https", [str(certificate().ca_certfile)]) if tls else ("http", [])
        node = subprocess.Popen(
            [peer("node"), "-e", _SLOW_PAGE, f"{scheme}://localhost:{link.port}", *ca],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert node.stdout is not None
            assert node.stdout.readline() == "begun\n"
            link.stop()
            begun.open()
            until_left(server)
            link.go_on()
            printed, _ = node.communicate(timeout=PATIENCE)
        finally:
            node.kill()
            node.communicate()

    assert printed == f"{size}\n"


# Clients that do not go.


def left_behind(server: LiveServer, tls: bool) -> Hostile:
    """A client that has broken a rule and has heard so."""
    client = Hostile(server.port, tls=tls)
    client.send(frame(PING, 0, 1, b"a stream"))
    client.until(GOAWAY)
    until_left(server)
    return client


def lingering(server: LiveServer) -> Lingering:
    """The time of the only connection that is at its end."""
    live = server.server
    watched: set[Any] = Worker.of(live.server_state, live.config, live.loop).watched
    until(lambda: watched, "the end of the connection")
    (found,) = [one._lingering for one in watched]
    assert isinstance(found, Lingering)
    return found


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_does_not_close_holds_its_place_for_seconds(tls: bool) -> None:
    with running(Recorder(), tls=tls, skipping=True) as server, left_behind(server, tls):
        server.skip(SILENCE / 2)
        held = len(connections(server))
        server.skip(SILENCE)

        assert held == 1
        until(lambda: not connections(server), "the end of the connection")


def has_heard(lingering: Lingering, since: float) -> bool:
    return lingering._moved > since


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_goes_on_sending_holds_its_place_for_half_a_minute(tls: bool) -> None:
    with running(Recorder(), tls=tls, skipping=True) as server, left_behind(server, tls) as client:
        its, seconds = lingering(server), 0.0
        while connections(server) and seconds < 2 * SECONDS:
            silent_since = its._moved
            client.send(ASKED)
            until(partial(has_heard, its, silent_since), "the arrival")
            server.skip(SILENCE / 2)
            seconds += SILENCE / 2

        assert SECONDS - SILENCE < seconds < SECONDS + SILENCE


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_floods_behind_the_end_is_cut_off(tls: bool) -> None:
    with running(Recorder(), tls=tls) as server, left_behind(server, tls) as client:
        begun, sent = time.monotonic(), 0
        while client.send(ASKED * 4000):
            sent += len(ASKED) * 4000
        seconds = time.monotonic() - begun

        # Beyond that, the systems of both ends hold some megabytes.
        assert sent < BYTES + seconds * BYTES_A_SECOND + 16_000_000
        assert seconds < SECONDS


# The server stops.


def begins_to_stop(server: LiveServer) -> None:
    """Tell the connections, as uvicorn does."""
    for connection in connections(server):
        server.call(connection.shutdown)
    until(lambda: all(one._lifetime._drain.begun for one in connections(server)), "the notice")


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_server_that_stops_does_not_wait_for_an_idle_client_that_says_nothing(tls: bool) -> None:
    """As a process that was stopped, or a laptop that sleeps."""
    with running(hello, tls=tls, skipping=True) as server, Hostile(server.port, tls=tls) as client:
        client.settle()
        begins_to_stop(server)
        server.skip(NOTICE_GRACE)
        until_left(server)
        if tls:  # which waits a moment for the client's close_notify
            until_delivered(server)
            server.skip(2 * DRAIN_SILENCE)

        assert not connections(server)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_server_that_stops_waits_a_moment_for_a_client_that_does_not_close(tls: bool) -> None:
    with running(hello, tls=tls, skipping=True) as server, Hostile(server.port, tls=tls) as client:
        client.settle()
        begins_to_stop(server)
        client.until(PING, count=2)
        client.send(frame(PING, ACK, 0, client.frames(PING)[-1].payload))
        client.until(GOAWAY, count=2)
        until_delivered(server)
        held = len(connections(server))
        server.skip(2 * DRAIN_SILENCE)

        assert held == 1
        assert not connections(server)


# The bounds by themselves.


def ended() -> Socket:
    """A connection of which all is written."""
    with closing(ClockLoop()) as loop:
        return Socket(asyncio.Protocol(), loop)


def test_connection_lingers_while_its_client_sends_and_no_longer_than_a_stream() -> None:
    silent, slow = Lingering(ended(), OPTIONS, 0.0), Lingering(ended(), OPTIONS, 0.0)
    now = 0.0
    while not slow.is_over(now):
        assert slow.drop(1, now)
        now += 1

    assert now == SECONDS
    assert not silent.is_over(SILENCE - 0.1)
    assert silent.is_over(SILENCE)


def test_connection_lingers_for_so_many_bytes() -> None:
    lingering = Lingering(ended(), OPTIONS, 0.0)

    assert lingering.drop(BYTES, 0.0)
    assert not lingering.drop(1, 0.0)
    assert lingering.drop(BYTES_A_SECOND, 1.0)
    assert not lingering.drop(1, 1.0)


def test_time_of_a_client_begins_when_it_has_got_the_rest() -> None:
    transport = ended()
    transport.write(bytes(100_000))
    lingering = Lingering(transport, OPTIONS, 0.0)
    for second in range(100):
        assert not lingering.is_over(float(second))
        transport.read(1000)

    assert not lingering.is_over(99 + SILENCE - 0.1)
    assert lingering.is_over(99 + SILENCE)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 60), (255, 60), (256, None)])
def test_client_that_hardly_reads_the_rest_is_not_waited_for(
    rate: int, seconds: int | None
) -> None:
    transport = ended()
    transport.write(bytes(1_000_000))
    lingering = Lingering(transport, OPTIONS, 0.0)
    for second in range(200):
        if lingering.is_over(float(second)):
            assert second == seconds
            return
        transport.read(rate)
    assert seconds is None


@pytest.mark.parametrize(("left", "over"), [(LAST_WORDS, SILENCE), (LAST_WORDS + 1, None)])
def test_last_words_are_not_waited_for(left: int, over: float | None) -> None:
    transport = ended()
    transport.write(bytes(left))
    lingering = Lingering(transport, OPTIONS, 0.0)
    lingering.is_over(0.0)

    assert lingering.is_over(SILENCE) is (over == SILENCE)


def test_connection_that_is_lost_has_no_side_to_end() -> None:
    transport = ended()
    transport.write(b"x")
    transport.close()

    assert not end_output(transport)


def test_side_of_a_connection_that_was_reset_meanwhile_cannot_be_ended() -> None:
    class Reset(Socket):
        def write_eof(self) -> None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    with closing(ClockLoop()) as loop:
        assert not end_output(Reset(asyncio.Protocol(), loop))
