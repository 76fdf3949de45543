"""HTTP/1.1: what goes out, however the application says it, and calls whose clients left."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.worker import Worker
from tests.server.apps import (
    Headers,
    Message,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    hasty,
    lifespan,
    read_all,
    start,
)
from tests.server.live import Gate, LiveServer, running, until
from tests.server.test_http1 import GOOD, LAST, connected, counters, rest, statuses, told

# Nothing stalls here: that time is short so that the worker looks often.
SHORT = ServerOptions(call_grace=0.05, stall_timeout=0.2)
OLD = LAST.replace(b"HTTP/1.1", b"HTTP/1.0")


def answered(messages: list[Message], request: bytes = GOOD, follow: bytes = LAST) -> bytes:
    """What a client reads whose first request is answered so; its second is answered "page"."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/last" and follow:
            return await answer(send, b"page")
        for message in messages:
            await send(message)
        return None

    with running(Recorder(act)) as server:
        return told(server, request + follow)


def content(data: bytes) -> bytes:
    """Behind the first response's fields."""
    return data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("own", [b"Date", b"server"])
def test_date_and_server_of_the_application_are_there_once(own: bytes) -> None:
    said = answered([start(200, [(own, b"its own")]), body(b"x")]).partition(b"\r\n\r\n")[0]

    assert said.count(b"\r\n%b: " % own.lower()) == 1
    assert b": its own" in said


def test_205_says_that_its_content_is_empty() -> None:
    said = answered([start(205, [(b"content-length", b"4")]), body(b"null")])

    assert b"\r\ncontent-length: 0\r\n" in said
    assert b"null" not in said


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize(
    "headers", [[(b"content-length", b"5")], [(b"transfer-encoding", b"chunked")], []]
)
def test_content_where_there_may_be_none_never_becomes_the_next_response(
    status: int, headers: Headers
) -> None:
    data = answered([start(status, headers), body(b"abc", more_body=True), body(b"de")])

    assert content(data).startswith(b"HTTP/1.1 200 OK\r\n")
    assert statuses(data) == [status, 200]


def test_length_of_content_that_is_not_there_stays_in_304_only() -> None:
    length = [(b"Content-Length", b"5")]

    assert b"Content-Length: 5" in answered([start(304, length), body()]).title()
    assert answered([start(204, length), body()]).count(b"content-length") == 1  # the page's


@pytest.mark.parametrize("status", [100, 101, 103, 199, 1000, 99, "200"])
def test_status_that_is_no_final_one_is_an_error_of_the_application(status: int) -> None:
    data = answered([start(status), body(b"x")], LAST, b"")

    assert statuses(data) == [500]


@pytest.mark.parametrize(
    "lengths", [[b"+5"], [b"5", b"6"], [b"5", b"5"], [b"1_0"], [b""], [b"5, 5"]]
)
def test_length_that_is_no_number_is_an_error_of_the_application(lengths: list[bytes]) -> None:
    headers = [(b"content-length", length) for length in lengths]

    assert statuses(answered([start(200, headers), body(b"abcde")], LAST, b"")) == [500]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":status", b"\xc3"])
def test_name_that_is_no_token_is_an_error_of_the_application(name: bytes) -> None:
    data = answered([start(200, [(name, b"x")]), body(b"abcde")], LAST, b"")

    assert statuses(data) == [500]


def test_white_space_around_a_value_never_goes_out() -> None:
    headers = [(b"content-length", b" 5 "), (b"csp", b"\tdefault-src 'self'; ")]
    data = answered([start(200, headers), body(b"abcde")], LAST, b"")

    assert b"\r\ncontent-length: 5\r\ncsp: default-src 'self';\r\n" in data
    assert content(data) == b"abcde"


def test_length_that_is_given_goes_before_a_coding_that_is_not_the_applications() -> None:
    headers = [(b"Transfer-Encoding", b"gzip, chunked"), (b"content-length", b"5")]
    data = answered([start(200, headers), body(b"abcde")])

    assert b"transfer-encoding" not in data.lower()
    assert content(data).startswith(b"abcdeHTTP/1.1 200 OK\r\n")


def test_http_1_0_is_never_answered_in_chunks() -> None:
    coded = [(b"transfer-encoding", b"chunked")]
    for headers in ([], coded):
        data = answered([start(200, headers), body(b"ab", more_body=True), body(b"c")], OLD, b"")

        assert b"transfer-encoding" not in data
        assert content(data) == b"abc"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204)])
def test_response_without_content_to_an_endless_stream_holds_up_nobody(
    method: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/last":
            return await answer(send, b"page")
        try:
            await send(start(status))
            while True:
                await send(body(b"x", more_body=True))
        except OSError as error:
            ended.note(error)
            raise

    with running(Recorder(act)) as server:
        data = told(server, GOOD.replace(b"GET", method) + LAST)
        assert isinstance(ended.next(), ClientDisconnected)

    assert statuses(data) == [status, 200]
    assert data.endswith(b"\r\n\r\npage")
    assert caplog.messages == []


def test_endless_stream_whose_client_has_left_holds_up_nobody() -> None:
    gate, ended = Gate(), Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/last":
            return await answer(send, b"page")
        await send(start())
        await gate.passed()
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            while True:  # a generator that asks nobody
                await send(body(b"x", more_body=True))
        except OSError as error:
            ended.note(error)
            raise

    with running(Recorder(act)) as server:
        with connected(server) as client:
            client.sendall(GOOD)
            assert client.recv(12) == b"HTTP/1.1 200"
        gate.open()

        assert isinstance(ended.next(), ClientDisconnected)
        assert statuses(told(server, LAST)) == [200]


def test_parts_that_never_wait_let_others_have_their_turn() -> None:
    turns: list[int] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send(start())
        for number in range(1000):
            loop.call_soon(turns.append, number)
            await send(body(b"", more_body=True))
        turns.append(-1)
        await send(body())

    with running(Recorder(act)) as server:
        told(server, LAST)

    assert turns.index(-1) >= 900


# A request that waits for a 100.

EXPECTS = (
    b"POST /up HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
)
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_answer_before_the_100_ends_the_connection() -> None:
    """RFC 9110, 10.1.1: what comes next may be the body, or another request."""
    recorder = Recorder(hasty)
    with running(recorder) as server, connected(server) as client:
        client.sendall(EXPECTS % len(HIDDEN))
        head = client.recv(65536)
        with suppress(ConnectionError):
            client.sendall(HIDDEN + LAST)
        everything = head + rest(client)

    assert statuses(everything) == [413]
    assert b"\r\nconnection: close\r\n" in everything
    assert [recorder.next()["path"]] == ["/up"]
    assert recorder.empty


@pytest.mark.parametrize("body_", [b"", b"abc"])
def test_answer_to_a_request_that_came_whole_keeps_the_connection(body_: bytes) -> None:
    with running(hasty) as server:
        assert statuses(told(server, EXPECTS % len(body_) + body_ + LAST)) == [413, 413]


def test_answer_behind_the_100_keeps_the_connection() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await read_all(receive))

    with running(Recorder(act)) as server, connected(server) as client:
        client.sendall(EXPECTS % 3)
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc" + LAST)

        assert statuses(rest(client)) == [200, 200]


def test_http_1_0_has_no_content_behind_the_answer_to_head() -> None:
    request = OLD.replace(b"GET", b"HEAD")

    assert content(answered([start(), body(b"abc")], request, b"")) == b""
    assert content(answered([start(204), body(b"abc")], OLD, b"")) == b""


# Calls whose clients left.


class Careless:
    """An application that waits for ever and asks nobody, or, at /told, for the disconnect."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["path"]
        self.begun.append(path)
        try:
            if path == "/told":
                while (await receive())["type"] != "http.disconnect":
                    pass
            elif path == "/behind":
                await answer(send)
                await asyncio.sleep(0.3)
                self.ended.append("whole")
            else:
                await asyncio.Event().wait()
        finally:
            self.ended.append(path)


@pytest.fixture
def careless() -> Careless:
    return Careless()


@pytest.fixture
def server(careless: Careless) -> Iterator[LiveServer]:
    with running(Recorder(careless), SHORT) as live:
        yield live


def asked(server: LiveServer, careless: Careless, data: bytes) -> socket.socket:
    """A client that has asked, and whose first request is under way."""
    client = connected(server)
    client.sendall(data)
    until(lambda: careless.begun, "the call")
    return client


@pytest.mark.parametrize("path", [b"/hang", b"/told"])
@pytest.mark.parametrize("behind", [b"", GOOD], ids=["alone", "pipelined"])
def test_call_whose_client_left_comes_to_an_end(
    server: LiveServer,
    careless: Careless,
    caplog: pytest.LogCaptureFixture,
    path: bytes,
    behind: bytes,
) -> None:
    asked(server, careless, GOOD.replace(b"/ok", path) + behind).close()

    until(lambda: careless.ended == [path.decode()], "the end of the call")
    until(lambda: not counters(server).open, "the end of the connection")
    until(lambda: not server.server.server_state.tasks, "the end of its task")
    assert careless.begun == [path.decode()]
    assert "Exception in ASGI application" not in caplog.text


def test_call_with_its_whole_request_comes_to_its_end_without_its_client(
    careless: Careless,
) -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        careless.begun.append(scope["path"])
        await gate.passed()
        careless.ended.append(scope["path"])

    with running(Recorder(act), skipping=True) as server:
        head = b"POST /pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
        asked(server, careless, head + b"money").close()
        until(lambda: not counters(server).open, "the end of the connection")
        server.skip(3600)
        gate.open()
        until(lambda: careless.ended, "the end of the call")

    assert careless.ended == ["/pay"]


def test_client_that_leaves_amid_an_upload_that_nobody_reads_is_noticed(
    server: LiveServer, careless: Careless
) -> None:
    head = b"POST /hang HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
    asked(server, careless, head + bytes(100_000)).close()

    until(lambda: not counters(server).open, "the end of the connection")
    until(lambda: careless.ended == ["/hang"], "the end of the call")
    assert counters(server).connections[Closing.PEER_LEFT] == 1


def test_client_that_waits_behind_an_unread_upload_keeps_its_connection(
    server: LiveServer, careless: Careless
) -> None:
    with asked(server, careless, GOOD + GOOD) as client:
        worker_looks(server, 5)
        assert counters(server).open == 1
        assert not careless.ended
        client.close()
    until(lambda: careless.ended == ["/ok"], "the end of the call")


def worker_looks(server: LiveServer, times: int) -> None:
    """Wait until the server's worker has looked at its connections so many times."""
    live = server.server
    worker = Worker.of(live.server_state, live.config, live.loop)
    looks = {worker.now}

    def has_looked() -> bool:
        looks.add(worker.now)
        return len(looks) > times

    until(has_looked, "the looks")


def test_work_behind_a_whole_answer_goes_on_when_the_client_has_left(
    server: LiveServer, careless: Careless
) -> None:
    with asked(server, careless, GOOD.replace(b"/ok", b"/behind")) as client:
        assert statuses(client.recv(65536)) == [200]

    until(lambda: "/behind" in careless.ended, "the end of the work")
    assert careless.ended == ["whole", "/behind"]


def test_call_that_somebody_else_cancels_is_a_failure_still() -> None:
    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with running(Recorder(cancelled)) as live, connected(live) as client:
        client.sendall(LAST)

        assert statuses(rest(client)) == [500]


def test_fields_of_each_response_are_checked_unless_they_are_those_of_the_last() -> None:
    value = bytearray(b"one")
    length = (b"content-length", b"2")
    responses = [
        (200, [length, (b"x-a", b"1")]),
        (200, [length, (b"x-a", b"1")]),
        (204, [length, (b"x-a", b"1")]),
        (200, [length, (b"x-v", value)]),
        (200, [length, (b"x-v", value)]),
        (200, [length, (b"x-a", b"1")]),
        (200, [length, (b"x-a", b"1\r\nx-b: 2")]),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        number = int(scope["path"][1:])
        if number == 4:
            value[:] = b"two"
        status, fields = responses[number]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"ok" if status == 200 else b""})

    found = []
    with running(app) as server, connected(server) as client:
        for number in range(len(responses)):
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
            data = client.recv(65536)
            while not re.search(rb"\r\n\r\n(ok|Internal)|204(.|\r\n)*\r\n\r\n", data):
                data += client.recv(65536)
            found.append(data)

    assert [statuses(data) for data in found] == [[200], [200], [204], [200], [200], [200], [500]]
    assert b"content-length" not in found[2]
    assert b"x-v: one" in found[3]
    assert b"x-v: two" in found[4]
    assert b"x-b" not in found[6]
