"""Starlette and FastAPI on the real server: streams, files, pushes, WebSockets, and memory."""

from __future__ import annotations

import asyncio
import gc
import gzip
import subprocess
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import pytest
from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, UploadFile, WebSocket
from ngh2 import Setting
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

import headstart
from headstart.config import ServerOptions
from headstart.deliver.outcome import PushState
from headstart.reasons import Refusal
from headstart.server.cycle import Application
from tests.peers import peer
from tests.server.apps import Message, Receive, Scope, Send
from tests.server.live import PATIENCE, LiveServer, running, serving, until
from tests.server.raw import RawClient
from tests.server.upload_app import DOWNLOAD
from tests.server.websockets import library_client

MEBIBYTE = 1024 * 1024
FILE = bytes(range(256)) * 4000


class State(TypedDict):
    """What the lifespan shares."""

    greeting: str


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[State]:
    yield {"greeting": "hello"}


async def _style(request: Request) -> Response:
    return PlainTextResponse(f"style for {request.headers.get('referer', 'nobody')}")


async def _starlettes_own(request: Request) -> Response:
    await request.send_push_promise("/style.css")
    return PlainTextResponse("page")


async def _with_push(request: Request) -> Response:
    sent = await headstart.push(request, "style.css?v=1", headers={"x-own": "1"})
    twice = await headstart.push(request, "style.css?v=1")
    return PlainTextResponse(f"{sent.state} {twice.refusal}")


async def _with_builder(request: Request) -> Response:
    builder = headstart.PushBuilder(request.scope, request.receive, request._send)
    outcomes = [await builder.path(f"/style.css?v={n}").push() for n in range(3)]
    return PlainTextResponse(" ".join(outcome.state for outcome in outcomes))


async def _with_hint(request: Request) -> Response:
    hint = await headstart.hint(
        request,
        headstart.Link("/style.css", as_="style"),
        headstart.Link("/a.woff2", as_="font"),
    )
    return PlainTextResponse(f"{bool(hint)} {hint.refusal}")


async def _stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"part %d;" % number

    return StreamingResponse(parts())


async def _state(request: Request) -> Response:
    return PlainTextResponse(f"{request.state.greeting} {request.url} {request.client is not None}")


async def _echo(websocket: StarletteWebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    path = tmp_path_factory.mktemp("files") / "file.bin"
    path.write_bytes(FILE)

    async def file(request: Request) -> Response:
        return FileResponse(path)

    pages = {
        "/style.css": _style,
        "/own": _starlettes_own,
        "/push": _with_push,
        "/builder": _with_builder,
        "/hint": _with_hint,
        "/stream": _stream,
        "/state": _state,
        "/file": file,
    }
    routes = [Route(path, endpoint) for path, endpoint in pages.items()]
    app = Starlette(routes=[*routes, WebSocketRoute("/ws", _echo)], lifespan=_lifespan)
    with running(app) as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[RawClient]:
    with RawClient(server.port) as raw:
        yield raw


# Starlette.


def test_starlettes_own_send_push_promise_pushes(client: RawClient) -> None:
    assert client.get(b"/own", headers=[(b"accept-language", b"de")]).body == b"page"
    assert client.response(2).body.startswith(b"style for http://localhost/own")
    assert (b"accept-language", b"de") in client.promises[2]


def test_push_says_what_became_of_it(client: RawClient) -> None:
    page = client.get(b"/push")

    assert page.body.decode() == f"{PushState.SENT} {Refusal.ALREADY_PUSHED}"
    assert client.response(2).body == b"style for http://localhost/push"
    assert (b":path", b"/style.css?v=1") in client.promises[2]
    assert (b"x-own", b"1") in client.promises[2]


def test_push_builder_pushes_several(client: RawClient) -> None:
    assert client.get(b"/builder").body == b"sent sent sent"
    assert [client.response(stream_id).status for stream_id in (2, 4, 6)] == [200] * 3


def test_push_over_http_1_1_is_a_no_op_that_says_so(server: LiveServer) -> None:
    said = subprocess.run(
        [peer("curl"), "-sS", "--http1.1", f"{server.url}/push"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert said.stdout == f"{PushState.REFUSED} {Refusal.UNSUPPORTED}"


def test_push_to_a_client_without_pushes_says_why(server: LiveServer) -> None:
    with RawClient(server.port, {Setting.ENABLE_PUSH: 0}) as client:
        page = client.get(b"/push")

    assert page.body.decode() == f"{PushState.REFUSED} {Refusal.PUSH_DISABLED}"


def test_hint_is_one_103_with_all_links(client: RawClient) -> None:
    page = client.get(b"/hint", headers=[(b"accept", b"text/html")])

    [(_, *links)] = page.informational
    assert page.body == b"True None"
    assert [name for name, _ in links] == [b"link", b"link"]
    assert b"crossorigin" in links[1][1]


def test_hint_for_a_sub_resource_says_why_not(client: RawClient) -> None:
    page = client.get(b"/hint", headers=[(b"sec-fetch-mode", b"cors")])

    assert (page.informational, page.body.decode()) == ([], f"False {Refusal.NOT_NAVIGATION}")


def test_streaming_response_arrives_whole(client: RawClient) -> None:
    assert client.get(b"/stream").body == b"".join(b"part %d;" % n for n in range(5))


def test_state_url_and_client_are_known(client: RawClient) -> None:
    assert client.get(b"/state?x=1").body == b"hello http://localhost/state?x=1 True"


class _Buffered:
    """Puts a body together, as middleware for ETags does, and knows no other message."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin: list[Message] = []
        content = bytearray()

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                begin.append(message)
            elif message["type"] == "http.response.body":
                content.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await send(begin[0])
                    await send({"type": "http.response.body", "body": bytes(content)})

        await self._app(scope, receive, gather if scope["type"] == "http" else send)


@pytest.mark.parametrize("pathsend", [False, True])
def test_file_behind_compression_is_compressed_where_pathsend_is_not_offered(
    pathsend: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(FILE)

    async def file(request: Request) -> Response:
        return FileResponse(path)

    app = Starlette(routes=[Route("/file", file)], middleware=[Middleware(GZipMiddleware)])
    options = ServerOptions(pathsend=pathsend)
    with running(app, options) as server, RawClient(server.port) as client:
        response = client.get(b"/file", headers=[(b"accept-encoding", b"gzip")])

    if pathsend:
        assert (response.body, response.header(b"content-encoding")) == (FILE, None)
    else:
        assert response.header(b"content-encoding") == b"gzip"
        assert gzip.decompress(response.body) == FILE


def test_file_behind_middleware_that_gathers_its_body_arrives(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(FILE)

    async def file(request: Request) -> Response:
        return FileResponse(path)

    app = Starlette(routes=[Route("/file", file)], middleware=[Middleware(cast(Any, _Buffered))])
    with running(app) as server, RawClient(server.port) as client:
        assert client.get(b"/file").body == FILE


def test_file_response_arrives_whole(client: RawClient) -> None:
    response = client.get(b"/file")

    assert response.body == FILE
    assert response.header(b"content-length") == str(len(FILE)).encode()


def test_part_of_a_file_can_be_asked_for(client: RawClient) -> None:
    response = client.get(b"/file", headers=[(b"range", b"bytes=256-511")])

    assert (response.status, response.body) == (206, bytes(range(256)))


def test_unknown_path_is_404_and_a_wrong_method_405(client: RawClient) -> None:
    assert client.get(b"/nowhere").status == 404
    assert client.response(client.request(b"/own", method=b"DELETE")).status == 405


def test_websocket_shares_the_port(server: LiveServer) -> None:
    url = f"ws://127.0.0.1:{server.port}/ws"
    with library_client(url) as websocket:
        websocket.send("over HTTP/1.1")

        assert websocket.recv(timeout=PATIENCE) == "over HTTP/1.1"


# FastAPI.


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/style.css")
    async def style() -> Response:
        return Response("css")

    @app.get("/items/{item}")
    async def item(item: int, request: Request) -> dict[str, object]:
        push = await headstart.push(request, "/style.css")
        return {"item": item, "pushed": bool(push)}

    @app.post("/upload")
    async def upload(file: Annotated[UploadFile, ...]) -> dict[str, int]:
        return {"size": len(await file.read())}

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text((await websocket.receive_text())[::-1])

    return app


def test_fastapi_pushes_takes_forms_and_speaks_websocket(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(300_000))
    curl = [peer("curl"), "-sS", "--http2-prior-knowledge"]
    with running(fastapi_app()) as server, RawClient(server.port) as client:
        assert client.get(b"/items/7").body == b'{"item":7,"pushed":true}'
        assert client.response(2).body == b"css"
        assert client.get(b"/items/x").status == 422
        form = subprocess.run(
            [*curl, "-F", f"file=@{tmp_path / 'f'}", f"{server.url}/upload"],
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        assert form.stdout == b'{"size":300000}'
        url = f"ws://127.0.0.1:{server.port}/ws"
        with library_client(url) as websocket:
            websocket.send("abc")
            assert websocket.recv(timeout=PATIENCE) == "cba"


# Memory.


def resident(pid: int, name: str = "VmRSS") -> int:
    """Bytes of memory of a process: what it has (VmRSS), or the most it ever had (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


def test_upload_of_100_mb_costs_less_than_20_mb(tmp_path: Path) -> None:
    size = 100 * MEBIBYTE
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    with serving("tests.server.upload_app:app") as server:
        url = f"http://127.0.0.1:{server.port}/up"
        command = [peer("curl"), "-sS", "--http2-prior-knowledge", "-X", "POST"]
        pid = server.process.pid
        with RawClient(server.port) as client:
            assert client.response(client.request(b"/up", method=b"POST", body=b"x")).body == b"1"
        before = resident(pid)
        done = subprocess.run(
            [*command, "-T", str(tmp_path / "big"), url],
            capture_output=True,
            timeout=3 * PATIENCE,
            check=True,
        )

        assert done.stdout == str(size).encode()
        assert resident(pid, "VmHWM") - before < 20 * MEBIBYTE


def test_long_download_to_a_reader_that_stops_costs_less_than_20_mb() -> None:
    # The windows are wide open and nothing is read: only the server's own bound holds it back.
    settings: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with (
        serving("tests.server.upload_app:app") as server,
        RawClient(server.port, settings) as client,
    ):
        pid = server.process.pid
        assert client.response(client.request(b"/up", method=b"POST", body=b"x")).body == b"1"
        before = resident(pid)
        client.engine.set_local_window_size(2**31 - 1)
        client.flush()
        stream_id = client.request(b"/down")
        until(Rest(pid).reached, "the server's rest")
        stopped = resident(pid, "VmHWM") - before

        assert client.response(stream_id).received == DOWNLOAD
        assert stopped < 20 * MEBIBYTE
        assert resident(pid, "VmHWM") - before < 20 * MEBIBYTE


# Applications of others inside.


def test_clients_that_leave_do_not_silence_a_wsgi_application_that_is_mounted_in_fastapi() -> None:
    streamed = threading.Event()

    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/s":
            return [b"ok"]
        streamed.set()
        return (bytes(65536) for _ in range(100))

    app = FastAPI()
    # Types of its own for the messages of ASGI.
    app.mount("/wsgi", cast(Any, WSGIMiddleware(wsgi, workers=3)))
    with running(app) as server:
        for _ in range(10):
            with RawClient(server.port, windows=False) as client:
                streamed.clear()
                stream_id = client.request(b"/wsgi/s")
                client.until(client.responses[stream_id].parts.__len__)

        with RawClient(server.port) as client:
            assert client.get(b"/wsgi/").body == b"ok"
        server.stop()


async def _endless(closed: threading.Event) -> AsyncIterator[bytes]:
    try:
        while True:
            yield bytes(1000)
            await asyncio.sleep(0.001)
    finally:
        closed.set()


@pytest.mark.parametrize("middleware", [False, True])
def test_starlettes_streams_end_when_their_clients_leave(middleware: bool) -> None:
    closed = threading.Event()

    async def endless(request: Request) -> Response:
        return StreamingResponse(_endless(closed))

    app = FastAPI()
    app.add_route("/", endless)
    if middleware:

        @app.middleware("http")
        async def passes(request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

    with running(app) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/")
        client.until(lambda: client.responses[stream_id].received > 0)
        client.reset(stream_id)

        # Where the task was cancelled in `send`, and not in the generator, Starlette leaves the
        # generator in a cycle of references: only the collector ends it, which rests while nothing
        # new is made.
        until(lambda: gc.collect() is not None and closed.is_set(), "the end of the stream")


class Rest:
    """Whether a process has used no processor time for a while."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/stat")
        self._last = ""
        self._same = 0

    def reached(self) -> bool:
        """Asked every few milliseconds."""
        now = " ".join(self._path.read_text().rsplit(")", 1)[1].split()[11:13])
        self._same = self._same + 1 if now == self._last else 0
        self._last = now
        return self._same > 60
