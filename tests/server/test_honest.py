"""Honest traffic that looks like an attack, from the programs that send it; nothing of it is lost.

docs/security.md names each of these tests beside the attack that it comes closest to. The server
has its defaults, and is a process of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from websockets.sync.client import connect

from tests.clients import built
from tests.peers import peer
from tests.server.apps import Receive, Recorder, Scope, Send, answer, body, read_all, start
from tests.server.live import PATIENCE, Gate, ServerProcess, running, serving, until
from tests.server.proxies import PROXIES

APP = "tests.server.honest_app:app"
LINE = b'{"t": 1, "level": "info", "msg": "hello"}\n'
CALLS = 4000


@pytest.fixture(scope="module")
def process() -> Iterator[ServerProcess]:
    with serving(APP, "--no-learn", "--no-access-log") as started:
        yield started


@pytest.fixture
def server(process: ServerProcess) -> Iterator[ServerProcess]:
    """A server of whom nobody is refused anything while a test goes on."""
    yield process
    counters = counted(process)
    assert set(counters["connections"]) <= {"peer-left"}
    assert counters["requests"] == {}


def counted(server: ServerProcess) -> Any:
    """The server's counters, and the ports of those who wait for reports."""
    return httpx.get(url(server, "/refusals"), trust_env=False, timeout=PATIENCE).json()


def url(server: ServerProcess, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def over_http2() -> Any:
    """httpx."""
    return httpx.Client(http1=False, http2=True, trust_env=False, timeout=PATIENCE)


# gRPC.


@pytest.fixture
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    """grpcio, which asks by PING how fast the link is while messages come (BDP)."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as made:
        yield made


def test_grpc_calls_as_fast_as_a_client_makes_them_are_all_answered(channel: grpc.Channel) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/echo.Echo/Unary")
    futures = [call.future(b"%d" % number, timeout=PATIENCE) for number in range(CALLS)]

    assert [future.result() for future in futures] == [b"%d" % number for number in range(CALLS)]


def test_grpc_calls_go_on_over_the_last_request_of_a_connection() -> None:
    with (
        serving(APP, "--no-learn", "--no-access-log", "--max-requests", "300") as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/echo.Echo/Unary")
        futures = [call.future(b"%d" % number, timeout=PATIENCE) for number in range(2000)]
        answers = [future.result() for future in futures]
        accepted = counted(server)["accepted"]

    assert answers == [b"%d" % number for number in range(2000)]
    assert accepted > 6


@pytest.mark.parametrize("streams", [1, 10])
def test_grpc_streams_of_small_messages_go_both_ways(streams: int, channel: grpc.Channel) -> None:
    chat: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/echo.Echo/Chat")
    messages = [b"%050d" % number for number in range(5000 // streams)]

    calls = [chat(iter(messages), timeout=PATIENCE) for _ in range(streams)]

    for call in calls:
        assert list(call) == messages
        assert call.code() is grpc.StatusCode.OK


@pytest.fixture(scope="module")
def grpc_go(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The program `tests/clients/grpc_go.go`, with the gRPC library of Go."""
    return [built.grpc_go(tmp_path_factory.mktemp("go"))]


def printed(program: list[str], server: ServerProcess, kind: str, *numbers: int) -> str:
    """Let the program make calls of a kind, and return its output."""
    done = subprocess.run(
        [*program, kind, f"127.0.0.1:{server.port}", *map(str, numbers)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("size", [50, 20_000])
def test_grpc_of_go_makes_two_thousand_calls_a_second(
    size: int, grpc_go: list[str], server: ServerProcess
) -> None:
    assert printed(grpc_go, server, "unary", 6000, 20, 2000, size) == "6000\n"


@pytest.mark.parametrize("size", [50, 20_000])
def test_grpc_of_java_makes_two_thousand_calls_a_second(size: int, server: ServerProcess) -> None:
    assert printed(built.grpc_java(), server, "unary", 6000, 20, 2000, size) == "6000\n"


def test_grpc_calls_of_java_go_on_over_the_last_request_of_a_connection() -> None:
    """The client of Java gives up each call that a GOAWAY refuses."""
    with serving(APP, "--no-learn", "--no-access-log", "--max-requests", "300") as server:
        came = printed(built.grpc_java(), server, "unary", 10_000, 20, 4000, 50)
        accepted = counted(server)["accepted"]

    assert came == "10000\n"
    assert accepted > 30


@pytest.mark.parametrize("streams", [1, 10])
def test_grpc_of_go_streams_small_messages_both_ways(
    streams: int, grpc_go: list[str], server: ServerProcess
) -> None:
    sent = printed(grpc_go, server, "streams", streams, 5000, 50)

    assert sent == f"{5000 * streams}\n"


# Uploads in small parts.


@pytest.mark.parametrize("count", [5000, 20_000])
def test_upload_of_a_line_a_frame_is_read_whole(count: int, server: ServerProcess) -> None:
    with over_http2() as client:
        response = client.post(url(server, "/lines"), content=(LINE for _ in range(count)))

    assert (response.status_code, response.text) == (200, f"{count} {count * len(LINE)}")


def test_phone_that_uploads_three_kilobytes_a_second_and_reads_nothing_is_read_to_the_end() -> None:
    """httpx looks at what the server says once its upload is through, or a window is full."""

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%d" % len(await read_all(receive)))

    def slowly() -> Iterator[bytes]:
        for _ in range(60):
            yield bytes(3000)
            live.skip(1.0)

    with running(Recorder(read), skipping=True) as live, over_http2() as client:
        response = client.post(f"{live.url}/", content=slowly())

    assert (response.status_code, response.text) == (200, "180000")


def test_httpx_that_works_on_an_event_for_minutes_gets_the_next_one() -> None:
    """Read nothing meanwhile, and so answer no PING."""
    gate = Gate()

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"one\n", True))
        await gate.passed()
        await send(body(b"two\n"))

    with (
        running(Recorder(events), skipping=True) as live,
        over_http2() as client,
        client.stream("GET", f"{live.url}/") as response,
    ):
        lines = response.iter_lines()
        first = next(lines)
        live.skip(300.0, steps=30)
        gate.open()

        assert [first, *lines] == ["one", "two"]


_WRITER = f"""
import os
for _ in range(5000):
    os.write(1, {LINE!r})
"""


def test_curl_uploads_what_another_program_writes_line_by_line(server: ServerProcess) -> None:
    upload = ["-sS", "--http2-prior-knowledge", "-X", "POST", "-T", "-"]
    with subprocess.Popen([sys.executable, "-c", _WRITER], stdout=subprocess.PIPE) as writer:
        done = subprocess.run(
            [peer("curl"), *upload, "-N", url(server, "/lines")],
            stdin=writer.stdout,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )

    assert done.stdout == b"5000 %d" % (5000 * len(LINE))


def test_curl_waits_for_the_program_that_feeds_it_and_reads_nothing_meanwhile() -> None:
    """Not even our SETTINGS, which it thus acknowledges late."""
    recorder = Recorder()

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
            if length == 50_000:
                recorder.note("paused")
        await answer(send, b"%d" % length)

    recorder.act = count
    with running(recorder, skipping=True) as live:
        command = [peer("curl"), "-sS", "--http2-prior-knowledge", "-T", "-", f"{live.url}/"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as curl:
            assert curl.stdin is not None
            curl.stdin.write(bytes(50_000))
            curl.stdin.flush()
            recorder.next()
            assert recorder.next() == "paused"
            live.skip(25.0, steps=25)
            printed, _ = curl.communicate(bytes(50_000), timeout=PATIENCE)

    assert printed == b"100000"


_NODE = """
const client = require('http2').connect(process.argv[1]);
const request = client.request({':method': 'POST', ':path': '/lines'});
request.setEncoding('utf8');
request.on('data', (data) => { console.log(data); });
request.on('close', () => { client.close(); });
let left = 5000;
const write = () => {
    if (left-- === 0) { request.end(); return; }
    request.write(process.argv[2], write);
};
write();
"""


def test_node_uploads_line_by_line(server: ServerProcess) -> None:
    done = subprocess.run(
        [peer("node"), "-e", _NODE, url(server, ""), LINE.decode()],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert done.stdout == f"5000 {5000 * len(LINE)}\n"


def test_websocket_message_in_three_thousand_fragments_arrives_whole(
    server: ServerProcess,
) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/", open_timeout=PATIENCE, proxy=None) as client:
        for _ in range(3):
            client.send(b"0123456789" for _ in range(3000))

            assert client.recv(PATIENCE) == "30000"


# Work behind an answer.


def test_work_behind_four_hundred_answers_holds_no_place_on_one_connection(
    server: ServerProcess,
) -> None:
    with over_http2() as client:
        try:
            texts = [client.get(url(server, "/notify")).text for _ in range(400)]
        finally:
            client.get(url(server, "/release"))

    assert texts == ["noted"] * 400


# People behind a proxy.


async def status(port: int, path: str, patience: float = PATIENCE) -> str:
    """The status of a request over HTTP/1.1, or why there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
    try:
        return (await asyncio.wait_for(reader.readline(), patience))[9:12].decode()
    except TimeoutError:
        return "given up"
    finally:
        writer.close()


KEYSTROKES, BETWEEN = 40, 0.06


async def types(port: int) -> list[str]:
    """Each keystroke gives up the search before it."""
    return [await status(port, f"/search?{n}", BETWEEN) for n in range(KEYSTROKES)]


@pytest.mark.parametrize("name", PROXIES)
async def test_ten_people_who_type_behind_a_proxy_take_nothing_from_twenty_others(
    name: str, server: ServerProcess
) -> None:
    with PROXIES[name](server.port) as port:
        reports = [asyncio.create_task(status(port, "/report")) for _ in range(20)]
        await asyncio.to_thread(until, lambda: len(counted(server)["waiting"]) == 20, "reports")
        connections = set(counted(server)["waiting"])
        searches = await asyncio.gather(*(types(port) for _ in range(10)))
        httpx.get(url(server, "/release"), trust_env=False)
        answered = await asyncio.gather(*reports)

    assert answered == ["200"] * 20
    assert searches == [["given up"] * KEYSTROKES] * 10
    assert len(connections) < 4
