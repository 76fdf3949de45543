"""WSGI applications on the real server: clients that leave, frameworks, and the end."""

from __future__ import annotations

import asyncio
import contextvars
import io
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import flask
import pytest

from headstart.config import ServerOptions
from headstart.errors import LocalProtocolError
from headstart.wsgi import WsgiApplication
from headstart.wsgi.outbox import Message
from tests.peers import peer
from tests.server.live import PATIENCE, LiveServer, running, serving, until
from tests.server.raw import RawClient
from tests.wsgi.asking import VERSIONS, asked

LEAVERS = 45


class Ticks:
    """An application with an endless stream at /s, which counts what became of it."""

    def __init__(self) -> None:
        self.begun = self.closed = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] != "/s":
            return [b"ok"]
        return self._stream()

    def _stream(self) -> Iterator[bytes]:
        with self._lock:
            self.begun += 1
        try:
            while True:
                yield b"tick\n"
                time.sleep(0.01)
        finally:
            with self._lock:
                self.closed += 1


def leave(server: LiveServer, version: str, app: Ticks) -> None:
    """Ask for the stream, read a little of it, and go."""
    if version == "2":
        with RawClient(server.port) as client:
            stream_id = client.request(b"/s")
            client.until(lambda: client.responses[stream_id].parts)
        return
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(b"GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(1000)


def ok(server: LiveServer) -> bool:
    with RawClient(server.port) as client:
        return client.get(b"/").body == b"ok"


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_that_leave_a_stream_take_no_thread_with_them(version: str) -> None:
    app = Ticks()
    options = ServerOptions(wsgi_threads=4)
    with running(app, options, interface="wsgi") as server:
        for _ in range(LEAVERS):
            leave(server, version, app)

        assert ok(server)
        until(lambda: app.closed == LEAVERS, "the end of the streams")
        server.stop()


def test_reset_of_one_stream_closes_its_iterable_and_no_other() -> None:
    app = Ticks()
    with running(app, interface="wsgi") as server, RawClient(server.port) as client:
        streams = [client.request(b"/s") for _ in range(2)]
        for stream_id in streams:
            client.until(client.responses[stream_id].parts.__len__)
        client.reset(streams[0])
        until(lambda: app.closed == 1, "the end of the stream")
        before = client.responses[streams[1]].received
        client.until(lambda: client.responses[streams[1]].received > before)

        assert app.closed == 1


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_that_gives_up_leaves_a_server_that_answers(version: str) -> None:
    curl = peer("curl")
    app = Ticks()
    with running(app, ServerOptions(wsgi_threads=4), interface="wsgi") as server:
        url = f"http://127.0.0.1:{server.port}"
        leaving = [
            subprocess.Popen([curl, "-s", version, "-m", "0.5", "-o", "/dev/null", f"{url}/s"])
            for _ in range(12)
        ]
        for process in leaving:
            assert process.wait(PATIENCE) == 28  # curl's time ran out
        said = subprocess.run(
            [curl, "-s", version, f"{url}/"], capture_output=True, timeout=PATIENCE, check=True
        )

        assert said.stdout == b"ok"
        until(lambda: app.begun == app.closed, "the end of the streams")


def test_client_that_leaves_before_its_turn_is_not_called_for() -> None:
    entered, let_go = threading.Event(), threading.Event()
    called: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        called.append(environ["PATH_INFO"])
        entered.set()
        assert let_go.wait(PATIENCE)
        start_response("200 OK", [])
        return [b"ok"]

    options = ServerOptions(wsgi_threads=1)
    with running(app, options, interface="wsgi") as server, RawClient(server.port) as client:
        first = client.request(b"/first")
        assert entered.wait(PATIENCE)
        second = client.request(b"/second")
        client.settle()
        client.reset(second)
        until(lambda: len(server.server.server_state.tasks) == 1, "the end of the call")
        third = client.request(b"/third")
        let_go.set()

        assert client.response(first).body == b"ok"
        assert client.response(third).body == b"ok"

    assert called == ["/first", "/third"]


def test_slow_client_slows_the_application_down() -> None:
    made = 0

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        nonlocal made
        start_response("200 OK", [])
        for _ in range(200):
            made += 1
            yield bytes(64 * 1024)

    with running(app, interface="wsgi") as server, RawClient(server.port, windows=False) as client:
        stream_id = client.request()
        client.until(lambda: client.responses[stream_id].received >= 65_535)
        before = -1
        while before != made:
            before = made
            client.settle()
        held = made

        assert client.read_on(stream_id).received == 200 * 64 * 1024
        assert held < 20


@pytest.mark.parametrize("version", VERSIONS)
def test_error_of_the_application_is_a_500_and_the_next_request_is_answered(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise OSError("the disk is full")

    assert asked(app, version).status == 500
    assert "the disk is full" in caplog.text


@pytest.mark.parametrize("version", VERSIONS)
def test_application_that_keeps_pep_3333_passes_the_validator(version: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        file = environ["wsgi.input"]
        lines = [file.readline(), *file.readlines(), file.read(10)]
        environ["wsgi.errors"].write("")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter(lines)

    answer = asked(validator(app), version, method="POST", body=b"a\nb\nc")

    assert (answer.status, answer.body) == (200, b"a\nb\nc")


def test_file_wrapper_sends_a_file_and_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    opened: list[io.BufferedReader] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        opened.append(path.open("rb"))
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened[0], 512)
        return wrapped

    assert asked(app, "2").body == path.read_bytes()
    assert opened[0].closed


def test_context_variables_of_one_request_are_not_those_of_the_next() -> None:
    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        before = seen.get()
        seen.set(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [before.encode()]

    options = ServerOptions(wsgi_threads=1)
    with running(app, options, interface="wsgi") as server, RawClient(server.port) as client:
        assert [client.get(b"/a").body, client.get(b"/b").body] == [b"nothing", b"nothing"]


# As an ASGI application.


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Bad", "a\r\nb")])
    return [b"hello"]


async def test_lifespan_is_answered_and_a_websocket_is_none_of_it() -> None:
    sent: list[str] = []
    messages = ["lifespan.startup", "lifespan.shutdown"]

    async def receive() -> Message:
        return {"type": messages.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    app = WsgiApplication(hello, 1, multiprocess=True)
    await app({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(RuntimeError, match="cannot serve 'websocket'"):
        await app({"type": "websocket"}, receive, send)


async def test_message_that_the_server_refuses_ends_the_call() -> None:
    async def receive() -> Message:
        return await asyncio.Future[Message]()

    async def send(message: Message) -> None:
        raise LocalProtocolError("not like this")

    scope = {"type": "http", "method": "GET", "path": "/", "http_version": "2", "headers": []}
    app = WsgiApplication(hello, 1, multiprocess=False)

    with pytest.raises(LocalProtocolError):
        await app(scope, receive, send)


# The process.


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_application_that_never_returns_does_not_keep_the_process(end: signal.Signals) -> None:
    settings = ["--interface", "wsgi", "--timeout-graceful-shutdown", "1", "--no-learn"]
    with (
        serving("tests.wsgi.stuck_app:app", *settings) as server,
        RawClient(server.port) as client,
    ):
        client.request(b"/")
        until(lambda: "stuck" in server.log, "the call")
        server.process.send_signal(end)

        server.wait()


# Frameworks.


def flask_app() -> flask.Flask:
    app = flask.Flask("tests")

    @app.post("/upload")
    def upload() -> dict[str, int]:
        return {"length": len(flask.request.get_data())}

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response((f"{n};" for n in range(5)), mimetype="text/plain")

    return app


@pytest.mark.parametrize("version", VERSIONS)
def test_flask_reads_an_upload_without_a_length_and_streams(version: str) -> None:
    app = flask_app()

    upload = asked(app, version, "/upload", method="POST", body=bytes(100_000))
    stream = asked(app, version, "/stream")

    assert upload.body == b'{"length":100000}\n'
    assert stream.body == b"0;1;2;3;4;"


def test_django_reads_a_form_sends_a_file_and_streams() -> None:
    arguments = ["tests.wsgi.django_app:app", "--interface", "wsgi", "--no-learn"]
    with serving(*arguments) as server, RawClient(server.port) as client:
        form = b"name=value&other=1"
        headers = [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", b"%d" % len(form)),
        ]
        stream_id = client.request(b"/form", method=b"POST", headers=headers, body=form)

        assert client.response(stream_id).body == b"value"
        assert client.get(b"/file").body == Path(__file__).with_name("django_app.py").read_bytes()
        assert client.get(b"/stream").body == b"0;1;2;"
        assert client.get(b"/none").status == 404
