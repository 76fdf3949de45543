"""The streams that tell pages of a change."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from tests.admin.asked import administered, ask
from tests.admin.site.shop import Visitors
from tests.server.live import PATIENCE, until
from tests.server.raw import RawClient, Response

APP = "tests.admin.site.shop:app"
MOST = 8


class Stream:
    """A client of /events."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self.socket.sendall(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        self.received = b""
        self.until(b"\r\n\r\n")
        self.status = int(self.received.split()[1])

    def until(self, text: bytes) -> None:
        """Read until this text has come."""
        while text not in self.received:
            assert self.read(), self.received

    def read(self) -> bool:
        """Read once; false at the end."""
        part = self.socket.recv(4096)
        self.received += part
        return bool(part)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_visit_is_an_event_whichever_process_has_it(workers: str) -> None:
    given = ("--store", "", "--workers", workers) if workers == "1" else ("--workers", workers)
    with administered(APP, *given) as (server, address), Stream(address) as stream:
        stream.until(b"retry: 3000")
        assert b"content-type: text/event-stream" in stream.received
        assert b"event: changed" not in stream.received

        Visitors(server.port).visit()

        stream.until(b"event: changed\ndata:\n\n")


def test_streams_are_bounded_and_one_that_ends_makes_room() -> None:
    with administered(APP) as (_, address), ExitStack() as open_streams:
        streams = [open_streams.enter_context(Stream(address)) for _ in range(MOST)]
        for stream in streams:
            stream.until(b"retry: 3000")

        refused = ask(address, "/events")
        streams[0].socket.close()

        assert {stream.status for stream in streams} == {200}
        assert (refused.status, "Too many pages are open" in refused.text) == (503, True)

        def has_room() -> bool:
            with Stream(address) as another:
                return another.status == 200

        until(has_room, "room for another")
        assert ask(address, "/readyz").status == 200


def test_streams_that_are_asked_for_at_once_are_bounded() -> None:
    with administered(APP) as (_, address), RawClient(int(address.split(":")[1])) as client:
        asked = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/events")]
        for _ in range(3 * MOST):
            stream = client.engine.send_request([*asked, (b":authority", b"localhost")])
            client.responses[stream] = Response()
        client.flush()
        streams = client.responses.values()
        while not all(stream.parts for stream in streams):
            assert client.read()

    said = [stream.body.split(b"\n")[0] for stream in streams]
    assert said.count(b"retry: 3000") == MOST


@pytest.mark.parametrize("workers", ["1", "2"])
def test_streams_end_with_the_server(workers: str) -> None:
    with administered(APP, "--workers", workers) as (server, address), ExitStack() as open_streams:
        streams = [open_streams.enter_context(Stream(address)) for _ in range(3)]
        for stream in streams:
            stream.until(b"retry: 3000")

        server.terminate()

        for stream in streams:
            while stream.read():
                pass
        server.wait()

    assert "Traceback" not in server.log
