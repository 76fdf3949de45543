"""WebSockets through a proxy between real servers and a real client."""

from __future__ import annotations

import queue

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from headstart.deliver.asgi import Message, query_part
from headstart.proxy import Proxy
from tests.proxy.asked import answering, closing, raw_upstream, scope_of
from tests.server.apps import Receive, Scope, Send, lifespan
from tests.server.live import PATIENCE, running
from tests.server.raw import RawClient
from tests.server.websockets import (
    BINARY,
    CLOSE,
    TEXT,
    Connect,
    Http2Client,
    frame,
    library_client,
    over_http1,
    over_http2,
)
from tests.server.websockets import connect as ask_for_websocket


async def echo(socket: WebSocket) -> None:
    """Repeat each message; `end` closes with a code of the application's."""
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol=offered[0] if offered else None)
    await socket.send_text(socket.headers["x-forwarded-for"])
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == "end":
            await socket.close(4001, "the end")
            return
        await socket.send(
            {"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")}
        )


async def refuse(socket: WebSocket) -> None:
    """Refuse the handshake."""
    await socket.close()


SITE = Starlette(routes=[WebSocketRoute("/echo", echo), WebSocketRoute("/refuse", refuse)])


def test_messages_pass_both_ways_as_they_are() -> None:
    with (
        running(SITE) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}")) as proxy,
        library_client(
            f"ws://127.0.0.1:{proxy.port}/echo?a=1", subprotocols=[Subprotocol("chat")]
        ) as client,
    ):
        address = client.recv()
        client.send("text")
        client.send(b"bytes")
        got = [client.recv(), client.recv()]

    assert (address, got, client.subprotocol) == ("127.0.0.1", ["text", b"bytes"], "chat")


async def tell_target(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the target of the handshake as a message."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "bytes": scope["raw_path"] + query_part(scope)})
    await send({"type": "websocket.close"})


@pytest.mark.parametrize(
    "target", ["/", "/?", "/x", "/x?", "/x??", "/x?a", "/x?a?", "//a/;b?c=%20"]
)
@pytest.mark.parametrize("kind", ["http", "h2c"])
@pytest.mark.parametrize("over", [over_http1, over_http2])
def test_target_of_a_handshake_reaches_the_upstream_as_the_client_wrote_it(
    over: Connect, kind: str, target: str
) -> None:
    with (
        running(tell_target) as site,
        running(Proxy(f"{kind}://127.0.0.1:{site.port}")) as proxy,
        over(proxy, target) as client,
    ):
        told = client.read()
        client.send(frame(CLOSE, (1000).to_bytes(2)))
        client.rest()

    assert told == (BINARY, target.encode())


@pytest.mark.parametrize("over", [over_http1, over_http2])
def test_path_of_the_mount_is_taken_off_the_target_of_a_handshake(over: Connect) -> None:
    with (
        running(tell_target) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}"), root_path="/shop") as proxy,
        over(proxy, "/x?a") as client,
    ):
        told = client.read()
        client.send(frame(CLOSE, (1000).to_bytes(2)))
        client.rest()

    assert told == (BINARY, b"/x?a")


async def test_handshake_whose_target_an_upstream_would_read_as_more_is_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    extensions: dict[str, object] = {"websocket.http.response": {}}
    scope = scope_of("GET", "/x") | {"type": "websocket", "query_string": b"a b"}
    async with closing(Proxy("http://127.0.0.1:9")) as proxy:
        await proxy(scope | {"extensions": extensions}, receive, send)

    assert sent[0]["status"] == 400


def test_code_and_reason_of_the_clients_end_reach_the_upstream() -> None:
    heard: queue.Queue[tuple[object, object]] = queue.Queue()

    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        message = await socket.receive()
        heard.put((message["code"], message.get("reason")))

    site = Starlette(routes=[WebSocketRoute("/", listen)])
    with (
        running(site) as served,
        running(Proxy(f"http://127.0.0.1:{served.port}")) as proxy,
        library_client(f"ws://127.0.0.1:{proxy.port}/") as client,
    ):
        client.close(4002, "until later")

        assert heard.get(timeout=PATIENCE) == (4002, "until later")


def test_code_of_the_upstreams_end_reaches_the_client() -> None:
    with (
        running(SITE) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}")) as proxy,
        library_client(f"ws://127.0.0.1:{proxy.port}/echo") as client,
    ):
        client.recv()
        client.send("end")
        with pytest.raises(ConnectionClosedError) as raised:
            client.recv()

    assert raised.value.rcvd is not None
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (4001, "the end")


def test_handshake_that_the_upstream_refuses_is_refused() -> None:
    with (
        running(SITE) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}")) as proxy,
        pytest.raises(InvalidStatus) as raised,
    ):
        library_client(f"ws://127.0.0.1:{proxy.port}/refuse")

    assert raised.value.response.status_code == 403


async def test_handshake_that_no_upstream_answers_is_refused() -> None:
    async with raw_upstream(answering(b"")) as gone:
        url = gone.url
    with running(Proxy(url)) as proxy, pytest.raises(InvalidStatus) as raised:
        library_client(f"ws://127.0.0.1:{proxy.port}/echo")

    assert raised.value.response.status_code == 502


def test_refusal_of_the_upstream_reaches_the_client_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def denies(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("log in first", 401))

    with (
        running(Starlette(routes=[WebSocketRoute("/", denies)])) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}")) as proxy,
        pytest.raises(InvalidStatus) as raised,
    ):
        library_client(f"ws://127.0.0.1:{proxy.port}/")

    response = raised.value.response
    assert (response.status_code, bytes(response.body)) == (401, b"log in first")
    assert "without completing" not in caplog.text


async def test_upstream_that_is_gone_rests_and_the_next_one_is_asked() -> None:
    async with raw_upstream(answering(b"")) as gone:
        url = gone.url
    with (
        running(SITE) as site,
        running(Proxy(url, f"http://127.0.0.1:{site.port}")) as proxy,
        library_client(f"ws://127.0.0.1:{proxy.port}/echo") as client,
    ):
        assert client.recv() == "127.0.0.1"


def test_client_of_http2_speaks_to_an_upstream_of_http1() -> None:
    message = bytes(range(256)) * 1000
    with (
        running(SITE) as site,
        running(Proxy(f"http://127.0.0.1:{site.port}")) as proxy,
        RawClient(proxy.port) as raw,
    ):
        client = Http2Client(raw, b"/echo", (b"sec-websocket-protocol", b"chat"))
        address = client.read()
        client.send(frame(BINARY, message))
        echoed = client.read()
        client.send(frame(TEXT, b"end"))
        end = client.read()
        refused = raw.response(ask_for_websocket(raw, b"/refuse"))

    assert dict(client.response.headers)[b"sec-websocket-protocol"] == b"chat"
    assert address == (TEXT, b"127.0.0.1")
    assert echoed == (BINARY, message)
    assert end == (CLOSE, (4001).to_bytes(2, "big") + b"the end")
    assert refused.status == 403
