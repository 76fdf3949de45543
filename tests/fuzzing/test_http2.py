"""Random clients against `server.http2` and applications that answer, stall, fail, push and hint.

The socket is in memory and the clock stands still while there is something to do, so that every
time-out of the server is reached in no time.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ngh2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from headstart.config import ServerOptions, WireLimits
from headstart.errors import HeadstartError
from headstart.server.cycle import Cycle
from headstart.server.http2 import Http2ServerConnection
from headstart.server.run import Config
from headstart.wire.server import ServerConnection
from tests.clock import ClockLoop
from tests.fuzzing.apps import PATHS, Careless, application
from tests.fuzzing.frames import (
    Author,
    Move,
    client_moves,
    greeting,
    segmented,
    segments,
    stories,
    weighted,
)
from tests.fuzzing.memory import Socket
from tests.fuzzing.profile import fuzzing

pytestmark = pytest.mark.timeout(300)

_TIGHT = WireLimits(
    max_concurrent_streams=4,
    stream_window=20_000,
    connection_window=70_000,
    max_queued_stream=2000,
    max_queued_connection=8000,
    max_pushes_per_request=2,
    max_resets=6,
    max_control_rate=5,
)
_KINDS = (Http2ServerConnection, Cycle, ServerConnection)
# Beyond every time-out of the server, and of the applications.
_LONG = 400.0


class _Errors(logging.Filter):
    """Keeps what the server logs as an error, and was no application's own mistake.

    Nothing reaches the log itself: its records would keep the connection alive by their tracebacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unexpected: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not _is_expected(error):
            self.unexpected.append(f"{record.getMessage()} {error!r}")
        return False


def _is_expected(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(inner) for inner in error.exceptions)
    # RuntimeError is what ASGI servers raise for a message out of order.
    return error is None or isinstance(error, (Careless, HeadstartError, RuntimeError))


@pytest.fixture(autouse=True, scope="module")
def errors() -> Iterator[_Errors]:
    filtering = _Errors()
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "headstart.server")]
    for logger in loggers:
        logger.addFilter(filtering)
    yield filtering
    for logger in loggers:
        logger.removeFilter(filtering)


@dataclass(slots=True)
class World:
    """A server with one connection."""

    loop: ClockLoop
    limits: WireLimits
    segment: int = 1 << 20
    state: ServerState = field(default_factory=ServerState)
    author: Author = field(default_factory=lambda: Author(1))
    client: ngh2.Connection = field(init=False)
    connection: Http2ServerConnection = field(init=False)
    socket: Socket = field(init=False)
    streams: list[int] = field(default_factory=list)
    uploading: set[int] = field(default_factory=set)
    """Streams whose request goes on."""
    endless: set[int] = field(default_factory=set)
    """Streams whose application waits for the client to leave."""
    closed: set[int] = field(default_factory=set)
    statuses: dict[int, bytes] = field(default_factory=dict)
    unpaid: dict[int, int] = field(default_factory=dict)
    stopping: bool = False
    goaway: bool = False
    goodbyes: list[int] = field(default_factory=list)
    """Error codes of the GOAWAYs that came."""
    last: int = (1 << 31) - 1
    """What the last of them said is served."""

    def __post_init__(self) -> None:
        options = ServerOptions(call_grace=5.0, limits=self.limits)
        config = Config(application, options, log_config=None, interface="asgi3")
        config.load()
        self.connection = Http2ServerConnection(config, self.state, {}, self.loop)
        self.socket = Socket(self.connection, self.loop)
        self.connection.connection_made(self.socket)

    def hear(self, data: bytes) -> None:
        """Bytes come from the client, as long as there is a connection."""
        for part in segmented(data, self.segment):
            if not self.socket.lost and not self.socket.is_closing():
                self.connection.data_received(part)

    async def settle(self) -> None:
        """What can happen at once happens."""
        for _ in range(20):
            await asyncio.sleep(0)

    # The well-behaved client.

    def greet(self, settings: dict[int, int]) -> None:
        """Become a client that makes no mistakes."""
        configuration = ngh2.Configuration(auto_window_update=False, max_outbound_ack=100_000)
        self.client = ngh2.Connection(ngh2.Role.CLIENT, configuration)
        self.client.initiate_connection(settings)
        self.speak()
        self.listen(1 << 20)

    def speak(self) -> None:
        """The client writes."""
        while data := self.client.data_to_send():
            self.hear(data)

    def ask(self, path: bytes, method: bytes = b"GET", end: bool = True) -> int:
        """A request."""
        fields = [(b":method", method), (b":scheme", b"http"), (b":authority", b"example.test")]
        stream_id = self.client.send_request([*fields, (b":path", path)], end_stream=end)
        self.streams.append(stream_id)
        if path in (b"/until-gone", b"/deaf"):
            self.endless.add(stream_id)
        if not end:
            self.uploading.add(stream_id)
        self.speak()
        return stream_id

    def listen(self, amount: int) -> bool:
        """The client reads that much; whether there was anything."""
        data = self.socket.read(amount)
        # After the last stream that a GOAWAY left open, the client's engine takes nothing any more.
        with suppress(ngh2.ConnectionStateError):
            self.client.receive_data(data)
        for event in self.client.events():
            self._note(event)
        self.speak()
        return bool(data)

    def _note(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.ResponseReceived(stream_id=stream_id, headers=headers):
                self.statuses[stream_id] = headers[0][1]
            case ngh2.DataReceived(stream_id=stream_id, data=data):
                self.unpaid[stream_id] = self.unpaid.get(stream_id, 0) + len(data)
            case ngh2.StreamClosed(stream_id=stream_id):
                self.closed.add(stream_id)
            case ngh2.GoAwayReceived(last_stream_id=last, error_code=code):
                self.goaway = True
                self.goodbyes.append(code)
                self.last = last
            case _:
                pass

    def pay(self) -> None:
        """The client gives back all windows."""
        with suppress(ngh2.ConnectionStateError):
            for stream_id, amount in self.unpaid.items():
                self.client.acknowledge_received_data(amount, stream_id)
        self.unpaid.clear()
        self.speak()

    # The end.

    def is_over(self) -> bool:
        """The server said so, or has closed the connection."""
        return self.goaway or self.socket.lost

    async def end(self) -> None:
        """The client goes away, and every time-out passes."""
        self.socket.abort()
        await asyncio.sleep(_LONG)


Step: TypeAlias = Callable[[World], object]


def live(scenario: Callable[[ClockLoop], Any], errors: _Errors) -> None:
    """Run it, and look at what it leaves behind."""
    gc.freeze()  # so that the collector looks only at what is made from here on
    try:
        _live(scenario, errors)
    finally:
        gc.unfreeze()


def _live(scenario: Callable[[ClockLoop], Any], errors: _Errors) -> None:
    with closing(ClockLoop()) as loop:
        state = loop.run_until_complete(scenario(loop))

        assert errors.unexpected == []
        assert loop.problems == []
        assert asyncio.all_tasks(loop) == set()
        assert loop.timers == []
        assert (state.connections, state.tasks) == (set(), set())
    gc.collect()
    assert [thing for thing in gc.get_objects() if type(thing) in _KINDS] == []


# Anything.


@dataclass(frozen=True, slots=True)
class Heard:
    """The client says something."""

    move: Move

    def __call__(self, world: World) -> None:
        world.hear(self.move.write(world.author))


@dataclass(frozen=True, slots=True)
class Read:
    """The client reads so much."""

    amount: int

    def __call__(self, world: World) -> None:
        world.socket.read(self.amount)


@dataclass(frozen=True, slots=True)
class Waited:
    """Time passes."""

    seconds: float

    def __call__(self, world: World) -> object:
        return asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is told to stop."""

    def __call__(self, world: World) -> None:
        world.stopping = True
        world.connection.shutdown()


_HEARD = st.builds(Heard, client_moves(PATHS))
_ANYTHING = weighted(
    (20, _HEARD),
    (6, st.builds(Read, st.sampled_from([0, 1, 10_000, 1 << 20]))),
    (6, st.builds(Waited, st.sampled_from([0.0, 0.01, 0.1, 10.0, 60.0]))),
    (1, st.builds(Shutdown)),
)


@given(stories(_ANYTHING), st.sampled_from([WireLimits(), _TIGHT]), segments)
@fuzzing(400)
def test_whatever_a_client_says_nothing_is_left_when_it_is_gone(
    errors: _Errors, steps: list[Step], limits: WireLimits, segment: int
) -> None:
    async def scenario(loop: ClockLoop) -> ServerState:
        world = World(loop, limits, segment)
        world.hear(greeting(world.author))
        try:
            for step in steps:
                waiting = step(world)
                if asyncio.iscoroutine(waiting):
                    await waiting
        finally:
            await world.end()
        return world.state

    live(scenario, errors)


# Only what a client may do.


@dataclass(frozen=True, slots=True)
class Asks:
    """A request, with a body that goes on or without."""

    path: bytes
    upload: bool

    def __call__(self, world: World) -> None:
        if not world.goaway:
            world.ask(self.path, b"POST" if self.upload else b"GET", not self.upload)


@dataclass(frozen=True, slots=True)
class Does:
    """Something that RFC 9113 allows, with one of its streams."""

    what: str
    on: int
    size: int

    def __call__(self, world: World) -> None:
        if world.goaway:
            return
        # What the client's own engine forbids is not sent.
        with suppress(ngh2.NGH2Error):
            self._do(world, world.client)
        world.speak()

    def _do(self, world: World, client: ngh2.Connection) -> None:
        stream_id = world.streams[-(self.on % len(world.streams)) - 1] if world.streams else 1
        match self.what:
            case "data":
                client.send_data(stream_id, bytes(self.size), end_stream=False)
            case "end":
                client.send_data(stream_id, bytes(self.size), end_stream=True)
                world.uploading.discard(stream_id)
            case "trailers":
                client.send_trailers(stream_id, [(b"x", b"trailer")])
                world.uploading.discard(stream_id)
            case "reset":
                client.reset_stream(stream_id, ngh2.ErrorCode.CANCEL)
            case "ping":
                client.ping(b"hellohey")
            case "pay":
                world.pay()
            case "window":
                client.update_settings({ngh2.Setting.INITIAL_WINDOW_SIZE: self.size})
            case "push":
                client.update_settings({ngh2.Setting.ENABLE_PUSH: self.size % 2})
            case _:
                client.update_settings({ngh2.Setting.MAX_CONCURRENT_STREAMS: self.size})


@dataclass(frozen=True, slots=True)
class Listens:
    """The client reads so much, and understands it."""

    amount: int

    def __call__(self, world: World) -> None:
        world.listen(self.amount)


_ASKS = st.builds(Asks, st.sampled_from(PATHS), st.booleans())
_DOES = st.builds(
    Does,
    st.sampled_from(
        ["data", "data", "end", "trailers", "reset", "ping", "pay", "window", "push", "streams"]
    ),
    st.integers(0, 4),
    st.sampled_from([0, 1, 100, 65_535, 200_000]),
)
_ALLOWED = weighted(
    (12, _ASKS),
    (20, _DOES),
    (1, st.builds(Shutdown)),
    (8, st.builds(Listens, st.sampled_from([1, 1000, 1 << 20]))),
    (4, st.builds(Waited, st.sampled_from([0.0, 0.01, 0.1, 1.0]))),
)


@given(
    stories(_ALLOWED),
    st.sampled_from([{}, {2: 0}, {4: 0}, {3: 1}, {4: 1 << 20}]),
    st.sampled_from([WireLimits(), _TIGHT]),
)
@fuzzing(600)
def test_after_whatever_a_client_may_do_it_is_answered_or_told_goodbye(
    errors: _Errors, steps: list[Step], settings: dict[int, int], limits: WireLimits
) -> None:
    async def scenario(loop: ClockLoop) -> ServerState:
        world = World(loop, limits)
        world.greet(settings)
        try:
            for step in steps:
                waiting = step(world)
                await (waiting if asyncio.iscoroutine(waiting) else world.settle())
            await _probe(world)
        finally:
            await world.end()
        return world.state

    live(scenario, errors)


async def _probe(world: World) -> None:
    """Read all, give up what never ends, and ask once more."""
    await world.settle()
    with suppress(ngh2.NGH2Error):
        world.client.update_settings({ngh2.Setting.INITIAL_WINDOW_SIZE: 65_535})
        for stream_id in (world.endless | world.uploading) - world.closed:
            world.client.reset_stream(stream_id, ngh2.ErrorCode.CANCEL)
    # Longer than the slowest application takes.
    await _listen_until_quiet(world)
    if any(world.goodbyes) or (world.is_over() and not world.stopping):
        return  # it went over a limit, or past a time-out
    # Also where the server stops, of what it said that it serves (RFC 9113, 6.8).
    unanswered = {stream_id for stream_id in world.streams if stream_id <= world.last}
    assert world.closed >= unanswered, "a request that was sent whole was not answered"
    if world.is_over():
        return
    stream_id = world.ask(b"/answer")
    await _listen_until_quiet(world)

    assert world.is_over() or world.statuses.get(stream_id) == b"200", stream_id


async def _listen_until_quiet(world: World) -> None:
    """Read, pay and wait for applications, as long as something comes."""
    for _ in range(10):
        while world.listen(1 << 20):
            world.pay()
            await world.settle()
        await asyncio.sleep(2)
