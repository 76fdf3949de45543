"""Uploads that are answered before all of them has come, with the clients that others wrote."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing as closed
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import ServerOptions
from headstart.server.early import (
    BYTES,
    BYTES_A_SECOND,
    SECONDS,
    SILENCE,
    EarlyResponses,
)
from tests.clients import built
from tests.peers import peer
from tests.server.apps import Receive, Recorder, Scope, Send, body, start
from tests.server.hostile import DATA, END_HEADERS, HEADERS, Hostile, block, frame, number
from tests.server.live import PATIENCE, LiveServer, certificate, running
from tests.server.raw import RawClient

STATUSES = [401, 303, 204, 304, 413]
SIZES = [10, 16_384, 16_500, 60_000, 65_536, 300_000, 3_000_000]
POST = frame(HEADERS, END_HEADERS, 1, block(b"/", b"POST"))


async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the status that the path names, without content, and reads nothing."""
    await send(start(int(scope["path"].strip("/")), [(b"x-early", b"1")]))
    await send(body())


async def closing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the status that the path names, reads nothing, and ends the connection."""
    length = [(b"connection", b"close"), (b"content-length", b"9")]
    await send(start(int(scope["path"].strip("/")), length))
    await send(body(b"too large"))


def answered(length: int) -> Recorder:
    """Answers with so many bytes and the end behind them, and reads nothing."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        await send(body(bytes(length), more_body=True))
        await send(body())

    return Recorder(act)


# Clients that others wrote.


# curl 8.14.1 says so, beside the status, where the last frame of its upload closes a stream whose
# response it has. It stops sending at statuses from 400 on. A server that resets the stream at once
# avoids the message, but curl 7.88 then loses the response.
_CURL_8 = b"curl: (55) Failed sending data to the peer\n"


@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http1.1"])
@pytest.mark.parametrize("status", STATUSES)
def test_curl_gets_every_answer_without_content(status: int, version: str) -> None:
    curl = peer("curl")
    with running(Recorder(early)) as server:
        for size in SIZES:
            done = subprocess.run(
                [
                    *(curl, "-sS", "--noproxy", "*", "-m", str(PATIENCE), version),
                    *("-H", "Expect:", "-w", "%{http_code}", "-o", "/dev/null"),
                    *("--data-binary", "@-", f"{server.url}/{status}"),
                ],
                input=bytes(size),
                capture_output=True,
                check=False,
            )

            assert (size, done.stdout) == (size, b"%d" % status)
            if not (done.stderr == _CURL_8 and version_of(curl) >= (8,) and status < 400):
                assert (size, done.stderr, done.returncode) == (size, b"", 0)


def version_of(curl: str) -> tuple[int, ...]:
    printed = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True)
    return tuple(int(number) for number in printed.stdout.split()[1].split("."))


_NODE = """
const client = require('http2').connect(process.argv[1]);
const size = Number(process.argv[3]);
const request = client.request({':method': 'POST', ':path': '/' + process.argv[2]});
let status;
request.on('response', (headers) => { status = headers[':status']; });
request.on('error', (error) => { console.log('error ' + error.message); });
request.on('close', () => { console.log(status); client.close(); });
request.resume();
request.end(Buffer.alloc(size));
"""


@pytest.mark.parametrize("status", STATUSES)
def test_node_gets_every_answer_without_content(status: int) -> None:
    node = peer("node")
    with running(Recorder(early)) as server:
        for size in (60_000, 3_000_000):
            done = subprocess.run(
                [node, "-e", _NODE, server.url, str(status), str(size)],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )

            assert (size, done.stdout, done.stderr) == (size, f"{status}\n", "")


@pytest.mark.parametrize("size", SIZES)
def test_httpx_gets_an_answer_without_content(size: int) -> None:
    import httpx

    client: Any = httpx.Client(http1=False, http2=True, trust_env=False, timeout=PATIENCE)
    with running(Recorder(early)) as server, client:
        statuses = [
            client.post(f"{server.url}/{s}", content=bytes(size)).status_code for s in STATUSES
        ]

    assert statuses == STATUSES


def test_httpx_that_uploads_slowly_gets_an_answer_without_content() -> None:
    """It reads nothing while it may write, so a reset would cost it the response."""
    import httpx

    client: Any = httpx.Client(http1=False, http2=True, trust_env=False, timeout=PATIENCE)
    with running(Recorder(early), skipping=True) as server, client:

        def slowly() -> Iterator[bytes]:
            for _ in range(12):
                yield bytes(30_000)
                server.skip(2.0)

        assert client.post(f"{server.url}/401", content=slowly()).status_code == 401


def python(server: LiveServer, tls: bool) -> HTTPConnection:
    """The client of the standard library."""
    if not tls:
        return HTTPConnection("localhost", server.port, timeout=PATIENCE)
    context = ssl.create_default_context(cafile=str(certificate().ca_certfile))
    return HTTPSConnection("localhost", server.port, timeout=PATIENCE, context=context)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("pause", [1.0, SILENCE / 2])
def test_python_that_uploads_slowly_over_http_1_1_gets_an_answer_that_closes(
    pause: float, tls: bool
) -> None:
    """It reads nothing before all is written, and a reset meanwhile is a BrokenPipeError."""
    with (
        running(Recorder(closing), skipping=True, tls=tls) as server,
        closed(python(server, tls)) as client,
    ):

        def slowly() -> Iterator[bytes]:
            for _ in range(int(SECONDS / pause * 2 / 3)):
                yield bytes(30_000)
                server.skip(pause)

        client.request("POST", "/413", body=slowly())
        answer = client.getresponse()

        assert (answer.status, answer.read()) == (413, b"too large")


def test_httpx_whose_upload_is_reset_is_told_and_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not see a reset while it waits for a window, and a client may wait without end.

    The upload is larger than the connection's window, or it may end before the reset.
    """
    import httpx

    monkeypatch.setattr("headstart.server.early.BYTES", 100_000)
    monkeypatch.setattr("headstart.server.early.BYTES_A_SECOND", 1)
    client: Any = httpx.Client(http1=False, http2=True, trust_env=False, timeout=PATIENCE)
    with running(Recorder(early)) as server, client:
        with pytest.raises(httpx.LocalProtocolError):
            client.post(f"{server.url}/401", content=bytes(10_000_000))

        assert client.post(f"{server.url}/204", content=b"x").status_code == 204


@pytest.fixture(scope="module")
def early_uploads(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program `tests/clients/early_uploads.go`."""
    return built.early_uploads(tmp_path_factory.mktemp("go"))


def go_uploads(program: str, server: LiveServer, status: int, count: int) -> str:
    """Upload so often with Go's net/http; returns what it printed."""
    authority = str(certificate().ca_certfile)
    done = subprocess.run(
        [program, f"{server.url}/{status}", str(count), authority],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("status", STATUSES)
def test_go_gets_two_hundred_early_answers_on_one_connection(
    status: int, early_uploads: str
) -> None:
    with running(Recorder(early), tls=True) as server:
        printed = go_uploads(early_uploads, server, status, 200)

    assert printed == f"HTTP/2.0 {status} 200\nconnections 1\n"


def test_go_resets_more_answered_uploads_than_an_attacker_may(early_uploads: str) -> None:
    """It has sent more than is dropped at once, so that the server resets many of them first."""
    count = 2 * ServerOptions().limits.max_resets
    with running(Recorder(early), tls=True) as server:
        printed = go_uploads(early_uploads, server, 401, count)

    assert printed == f"HTTP/2.0 401 {count}\nconnections 1\n"


# Bounds.


def test_reset_comes_behind_the_response_and_the_time_for_the_rest() -> None:
    with (
        running(Recorder(early), skipping=True) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request(b"/204", method=b"POST", body=bytes(100), end_stream=False)
        assert client.response(stream_id).status == 204
        for _ in range(int(SECONDS / 2) - 1):
            client.send_data(stream_id, bytes(100))
            client.settle()
            server.skip(2.0)
        assert client.received("RST_STREAM") == []

        client.send_data(stream_id, bytes(100))
        client.settle()
        server.skip(2.0)
        client.send_data(stream_id, bytes(100))
        client.until(lambda: client.received("RST_STREAM", stream_id))

        assert client.responses[stream_id].reset == ErrorCode.NO_ERROR
        assert client.received("WINDOW_UPDATE", stream_id) != []
        assert client.get(b"/413").status == 413


def test_client_that_stops_to_send_once_it_is_answered_is_reset_too() -> None:
    with (
        running(Recorder(early), skipping=True) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request(b"/204", method=b"POST", body=bytes(100), end_stream=False)
        assert client.response(stream_id).status == 204
        server.skip(ServerOptions().header_timeout)
        client.until(lambda: client.received("RST_STREAM", stream_id))

        assert client.responses[stream_id].reset == ErrorCode.NO_ERROR
        assert client.get(b"/413").status == 413


@pytest.mark.parametrize("length", [0, 10])
def test_response_that_waits_for_a_window_is_not_cut_off_by_the_reset(length: int) -> None:
    """However much the client sends; what it may send is its window and no more."""
    with (
        running(answered(length), skipping=True) as server,
        Hostile(server.port, {Setting.INITIAL_WINDOW_SIZE: length}) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, bytes(1000)))
        assert client.status(1) == 200
        server.skip(SECONDS)
        client.send(frame(DATA, 0, 1, bytes(1000)))
        client.settle()
        server.skip(SECONDS)
        client.send(frame(DATA, 0, 1, bytes(1000)))
        client.settle()
        assert client.resets() == []

        client.send(frame(8, 0, 1, number(1000)))
        client.until(DATA, 1)
        server.skip(ServerOptions().preface_timeout)
        client.until(3, 1)

        assert client.frames(DATA, 1)[-1].flags & 1
        assert client.resets() == [ErrorCode.NO_ERROR]


def test_client_that_ends_its_upload_early_once_it_is_answered_breaks_no_rule() -> None:
    with running(Recorder(early)) as server, RawClient(server.port) as client:
        for _ in range(2 * ServerOptions().limits.max_resets):
            length = [(b"content-length", b"1000")]
            stream_id = client.request(b"/401", method=b"POST", headers=length, end_stream=False)
            assert client.response(stream_id).status == 401
            client.send_data(stream_id, b"", end_stream=True)
        client.settle()

        assert client.goaways == []


class _Windows:
    """A connection that notes which windows are given back."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[int, int]] = []

    def acknowledge(self, amount: int, stream_id: int) -> None:
        self.acknowledged.append((stream_id, amount))


def test_bytes_are_bounded_for_the_connection_and_come_back_with_time() -> None:
    windows: Any = _Windows()
    responses = EarlyResponses(windows, 0.0)

    responses.drop_part(1, BYTES, 0.0)
    responses.drop_part(3, 1, 0.0)
    responses.drop_part(5, BYTES_A_SECOND, 1.0)

    assert windows.acknowledged == [(1, BYTES), (5, BYTES_A_SECOND)]
    assert responses.waiting == {3: 1}


def test_upload_is_over_when_nothing_of_it_has_come_for_a_while() -> None:
    windows: Any = _Windows()
    responses = EarlyResponses(windows, 0.0)
    responses.look([1], 0.0)
    responses.drop_part(1, 1, SILENCE - 1)

    responses.look([1], SILENCE)
    assert responses.waiting == {}

    responses.look([1], 2 * SILENCE - 1)
    assert responses.waiting == {1: 0}


def test_stream_that_is_forgotten_has_its_time_anew() -> None:
    windows: Any = _Windows()
    responses = EarlyResponses(windows, 0.0)
    responses.drop_part(1, 1, 0.0)
    responses.drop_part(1, 100, SECONDS)
    responses.drop_part(1, 50, SECONDS)
    assert responses.waiting == {1: 150}

    assert responses.closed(1)
    assert responses.waiting == {}
    assert not responses.closed(1)
    responses.drop_part(1, 2, SECONDS)
    assert windows.acknowledged == [(1, 1), (1, 150), (1, 2)]
