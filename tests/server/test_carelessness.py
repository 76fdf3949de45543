"""Careless applications and hostile clients: what once went wrong, over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from http import HTTPStatus
from pathlib import Path
from typing import Any

import ngh2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from headstart import Push, PushBuilder, Refusal
from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from tests.django.serving import NAVIGATION
from tests.server.apps import Receive, Scope, Send, answer, body, start
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient
from tests.server.test_http1 import counters

LINK = b"</a.css>; rel=preload; as=style"


def test_malformed_request_that_is_reset_at_once_harms_nobody_else() -> None:
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.passed()
        await answer(send, b"unharmed")

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        good = client.request(b"/")
        bad = client.engine.send_request(
            [
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"localhost"),
                (b":path", b"/a#b"),
            ],
            end_stream=True,
        )
        request = client.engine.data_to_send()
        client.engine.reset_stream(bad, ngh2.ErrorCode.CANCEL)
        client.socket.sendall(request + client.engine.data_to_send())
        gate.open()

        assert client.response(good).body == b"unharmed"


def test_parts_that_two_tasks_send_keep_their_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        large = asyncio.ensure_future(send(body(b"A" * 1_000_000, more_body=True)))
        await asyncio.sleep(0)
        await asyncio.gather(large, *(send(body(b"b", more_body=True)) for _ in range(20)))
        await send(body())

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        received = client.get(b"/").body

    assert received == b"A" * 1_000_000 + b"b" * 20


def test_push_after_trailers_is_refused_and_the_connection_lives() -> None:
    pushes: list[Push] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": True})
        await send(body(b"page"))
        await send({"type": "http.response.trailers", "headers": [(b"x-a", b"b")]})
        pushes.append(await PushBuilder(scope, receive, send).path("/x").push())

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        for _ in range(2):
            stream_id = client.request(b"/", headers=[(b"te", b"trailers")])
            assert client.response(stream_id).body == b"page"
        client.settle()

        assert [push.refusal for push in pushes] == [Refusal.PARENT_CLOSED] * 2
        assert client.goaways == []


def test_trailers_of_a_response_without_content_are_left_out() -> None:
    failed: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({**start(), "trailers": True})
            await send(body(b"page"))
            await send({"type": "http.response.trailers", "headers": [(b"x-a", b"b")]})
        except BaseException as error:
            failed.append(error)
            raise

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        head = client.request(b"/", method=b"HEAD", headers=[(b"te", b"trailers")])

        assert client.response(head).status == 200
    assert failed == []


def test_status_may_be_one_of_the_standard_librarys() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({}, status_code=HTTPStatus.CREATED)(scope, receive, send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        assert client.get(b"/").status == 201


def test_calls_for_pushes_are_bounded() -> None:
    gate = Gate()
    refusals: list[Refusal | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/x"):
            await answer(send)
            await gate.passed()
            return
        for number in range(5):
            push = await PushBuilder(scope, receive, send).path(f"/x{number}").push()
            refusals.append(push.refusal)
        await answer(send, b"page")

    options = ServerOptions(limits=WireLimits(max_concurrent_streams=10))
    with running(app, options, lifespan="off") as server, RawClient(server.port) as client:
        for _ in range(4):
            assert client.get(b"/").body == b"page"
        gate.open()

    assert refusals == [None] * 10 + [Refusal.TOO_MANY] * 10


class Unwilling(RawClient):
    """Cancels every push."""

    def _take(self, event: ngh2.Event) -> None:
        super()._take(event)
        if isinstance(event, ngh2.PushedStreamReceived):
            self.engine.reset_stream(event.promised_stream_id, ngh2.ErrorCode.CANCEL)


def test_client_that_cancels_every_push_is_served_on() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            for number in range(10):
                await PushBuilder(scope, receive, send).path(f"/{number}").push()
        await answer(send, b"page")

    options = ServerOptions(limits=WireLimits(max_resets=50))
    with running(app, options, lifespan="off") as server, Unwilling(server.port) as client:
        pages = [client.get(b"/").body for _ in range(30)]

        assert pages == [b"page"] * 30
        assert client.goaways == []


def test_goaway_goes_out_though_a_103_was_held() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [LINK]})
        await asyncio.sleep(0.1)
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.engine.send_request(
            [
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"localhost"),
                (b":path", b"/"),
                *NAVIGATION,
            ],
            end_stream=True,
        )
        for _ in range(300):
            client.engine.ping()
        client.flush()
        client.until_closed()

        assert [error for _, error in client.goaways] == ["ENHANCE_YOUR_CALM"]


def test_client_that_reads_nothing_is_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 8_000_000)

    with running(app, ServerOptions(stall_timeout=0.3), lifespan="off") as server:
        settings: dict[int, int] = {ngh2.Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
        with RawClient(server.port, settings) as silent:
            silent.engine.set_local_window_size(2**31 - 1)
            silent.settle()
            silent.request()
            until(lambda: counters(server).connections[Closing.STALLED] == 1, "the end")
        with RawClient(server.port) as client:
            assert client.get(b"/").status == 200


def test_client_that_vanishes_while_a_file_is_sent_leaves_nothing_behind(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 8_000_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(large)})

    def opened() -> int:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return sum(os.path.exists(link) and os.readlink(link) == str(large) for link in links)

    with running(app, lifespan="off") as server:
        for _ in range(10):
            client = RawClient(server.port)
            client.request(b"/")
            client.read()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()

        tasks = server.server.server_state.tasks
        until(lambda: not tasks and opened() == 0, "the end of all calls and their files")


@pytest.mark.parametrize("path", ["style.css", "/app/style.css"])
def test_push_under_a_root_path_is_promised_as_the_client_would_ask(path: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        if scope["path"] == "/app/page":
            await PushBuilder(scope, receive, send).path(path).push()
        await answer(send)

    with running(app, lifespan="off", root_path="/app") as server, RawClient(server.port) as client:
        client.get(b"/page")
        client.settle()
        until(lambda: len(seen) == 2, "the pushed request")
        (promise,) = client.promises.values()

    assert dict(promise)[b":path"] == b"/style.css"
    assert seen == ["/app/page", "/app/style.css"]


def test_client_that_leaves_a_stream_is_no_error_of_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def forever() -> Any:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)

        Request(scope)
        await StreamingResponse(forever())(scope, receive, send)

    with running(app, lifespan="off") as server:
        with RawClient(server.port) as client:
            client.request(b"/")
            client.read()
        until(lambda: not server.server.server_state.tasks, "the end of the call")

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_access_log_says_what_went_out(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"100")]))
        await send(body(b"too short"))

    with (
        caplog.at_level("INFO", "uvicorn.access"),
        running(app, lifespan="off") as server,
        RawClient(server.port) as client,
    ):
        response = client.get(b"/")

    logged = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert response.status == 500
    assert len(logged) == 1
    assert logged[0].endswith(" 500")


def test_response_without_content_says_no_length() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(204, [(b"content-length", b"5")]))
        await send(body(b"12345"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        response = client.get(b"/")

    assert (response.status, response.header(b"content-length")) == (204, None)


@pytest.mark.parametrize("length", [b"1_0", b"+1", b"", b"ten"])
def test_length_that_is_no_number_is_a_500(length: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", length)]))
        await send(body(b"0123456789"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        assert client.get(b"/").status == 500
        assert client.goaways == []


def test_value_may_be_a_bytearray() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        value: Any = bytearray(b"value")
        await send(start(200, [(b"x-own", value)]))
        await send(body(b""))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        assert client.get(b"/").header(b"x-own") == b"value"


def test_number_of_links_in_a_103_is_bounded_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b""] * 50_000})
        await answer(send, b"page")

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        response = client.get(b"/", headers=NAVIGATION)

    assert response.body == b"page"
    assert response.informational == []


def test_expectation_is_read_in_any_case() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        response = client.get(b"/", headers=[(b"expect", b"100-Continue")])

    assert [dict(fields)[b":status"] for fields in response.informational] == [b"100"]


def test_request_that_never_ends_does_not_keep_its_connection_busy() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"answered")

    with (
        running(app, lifespan="off", skipping=True) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request(b"/", method=b"POST", body=b"part", end_stream=False)
        assert client.read_on(stream_id).status == 200
        server.skip(2 * ServerOptions().idle_timeout)
        client.until_closed()

        assert [error for _, error in client.goaways] == ["NO_ERROR"]
