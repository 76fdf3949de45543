"""WebSockets on streams of HTTP/2 (RFC 8441): the handshake, ends of both sides, browsers.

What both versions of HTTP have in common, limits above all, is in `test_websocket`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ngh2 import ErrorCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from tests.clients.earlyhints_check import read
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, answer, lifespan
from tests.server.live import Gate, LiveServer, running, until
from tests.server.raw import RawClient
from tests.server.test_websocket import counters, websockets
from tests.server.websockets import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Http2Client,
    connect,
    frame,
    over_http2,
)

NORMAL = (1000).to_bytes(2, "big")
SERVICE_RESTART = (1012).to_bytes(2, "big")


class Echo:
    """Repeats each message; answers requests; notes scopes and what ends each WebSocket.

    Attributes:
        gate: What the path /slow waits for before it reads.
        scopes: Of WebSockets.
        ends: What `receive` said at the end of each.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self.scopes: list[Scope] = []
        self.ends: list[int] = []
        self.alive = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One scope."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] == "http":
            return await answer(send, b"page")
        self.scopes.append(scope)
        self.alive += 1
        try:
            await self._websocket(scope["path"], receive, send)
        finally:
            self.alive -= 1
        return None

    async def _websocket(self, path: str, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        match path:
            case "/refuse":
                await send({"type": "websocket.close"})
            case "/deny":
                fields = [(b"content-type", b"text/plain"), (b"x-why", b"guests")]
                start = {"type": "websocket.http.response.start", "status": 401}
                await send({**start, "headers": fields})
                await send({"type": "websocket.http.response.body", "body": b"log in" * 20_000})
            case "/fail":
                raise RuntimeError("it fails before the handshake")
            case "/split":
                await send({"type": "websocket.accept", "headers": [(b"x-a", b"1\r\nx-b: 2")]})
            case "/never":
                await asyncio.Event().wait()
            case _:
                await self._echo(path, receive, send)

    async def _echo(self, path: str, receive: Receive, send: Send) -> None:
        fields = [(b"x-told", b"yes"), (b"content-length", b"7")]
        await send({"type": "websocket.accept", "headers": fields, "subprotocol": "chat"})
        if path == "/slow":
            await self.gate.passed()
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        self.ends.append(message["code"])


@pytest.fixture
def app() -> Echo:
    return Echo()


def offers(server: LiveServer) -> bool:
    """Whether the server's SETTINGS offer WebSockets."""
    with RawClient(server.port) as client:
        client.get()
        [first] = [f for f in client.received("SETTINGS") if f.details]
        return dict(first.details).get("ENABLE_CONNECT_PROTOCOL") == "1"


@pytest.mark.parametrize("tls", [False, True])
def test_messages_pass_both_ways_beside_requests(tls: bool, app: Echo) -> None:
    with running(app, tls=tls) as server, RawClient(server.port, tls=tls) as raw:
        first, second = Http2Client(raw), Http2Client(raw)
        first.send(frame(TEXT, b"text"))
        second.send(frame(BINARY, b"bytes") + frame(PING, b"there?"))
        page = raw.get()

        assert first.read() == (TEXT, b"text")
        assert {second.read(), second.read()} == {(BINARY, b"bytes"), (PONG, b"there?")}
        assert page.body == b"page"


def test_handshake_is_that_of_http2(app: Echo) -> None:
    cookie, key = (b"cookie", b"a=1"), (b"sec-websocket-key", b"not one of mine")
    offered = (b"sec-websocket-protocol", b"chat, other")
    with running(app) as server, RawClient(server.port) as raw:
        client = Http2Client(raw, b"/a%20b?c=d", cookie, key, offered)
    [scope] = app.scopes
    told = dict(client.response.headers)

    assert (scope["http_version"], scope["scheme"], scope["path"]) == ("2", "ws", "/a b")
    assert (scope["raw_path"], scope["query_string"]) == (b"/a%20b", b"c=d")
    assert scope["subprotocols"] == ["chat", "other"]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["headers"] == [
        (b"host", b"localhost"),
        (b"sec-websocket-version", b"13"),
        key,
        offered,
        cookie,
    ]
    assert told[b":status"] == b"200"
    assert (told[b"x-told"], told[b"sec-websocket-protocol"]) == (b"yes", b"chat")
    assert told[b"server"] == b"headstart"
    assert told.keys().isdisjoint({b"sec-websocket-accept", b"upgrade", b"content-length"})


def test_compression_is_negotiated_as_over_http1(app: Echo) -> None:
    with running(app) as server, over_http2(server, deflate=True) as client:
        extensions = dict(client.response.headers)[b"sec-websocket-extensions"]

    assert extensions.startswith(b"permessage-deflate")


def test_websockets_are_not_offered_where_there_are_none(app: Echo) -> None:
    with running(app, ws="none") as without, running(app) as usual:
        assert offers(usual)
        assert not offers(without)
        with RawClient(without.port) as client:
            stream_id = connect(client)

            assert client.response(stream_id).reset == ErrorCode.PROTOCOL_ERROR
            assert client.get().body == b"page"
    assert app.scopes == []


def test_refusal_is_403(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        refused = client.response(connect(client, b"/refuse"))

        assert (refused.status, refused.body) == (403, b"")
        assert client.get().body == b"page"
        assert not counters(server).requests


def test_refusal_with_a_response_of_the_applications_arrives_whole(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        denied = client.response(connect(client, b"/deny"))

    assert (denied.status, denied.body) == (401, b"log in" * 20_000)
    assert denied.header(b"x-why") == b"guests"
    assert denied.header(b"connection") is None


@pytest.mark.parametrize("path", [b"/fail", b"/split"])
def test_application_that_fails_ends_its_own_stream_only(path: bytes, app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        failed = client.response(connect(client, path))

        assert failed.status == 500 or failed.reset == ErrorCode.INTERNAL_ERROR
        assert failed.header(b"x-b") is None
        assert client.get().body == b"page"


@pytest.mark.parametrize(
    ("fields", "pseudo", "status"),
    [
        ([], {"protocol": b"connect-udp"}, 501),
        ([], {"protocol": b"", "scheme": b"", "path": b""}, 400),
        ([(b"content-length", b"3")], {}, 400),
        ([], {"authority": b"a,b"}, 400),
        ([(b"host", b"other.test")], {}, 400),
        ([], {"path": b"/" + b"a" * 9000}, 414),
        ([(b"x-large", b"a" * 20_000)], {}, 431),
        ([(b"sec-websocket-version", b"12")], {}, 400),
    ],
)
def test_handshake_that_is_not_well_formed_reaches_no_application(
    fields: list[tuple[bytes, bytes]], pseudo: dict[str, bytes], status: int, app: Echo
) -> None:
    with running(app) as server, RawClient(server.port) as client:
        refused = client.response(connect(client, pseudo.pop("path", b"/"), *fields, **pseudo))

        assert refused.status == status
        assert client.get().body == b"page"
    assert app.scopes == []


@pytest.mark.parametrize("pseudo", [{"method": b"GET"}, {"scheme": b""}, {"path": b""}])
def test_connect_that_rfc_8441_forbids_is_reset(pseudo: dict[str, bytes], app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        stream_id = connect(client, **{"path": b"/", **pseudo})

        assert client.response(stream_id).reset == ErrorCode.PROTOCOL_ERROR
        assert client.get().body == b"page"
    assert app.scopes == []


def test_connect_that_ends_at_once_is_refused(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        client.settle()
        client.engine.send_request(
            [
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                (b":scheme", b"http"),
                (b":authority", b"localhost"),
                (b":path", b"/"),
            ],
            end_stream=True,
        )
        client.flush()

        assert client.response(1).status == 400


# Ends.


def test_close_of_the_client_is_answered_and_ends_the_stream(app: Echo) -> None:
    with running(app) as server, over_http2(server) as client:
        client.send(frame(CLOSE, NORMAL))

        assert client.rest() == [(CLOSE, NORMAL)]
        assert client.response.reset is None
        client.end()
        assert client.raw.get().body == b"page"
        assert client.response.reset is None
    assert app.ends == [1000]
    assert not counters(server).requests


def test_stream_that_its_client_never_ends_is_reset_without_an_error(app: Echo) -> None:
    options = ServerOptions(stall_timeout=0.4)  # how often is looked
    with running(app, options) as server, over_http2(server) as client:
        client.send(frame(CLOSE, NORMAL))
        assert client.rest() == [(CLOSE, NORMAL)]
        client.raw.until(lambda: client.response.reset is not None)

        assert client.response.reset == ErrorCode.NO_ERROR


@pytest.mark.parametrize("how", ["end", "reset", "connection"])
def test_client_that_leaves_without_a_word_is_told_to_the_application(how: str, app: Echo) -> None:
    with running(app) as server:
        with over_http2(server) as client:
            match how:
                case "end":
                    client.end()
                    assert client.rest() == []
                case "reset":
                    client.raw.reset(client.stream_id)
                case _:
                    client.raw.socket.close()
            until(lambda: app.ends, "the end")
        until(lambda: not websockets(server), "the end of the WebSocket")

        assert app.ends == [1005]
        assert not counters(server).requests


def test_header_section_on_the_tunnel_resets_it(app: Echo) -> None:
    with running(app) as server, over_http2(server) as client:
        client.raw.engine.send_trailers(client.stream_id, [(b"x-sum", b"1")])
        client.raw.flush()
        client.raw.until(lambda: client.response.ended)

        assert client.response.reset == ErrorCode.PROTOCOL_ERROR
        assert client.raw.get().body == b"page"
        until(lambda: app.ends, "the end")


def test_end_of_the_server_closes_each_and_then_the_connection(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as raw:
        clients = [Http2Client(raw) for _ in range(3)]
        server.begin_to_stop()

        assert [client.rest() for client in clients] == [[(CLOSE, SERVICE_RESTART)]] * 3
        for client in clients:
            client.end()
        raw.until_closed()
        assert raw.goaways[-1][1] == "NO_ERROR"


def test_connection_that_is_used_up_closes_its_websockets_and_answers_the_rest(app: Echo) -> None:
    options = ServerOptions(limits=WireLimits(max_requests=2))
    with running(app, options) as server, over_http2(server) as client:
        assert client.raw.get().body == b"page"

        assert client.rest() == [(CLOSE, SERVICE_RESTART)]


def test_handshake_that_is_not_answered_ends_with_the_server(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        stream_id = connect(client, b"/never")
        until(lambda: app.alive, "the call")
        server.begin_to_stop()

        assert client.response(stream_id).status == 500


# Back-pressure.


def test_client_that_sends_what_nobody_reads_runs_out_of_window(app: Echo) -> None:
    message = bytes(1000)
    with running(app) as server, over_http2(server, "/slow") as client:
        client.raw.send_data(client.stream_id, frame(BINARY, message) * 1000)
        client.raw.settle()
        waiting = client.raw.engine.queued_body_size(client.stream_id)
        app.gate.open()

        assert waiting > 900_000
        assert [client.read() for _ in range(1000)] == [(BINARY, message)] * 1000
        assert client.raw.get().body == b"page"


def test_large_messages_pass_while_both_sides_read(app: Echo) -> None:
    message = bytes(range(256)) * 40_000
    with running(app) as server, over_http2(server) as client:
        client.send(frame(BINARY, message))

        assert client.read() == (BINARY, message)


# Floods.


def test_websockets_that_are_opened_and_left_pile_up_no_calls(app: Echo) -> None:
    options = ServerOptions(max_abandoned_calls=5)
    with running(app, options) as server, RawClient(server.port) as client:
        for _ in range(300):
            client.reset(connect(client, b"/never"))
        client.settle()

        assert app.alive <= 5 + 100
        until(lambda: app.alive <= 5, "the end of those above the limit")


def test_each_websocket_counts_as_a_stream(app: Echo) -> None:
    with running(app) as server, RawClient(server.port) as client:
        clients = [Http2Client(client) for _ in range(100)]
        page = client.request()  # which the engine holds back
        client.settle()
        waited = not client.responses[page].status
        clients[0].raw.reset(clients[0].stream_id)

        assert waited
        assert client.response(page).body == b"page"


# Frameworks and browsers.


_PAGE = """<!doctype html><body><img src=/end><script type=module>
let told = '';
const socket = new WebSocket(`wss://${location.host}/echo`, ['chat']);
socket.binaryType = 'arraybuffer';
const heard = () => new Promise(done => { socket.onmessage = event => done(event.data); });
await new Promise(done => { socket.onopen = done; });
told += `${socket.protocol};`;
let next = heard(); socket.send('text'); told += `${await next};`;
next = heard(); socket.send(new Uint8Array(300000)); told += `${(await next).byteLength};`;
const closed = new Promise(done => { socket.onclose = done; });
socket.send('end');
const event = await closed;
told += `${event.code} ${event.reason} ${event.wasClean};`;
const refused = new WebSocket(`wss://${location.host}/refuse`);
told += `${(await new Promise(done => { refused.onclose = done; })).code};`;
document.body.append(told);
await fetch('/over');
</script>"""


def test_chromium_speaks_to_starlette_over_http2(tmp_path: Path) -> None:
    versions: list[str] = []
    over = asyncio.Event()

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_PAGE)

    async def end(request: Request) -> PlainTextResponse:
        await over.wait()
        return PlainTextResponse("")

    async def finish(request: Request) -> PlainTextResponse:
        over.set()
        return PlainTextResponse("")

    async def echo(socket: WebSocket) -> None:
        versions.append(socket.scope["http_version"])
        await socket.accept(subprotocol=socket.scope["subprotocols"][0])
        while True:
            message = await socket.receive()
            if message.get("text") == "end":
                await socket.close(4001, "the end")
                return
            await socket.send({**message, "type": "websocket.send"})

    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    routes = [Route("/", page), Route("/end", end), Route("/over", finish)]
    sockets = [WebSocketRoute("/echo", echo), WebSocketRoute("/refuse", refuse)]
    with running(Starlette(routes=[*routes, *sockets]), tls=True) as server:
        flag = "--ignore-certificate-errors"
        dump = read(peer("chromium"), server.url + "/", tmp_path, flag)

    assert "chat;text;300000;4001 the end true;1006;" in dump
    assert versions == ["2"]
    assert set(counters(server).connections) <= {Closing.PEER_LEFT}
