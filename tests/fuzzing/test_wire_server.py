"""Random clients against `wire.server`, with an application that does anything at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import WireLimits
from headstart.errors import LocalProtocolError
from headstart.wire.events import (
    DataReceived,
    Fields,
    RequestReceived,
    RequestRefused,
    ServerEvent,
)
from headstart.wire.fields import response_fields
from headstart.wire.promises import PromiseHeads
from headstart.wire.server import ServerConnection
from tests.fuzzing.frames import (
    Author,
    client_moves,
    greeting,
    segments,
    stories,
    weighted,
)
from tests.fuzzing.profile import fuzzing
from tests.fuzzing.sides import Heard, Side

pytestmark = pytest.mark.timeout(300)

_TIGHT = WireLimits(
    max_concurrent_streams=3,
    stream_window=20_000,
    connection_window=70_000,
    max_queued_stream=2000,
    max_queued_connection=4000,
    max_pushes_per_request=2,
    max_resets=4,
    max_control_rate=3,
)


class Server(Side[ServerEvent]):
    """The server's side.

    Attributes:
        requested, promised: Streams, in their order.
    """

    preface = False

    def __init__(self, limits: WireLimits, segment: int) -> None:
        self.wire = ServerConnection(limits, 0.0)
        super().__init__(self.wire, Author(1), segment)
        self.requested: list[int] = []
        self.promised: list[int] = []

    def note(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived(stream_id=stream_id) | RequestRefused(stream_id=stream_id):
                assert not self.ended
                assert stream_id % 2
                assert stream_id > max(self.requested, default=0)
                self.requested.append(stream_id)
            case DataReceived(stream_id=stream_id):
                assert stream_id in self.requested
            case _:
                pass

    def reset(self, stream_id: int) -> None:
        self.wire.reset(stream_id)


Step: TypeAlias = Callable[[Server], object]


@dataclass(frozen=True, slots=True)
class Called:
    """The application calls something, allowed or not, on a stream of either kind."""

    what: str
    on: int
    size: int = 0
    end: bool = False

    def __call__(self, server: Server) -> None:
        # said to the application; nothing reached the wire
        with suppress(LocalProtocolError):
            self._call(server, server.wire)

    def _call(self, server: Server, wire: ServerConnection) -> None:
        shown = [*server.requested, *server.promised] or [1]
        stream_id = shown[-(self.on % len(shown)) - 1]
        match self.what:
            case "respond":
                wire.respond(stream_id, response_fields(200, []), self.end)
            case "inform":
                wire.inform(stream_id, 103, [(b"link", b"</x>")])
            case "data":
                wire.send_data(stream_id, bytes(self.size), self.end)
            case "trailers":
                wire.send_trailers(stream_id, [(b"x", b"trailer")])
            case "reset":
                wire.reset(stream_id)
            case "promise":
                self._promise(server, stream_id)
            case "acknowledge":
                server.pay()
            case "ping":
                wire.ping(b"probing!")
            case "notice":
                wire.shutdown_notice()
            case "goaway":
                wire.last_goaway()
            case _:
                wire.close()

    def _promise(self, server: Server, stream_id: int) -> None:
        target = b"/%d" % self.size
        fields: Fields = [(b"accept", b"*/*")]
        heads = PromiseHeads("GET", b"http", b"example.test", fields)
        outcome = server.wire.promise(stream_id, heads.of(target))
        if isinstance(outcome, int):
            server.promised.append(outcome)


@dataclass(frozen=True, slots=True)
class Waited:
    """Time passes, and all is written."""

    seconds: float

    def __call__(self, server: Server) -> None:
        server.now += self.seconds
        server.speak()


_HEARD = st.builds(Heard, client_moves([b"/", b"/page"]))
_CALLS = st.builds(
    Called,
    st.sampled_from(
        ["respond", "data", "promise", "reset", "acknowledge"] * 3
        + ["inform", "trailers", "ping", "notice", "goaway", "close"]
    ),
    st.integers(0, 4),
    st.sampled_from([0, 1, 100, 70_000]),
    st.booleans(),
)
_WAITS = st.builds(Waited, st.sampled_from([0.0, 0.1, 60.0]))
_STEPS = weighted((4, _HEARD), (3, _CALLS), (1, _WAITS))


@given(stories(_STEPS), st.sampled_from([WireLimits(), _TIGHT]), segments)
@fuzzing(1000)
def test_whatever_a_client_says_the_server_answers_in_frames_and_keeps_nothing(
    steps: list[Step], limits: WireLimits, segment: int
) -> None:
    server = Server(limits, segment)
    server.hear(greeting(server.author))

    for step in steps:
        step(server)

    server.end([*server.requested, *server.promised])


@given(st.lists(st.binary(max_size=60), max_size=6), segments)
@fuzzing(300)
def test_whatever_bytes_a_client_sends_the_server_answers_in_frames(
    parts: list[bytes], segment: int
) -> None:
    server = Server(WireLimits(), segment)

    for part in parts:
        server.hear(part)
        server.speak()

    server.end([*server.requested, *server.promised])
