"""Random servers against `wire.client`, with a caller that does anything at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError
from headstart.wire.client import ClientConnection
from headstart.wire.events import (
    ClientEvent,
    PromiseReceived,
    ResponseReceived,
    SettingsReceived,
    StreamClosed,
)
from tests.fuzzing.frames import (
    Author,
    Settings,
    segments,
    server_moves,
    stories,
    weighted,
)
from tests.fuzzing.profile import fuzzing
from tests.fuzzing.sides import Heard, Side

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


class Client(Side[ClientEvent]):
    """The client's side.

    Attributes:
        known: Streams of requests and of promises.
    """

    preface = True
    may_keep = frozenset({"refused_promises"})

    def __init__(self, limits: ClientLimits, push: bool, segment: int) -> None:
        self.wire = ClientConnection(limits, push, 0.0)
        super().__init__(self.wire, Author(2), segment)
        self.known: set[int] = set()
        self._push = push
        self._allowed = 1 << 31

    def ask(self, method: str, end: bool) -> None:
        """A request, where the server lets us have one more stream, as `client.slots` sees to it.

        The engine would hold it back, and would not let go of it before there is room.
        """
        if len({known for known in self.known - self.closed if known % 2}) >= self._allowed:
            return
        stream_id = self.wire.request(method, b"http", b"example.test", b"/", [], end)
        self.known.add(stream_id)
        self.author.streams.append(stream_id)
        self.speak()

    def note(self, event: ClientEvent) -> None:
        match event:
            case PromiseReceived(promised_stream_id=promised):
                assert self._push
                assert promised % 2 == 0
                assert promised not in self.known
                self.known.add(promised)
            case ResponseReceived(stream_id=stream_id, status=status):
                assert stream_id in self.known - self.closed
                assert 200 <= status <= 999
            case StreamClosed(stream_id=stream_id):
                self.wire.take_problem(stream_id)
            case SettingsReceived(settings=settings):
                self._allowed = settings.get(3, self._allowed)
            case _:
                pass

    def reset(self, stream_id: int) -> None:
        self.wire.reset(stream_id)


Step: TypeAlias = Callable[[Client], object]


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

    client.end(client.known)


@given(st.lists(st.binary(max_size=60), max_size=6), segments)
@fuzzing(300)
def test_whatever_bytes_a_server_sends_the_client_answers_in_frames(
    parts: list[bytes], segment: int
) -> None:
    client = Client(ClientLimits(), True, segment)

    for part in parts:
        client.hear(part)
        client.speak()

    client.end(client.known)
