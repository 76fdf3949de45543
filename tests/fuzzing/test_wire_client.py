"""Random servers against `wire.client`, with a caller that does anything at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError
from headstart.wire.client import ClientConnection
from headstart.wire.events import (
    ClientEvent,
    ConnectionEnded,
    DataReceived,
    PromiseReceived,
    ResponseReceived,
    SettingsReceived,
    StreamClosed,
)
from headstart.wire.frames import Direction, FrameDecoder
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
)


@dataclass(slots=True)
class Client:
    """The client's side under test, and what must hold of it after every step."""

    limits: ClientLimits
    push: bool
    segment: int
    author: Author = field(default_factory=lambda: Author(2))
    known: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    owed: dict[int, int] = field(default_factory=dict)
    allowed: int = 1 << 31
    ended: bool = False
    wire: ClientConnection = field(init=False)
    frames: FrameDecoder = field(init=False)

    def __post_init__(self) -> None:
        self.wire = ClientConnection(self.limits, self.push, 0.0)
        self.frames = FrameDecoder(Direction.SENT, preface=True)

    def hear(self, data: bytes) -> None:
        """Bytes from the server."""
        for part in segmented(data, self.segment):
            self._note(self.wire.receive(part, 0.0))

    def speak(self) -> None:
        """Write what there is to write; it must be frames."""
        while data := self.wire.output():
            for frame in self.frames.feed(data, 0.0):
                assert not frame.problem, frame
            self._note(self.wire.after_output(0.0))
        self._note(self.wire.after_output(0.0))

    def ask(self, method: str, end: bool) -> None:
        """A request, where the server lets us have one more stream, as `client.slots` sees to it.

        The engine would hold it back, and would not let go of it before there is room.
        """
        if len({known for known in self.known - self.closed if known % 2}) >= self.allowed:
            return
        stream_id = self.wire.request(method, b"http", b"example.test", b"/", [], end)
        self.known.add(stream_id)
        self.author.streams.append(stream_id)
        self.speak()

    def _note(self, events: list[ClientEvent]) -> None:
        for event in events:
            match event:
                case PromiseReceived(promised_stream_id=promised):
                    assert self.push
                    assert promised % 2 == 0
                    assert promised not in self.known
                    self.known.add(promised)
                case ResponseReceived(stream_id=stream_id, status=status):
                    assert stream_id in self.known - self.closed
                    assert 200 <= status <= 999
                case DataReceived(stream_id=stream_id, data=data):
                    assert stream_id not in self.closed
                    self.owed[stream_id] = self.owed.get(stream_id, 0) + len(data)
                case StreamClosed(stream_id=stream_id):
                    assert stream_id not in self.closed
                    self.closed.add(stream_id)
                    self.wire.take_problem(stream_id)
                case SettingsReceived(settings=settings):
                    self.allowed = settings.get(3, self.allowed)
                case ConnectionEnded():
                    assert not self.ended, "it ended twice"
                    self.ended = True
                case _:
                    pass

    def pay(self) -> None:
        """Acknowledge all that came."""
        for stream_id, amount in self.owed.items():
            self.wire.acknowledge(amount, stream_id)
        self.owed.clear()


Step: TypeAlias = Callable[[Client], object]


@dataclass(frozen=True, slots=True)
class Heard:
    """The server says something."""

    move: Move

    def __call__(self, client: Client) -> None:
        client.hear(self.move.write(client.author))


@dataclass(frozen=True, slots=True)
class Called:
    """The caller calls something, allowed or not, on a stream of either kind."""

    what: str
    on: int
    size: int = 0
    end: bool = False

    def __call__(self, client: Client) -> None:
        # said to the caller; nothing reached the wire
        with suppress(LocalProtocolError):
            self._call(client, client.wire)

    def _call(self, client: Client, wire: ClientConnection) -> None:
        known = sorted(client.known) or [1]
        stream_id = known[-(self.on % len(known)) - 1]
        match self.what:
            case "get":
                client.ask("GET", True)
            case "post":
                client.ask("POST", False)
            case "data":
                wire.send_data(stream_id, bytes(self.size), self.end)
            case "trailers":
                wire.send_trailers(stream_id, [(b"x", b"trailer")])
            case "reset":
                wire.reset(stream_id)
            case "acknowledge":
                client.pay()
            case "ping":
                wire.ping(b"probing!")
            case "write":
                client.speak()
            case _:
                wire.close()


_HEARD = st.builds(Heard, server_moves())
_CALLS = st.builds(
    Called,
    st.sampled_from(
        ["get", "get", "post", "data", "acknowledge", "write"] * 2
        + ["reset", "trailers", "ping", "close"]
    ),
    st.integers(0, 4),
    st.sampled_from([0, 1, 100, 70_000]),
    st.booleans(),
)


@given(
    stories(weighted((3, _HEARD), (2, _CALLS))),
    st.sampled_from([ClientLimits(), _TIGHT]),
    st.booleans(),
    segments,
)
@fuzzing(1000)
def test_whatever_a_server_says_the_client_answers_in_frames_and_keeps_nothing(
    steps: list[Step], limits: ClientLimits, push: bool, segment: int
) -> None:
    client = Client(limits, push, segment)
    client.ask("GET", True)
    client.ask("POST", False)
    client.speak()
    client.hear(Settings().write(client.author))

    for step in steps:
        step(client)
    for stream_id in client.known:
        client.wire.reset(stream_id)
    client.speak()
    client.pay()
    client.speak()

    # Of a connection that has ended nothing is kept at all.
    assert client.wire.ended is not None or leftovers(client.wire, but={"refused_promises"}) == {}
    assert not client.wire.wants_output


@given(st.lists(st.binary(max_size=60), max_size=6), segments)
@fuzzing(300)
def test_whatever_bytes_a_server_sends_the_client_answers_in_frames(
    parts: list[bytes], segment: int
) -> None:
    client = Client(ClientLimits(), True, segment)

    for part in parts:
        client.hear(part)
        client.speak()
    client.speak()

    assert client.wire.ended is not None or leftovers(client.wire, but={"refused_promises"}) == {}
    assert not client.wire.wants_output
