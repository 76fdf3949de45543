"""Two connections in memory: a bare engine as the client, our server's side, and all frames seen.

Used by the tests of the server's side; the client is the engine itself, so that a mistake of our
own client cannot hide one of the server.
"""

from __future__ import annotations

from collections.abc import Mapping

import ngh2

from headstart.config import WireLimits
from headstart.wire.events import Fields, RequestReceived, ServerEvent
from headstart.wire.fields import response_fields
from headstart.wire.frames import ConnectionFrames, Direction, Frame
from headstart.wire.server import ServerConnection

AUTHORITY = b"example.test"


class Pair:
    """A client and a server that hear each other."""

    def __init__(
        self, settings: Mapping[int, int] | None = None, limits: WireLimits | None = None
    ) -> None:
        self.now = 0.0
        self.client = ngh2.Connection(
            ngh2.Role.CLIENT, ngh2.Configuration(max_outbound_ack=100_000)
        )
        self.client.initiate_connection(dict(settings or {}))
        self.server = ServerConnection(limits or WireLimits(), self.now)
        self._frames = ConnectionFrames(client=Direction.RECEIVED)
        self.seen: list[Frame] = []
        self.server_events: list[ServerEvent] = []
        self.client_events: list[ngh2.Event] = []
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes both ways until there are no more."""
        moved = True
        while moved:
            moved = self._to_server() | self.to_client()

    def _to_server(self) -> bool:
        data = self.client.data_to_send()
        if data:
            self.feed(data)
        return bool(data)

    def feed(self, data: bytes) -> None:
        """Give the server bytes as if the client had sent them."""
        self.seen += self._frames.feed(Direction.RECEIVED, data, self.now)
        self.server_events += self.server.receive(data, self.now)

    def to_client(self) -> bool:
        """Carry what the server has to say, and nothing back."""
        data = self.server.output()
        self.server_events += self.server.after_output(self.now)
        if data:
            self.seen += self._frames.feed(Direction.SENT, data, self.now)
            self.client.receive_data(data)
            self.client_events += self.client.events()
        return bool(data)

    def sent(self, kind: str | None = None, stream_id: int | None = None) -> list[Frame]:
        """Frames that the server wrote."""
        return [
            frame
            for frame in self.seen
            if frame.direction is Direction.SENT
            and kind in (None, frame.kind)
            and stream_id in (None, frame.stream_id)
        ]

    def request(
        self,
        path: bytes = b"/",
        *,
        method: bytes = b"GET",
        headers: Fields | None = None,
        end_stream: bool = True,
    ) -> int:
        """The client asks; returns the stream."""
        stream_id = self.client.send_request(
            [
                (b":method", method),
                (b":scheme", b"https"),
                (b":authority", AUTHORITY),
                (b":path", path),
                *(headers or []),
            ],
            end_stream=end_stream,
        )
        self.exchange()
        return stream_id

    def answer(self, stream_id: int, body: bytes = b"page") -> None:
        """The server answers 200, whole."""
        self.server.respond(stream_id, response_fields(200, []), end_stream=False)
        self.server.send_data(stream_id, body, True)
        self.exchange()

    def requests(self) -> list[RequestReceived]:
        """What the server would show an application."""
        return [event for event in self.server_events if isinstance(event, RequestReceived)]

    def body(self, stream_id: int) -> bytes:
        """What the client received on a stream."""
        return b"".join(
            event.data
            for event in self.client_events
            if isinstance(event, ngh2.DataReceived) and event.stream_id == stream_id
        )

    def status(self, stream_id: int) -> bytes | None:
        """The final status that the client received on a stream."""
        for event in self.client_events:
            if isinstance(event, ngh2.ResponseReceived) and event.stream_id == stream_id:
                return dict(event.headers)[b":status"]
        return None

    def promises(self) -> list[ngh2.PushedStreamReceived]:
        """What the client was promised."""
        return [e for e in self.client_events if isinstance(e, ngh2.PushedStreamReceived)]

    def saw(self, kind: type, **attributes: object) -> bool:
        """Whether the server's side gave such an event; the engine's own compare by identity."""
        return any(
            isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in attributes.items())
            for event in self.server_events
        )


def assert_page_unharmed(pair: Pair, page: int, promises: int = 0) -> None:
    """Answer a page, and check that its client got it and nobody ended the connection."""
    pair.answer(page)
    assert pair.status(page) == b"200"
    assert pair.body(page) == b"page"
    assert len(pair.sent("PUSH_PROMISE")) == promises
    assert pair.server.ended is None
