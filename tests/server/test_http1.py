"""HTTP/1.1: what gets to the application, what is refused and how, what takes too long."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import websockets.exceptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from headstart.server.abandoned import UNREAD_GRACE
from headstart.server.counters import Counters
from headstart.server.early import BYTES, BYTES_A_SECOND, SECONDS, SILENCE
from headstart.server.http1 import Http1Connection
from headstart.server.memory import used_memory
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config
from headstart.server.worker import Worker
from headstart.wire.fields import read_request
from tests.peers import peer
from tests.server.apps import (
    Held,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    hasty,
    hello,
    lifespan,
    read_all,
    start,
)
from tests.server.live import PATIENCE, LiveServer, certificate, running, until
from tests.server.raw import tls_socket
from tests.server.websockets import library_client

GOOD = b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
POST = b"POST /up HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def connected(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def rest(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def told(server: LiveServer, data: bytes) -> bytes:
    """What the server says to `data` before it closes."""
    with connected(server) as client:
        client.sendall(data)
        return rest(client)


def statuses(data: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", data)]


def counters(server: LiveServer) -> Counters:
    """What the server counted."""
    return Worker.of(server.server.server_state, server.server.config, server.server.loop).counters


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads whatever comes, to its end."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return None
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    return await answer(send)


async def upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, and answers how long it was."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    return await answer(send, str(len(await read_all(receive))).encode())


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def strict(recorder: Recorder) -> Iterator[LiveServer]:
    """One server for all that refuses and all that passes."""
    with running(recorder) as server:
        yield server


# Checks, the same as over HTTP/2.

FIELD = b"GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
_FRAMED = POST + b"%s\r\n\r\nabc"
MALFORMED = {
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two Hosts that differ": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "comma in Host": b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "userinfo in Host": b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
    "path in Host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "absolute-form without Host": b"GET http://localhost/ HTTP/1.1\r\n\r\n",
    "absolute-form with two Hosts": b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "absolute-form with a bad Host": b"GET http://a/ HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "absolute-form without authority": b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
    "userinfo in absolute-form": b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n",
    "comma in absolute-form": b"GET http://a,b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment in absolute-form": b"GET http://a/#top HTTP/1.1\r\nHost: a\r\n\r\n",
    "another scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /#top HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "8-bit path": b"GET /\xe4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk without OPTIONS": b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "method with a dot": b"G.T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a name that shadows": FIELD % b"Content_Length: 3",
    "gzip, chunked": _FRAMED % b"Transfer-Encoding: gzip, chunked",
    "gzip and chunked": _FRAMED % b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "chunked twice": _FRAMED % b"Transfer-Encoding: chunked, chunked",
    "identity": _FRAMED % b"Transfer-Encoding: identity",
    "chunked;q=1": _FRAMED % b"Transfer-Encoding: chunked;q=1",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length and chunked": _FRAMED % b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    "chunked and length": _FRAMED % b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    "length twice": _FRAMED % b"Content-Length: 3\r\nContent-Length: 3",
    "two lengths in one": _FRAMED % b"Content-Length: 3, 3",
    "length with a sign": _FRAMED % b"Content-Length: +3",
    "hexadecimal length": _FRAMED % b"Content-Length: 0x3",
    "length past 64 bits": _FRAMED % b"Content-Length: 99999999999999999999",
    "empty length": _FRAMED % b"Content-Length:",
    "folded line": FIELD % b"X: a\r\n b",
    "folded with a tab": FIELD % b"X: a\r\n\tb",
    "folded first line": b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "bare LF behind a field": b"GET / HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare CR": FIELD % b"X: a\rY: b",
    "white space before the colon": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "no name": FIELD % b": a",
    "no colon": FIELD % b"name",
    "name that is no token": FIELD % b"X(1): a",
    "NUL": FIELD % b"X: a\x00b",
    "control character": FIELD % b"X: a\x01b",
    "DEL": FIELD % b"X: a\x7fb",
    "no version's name": b"GET / http/1.1\r\nHost: localhost\r\n\r\n",
    "WebSocket with a body": FIELD
    % b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3",
}
MALFORMED_BODIES = {
    "chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with white space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size past 64 bits": CHUNKED + b"fffffffffffffffff\r\nabc\r\n",
    "chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk behind a bare LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "chunk that a bare LF ends": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "extension that a bare LF ends": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "Host in trailers": CHUNKED + b"0\r\nHost: localhost\r\n\r\n",
    "length in trailers": CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n",
    "coding in trailers": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
}
PASSES = {
    "plain": GOOD,
    "HTTP/1.0 without Host": b"GET /ok HTTP/1.0\r\n\r\n",
    "white space around a value": b"GET /ok HTTP/1.1\r\nHost: \t localhost \t\r\n\r\n",
    "absolute-form": b"GET http://localhost/ok HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute-form in HTTP/1.0": b"GET http://localhost/ok HTTP/1.0\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "port in Host": b"GET /ok HTTP/1.1\r\nHost: localhost:8080\r\n\r\n",
    "IPv6 in Host": b"GET /ok HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "empty line before": b"\r\n" + GOOD,
    "8-bit value": FIELD % b"X: \xe4",
    "length": _FRAMED % b"Content-Length: 3",
    "length behind white space": _FRAMED % b"Content-Length: 3 ",
    "Chunked": POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunk extension": CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n',
    "trailers": CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "an upgrade that is not offered": FIELD % b"Connection: Upgrade\r\nUpgrade: h2c",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_answered_400_and_never_seen(
    strict: LiveServer, recorder: Recorder, request_: bytes
) -> None:
    assert statuses(told(strict, request_ + LAST)) == [400]
    assert recorder.empty


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_refused_byte_by_byte_too(
    strict: LiveServer, recorder: Recorder, request_: bytes
) -> None:
    with connected(strict) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):
            for number in range(len(request_)):
                client.sendall(request_[number : number + 1])
        assert statuses(rest(client)) == [400]
    assert recorder.empty


@pytest.mark.parametrize("request_", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
def test_malformed_body_ends_the_request_and_the_connection(request_: bytes) -> None:
    ends: list[str] = []

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        ends.append(message["type"])
        return None

    with running(upload) as server:
        assert statuses(told(server, request_ + LAST)) == [400]
        until(lambda: ends == ["http.disconnect"], "the disconnect")


@pytest.mark.parametrize("request_", PASSES.values(), ids=PASSES)
def test_well_formed_request_passes(
    strict: LiveServer, recorder: Recorder, request_: bytes
) -> None:
    assert statuses(told(strict, request_ + LAST))[:1] == [200]
    while not recorder.empty:
        recorder.next()


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"])
def test_version_that_is_not_spoken_is_answered_505(
    strict: LiveServer, recorder: Recorder, version: bytes
) -> None:
    assert statuses(told(strict, GOOD.replace(b"HTTP/1.1", version))) == [505]
    assert recorder.empty


def test_request_line_without_a_version_is_answered_505(strict: LiveServer) -> None:
    assert statuses(told(strict, b"GET /\r\n\r\n")) == [505]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 8192), 414),
        (b"GET /" + b"a" * 100_000, 414),
        (FIELD % b"\r\n".join([b"A: b"] * 100), 431),
        (FIELD % (b"A: " + b"b" * 16_384), 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"b" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431),
        (b"\r\n" * 50_000, 431),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 102, 431),
        (CHUNKED + b"3;" + b"e" * 100_000, 400),
        (CHUNKED + b"0\r\nA: " + b"b" * 100_000, 400),
    ],
    ids=[
        "target",
        "target without end",
        "fields",
        "field",
        "value without end",
        "name without end",
        "fields without end",
        "nothing but line ends",
        "trailers",
        "chunk extension without end",
        "trailer without end",
    ],
)
def test_what_is_too_large_is_refused(request_: bytes, status: int) -> None:
    with running(reads) as server:
        with connected(server) as client:
            client.sendall(request_)

            assert statuses(rest(client)) == [status]
        assert counters(server).connections[Closing.TOO_LARGE] == 1


def test_limits_themselves_pass(strict: LiveServer, recorder: Recorder) -> None:
    target = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 8191)
    fields = FIELD % b"\r\n".join([b"A: b"] * 99)

    assert statuses(told(strict, target + fields + LAST)) == [200, 200, 200]
    assert [len(recorder.next()["headers"]) for _ in range(3)] == [1, 100, 2]


def test_limits_are_those_of_the_options() -> None:
    limits = WireLimits(max_target_size=10, max_header_count=2)
    with running(hello, ServerOptions(limits=limits)) as server:
        assert statuses(told(server, b"GET /12345678901 HTTP/1.1\r\nHost: a\r\n\r\n")) == [414]
        assert statuses(told(server, FIELD % b"A: b\r\nB: c")) == [431]
        assert statuses(told(server, LAST)) == [200]


def test_trailers_never_become_fields_of_the_request() -> None:
    seen: list[bytes] = []

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await read_all(receive)
        seen.extend(name for name, _ in scope["headers"])
        return await answer(send)

    with running(upload) as server:
        told(server, CHUNKED + b"0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n" + LAST)

    assert b"x-forwarded-for" not in seen
    assert b"host" in seen


@pytest.mark.parametrize(
    ("line", "path", "query"),
    [
        (b"GET http://Example.org:8080/a%20b?q=1 HTTP/1.1", "/a b", b"q=1"),
        (b"GET HTTPS://Example.org:8080?q=1 HTTP/1.1", "/", b"q=1"),
        (b"GET http://Example.org:8080 HTTP/1.1", "/", b""),
        (b"OPTIONS http://Example.org:8080 HTTP/1.1", "*", b""),
        (b"OPTIONS http://Example.org:8080/ HTTP/1.1", "/", b""),
        (b"GET http://Example.org:8080//other.org/ HTTP/1.1", "//other.org/", b""),
    ],
)
def test_target_in_absolute_form_says_path_and_host(
    strict: LiveServer, recorder: Recorder, line: bytes, path: str, query: bytes
) -> None:
    fields = b"X: 1\r\nHost: other.org\r\nConnection: close"
    assert statuses(told(strict, line + b"\r\n" + fields + b"\r\n\r\n")) == [200]
    scope = recorder.next()

    assert (scope["path"], scope["query_string"]) == (path, query)
    assert scope["scheme"] == "http"
    assert scope["headers"][:2] == [(b"host", b"Example.org:8080"), (b"x", b"1")]
    assert [name for name, _ in scope["headers"]].count(b"host") == 1


def test_curl_through_us_as_its_proxy_gets_its_answer(
    strict: LiveServer, recorder: Recorder
) -> None:
    where = ["--proxy", f"http://127.0.0.1:{strict.port}", "http://example.org/page?q"]
    command = [peer("curl"), "-sSf", *where]
    done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, b"page"), done.stderr

    scope = recorder.next()
    assert (scope["raw_path"], dict(scope["headers"])[b"host"]) == (b"/page", b"example.org")


def test_upgrade_that_nobody_offers_may_have_a_target_in_absolute_form(
    strict: LiveServer, recorder: Recorder
) -> None:
    fields = b"Host: other\r\nConnection: Upgrade\r\nUpgrade: h2c"
    asked = b"GET http://localhost/up HTTP/1.1\r\n%s\r\n\r\n" % fields

    assert statuses(told(strict, asked + LAST)) == [200, 200]
    scopes = [recorder.next(), recorder.next()]
    assert [scope["path"] for scope in scopes] == ["/up", "/last"]
    assert scopes[0]["headers"][0] == (b"host", b"localhost")


def test_value_comes_without_the_white_space_around_it(
    strict: LiveServer, recorder: Recorder
) -> None:
    told(strict, LAST.replace(b"localhost", b" localhost\t "))

    assert (b"host", b"localhost") in recorder.next()["headers"]


# Refusals in their place.


def test_refusal_waits_for_the_responses_before_it() -> None:
    held = Held()
    with running(held) as server, connected(server) as client:
        client.sendall(GOOD + GOOD + MALFORMED["two Hosts"] + GOOD)
        until(lambda: held.waiting == 1, "the first request")
        held.gate.open()

        assert statuses(rest(client)) == [200, 200, 400]
        assert held.waiting == 2


def test_body_that_breaks_behind_a_request_in_flight_does_not_harm_that() -> None:
    held = Held()
    with running(held) as server, connected(server) as client:
        client.sendall(GOOD + MALFORMED_BODIES["chunk longer than it says"])
        until(lambda: held.waiting == 1, "the first request")
        held.gate.open()

        assert statuses(rest(client)) == [200, 400]
        assert held.waiting == 1


def test_body_that_breaks_behind_the_start_of_its_response_cuts_that_off() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start(200, [(b"content-length", b"10")]))
        await send(body(b"12345", more_body=True))
        while (await receive())["type"] != "http.disconnect":
            pass
        return None

    with running(early) as server, connected(server) as client:
        client.sendall(CHUNKED)
        data = client.recv(65536)
        while b"12345" not in data:
            data += client.recv(65536)
        client.sendall(b"nonsense\r\n")

        assert rest(client) == b""


def test_client_that_goes_on_sending_still_reads_why_it_was_refused() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200_000)

        assert statuses(rest(client)) == [431]


def test_client_reads_an_answer_that_came_before_the_end_of_its_upload() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start(413, [(b"connection", b"close"), (b"content-length", b"9")]))
        return await send(body(b"too large"))

    with running(early) as server, connected(server) as client:
        client.sendall(POST + b"Content-Length: 6000000\r\n\r\n")
        until(lambda: not server.server.server_state.tasks, "the answer")
        client.sendall(bytes(3_000_000))

        assert rest(client).endswith(b"too large")


def test_client_that_never_stops_sending_is_cut_off() -> None:
    with running(hello, skipping=True) as server, connected(server) as client:
        client.sendall(MALFORMED["no Host"])
        assert statuses(rest(client)) == [400]
        passed = 0.0
        while is_open(client):
            server.skip(1.0)
            passed += 1.0

        assert SECONDS / 2 < passed < SECONDS + 5


def test_client_that_sends_too_much_behind_its_answer_is_cut_off() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(MALFORMED["no Host"])
        assert statuses(rest(client)) == [400]
        sent = 0
        while is_open(client, BYTES_A_SECOND):
            sent += BYTES_A_SECOND

        assert sent < BYTES + PATIENCE * BYTES_A_SECOND


def test_client_that_stops_to_send_once_it_is_answered_is_closed() -> None:
    with running(hello, skipping=True) as server, connected(server) as client:
        client.sendall(MALFORMED["no Host"])
        assert statuses(rest(client)) == [400]
        server.skip(SILENCE / 2)
        assert server.server.server_state.connections

        server.skip(SILENCE)
        until(lambda: not server.server.server_state.connections, "the end of the connection")


def is_open(client: socket.socket, size: int = 1000) -> bool:
    try:
        client.sendall(bytes(size))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_more_requests_at_once_than_streams_wait_behind_the_others() -> None:
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=10))
    held = Held()
    with running(held, options) as server, connected(server) as client:
        client.sendall(b"".join(GOOD.replace(b"ok", b"%d" % n) for n in range(3000)) + LAST)
        until(lambda: held.waiting == 1, "the first request")
        connection: Any = next(iter(server.server.server_state.connections))
        # A slice of the input holds fewer than a hundred of these requests.
        assert len(connection._waiting) < 10 + 110
        held.gate.open()

        data = rest(client)

    assert statuses(data) == [200] * 3001
    assert re.findall(rb"\n/(\d+)", data) == [b"%d" % n for n in range(3000)]


def test_bytes_behind_a_bad_request_do_not_keep_its_refusal_from_being_written() -> None:
    held = Held()
    with running(held) as server, connected(server) as client:
        client.sendall(GOOD + b"not a request\r\n\r\n" + GOOD * 500)
        until(lambda: held.waiting == 1, "the first request")
        held.gate.open()

        data = rest(client)

    assert statuses(data) == [200, 400]


def test_requests_that_wait_behind_a_body_are_answered_as_well() -> None:
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=10))
    with running(upload, options) as server:
        request = POST + b"Content-Length: 20000\r\n\r\n" + bytes(20_000)
        data = told(server, request + GOOD * 500 + request + GOOD * 500 + LAST)

    assert statuses(data) == [200] * 1003
    assert data.count(b"20000") == 2


def test_client_is_read_from_when_only_framing_is_left_of_a_body_that_nobody_reads() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(CHUNKED)
        data = client.recv(1000)
        until(lambda: not server.server.server_state.tasks, "the end of the call")
        size = 16 * 1024 - len(b"3ffa\r\n")
        # The end of the chunk, which brings nothing, is parsed by itself.
        client.sendall(b"%x\r\n%b\r\n" % (size, bytes(size)))
        received = len(CHUNKED) + 16 * 1024 + 2
        until(lambda: counters(server).bytes_received == received, "the chunk")
        client.sendall(b"0\r\n\r\n" + LAST)
        data += rest(client)

    assert statuses(data) == [200, 200]


LARGE = 8_000_000


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with more than any buffer takes."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    return await answer(send, bytes(LARGE))


@pytest.mark.parametrize(
    "first",
    [LAST, GOOD.replace(b"1.1", b"1.0"), LAST + b"nonsense\r\n", LAST + GOOD],
    ids=["close", "1.0", "nonsense behind", "request behind"],
)
def test_request_behind_the_last_one_does_not_cost_the_end_of_its_response(first: bytes) -> None:
    with running(large) as server, connected(server) as client:
        client.sendall(first)
        data = client.recv(1000)
        until(lambda: not server.server.server_state.tasks, "the end of the call")
        client.sendall(GOOD * 10)
        data += rest(client)

    assert len(data.partition(b"\r\n\r\n")[2]) == LARGE


def test_server_that_stops_does_not_wait_for_a_client_that_keeps_its_side_open() -> None:
    held = Held()
    with running(held, skipping=True) as server, connected(server) as client:
        client.sendall(GOOD)
        until(lambda: held.waiting == 1, "the request")
        connection: Any = next(iter(server.server.server_state.connections))
        server.call(connection.shutdown)
        until(lambda: connection._worker.draining, "the stop")
        held.gate.open()
        # As a client with a pool, which does not look at the connection until it asks again.
        assert statuses(rest(client)) == [200]
        server.skip(SILENCE / 2)

        assert not server.server.server_state.connections


def test_connection_that_lingers_has_time_until_its_client_has_read_the_response() -> None:
    with running(large, skipping=True) as server, connected(server) as client:
        client.sendall(LAST)
        data = client.recv(1000)
        until(lambda: not server.server.server_state.tasks, "the end of the call")
        for _ in range(3):
            server.skip(SILENCE * 0.9)
            data += client.recv(1_000_000)
        client.sendall(GOOD)
        data += rest(client)

    assert len(data.partition(b"\r\n\r\n")[2]) == LARGE


def test_client_that_closes_its_side_alone_gets_its_responses() -> None:
    held = Held()
    with running(held) as server, connected(server) as client:
        client.sendall(GOOD * 3)
        client.shutdown(socket.SHUT_WR)
        until(lambda: held.waiting == 1, "the first request")
        held.gate.open()

        assert statuses(rest(client)) == [200] * 3


def test_client_that_closes_its_side_behind_many_requests_gets_all_responses() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(GOOD * 1000)
        client.shutdown(socket.SHUT_WR)

        assert statuses(rest(client)) == [200] * 1000


def test_client_that_closes_amid_a_response_has_left_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headstart.server.http1_deadlines.UNREAD_GRACE", 1e9)
    left = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        assert await receive() == {"type": "http.disconnect"}
        left.set()
        return None

    with running(endless) as server, connected(server) as client:
        client.sendall(GOOD)
        until(lambda: b"event" in client.recv(1000), "the first event")
        client.shutdown(socket.SHUT_WR)

        assert left.wait(PATIENCE)


@asynccontextmanager
async def polled_over_a_unix_socket() -> AsyncIterator[tuple[socket.socket, asyncio.Event, Any]]:
    """A client that waits for its response, the event of its end, and its connection."""
    asked, left, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long_poll(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asked.set()
        gone = asyncio.ensure_future(receive())
        opened = asyncio.ensure_future(go_on.wait())
        await asyncio.wait([gone, opened], return_when=asyncio.FIRST_COMPLETED)
        left.set()
        await answer(send, b"event")

    config, state = Config(long_poll, log_config=None), ServerState()
    here, client = socket.socketpair()
    with client:
        loop = asyncio.get_running_loop()
        here.setblocking(False)
        await loop.connect_accepted_socket(lambda: HeadstartProtocol(config, state, {}), here)
        client.sendall(GOOD)
        await asked.wait()
        connection: Any = next(iter(state.connections))
        yield client, left, connection
        go_on.set()
        connection.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)


async def test_client_of_a_unix_socket_that_closes_has_left_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As nginx closes when its own client leaves a long poll."""
    monkeypatch.setattr("headstart.server.http1_deadlines.UNREAD_GRACE", 1e9)
    async with polled_over_a_unix_socket() as (client, left, _):
        client.close()

        async with asyncio.timeout(PATIENCE):
            await left.wait()


async def test_client_of_a_unix_socket_may_close_its_side_alone() -> None:
    async with polled_over_a_unix_socket() as (client, left, connection):
        client.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(PATIENCE):
            while not connection._half_closed:
                await asyncio.sleep(0.001)

        assert not left.is_set()


@pytest.mark.parametrize("cut", [b"", GOOD[:20], CHUNKED + b"3\r\nabc"])
def test_client_that_closes_its_side_amid_a_request_is_closed(cut: bytes) -> None:
    with running(upload) as server, connected(server) as client:
        client.sendall(cut)
        client.shutdown(socket.SHUT_WR)

        assert rest(client) == b""
        until(lambda: not server.server.server_state.connections, "the end of the connection")


def test_client_that_seems_to_have_left_is_waited_with_for_seconds_only() -> None:
    with running(Held(), skipping=True) as server, connected(server) as client:
        client.sendall(GOOD)
        until(lambda: server.server.server_state.tasks, "the call")
        client.shutdown(socket.SHUT_WR)
        connection: Any = next(iter(server.server.server_state.connections))
        until(lambda: connection._half_closed, "the end of the client's side")
        server.skip(UNREAD_GRACE / 2)
        assert server.server.server_state.connections
        server.skip(UNREAD_GRACE)
        server.skip(UNREAD_GRACE)
        until(lambda: not server.server.server_state.connections, "the end of the connection")


_NODE_ENDS = """
const client = require("node:net").connect(process.argv[1], "127.0.0.1");
client.end("GET /ok HTTP/1.0\\r\\n\\r\\n");
client.pipe(process.stdout);
"""


def test_node_that_closes_its_side_gets_its_response() -> None:
    held = Held()
    with running(held) as server:
        command = [peer("node"), "-e", _NODE_ENDS, str(server.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as node:
            until(lambda: held.waiting == 1, "the request")
            held.gate.open()
            said, _ = node.communicate(timeout=PATIENCE)

    assert said.endswith(b"/ok")


def test_pipelined_requests_are_answered_in_their_order() -> None:
    with running(hello) as server:
        data = told(server, b"".join(GOOD.replace(b"ok", b"%d" % n) for n in range(50)) + LAST)

        assert re.findall(rb"/(\w+) over", data) == [*(b"%d" % n for n in range(50)), b"last"]


def test_others_have_their_turn_between_pipelined_requests() -> None:
    turn, seen = 0, list[int]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal turn
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if not seen:
            count_turns()
        seen.append(turn)
        return await answer(send, b"page")

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        if len(seen) < 101:
            asyncio.get_running_loop().call_soon(count_turns)

    with running(app) as server:
        assert statuses(told(server, GOOD * 100 + LAST)) == [200] * 101

    assert len(set(seen)) > 1
    assert max(seen.count(one) for one in seen) <= 50


def test_response_without_content_waits_for_a_client_that_reads_nothing() -> None:
    """Each would have been written at once, behind all that nobody reads."""

    async def empty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        return await answer(send)

    with running(empty) as server, connected(server) as client:
        client.sendall(GOOD)
        assert statuses(client.recv(65536)) == [200]
        connection: Any = next(iter(server.server.server_state.connections))
        assert isinstance(connection, Http1Connection)
        call = server.server.loop.call_soon_threadsafe
        call(connection.pause_writing)
        client.sendall(GOOD * 2 + LAST)
        until(lambda: connection.held() > 0, "requests that wait")
        call(connection._close_if_idle)  # a server that stops leaves nobody without a response
        call(connection.resume_writing)

        assert statuses(rest(client)) == [200] * 3


def test_request_body_and_the_next_request_in_one_piece() -> None:
    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        return await answer(send, await read_all(receive) or b"nothing")

    large = bytes(range(256)) * 1000
    posts = [
        POST + b"Content-Length: 3\r\n\r\nabc",
        CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        POST + b"Content-Length: %d\r\n\r\n%s" % (len(large), large),
    ]
    with running(upload) as server:
        data = told(server, b"".join(posts) + LAST)

        assert statuses(data) == [200] * 4
        assert [b"\r\n\r\nabcHTTP" in data, b"\r\n\r\nabcdeHTTP" in data, large in data] == [
            True
        ] * 3


# Upgrades.


def test_upgrade_that_nobody_offers_does_not_hide_the_body() -> None:
    """The parser would take the body for the other protocol, and then for requests."""
    seen: list[tuple[str, bytes, list[bytes]]] = []

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen.append(
            (scope["path"], await read_all(receive), [name for name, _ in scope["headers"]])
        )
        return await answer(send)

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    request = (
        POST
        + b"Connection: keep-alive, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        + b"HTTP2-Settings: AAM\r\n"
        + b"Content-Length: %d\r\n\r\n%s" % (len(smuggled), smuggled)
    )
    with running(upload) as server:
        data = told(server, request + request + LAST)

    assert statuses(data) == [200] * 3
    assert [(path, content) for path, content, _ in seen] == [
        ("/up", smuggled),
        ("/up", smuggled),
        ("/last", b""),
    ]
    assert seen[0][2] == [b"host", b"connection", b"content-length"]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts a WebSocket and sends one message back."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] != "websocket":
        return await answer(send)
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    await send({"type": "websocket.send", "text": message["text"]})
    await receive()
    return None


def test_http_1_0_knows_of_no_upgrade_and_no_100(strict: LiveServer, recorder: Recorder) -> None:
    old = b"GET /ok HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\n"
    for protocol in (b"h2c", b"websocket"):
        data = told(strict, old % protocol + b"Sec-WebSocket-Key: c2FtcGxlIG5vbmNlAAAAAA==\r\n\r\n")
        assert statuses(data) == [200]
        assert b"connection: close" in data
        scope = recorder.next()
        assert (scope["type"], scope["http_version"]) == ("http", "1.0")

    with running(upload) as server:
        posted = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
        assert statuses(told(server, posted)) == [200]


def test_websocket_never_comes_before_the_answers_to_what_was_asked_before() -> None:
    held = Held()
    with running(held) as server, connected(server) as client:
        client.sendall(GOOD + FIELD % _WEBSOCKET + LAST)
        until(lambda: held.waiting == 1, "the first request")
        held.gate.open()

        assert statuses(rest(client)) == [200, 400]
        assert held.waiting == 1


_WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: c2FtcGxlIG5vbmNlAAAAAA=="
)


def test_websocket_goes_through_the_same_checks() -> None:
    with running(echo) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        with library_client(url) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            library_client(url, additional_headers={"Host": "elsewhere"})
    assert caught.value.response.status_code == 400


def test_websocket_keeps_its_seat_until_it_ends() -> None:
    # Its own PINGs would have to be answered.
    with running(echo, skipping=True, ws_ping_interval=None) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        with library_client(url) as client:
            client.send("hello")
            client.recv(PATIENCE)
            slots = counters(server)
            until(lambda: slots.open == 1, "the other's end")
            server.skip(5 * ServerOptions().header_timeout)
            assert slots.open == 1
        until(lambda: slots.open == 0, "the end of the WebSocket's slot")


# Time.


def test_slow_head_is_answered_408() -> None:
    with running(hello, ServerOptions(header_timeout=0.4)) as server:
        with connected(server) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            client.settimeout(0.05)
            data = b""
            deadline = time.monotonic() + PATIENCE
            while not data and time.monotonic() < deadline:
                with suppress(TimeoutError):
                    data = client.recv(65536)
                with suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(b"X: y\r\n" if not data else b"")

            assert statuses(data) == [408]
        assert counters(server).connections[Closing.HEADERS_TIMEOUT] == 1


def test_slow_head_behind_an_answered_request_is_closed_too() -> None:
    with (
        running(hello, skipping=True, timeout_keep_alive=60) as server,
        connected(server) as client,
    ):
        client.sendall(GOOD)
        until_answered(client)
        client.sendall(b"GET")
        server.skip(ServerOptions().header_timeout + 1)

        assert statuses(rest(client)) == [408]


def until_answered(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n/ok over 1.1" not in data:
        part = client.recv(65536)
        assert part, data
        data += part
    return data


@pytest.mark.parametrize("tls", [False, True])
def test_connection_without_requests_ends_as_uvicorn_says(tls: bool) -> None:
    with running(hello, tls=tls, timeout_keep_alive=0) as server:
        with tls_socket(server.port) if tls else connected(server) as client:
            client.sendall(GOOD)

            assert statuses(rest(client)) == [200]
        until(lambda: counters(server).connections[Closing.IDLE] == 1, "the reason")


def test_refusal_over_tls_is_answered() -> None:
    with running(hello, tls=True) as server, tls_socket(server.port) as client:
        client.sendall(MALFORMED["two Hosts"])

        assert statuses(rest(client)) == [400]


def test_tls_client_that_says_nothing_is_disconnected() -> None:
    options = ServerOptions(header_timeout=0.4)
    with running(hello, options, tls=True) as server, tls_socket(server.port) as client:
        with suppress(ConnectionResetError, ssl.SSLEOFError):
            assert client.recv(65536) == b""
        until(lambda: counters(server).connections[Closing.PREFACE_TIMEOUT] == 1, "the reason")


def test_slow_body_is_answered_408() -> None:
    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass
        return None

    with running(upload, ServerOptions(body_timeout=0.4)) as server:
        with connected(server) as client:
            # The first part is quick: what counts is the rate now, not that since the beginning.
            client.sendall(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 90_000)

            assert statuses(rest(client)) == [408]
        assert counters(server).connections[Closing.BODY_TIMEOUT] == 1


def test_upload_over_http1_that_pauses_for_25_seconds_goes_on() -> None:
    """With the limits as they are by default, as `test_deadlines` has it for HTTP/2."""

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        return await answer(send, str(len(await read_all(receive))).encode())

    with running(upload, skipping=True) as server, connected(server) as client:
        client.sendall(POST + b"Connection: close\r\nContent-Length: 20000\r\n\r\n" + bytes(10000))
        until(lambda: server.server.server_state.tasks, "the request")
        server.skip(25, steps=25)
        client.sendall(bytes(10000))

        assert rest(client).endswith(b"20000")


def test_body_that_the_application_does_not_want_yet_is_not_slow() -> None:
    held = Held()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        held.waiting += 1
        await held.gate.passed()
        return await answer(send, str(len(await read_all(receive))).encode())

    size = 1_000_000
    with running(slow, skipping=True) as server, connected(server) as client:
        head = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size
        client.sendall(head + bytes(size // 2))
        until(lambda: held.waiting == 1, "the request")
        server.skip(5 * ServerOptions().body_timeout, steps=40)
        held.gate.open()
        client.sendall(bytes(size - size // 2))

        assert rest(client).endswith(b"%d" % size)


def test_client_that_waits_for_100_continue_is_not_slow() -> None:
    held = Held()

    async def later(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await held.gate.passed()
        return await answer(send, await read_all(receive))

    with running(later, skipping=True) as server, connected(server) as client:
        head = b"Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        client.sendall(POST + head)
        until(lambda: server.server.server_state.tasks, "the request")
        server.skip(5 * ServerOptions().body_timeout, steps=40)
        held.gate.open()
        assert statuses(client.recv(65536)) == [100]
        client.sendall(b"abc")

        assert rest(client).endswith(b"abc")


def test_client_that_reads_nothing_is_cut_off() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start())
        for _ in range(1000):
            await send(body(bytes(65536), more_body=True))
        return None

    with running(endless, ServerOptions(stall_timeout=0.4)) as server, connected(server) as client:
        client.sendall(GOOD)
        until(lambda: counters(server).connections[Closing.STALLED] == 1, "the reason")
        until(lambda: not server.server.server_state.connections, "the end of the connection")


def test_client_that_reads_slowly_is_served_to_the_end() -> None:
    size = 1_500_000

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start())
        for _ in range(15):
            await send(body(bytes(size // 15), more_body=True))
        return await send(body())

    options = ServerOptions(stall_timeout=100)
    with running(large, options, skipping=True) as server:
        keep_little(server)
        with connected(server) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.sendall(LAST)
            received = 0
            while part := some(client, size // 5):
                received += len(part)
                server.skip(50)

        assert received > size


def keep_little(server: LiveServer) -> None:
    """Let the kernel take little of what the server writes, so that the transport must hold it."""
    for listener in server.server.servers[0].sockets:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)


def some(client: socket.socket, most: int) -> bytes:
    """So many bytes, or what comes before the end."""
    data = b""
    while len(data) < most and (part := client.recv(most - len(data))):
        data += part
    return data


# What it costs.


def test_many_unfinished_heads_stay_within_their_memory() -> None:
    """200 clients that send the most that is kept: 25 KB each, and nothing for what goes on."""
    most = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 24_000
    with running(hello) as server:
        before = used_memory()
        clients = [connected(server) for _ in range(200)]
        for client in clients:
            client.sendall(most)
        until(lambda: len(server.server.server_state.connections) == 200, "the connections")
        assert statuses(told(server, LAST)) == [200]
        grown = used_memory() - before
        for client in clients:
            client.close()

    assert grown < 40_000_000


def test_refused_clients_leave_no_task_and_no_connection_behind() -> None:
    with running(hello) as server:
        for request in MALFORMED.values():
            told(server, request)
        state = server.server.server_state
        until(lambda: not state.connections and not state.tasks, "the end of all")

        assert counters(server).connections[Closing.MALFORMED] == len(MALFORMED)


# Whatever comes.

_PIECES = [
    GOOD,
    LAST,
    POST,
    CHUNKED,
    b"GET / HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\x00",
    b" ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=20)), max_size=12))
def test_whatever_comes_raises_nothing_and_leaves_nothing(
    whatever_server: LiveServer, caplog: pytest.LogCaptureFixture, pieces: list[bytes]
) -> None:
    caplog.clear()
    with connected(whatever_server) as client, suppress(OSError):  # it may have been cut off
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        rest(client)
    state = whatever_server.server.server_state
    until(lambda: not state.connections, "the end of the connection")

    assert not [record for record in caplog.records if record.exc_info]
    assert statuses(told(whatever_server, LAST)) == [200]


@pytest.fixture(scope="module")
def whatever_server() -> Iterator[LiveServer]:
    with running(reads) as server:
        yield server


# Real clients.


def test_curl_keeps_its_connection_alive_for_uploads_and_downloads() -> None:
    made = certificate()
    with running(upload, tls=True) as server:
        command = [peer("curl"), "-sv", "--http1.1", "--cacert", str(made.ca_certfile)]
        command += ["--data-binary", "x" * 100_000, server.url + "/1", server.url + "/2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)

    assert done.stdout == "100000" * 2
    assert re.search("Re-?using existing", done.stderr)


def test_node_agent_makes_many_requests_on_one_connection() -> None:
    script = """
    const http = require("http");
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (n) => new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port: process.argv[1], path: `/${n}`, method: "POST", agent },
        (response) => {
          let text = "";
          response.on("data", (part) => (text += part));
          response.on("end", () => resolve([response.statusCode, text]));
        });
      request.on("error", reject);
      request.write("a"); request.end("b".repeat(n * 1000));  // chunked
    });
    Promise.all([1, 2, 3, 4, 5].map(ask)).then((all) => {
      console.log(JSON.stringify(all)); agent.destroy();
    });
    """

    with running(upload) as server:
        done = subprocess.run(
            [peer("node"), "-e", script, str(server.port)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )

        assert counters(server).accepted == 1
    assert json.loads(done.stdout) == [[200, str(n * 1000 + 1)] for n in range(1, 6)]


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
def test_connection_that_was_lost_is_freed_without_the_garbage_collector(tls: bool) -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send(start(200, []))
        await send(body(bytes(1_000_000)))

    gc.disable()
    try:
        with running(large, tls=tls, timeout_keep_alive=300) as server:
            with tls_socket(server.port) if tls else connected(server) as client:
                client.sendall(GOOD)
                assert client.recv(1)
                (seen,) = map(weakref.ref, server.server.server_state.connections)
                assert seen() is not None
            until(lambda: counters(server).open == 0, "the end")

            until(lambda: seen() is None, "that nothing refers to it")
    finally:
        gc.enable()


def test_h2load_over_http_1_1_loses_nothing() -> None:
    with running(hello) as server:
        url = f"http://127.0.0.1:{server.port}/x"
        done = subprocess.run(
            [peer("h2load"), "--h1", "-n", "2000", "-c", "10", "-m", "4", url],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )

    assert "2000 succeeded, 0 failed, 0 errored" in done.stdout


def test_answer_that_has_begun_is_not_cut_off_while_its_upload_is_slow() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start())
        message = await receive()
        while message["more_body"]:
            await send(body(message["body"], more_body=True))
            message = await receive()
        await send(body(b"end"))
        return None

    options = ServerOptions(body_timeout=10)
    with running(echo, options, skipping=True) as server, connected(server) as client:
        client.sendall(POST + b"Content-Length: 3\r\nConnection: close\r\n\r\n1")
        data = client.recv(65536)
        while b"1\r\n1\r\n" not in data:
            data += client.recv(65536)
        server.skip(60)
        client.sendall(b"23")

        assert rest(client).endswith(b"3\r\nend\r\n0\r\n\r\n")


def test_upload_that_stops_behind_its_answer_is_cut_off() -> None:
    options = ServerOptions(body_timeout=10)
    with running(hasty, options, skipping=True) as server, connected(server) as client:
        client.sendall(POST + b"Content-Length: 3\r\n\r\n1")
        until(lambda: not server.server.server_state.tasks, "the answer")
        server.skip(60)

        assert rest(client).endswith(b"too large")


# Requests like the one before.


def answers_to(client: socket.socket, *requests: bytes) -> list[int]:
    """The status of each response, one request after the other on one connection."""
    found: list[int] = []
    for request in requests:
        client.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            part = client.recv(65536)
            if not part:
                break
            data += part
        found += statuses(data)
    return found


def get(target: bytes, *fields: bytes) -> bytes:
    lines = [b"GET %b HTTP/1.1" % target, b"Host: localhost", *fields, b"", b""]
    return b"\r\n".join(lines)


def test_fields_of_a_request_are_checked_once_as_long_as_they_repeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[object] = []
    check = read_request

    def counted(*given: Any) -> Any:
        checked.append(given)
        return check(*given)

    monkeypatch.setattr("headstart.server.http1_parser.read_request", counted)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        scope["headers"].append((b"x-mine", b"1"))  # its own list
        return await answer(send)

    with running(app) as server, connected(server) as client:
        assert answers_to(client, *[get(b"/page/1"), get(b"/page/2"), get(b"/p")] * 2) == [200] * 6
        assert len(checked) == 1
        assert answers_to(client, get(b"/p", b"Accept: */*"), get(b"/p")) == [200, 200]
        assert len(checked) == 3


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (get(b"/a#b"), 400),
        (get(b"/" + b"a" * 900), 431),
        (get(b"/ok", b"Transfer-Encoding: gzip, chunked"), 400),
        (get(b"/ok", b"Host: other"), 400),
        (b"GET /ok HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        (b"CONNECT /ok HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (get(b"http://exa mple/ok"), 400),
        (get(b"http://a b/ok"), 400),
    ],
)
def test_request_that_is_like_a_good_one_is_still_checked(second: bytes, status: int) -> None:
    limits = WireLimits(max_header_size=600)
    with (
        running(hello, ServerOptions(limits=limits)) as server,
        connected(server) as client,
    ):
        assert answers_to(client, get(b"/okay"), get(b"/okay"), second) == [200, 200, status]
