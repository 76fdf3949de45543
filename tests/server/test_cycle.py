"""One request and one call of the application: every rule of ASGI 3, over a real socket.

Each test of a mistake asserts too that the connection lives on and serves the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ngh2 import ErrorCode
from uvicorn.protocols.utils import ClientDisconnected

from headstart.config import ServerOptions, WireLimits
from tests.server.apps import (
    Headers,
    Message,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    read_all,
    start,
)
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient, Response

Act = Callable[[Scope, Receive, Send], Awaitable[object]]
LENGTH = b"content-length"
TE = [(b"te", b"trailers")]


def exchange(act: Act, **request: Any) -> Response:
    """One request to an application that does `act`, then one more that must be answered 200."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/next":
            return await answer(send, b"next")
        await act(scope, receive, send)
        return None

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        response = client.response(client.request(b"/", **request))
        following = client.get(b"/next")
        assert (following.status, following.body) == (200, b"next"), "the connection is harmed"
        return response


def sending(*messages: Message) -> Act:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return act


def test_call_that_waited_is_one_of_the_servers_tasks_until_it_ends() -> None:
    tasks: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task() in server.server.server_state.tasks)
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        assert client.get().status == 200

        until(lambda: not server.server.server_state.tasks, "the end of the call")
    assert tasks == [True]


# The request's body.


def test_body_arrives_whole_and_in_order() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await read_all(receive))

    sent = bytes(range(256)) * 2000
    response = exchange(act, method=b"POST", body=sent)

    assert response.body == sent


def test_request_without_body_gives_one_empty_message() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, repr(await receive()).encode())

    response = exchange(act)

    assert response.body == b"{'type': 'http.request', 'body': b'', 'more_body': False}"


def test_request_trailers_end_the_body() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await read_all(receive))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request(method=b"POST", body=b"abc", end_stream=False)
        client.engine.send_trailers(stream_id, [(b"x-checksum", b"1")])
        client.flush()

        assert client.response(stream_id).body == b"abc"


def test_body_arrives_in_parts_while_the_client_still_sends() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["more_body"]:
            recorder.note(message["body"])
        await answer(send, message["body"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request(method=b"POST", body=b"one", end_stream=False)
        recorder.next()

        assert recorder.next() == b"one"
        client.send_data(stream_id, b"two", end_stream=True)
        assert client.response(stream_id).body == b"two"


def test_expect_100_continue_is_answered_when_the_application_reads() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.passed()
        await answer(send, await read_all(receive))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        expect = [(b"expect", b"100-continue")]
        stream_id = client.request(method=b"POST", headers=expect, end_stream=False)
        client.settle()
        assert client.responses[stream_id].informational == []
        gate.open()
        client.until(lambda: client.responses[stream_id].informational)
        client.send_data(stream_id, b"now", end_stream=True)

        assert client.responses[stream_id].informational == [[(b":status", b"100")]]
        assert client.response(stream_id).body == b"now"


def test_application_that_does_not_read_sends_no_100() -> None:
    response = exchange(
        sending(start(417), body()),
        method=b"POST",
        headers=[(b"expect", b"100-continue")],
        body=b"",
    )

    assert (response.status, response.informational) == (417, [])


def test_no_100_after_the_response_has_begun() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"early ", True))
        await send(body(await read_all(receive)))

    headers = [(b"expect", b"100-continue")]
    response = exchange(act, method=b"POST", headers=headers, body=b"body")

    assert (response.body, response.informational) == (b"early body", [])


# The way back.


def test_response_of_several_messages_is_one_body() -> None:
    response = exchange(sending(start(), body(b"a", True), body(b"", True), body(b"b")))

    assert (response.status, response.body) == (200, b"ab")


def test_date_and_server_are_there_and_the_applications_own_come_behind() -> None:
    response = exchange(sending(start(headers=[(b"X-Own", b"1")]), body()))

    names = [name for name, _ in response.headers]
    assert names == [b":status", b"date", b"server", b"x-own"]
    assert response.header(b"server") == b"headstart"


@pytest.mark.parametrize("own", [b"Date", b"server"])
def test_date_and_server_of_the_application_take_the_place_of_the_servers(own: bytes) -> None:
    response = exchange(sending(start(headers=[(own, b"its own")]), body()))

    assert sorted(name for name, _ in response.headers) == [b":status", b"date", b"server"]
    assert response.header(own.lower()) == b"its own"


def test_headers_may_be_missing_or_any_iterable() -> None:
    def pairs() -> Any:
        yield (b"x-own", b"1")

    assert exchange(sending({"type": "http.response.start", "status": 200}, body())).status == 200
    message: Message = {"type": "http.response.start", "status": 200, "headers": pairs()}
    assert exchange(sending(message, {"type": "http.response.body"})).header(b"x-own") == b"1"


def test_white_space_around_a_value_never_goes_out() -> None:
    headers = [(b"csp", b" default-src 'self'; \t"), (LENGTH, b"4 ")]
    trailers = {"type": "http.response.trailers", "headers": [(b"sum", b"1 ")]}
    response = exchange(
        sending(start(200, headers, trailers=True), body(b"page"), trailers), headers=TE
    )

    assert (response.header(b"csp"), response.header(LENGTH)) == (b"default-src 'self';", b"4")
    assert (response.body, response.trailers) == (b"page", [(b"sum", b"1")])


def test_fields_of_http_1_are_dropped() -> None:
    fields = [(b"Connection", b"keep-alive"), (b"Transfer-Encoding", b"chunked"), (b"x", b"1")]
    response = exchange(sending(start(headers=fields), body(b"a")))

    assert [name for name, _ in response.headers][-1] == b"x"
    assert not {b"connection", b"transfer-encoding"} & {name for name, _ in response.headers}


def test_head_gets_the_headers_and_no_body() -> None:
    act = sending(start(headers=[(LENGTH, b"4")]), body(b"ab", True), body(b"cd"))
    response = exchange(act, method=b"HEAD")

    assert (response.status, response.body, response.reset) == (200, b"", None)
    assert response.header(LENGTH) == b"4"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_status_without_content_has_no_body(status: int) -> None:
    response = exchange(sending(start(status), body(b"ignored", True), body(b"too")))

    assert (response.status, response.body, response.reset) == (status, b"", None)


def test_empty_response_is_one_frame() -> None:
    with (
        running(Recorder(sending(start(404), body()))) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request()
        client.response(stream_id)

        [head] = client.received("HEADERS")
        assert ("END_STREAM", True) in head.flags
        assert client.received("DATA") == []


def test_nothing_is_sent_before_the_first_body_message() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await gate.passed()
        await send(body(b"x"))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.settle()
        assert client.responses[stream_id].status == 0
        gate.open()

        assert client.response(stream_id).body == b"x"


def test_streamed_part_arrives_before_the_next_is_made() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", True))
        await gate.passed()
        await send(body(b" second"))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.until(lambda: client.responses[stream_id].body == b"first")
        gate.open()

        assert client.response(stream_id).body == b"first second"


def test_trailers_end_the_response() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"X-Sum", b"7")]}
    response = exchange(sending(start(trailers=True), body(b"abc"), trailers), headers=TE)

    assert (response.body, response.trailers) == (b"abc", [(b"x-sum", b"7")])


def test_trailers_may_come_in_several_messages() -> None:
    kind = "http.response.trailers"
    response = exchange(
        sending(
            start(trailers=True),
            body(b"abc"),
            {"type": kind, "headers": [(b"a", b"1")], "more_trailers": True},
            {"type": kind, "headers": [(b"b", b"2")]},
        ),
        headers=TE,
    )

    assert response.trailers == [(b"a", b"1"), (b"b", b"2")]


def test_head_has_no_trailers() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x", b"7")]}
    response = exchange(sending(start(trailers=True), body(b"abc"), trailers), method=b"HEAD")

    assert (response.status, response.body, response.trailers) == (200, b"", [])


def test_pathsend_sends_the_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    (tmp_path / "file").write_bytes(content)
    fields = [(LENGTH, str(len(content)).encode())]
    path: Message = {"type": "http.response.pathsend", "path": str(tmp_path / "file")}

    assert exchange(sending(start(headers=fields), path)).body == content


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204)])
def test_response_without_content_to_an_endless_stream_holds_up_nobody(
    method: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start(status))
            while True:
                await send(body(b"x", more_body=True))
        except OSError as error:
            ended.note(error)
            raise

    response = exchange(act, method=method)

    assert (response.status, response.body, response.reset) == (status, b"", None)
    assert isinstance(ended.next(), ClientDisconnected)
    assert caplog.messages == []


def test_head_of_a_file_does_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    sent: Message = {"type": "http.response.pathsend", "path": str(path)}
    response = exchange(sending(start(), sent), method=b"HEAD")

    assert (response.status, response.body) == (200, b"")


def test_pathsend_of_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path: Message = {"type": "http.response.pathsend", "path": str(tmp_path / "file")}
    response = exchange(sending(start(headers=[(LENGTH, b"0")]), path))

    assert (response.status, response.body) == (200, b"")


def test_pathsend_of_a_missing_file_is_500(tmp_path: Path) -> None:
    path: Message = {"type": "http.response.pathsend", "path": str(tmp_path / "none")}

    assert exchange(sending(start(), path)).status == 500


# The client leaves.


async def until_oserror(send: Send) -> str:
    """Send until it raises, and say what."""
    try:
        while True:
            await send(body(b"x" * 1000, True))
            await asyncio.sleep(0)
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize("leave", ["RST_STREAM", "connection loss"])
def test_client_that_leaves_is_seen_by_receive_and_by_send(leave: str) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await send(start())
        await send(body(b"x", True))
        recorder.note((await receive())["type"])
        recorder.note((await receive())["type"])
        recorder.note(await until_oserror(send))

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/")
        client.until(lambda: client.responses[stream_id].body)
        assert recorder.next()["type"] == "http"
        if leave == "RST_STREAM":
            client.reset(stream_id)
        else:
            client.socket.close()

        assert [recorder.next() for _ in range(3)] == ["http.disconnect"] * 2 + [
            "ClientDisconnected"
        ]


def test_send_of_another_task_is_told_nothing_when_the_client_has_left() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        async def helper() -> None:
            await send(start())
            for _ in range(100):  # the first of these wait for room, the last for nobody
                await send(body(bytes(65536), more_body=True))

        task = asyncio.get_running_loop().create_task(helper())
        recorder.note("begun")
        await task
        recorder.note("helper ended")
        recorder.note(await until_oserror(send))

    recorder.act = act
    with running(recorder) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request(b"/")
        client.until(lambda: client.responses[stream_id].received >= 65_535)
        client.reset(stream_id)
        while recorder.next() != "begun":
            pass

        assert [recorder.next(), recorder.next()] == ["helper ended", "ClientDisconnected"]


@pytest.mark.parametrize("failed", [False, True])
def test_group_of_errors_is_told_unless_all_of_them_say_that_the_client_left(
    caplog: pytest.LogCaptureFixture, failed: bool
) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        errors: list[Exception] = []
        try:
            await answer(send)
        except OSError as left:
            errors = [left, left]
        if failed:
            errors.append(ValueError("a mistake of its own"))
        recorder.note("raised")
        raise ExceptionGroup("tasks", errors)

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        client.reset(client.request())
        while recorder.next() != "raised":
            pass
        client.settle()

    assert ("a mistake of its own" in caplog.text) is failed


def test_reset_stream_leaves_the_other_streams_alone() -> None:
    recorder = Recorder()
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/reset":
            # The reset may come before the application has read anything.
            while (message := await receive())["type"] != "http.disconnect":
                pass
            recorder.note(message["type"])
        else:
            await gate.passed()
            await answer(send, b"fine")

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        reset, other = client.request(b"/reset"), client.request(b"/other")
        client.reset(reset)
        seen = [recorder.next() for _ in range(3)]
        gate.open()

        assert "http.disconnect" in seen  # last where tasks start eagerly, on Python 3.12 and later
        assert client.response(other).body == b"fine"


def test_disconnect_during_the_upload_is_seen_by_receive() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        recorder.note((await receive())["type"])
        recorder.note((await receive())["type"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request(method=b"POST", body=b"some", end_stream=False)
        recorder.next()
        assert recorder.next() == "http.request"
        client.reset(stream_id)

        assert recorder.next() == "http.disconnect"


def test_two_calls_of_receive_may_wait_side_by_side() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        both = asyncio.gather(receive(), receive())
        await send(start())
        await send(body(b"x", True))
        recorder.note([message["type"] for message in await both])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request()
        recorder.next()
        client.until(lambda: client.responses[stream_id].body)
        client.reset(stream_id)

        assert recorder.next() == ["http.disconnect"] * 2


def test_receive_says_disconnect_once_the_response_is_complete() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await answer(send, b"done")
        recorder.note((await receive())["type"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        assert client.get().body == b"done"
        recorder.next()

        assert recorder.next() == "http.disconnect"


def test_send_that_waits_for_a_slow_client_ends_when_the_client_leaves() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await send(body(bytes(10_000_000), True))
        except OSError as error:
            recorder.note(type(error).__name__)
            raise

    recorder.act = act
    with running(recorder) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        recorder.next()
        client.until(lambda: client.responses[stream_id].received == 65535)
        client.reset(stream_id)

        assert recorder.next() == "ClientDisconnected"
        client.engine.acknowledge_received_data(65535, stream_id)  # the connection's window


# Flow control.


def test_send_waits_while_the_client_does_not_read() -> None:
    recorder = Recorder()
    sent = 0

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for _ in range(100):
            await send(body(bytes(50_000), True))
            sent += 50_000
        await send(body())

    recorder.act = act
    with running(recorder) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        response = client.responses[stream_id]
        client.until(lambda: response.received == 65535)
        until(lambda: sent >= 250_000, "the queue's fill")
        client.settle()
        limit = WireLimits().max_queued_stream + 65535
        assert sent <= limit
        client.read_on(stream_id)

        assert response.received == 5_000_000


def test_call_need_not_wait_until_the_last_part_has_left() -> None:
    content = bytes(range(256)) * 20_000
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await answer(send, content)
        recorder.note("sent")
        recorder.note((await receive())["type"])  # which waits until all of it is under way

    recorder.act = act
    with running(recorder) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        recorder.next()
        sent = recorder.next()
        client.settle()
        before = recorder.empty
        client.read_on(stream_id)

        assert sent == "sent"
        assert before
        assert client.response(stream_id).body == content
        assert recorder.next() == "http.disconnect"


def test_work_behind_the_last_part_goes_on_when_the_client_leaves_before_it_has_that() -> None:
    recorder, gate = Recorder(), Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, bytes(10_000_000))
        recorder.note("sent")
        await gate.passed()
        recorder.note("done")

    recorder.act = act
    options = ServerOptions(max_abandoned_calls=0)
    with running(recorder, options) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        recorder.next()
        assert recorder.next() == "sent"
        client.reset(stream_id)
        client.settle()
        gate.open()

        assert recorder.next() == "done"


def test_exception_behind_the_last_part_leaves_the_response_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = bytes(3_000_000)
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, content)
        recorder.note("sent")
        await send(body(b"more"))

    recorder.act = act
    with running(recorder) as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        recorder.next()
        recorder.next()
        until(lambda: "the response is complete" in caplog.text, "the error")
        client.read_on(stream_id)

        assert client.response(stream_id).body == content


def test_window_stays_closed_while_the_application_does_not_read() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.passed()
        await answer(send, str(len(await read_all(receive))).encode())

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request(method=b"POST", body=bytes(1_000_000))
        client.settle()
        client.settle()
        window = client.engine.stream_remote_window_size(stream_id)
        queued = client.engine.queued_body_size(stream_id)
        gate.open()

        assert window == 0
        assert queued == 1_000_000 - WireLimits().stream_window
        assert client.response(stream_id).body == b"1000000"


def test_stream_that_is_not_read_does_not_hold_up_another() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await gate.passed()
        await answer(send, str(len(await read_all(receive))).encode())

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        slow = client.request(b"/slow", method=b"POST", body=bytes(200_000))
        fast = client.request(b"/fast", method=b"POST", body=bytes(3_000_000))

        assert client.response(fast).body == b"3000000"
        gate.open()
        assert client.response(slow).body == b"200000"


def test_body_that_nobody_reads_gives_the_connections_window_back() -> None:
    limits = WireLimits(connection_window=128 * 1024)
    options = ServerOptions(limits=limits)
    with running(Recorder(), options) as server, RawClient(server.port) as client:
        for _ in range(10):
            stream_id = client.request(method=b"POST", body=bytes(60_000))
            assert client.response(stream_id).body == b"page"


def test_body_of_a_cancelled_upload_gives_the_connections_window_back_at_once() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hang":
            return await gate.passed()  # neither reads nor hears that its client left
        await answer(send, b"%d" % len(await read_all(receive)))
        return None

    options = ServerOptions(limits=WireLimits(connection_window=128 * 1024))
    with running(Recorder(act), options) as server, RawClient(server.port) as client:
        for _ in range(3):
            stream_id = client.request(b"/hang", method=b"POST", body=bytes(60_000))
            client.settle()
            client.reset(stream_id)
        whole = client.request(b"/read", method=b"POST", body=bytes(100_000))

        assert client.response(whole).body == b"100000"
        gate.open()


def test_client_that_resets_before_it_gets_its_100_is_gone_for_the_application() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        recorder.note((await receive())["type"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        client.settle()
        pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"localhost")]
        expect = [(b":path", b"/"), (b"expect", b"100-continue")]
        stream_id = client.engine.send_request([*pseudo, *expect], end_stream=False)
        head = client.engine.data_to_send()
        client.engine.reset_stream(stream_id)
        client.socket.sendall(head + client.engine.data_to_send())
        recorder.next()

        assert recorder.next() == "http.disconnect"


# The application's mistakes.


def test_exception_before_the_start_is_500(caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("its own fault")

    response = exchange(act)

    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert "its own fault" in caplog.text


def test_exception_before_the_start_of_a_head_is_500_without_body() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("its own fault")

    response = exchange(act, method=b"HEAD")

    assert (response.status, response.body, response.reset) == (500, b"", None)


def test_exception_between_start_and_body_is_500() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        raise ValueError("its own fault")

    assert exchange(act).status == 500


def test_exception_in_the_body_resets_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"half", True))
        raise ValueError("its own fault")

    response = exchange(act)

    assert response.reset == ErrorCode.INTERNAL_ERROR
    assert "its own fault" in caplog.text


def test_exception_after_the_end_leaves_the_response_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"whole")
        raise ValueError("in a background task")

    response = exchange(act)

    assert (response.body, response.reset) == (b"whole", None)
    assert "in a background task" in caplog.text


def test_return_without_a_response_is_500(caplog: pytest.LogCaptureFixture) -> None:
    response = exchange(sending())

    assert response.status == 500
    assert "returned without starting response" in caplog.text


def test_return_in_the_middle_resets_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    response = exchange(sending(start(), body(b"half", True)))

    assert response.reset == ErrorCode.INTERNAL_ERROR
    assert "returned without completing response" in caplog.text


def test_returned_value_is_an_error_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def app(scope: Scope, receive: Receive, send: Send) -> str:
        return "what"

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        response = client.get()

    assert response.status == 500
    assert "should return None, but returned 'what'" in caplog.text


@pytest.mark.parametrize(
    ("length", "parts"),
    [(b"3", [b"four"]), (b"5", [b"four"]), (b"3", [b"fo", b"ur"]), (b"1", [b""])],
)
def test_body_that_contradicts_content_length_is_never_sent_as_if_whole(
    length: bytes, parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    bodies = [body(part, more_body=True) for part in parts[:-1]] + [body(parts[-1])]
    response = exchange(sending(start(headers=[(LENGTH, length)]), *bodies))

    assert response.status == 500 or response.reset == ErrorCode.INTERNAL_ERROR
    assert "Content-Length" in caplog.text


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"x")],
        [start(), start()],
        [{"type": "http.response.trailers", "headers": []}],
        [start(), {"type": "http.response.trailers", "headers": []}],
        [{"type": "websocket.accept"}],
        [{"type": "http.response.pathsend", "path": __file__}],
    ],
    ids=["body first", "start twice", "trailers first", "undeclared", "foreign", "path first"],
)
def test_wrong_order_of_messages_is_an_error_in_the_application(messages: list[Message]) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in messages:
                await send(message)
        except RuntimeError as error:
            recorder.note(str(error))
            raise

    response = exchange(act)

    assert "Unexpected ASGI message" in recorder.next()
    assert response.status == 500


@pytest.mark.parametrize("late", [start(), body(b"more")], ids=["start", "body"])
def test_message_after_the_end_is_an_error_but_the_response_is_whole(late: Message) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"whole")
        try:
            await send(late)
        except RuntimeError as error:
            recorder.note(str(error))

    response = exchange(act)

    assert "Unexpected ASGI message" in recorder.next()
    assert (response.body, response.reset) == (b"whole", None)


BAD_HEADS: list[tuple[object, Headers]] = [
    (200, [(b"x", b"a\r\nset-cookie: b=1")]),
    (200, [(b"bad name", b"1")]),
    (200, [(b":status", b"201")]),
    (101, []),
    ("abc", []),
    (1000, []),
    (200, [(LENGTH, b"many")]),
    (200, [(LENGTH, b"1"), (LENGTH, b"1")]),
    (200, [(b"", b"1")]),
]


@pytest.mark.parametrize(("status", "headers"), BAD_HEADS)
def test_response_that_http_forbids_is_an_error_and_never_on_the_wire(
    status: Any, headers: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    response = exchange(sending(start(status, headers), body(b"x")))

    assert response.status == 500
    assert response.header(b"set-cookie") is None
    assert "Exception in ASGI application" in caplog.text


def test_bad_trailer_resets_the_stream() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x", b"a\nb")]}
    response = exchange(sending(start(trailers=True), body(b"abc"), trailers), headers=TE)

    assert response.reset == ErrorCode.INTERNAL_ERROR


def test_exception_of_an_application_whose_client_left_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await receive()
        recorder.note("gone")
        raise ValueError("its own fault")

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request()
        recorder.next()
        client.reset(stream_id)
        assert recorder.next() == "gone"
        until(lambda: "its own fault" in caplog.text, "the log")


def test_application_that_lets_the_oserror_through_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        await receive()
        try:
            await send(start())
        finally:
            recorder.note("gone")

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        stream_id = client.request()
        recorder.next()
        client.reset(stream_id)
        assert recorder.next() == "gone"
        server.stop()

    assert "Exception" not in caplog.text
