"""Random servers against `Http2ClientConnection`, and callers that cancel, stop reading, and fail.

The socket is in memory and the clock stands still while there is something to do, so that a server
that hangs costs no time. Whatever it says, callers get responses or errors of our own tree, and
nothing is left: no task, timer, stream, upload, pushed response, and no window that is owed.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import ngh2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.client.connection import Http2ClientConnection
from headstart.client.contents import Content
from headstart.client.response import AsyncResponse
from headstart.client.response_stream import ResponseStream
from headstart.config import ClientLimits
from headstart.errors import HeadstartError
from headstart.wire.client import ClientConnection
from headstart.wire.events import Fields
from tests.client.peer import ORIGIN
from tests.clock import ClockLoop
from tests.fuzzing.frames import (
    Author,
    Move,
    Settings,
    segmented,
    segments,
    server_moves,
    stories,
    weighted,
)
from tests.fuzzing.leaks import leftovers
from tests.fuzzing.memory import Socket
from tests.fuzzing.profile import fuzzing

pytestmark = pytest.mark.timeout(300)

_TIGHT = ClientLimits(
    stream_window=1000,
    connection_window=70_000,
    max_header_count=3,
    max_header_size=400,
    max_informational=1,
    max_queued_upload=1000,
    max_pushes=1,
    max_push_bytes=500,
    max_push_age=5.0,
    max_control_rate=5,
)
_KINDS = (Http2ClientConnection, ClientConnection, ResponseStream, AsyncResponse)
# Beyond every time-out of the client's.
_LONG = 400.0


class CallersOwn(Exception):
    """What the caller's content or function raises, and must get back as it is."""


async def _parts(kind: str) -> AsyncIterator[bytes]:
    for _ in range(5):
        yield bytes(700)
        await asyncio.sleep(1)
    if kind == "hangs":
        await asyncio.Event().wait()
    if kind == "fails":
        raise CallersOwn


def _content(kind: str) -> Content:
    match kind:
        case "none":
            return None
        case "short":
            return b"content"
        case "long":
            return bytes(200_000)
        case _:
            return _parts(kind)


def _fail(status: int, fields: Fields) -> None:
    raise CallersOwn


@dataclass(slots=True)
class World:
    """One connection, its callers, and a socket instead of a server."""

    loop: ClockLoop
    limits: ClientLimits
    push: bool
    segment: int = 1 << 20
    author: Author = field(default_factory=lambda: Author(2))
    calls: list[asyncio.Task[object]] = field(default_factory=list)
    connection: Http2ClientConnection = field(init=False)
    socket: Socket = field(init=False)

    def __post_init__(self) -> None:
        self.connection = Http2ClientConnection(ORIGIN, push=self.push, limits=self.limits)
        self.socket = Socket(cast(asyncio.Protocol, self.connection), self.loop)
        self.connection.connection_made(self.socket)

    def hear(self, data: bytes) -> None:
        """Bytes come from the server, as long as there is a connection."""
        for part in segmented(data, self.segment):
            if not self.socket.lost and not self.socket.is_closing():
                self.connection.data_received(part)

    def call(self, calling: Coroutine[Any, Any, object]) -> None:
        """Somebody calls."""
        self.calls.append(self.loop.create_task(_outcome(calling)))

    async def settle(self) -> None:
        """What can happen at once happens."""
        for _ in range(5):
            await asyncio.sleep(0)
        streams = [info.id for info in self.connection.streams() if info.id % 2]
        self.author.streams += [number for number in streams if number not in self.author.streams]

    async def end(self) -> None:
        """Every time-out passes, callers without one give up, and the connection is closed."""
        await asyncio.sleep(_LONG)
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        await self.connection.aclose()
        await asyncio.sleep(_LONG)

    def left(self) -> dict[str, object]:
        """What is held of a connection that is over."""
        connection = self.connection
        kept = {"server_settings"}
        assert len(connection._streams) == 0
        return {
            **leftovers(connection, but=kept),
            **leftovers(connection._uploads),
            **leftovers(connection._pings),
            **leftovers(connection._slots),
            **leftovers(connection._streams, but={"_closed"}),
            **leftovers(connection.stall_timeouts),
        }


async def _outcome(calling: Coroutine[Any, Any, object]) -> object:
    """What a call came to; an error of another tree is not taken, and fails the test."""
    try:
        return await calling
    except (HeadstartError, CallersOwn) as error:
        return type(error)


Step: TypeAlias = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Heard:
    """The server says something."""

    move: Move

    def __call__(self, world: World) -> None:
        world.hear(self.move.write(world.author))


@dataclass(frozen=True, slots=True)
class Calls:
    """A request, and what the caller does with the response."""

    content: str
    then: str
    timeout: float | None
    fails: bool

    def __call__(self, world: World) -> None:
        world.call(self._ask(world.connection))

    async def _ask(self, connection: Http2ClientConnection) -> object:
        content = _content(self.content)
        response = await connection.request(
            "GET" if content is None else "POST",
            "/pushed" if self.then == "pushed" else "/",
            [(b"host", b"example.test")],
            content,
            trailers=[(b"x", b"trailer")] if self.then == "trailers" else None,
            timeout=self.timeout,
            keep_push=self.then == "keeps",
            informed=_fail if self.fails else None,
        )
        async with response:
            match self.then:
                case "closes":
                    return None
                case "hangs":
                    await asyncio.Event().wait()
                case "a part":
                    async for part in response.aiter_bytes():
                        return part
                case "pushes" | "rejects":
                    async for push in response.pushes:
                        if self.then == "rejects":
                            push.reject()
                        else:
                            await (await push.response()).aread()
                case _:
                    return await response.aread()
        return None


@dataclass(frozen=True, slots=True)
class Does:
    """Something else on this side."""

    what: str
    on: int

    def __call__(self, world: World) -> object:
        match self.what:
            case "cancels":
                if world.calls:
                    world.calls[-(self.on % len(world.calls)) - 1].cancel()
            case "pings":
                world.call(world.connection.ping(5.0))
            case "reads":
                world.socket.read(10 ** (self.on + 2))
            case "waits":
                return asyncio.sleep(3.0 * self.on)
            case "loses":
                world.socket.abort()
            case _:
                world.call(world.connection.aclose())
        return None


_HEARD = st.builds(Heard, server_moves())
_CALLS = st.builds(
    Calls,
    st.sampled_from(["none", "none", "none", "short", "long", "ends", "hangs", "fails"]),
    st.sampled_from(
        ["reads", "closes", "hangs", "a part", "pushes", "rejects", "pushed", "keeps", "trailers"]
    ),
    st.sampled_from([None, 2.0, 30.0]),
    st.sampled_from([False, False, True]),
)
_DOES = st.builds(Does, st.sampled_from(["cancels", "waits", "pings"]), st.integers(0, 4))
_READS = st.builds(Does, st.just("reads"), st.integers(0, 4))
_ENDS = st.builds(Does, st.sampled_from(["loses", "closes"]), st.just(0))


def live(scenario: Callable[[ClockLoop], Coroutine[Any, Any, World]]) -> None:
    """Run it, and look at what it leaves behind."""
    gc.freeze()  # so that the collector looks only at what is made from here on
    try:
        with closing(ClockLoop()) as loop:
            world = loop.run_until_complete(scenario(loop))

            # Of a connection that hypothesis has lost or closed, or a call that it has cancelled.
            assert [call for call in world.calls if not call.done()] == []
            assert all(call.cancelled() or call.exception() is None for call in world.calls)
            assert world.left() == {}
            assert asyncio.all_tasks(loop) == set()
            assert loop.timers == []
            assert loop.problems == []
            del world
        gc.collect()
        assert [thing for thing in gc.get_objects() if type(thing) in _KINDS] == []
    finally:
        gc.unfreeze()


@given(
    stories(weighted((12, _HEARD), (8, _CALLS), (5, _DOES), (3, _READS), (1, _ENDS))),
    st.sampled_from([ClientLimits(), _TIGHT]),
    st.booleans(),
    segments,
)
@fuzzing(400)
def test_whatever_a_server_says_callers_get_our_own_errors_and_nothing_is_left(
    steps: list[Step], limits: ClientLimits, push: bool, segment: int
) -> None:
    async def scenario(loop: ClockLoop) -> World:
        world = World(loop, limits, push, segment)
        try:
            world.hear(Settings().write(world.author))
            for step in steps:
                waiting = step(world)
                if asyncio.iscoroutine(waiting):
                    await waiting
                await world.settle()
        finally:
            await world.end()
        return world

    live(scenario)


# Only what a server may do.


@dataclass(slots=True)
class Server:
    """A server that makes no mistakes, on the other end of a world's socket."""

    world: World
    engine: ngh2.Connection = field(
        default_factory=lambda: ngh2.Connection(ngh2.Role.SERVER, ngh2.Configuration())
    )
    open: list[int] = field(default_factory=list)
    """Streams, promised ones too, whose response has not ended."""
    begun: set[int] = field(default_factory=set)

    def speak(self) -> None:
        """Write all there is."""
        while data := self.engine.data_to_send():
            self.world.hear(data)

    async def listen(self) -> None:
        """Read all there is, and answer on the connection's own account."""
        for _ in range(5):
            await self.world.settle()
            self.engine.receive_data(self.world.socket.read(1 << 20))
            for event in self.engine.events():
                match event:
                    case ngh2.RequestReceived(stream_id=stream_id):
                        self.open.append(stream_id)
                    case ngh2.StreamClosed(stream_id=stream_id) if stream_id in self.open:
                        self.open.remove(stream_id)
                    case _:
                        pass
            self.speak()

    def respond(self, stream_id: int) -> None:
        """The response's header section, once."""
        if stream_id not in self.begun:
            self.begun.add(stream_id)
            self.engine.send_response(stream_id, [(b":status", b"200")])

    def end(self, stream_id: int) -> None:
        """All that is left of a response."""
        self.respond(stream_id)
        self.engine.send_data(stream_id, b"end", end_stream=True)
        self.open.remove(stream_id)

    def promise(self, parent: int) -> None:
        """A response to a request for /pushed; not with one that was pushed itself."""
        if not parent % 2:
            return
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"example.test")]
        promised = self.engine.send_push_promise(parent, [*fields, (b":path", b"/pushed")])
        self.open.append(promised)


@dataclass(frozen=True, slots=True)
class Answers:
    """Something that RFC 9113 allows a server, with one of its streams."""

    what: str
    on: int
    size: int

    def do(self, server: Server) -> None:
        if not server.open:
            return
        stream_id = server.open[-(self.on % len(server.open)) - 1]
        # What the server's own engine forbids is not sent.
        with suppress(ngh2.NGH2Error):
            self._do(server, stream_id)
        server.speak()

    def _do(self, server: Server, stream_id: int) -> None:
        match self.what:
            case "informs":
                if stream_id not in server.begun:
                    server.engine.send_informational_response(stream_id, [(b":status", b"103")])
            case "responds":
                server.respond(stream_id)
            case "sends":
                server.respond(stream_id)
                server.engine.send_data(stream_id, bytes(self.size), end_stream=False)
            case "ends":
                server.end(stream_id)
            case "promises":
                server.promise(stream_id)
            case "resets":
                server.engine.reset_stream(stream_id, ngh2.ErrorCode.INTERNAL_ERROR)
            case "refuses":
                server.engine.reset_stream(stream_id, ngh2.ErrorCode.REFUSED_STREAM)
            case _:
                server.engine.update_settings({ngh2.Setting.INITIAL_WINDOW_SIZE: self.size})


_KINDS_OF_ANSWER = "informs responds sends sends ends ends promises promises resets refuses window"
_ANSWERS = st.builds(
    Answers,
    st.sampled_from(_KINDS_OF_ANSWER.split()),
    st.integers(0, 4),
    st.sampled_from([1, 100, 20_000, 70_000]),
)


@given(
    st.lists(weighted((10, _ANSWERS), (8, _CALLS), (6, _DOES)), max_size=40),
    st.sampled_from([ClientLimits(), _TIGHT]),
    st.booleans(),
    st.sampled_from([{}, {3: 2}, {4: 100}]),
)
@fuzzing(400)
def test_after_whatever_a_server_may_do_the_next_request_is_answered(
    steps: list[Step | Answers], limits: ClientLimits, push: bool, settings: dict[int, int]
) -> None:
    async def scenario(loop: ClockLoop) -> World:
        world = World(loop, limits, push)
        server = Server(world)
        try:
            server.engine.initiate_connection(settings)
            await server.listen()
            for step in steps:
                if isinstance(step, Answers):
                    # It has not heard what was done meanwhile: the two cross on their way.
                    step.do(server)
                    await server.listen()
                    continue
                waiting = step(world)
                if asyncio.iscoroutine(waiting):
                    await waiting
                await world.settle()
            await server.listen()
            await _probe(world, server)
        finally:
            await world.end()
        return world

    live(scenario)


async def _probe(world: World, server: Server) -> None:
    """All callers give up; then the connection is as good as new."""
    for call in world.calls:
        call.cancel()
    await server.listen()
    for stream_id in list(server.open):
        with suppress(ngh2.NGH2Error):
            server.end(stream_id)
    await server.listen()
    server.open.clear()
    asking = world.loop.create_task(world.connection.request("GET", "/probe", timeout=5.0))
    await server.listen()
    for stream_id in list(server.open):
        server.end(stream_id)
    await server.listen()
    response = await asking

    assert await response.aread() == b"end"
    assert world.connection._wire.unacknowledged() == 0, "a part of the window is lost"
