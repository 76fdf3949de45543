"""An upstream's bytes, given to the proxy as a socket would; for `upstream` and `upstream_http2`.

Up to three requests follow each other on one connection, as long as the proxy would use it again;
over HTTP/2 they are made at once. The socket and the clock are those of `tests.fuzzing`, so a
time-out of minutes takes no time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import closing
from typing import Any, Final, cast

from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin
from headstart.config import ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.forwarding import ForwardedRequest, UpstreamConnection
from headstart.proxy.heads import request_head, target_of
from headstart.proxy.http1 import Http1Connection, Requests
from headstart.proxy.http2 import Http2Stream
from headstart.proxy.responses import PlainResponses
from headstart.wire.fields import checked_fields, response_fields
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket

_REQUESTS: Final = 3
_TURNS: Final = 10
# Seconds after which nothing of a connection that has ended is left.
_LEAVING: Final = 2
_METHODS: Final = ("GET", "HEAD", "POST")


def hear(method: int, parts: list[bytes]) -> None:
    """Ask, and hear the parts; then look at what the client got, and at what is left behind."""
    logging.disable()
    with closing(ClockLoop()) as loop:
        _run(loop, _hear(loop, _METHODS[method % len(_METHODS)], parts))


def hear_http2(parts: list[bytes]) -> None:
    """The same over HTTP/2, with one request for each method."""
    logging.disable()
    with closing(ClockLoop()) as loop:
        _run(loop, _hear_http2(loop, parts))


def _run(loop: ClockLoop, hearing: Coroutine[Any, Any, None]) -> None:
    loop.run_until_complete(hearing)
    assert not loop.problems, loop.problems
    assert not asyncio.all_tasks(loop)
    assert not loop.timers


async def _hear(loop: ClockLoop, method: str, parts: list[bytes]) -> None:
    lost: list[Http1Connection] = []
    buffer = bytearray(max(map(len, parts), default=0))
    connection = Http1Connection(
        ProxyOptions(), lost.append, buffer, Requests(loop), PlainResponses()
    )
    # The socket in memory calls only what every kind of protocol has.
    socket = Socket(cast(asyncio.Protocol, connection), loop)
    connection.connection_made(socket)
    waiting = list(parts)
    for _ in range(_REQUESTS):
        client = _Client(method)
        asking = asyncio.ensure_future(client.ask(connection))
        await asyncio.sleep(0)
        while waiting and not asking.done() and not socket.is_closing():
            part = waiting.pop(0)
            buffer[: len(part)] = part
            connection.buffer_updated(len(part))
            await asyncio.sleep(0)
            socket.read(1 << 20)
        if not waiting:
            socket.abort()
        await asking
        client.check()
        if not connection.reusable:
            break
    connection.close()
    await asyncio.sleep(0)
    assert lost == [connection]


async def _hear_http2(loop: ClockLoop, parts: list[bytes]) -> None:
    connection = Http2ClientConnection(Origin("http", "site.example", 80), push=False)
    # As above; a channel is a BufferedProtocol, or a Protocol.
    socket = Socket(cast(asyncio.Protocol, connection), loop)
    connection.connection_made(socket)
    clients = [_Client(method) for method in _METHODS]
    streams = [Http2Stream(connection, ProxyOptions()) for _ in clients]
    asking = [asyncio.ensure_future(c.ask(s)) for c, s in zip(clients, streams, strict=True)]
    for part in parts:
        await _settle()
        if socket.is_closing():
            break
        connection.data_received(part)
        socket.read(1 << 20)
    await _settle()
    socket.abort()
    for task in asking:
        await task
    for client, stream in zip(clients, streams, strict=True):
        client.check()
        stream.close()
    await connection.aclose()
    await asyncio.sleep(_LEAVING)


async def _settle() -> None:
    """Let the tasks of streams, exchanges and uploads go on as far as they can."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class _Client:
    """One request, and the messages that came back."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._messages: list[Any] = []
        self._failed = False
        self._content = [b"some", b"more"] if method == "POST" else []

    async def ask(self, connection: UpstreamConnection) -> None:
        """Ask, and take what comes; the only failure is an upstream's."""
        scope = {
            "type": "http",
            "http_version": "2",
            "method": self._method,
            "scheme": "https",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "client": ("192.0.2.7", 40000),
            "headers": [(b"host", b"site.example"), (b"te", b"trailers")],
            "extensions": {"http.response.early_hint": {}, "http.response.trailers": {}},
        }
        head = request_head(scope, ProxyOptions())
        exchange = ForwardedRequest(scope, self._receive, self._send, head, target_of(scope))
        if self._content:
            exchange.begin_with({"type": "http.request", "body": b"", "more_body": True})
        try:
            await exchange.run(connection)
        except UpstreamError:
            self._failed = True

    async def _receive(self) -> Any:
        if not self._content:
            await asyncio.Event().wait()
        body = self._content.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._content)}

    async def _send(self, message: Any) -> None:
        self._messages.append(message)

    def check(self) -> None:
        """What came can be sent on, and is whole if nothing failed and only then."""
        kinds = [message["type"].removeprefix("http.response.") for message in self._messages]
        assert kinds.count("start") <= 1
        for message in self._messages:
            if message["type"] == "http.response.start":
                response_fields(message["status"], message["headers"])
            else:
                links = [(b"link", value) for value in message.get("links", ())]
                checked_fields([*message.get("headers", ()), *links], [])
        bodies = [m for m in self._messages if m["type"] == "http.response.body"]
        whole = bool(bodies) and not bodies[-1].get("more_body", False)
        assert whole is not self._failed
        if whole:
            self._check_length(sum(len(body.get("body", b"")) for body in bodies))

    def _check_length(self, length: int) -> None:
        start = next(m for m in self._messages if m["type"] == "http.response.start")
        told = dict(start["headers"]).get(b"content-length")
        if self._method == "HEAD" or start["status"] in (204, 304):
            assert length == 0
        elif told is not None:
            assert length == int(told)
