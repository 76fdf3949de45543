"""`wsgi.input`: a body that comes bit by bit, read as a file."""

from __future__ import annotations

import ast
import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

import pytest

from headstart.wsgi.body import RequestBody
from headstart.wsgi.outbox import ClientLeft, Message
from tests.server.live import running
from tests.server.raw import RawClient
from tests.wsgi.asking import VERSIONS, asked

BODY = b"one\ntwo\n\nthree"
LINES = [b"one\n", b"two\n", b"\n", b"three"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda file: file.readlines(), LINES),
        (list, LINES),
        (lambda file: file.readlines(5), LINES[:2]),
        (lambda file: [file.readline() for _ in range(5)], [*LINES, b""]),
        (lambda file: [file.readline(n) for n in (1, 10, 2, 9)], [b"o", b"ne\n", b"tw", b"o\n"]),
        (lambda file: [file.read(n) for n in (3, 0, -1)], [b"one", b"", b"\ntwo\n\nthree"]),
        (lambda file: [file.read(100), file.read()], [BODY, b""]),
        (
            lambda file: [file.read(1), file.readline(), file.read(2), *file.readlines()],
            [b"o", b"ne\n", b"tw", b"o\n", b"\n", b"three"],
        ),
    ],
)
def test_body_without_a_length_is_read_as_a_file_to_its_end(
    version: str, read: Callable[[BinaryIO], list[bytes]], expected: list[bytes]
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [repr(read(environ["wsgi.input"])).encode()]

    answer = asked(app, version, method="POST", body=BODY)

    assert ast.literal_eval(answer.body.decode()) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_request_without_a_body_has_an_empty_one(version: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [repr(environ["wsgi.input"].read()).encode()]

    assert asked(app, version).body == b"b''"


def test_large_body_comes_whole_and_no_more_of_it_is_kept_than_a_part() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        total = 0
        while part := environ["wsgi.input"].read(10_000):
            total += len(part)
        return [b"%d" % total]

    sent = 40 * 60_000
    with running(app, interface="wsgi") as server, RawClient(server.port) as client:
        stream_id = client.request(method=b"POST", end_stream=False)
        for _ in range(40):
            client.send_data(stream_id, bytes(60_000))
        client.send_data(stream_id, b"", end_stream=True)

        assert client.response(stream_id).body == b"%d" % sent


def test_body_that_nobody_reads_stops_at_the_window() -> None:
    entered, leave = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(1)
        entered.set()
        leave.wait(90)
        start_response("200 OK", [])
        return [b"done"]

    with running(app, interface="wsgi") as server, RawClient(server.port) as client:
        length = [(b"content-length", b"501000")]
        stream_id = client.request(method=b"POST", headers=length, end_stream=False)
        client.send_data(stream_id, bytes(1000))
        assert entered.wait(90)
        client.send_data(stream_id, bytes(500_000))
        client.settle()
        sent = sum(frame.length for frame in client.frames if frame.kind == "DATA")
        leave.set()

        assert sent < 250_000
        assert client.response(stream_id).body == b"done"


@pytest.mark.parametrize("version", VERSIONS)
def test_client_that_leaves_in_its_upload_is_an_error_and_not_the_end(version: str) -> None:
    seen: list[object] = []
    read = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        file = environ["wsgi.input"]
        seen.append(file.read(5))
        read.set()
        try:
            file.read()
        except OSError as error:
            seen.append(type(error))
            raise
        finally:
            done.set()
        return []

    done = threading.Event()
    with running(app, interface="wsgi") as server:
        if version == "2":
            with RawClient(server.port) as client:
                length = [(b"content-length", b"50")]
                stream_id = client.request(method=b"POST", headers=length, end_stream=False)
                client.send_data(stream_id, b"hello")
                assert read.wait(90)
        else:
            with socket.create_connection(("127.0.0.1", server.port)) as plain:
                plain.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhello")
                assert read.wait(90)
        assert done.wait(90)

    assert seen == [b"hello", ClientLeft]


async def test_reader_that_waits_ends_when_the_server_gives_the_call_up() -> None:
    loop = asyncio.get_running_loop()

    async def receive() -> Message:
        return await asyncio.Future[Message]()

    body = RequestBody(loop, receive, lambda: None)
    reading = loop.run_in_executor(None, body.readinto, bytearray(1))
    body.start()
    body.start()  # which happens when a response begins meanwhile
    await asyncio.sleep(0)
    body.stop()
    body.start()

    with pytest.raises(ClientLeft):
        await reading


async def test_what_came_before_the_client_left_is_still_read() -> None:
    loop = asyncio.get_running_loop()
    messages: list[Message] = [
        {"type": "http.request", "body": b"last"},
        {"type": "http.disconnect"},
    ]
    left = asyncio.Event()

    async def receive() -> Message:
        return messages.pop(0)

    body = RequestBody(loop, receive, left.set)
    body.start()
    await left.wait()

    assert body.read() == b"last"
    assert body.read() == b""
    body.stop()


def test_loop_that_has_ended_is_a_client_that_left() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    async def receive() -> Message:
        raise AssertionError

    body = RequestBody(loop, receive, lambda: None)

    with pytest.raises(ClientLeft):
        body.read()
