"""A server in memory for one of our connections: our own server's side behind a fake socket.

The test plays the server's application: it looks at `requests` and answers with `server`. Nothing
sleeps; `settle` gives the event loop its turns until neither side has more to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits, WireLimits
from headstart.reasons import Refusal
from headstart.wire.events import (
    DataReceived,
    Fields,
    RequestReceived,
    ServerEvent,
    StreamReset,
)
from headstart.wire.fields import response_fields
from headstart.wire.frames import ConnectionFrames, Direction, Frame
from headstart.wire.promises import PromiseHeads
from headstart.wire.server import ServerConnection

ORIGIN = Origin("http", "example.test", 80)
AUTHORITY = b"example.test"
_TURNS = 12


class FakeSocket(asyncio.Transport):
    """What the connection writes goes to `written`; closing it tells the connection.

    One that `lingers` is closed by `abort()` only: the other end does not answer close_notify. As
    with asyncio's TLS transport, not even that helps once it was closed twice.
    """

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written: list[bytes] = []
        self.closed = False
        self._closing = 0
        self.lingers = False
        self.lost = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self._closing += 1
        if not self.lingers:
            self.abort()

    def abort(self) -> None:
        if not self.closed and self._closing < 2:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        self.lost = True
        self._protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed or self._closing > 0


class Peer:
    """The server, and the connection to it."""

    def __init__(
        self,
        *,
        limits: ClientLimits | None = None,
        wire_limits: WireLimits | None = None,
        push: bool = True,
    ) -> None:
        self.tapped: list[Direction] = []
        self.frames: list[Frame] = []
        self.events: list[ServerEvent] = []
        self._decoder = ConnectionFrames(client=Direction.SENT)
        self.server = ServerConnection(wire_limits or WireLimits(), 0.0)
        self.connection = Http2ClientConnection(
            ORIGIN, push=push, limits=limits or ClientLimits(), tap=self._tap
        )
        self.socket = FakeSocket(self.connection)

    @classmethod
    async def connected(
        cls,
        *,
        limits: ClientLimits | None = None,
        wire_limits: WireLimits | None = None,
        push: bool = True,
    ) -> Peer:
        peer = cls(limits=limits, wire_limits=wire_limits, push=push)
        peer.connection.connection_made(peer.socket)
        await peer.settle()
        await peer.connection.ready()
        return peer

    def _tap(self, direction: Direction, data: bytes, at: float) -> None:
        assert at >= 0
        self.tapped.append(direction)
        self.frames += self._decoder.feed(direction, data, at)

    def sent(self, kind: str, stream_id: int | None = None) -> list[Frame]:
        """Frames that our side wrote."""
        return [
            frame
            for frame in self.frames
            if frame.direction is Direction.SENT
            and frame.kind == kind
            and stream_id in (None, frame.stream_id)
        ]

    async def settle(self) -> None:
        """Carry bytes both ways until there are no more."""
        quiet = 0
        while quiet < _TURNS:
            await asyncio.sleep(0)
            quiet = 0 if self.carry() else quiet + 1

    def carry(self) -> bool:
        """Carry what both sides have to say now; whether there was anything."""
        written, self.socket.written = self.socket.written, []
        for data in written:
            self.events += self.server.receive(data, 0.0)
        data = self.server.output()
        self.events += self.server.after_output(0.0)
        if data and not self.socket.closed:
            self.connection.data_received(data)
        return bool(written or data)

    def request(self, *arguments: object, **more: object) -> asyncio.Task[AsyncResponse]:
        """Begin a request of our side's."""
        call: Callable[..., Coroutine[Any, Any, AsyncResponse]] = self.connection.request
        return asyncio.create_task(call(*arguments, **more))

    async def asked(
        self, target: str = "/", **more: object
    ) -> tuple[asyncio.Task[AsyncResponse], int]:
        """Begin a GET that the server has seen; the task and the stream."""
        task = self.request("GET", target, **more)
        await self.settle()
        return task, self.requests[-1].stream_id

    @property
    def requests(self) -> list[RequestReceived]:
        """What the server was asked."""
        return [event for event in self.events if isinstance(event, RequestReceived)]

    def body(self, stream_id: int) -> bytes:
        """What the server received on a stream."""
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, DataReceived) and event.stream_id == stream_id
        )

    def resets(self) -> list[tuple[int, int]]:
        """Streams that our side reset, and the error codes."""
        return [(e.stream_id, e.error_code) for e in self.events if isinstance(e, StreamReset)]

    async def answer(
        self,
        stream_id: int,
        body: bytes = b"page",
        *,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
        end: bool = True,
    ) -> None:
        """The server answers."""
        self.server.respond(stream_id, response_fields(status, headers), end_stream=False)
        self.server.send_data(stream_id, body, end)
        await self.settle()

    async def promise(
        self, parent: int, target: bytes = b"/data", fields: Fields | None = None
    ) -> int:
        """The server promises a response; its stream."""
        heads = PromiseHeads("GET", b"http", AUTHORITY, fields or [])
        promised = self.server.promise(parent, heads.of(target))
        assert not isinstance(promised, Refusal), promised
        await self.settle()
        return promised
