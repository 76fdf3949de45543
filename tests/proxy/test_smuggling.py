"""Requests of docs/security.md through the proxy: an upstream sees one message or none.

The upstream reads with h11, a parser that the proxy does not use, so what two readers could see
differently is noticed.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import h11
import pytest

from headstart.proxy import Proxy
from tests.proxy.asked import ask, closing, scope_of
from tests.server.hostile import HEADERS, WHOLE, Hostile, frame
from tests.server.live import LiveServer, running
from tests.server.test_attacks import REFUSED, spelled
from tests.server.test_http1 import LAST, MALFORMED, MALFORMED_BODIES, PASSES, statuses, told


class ReadByH11:
    """An upstream that answers 200 and writes down what it read.

    Attributes:
        targets: Of the requests that came whole.
        wrong: What h11 could not read.
    """

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.wrong: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            try:
                self._read(connection)
            except h11.RemoteProtocolError as error:
                if "peer unexpectedly closed" not in str(error) and "without sending" not in str(
                    error
                ):
                    self.wrong.append(str(error))

    def _read(self, connection: socket.socket) -> None:
        reader = h11.Connection(h11.SERVER)
        target = b""
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                reader.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Request):
                target = event.target
            elif isinstance(event, h11.EndOfMessage):
                self.targets.append(target)
                response = h11.Response(status_code=200, headers=[("content-length", "0")])
                answer = reader.send(response) or b""
                connection.sendall(answer + (reader.send(h11.EndOfMessage()) or b""))
                if reader.our_state is h11.MUST_CLOSE:
                    return
                reader.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return

    def taken(self) -> list[bytes]:
        """What came since this was called last."""
        targets, self.targets = self.targets, []
        return targets

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReadByH11]:
    upstream = ReadByH11()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def proxy(upstream: ReadByH11) -> Iterator[LiveServer]:
    with running(Proxy(upstream.url)) as proxy:
        yield proxy
        proxy.stop()


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_never_reaches_the_upstream(
    upstream: ReadByH11, proxy: LiveServer, request_: bytes
) -> None:
    assert statuses(told(proxy, request_ + LAST)) == [400]
    assert upstream.taken() == []
    assert upstream.wrong == []


@pytest.mark.parametrize("request_", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
def test_malformed_body_never_reaches_the_upstream_as_a_whole_request(
    upstream: ReadByH11, proxy: LiveServer, request_: bytes
) -> None:
    assert statuses(told(proxy, request_ + LAST)) == [400]
    assert upstream.taken() == []
    assert upstream.wrong == []


@pytest.mark.parametrize("request_", PASSES.values(), ids=PASSES)
def test_well_formed_request_reaches_the_upstream_as_one(
    upstream: ReadByH11, proxy: LiveServer, request_: bytes
) -> None:
    told(proxy, request_ + LAST)

    target = re.sub(rb"^http://[^/]*", b"", request_.lstrip().split(b" ")[1])
    expected = [target, b"/last"] if b"HTTP/1.0" not in request_ else [target]
    assert upstream.taken() == expected
    assert upstream.wrong == []


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_request_of_http2_never_reaches_the_upstream(
    upstream: ReadByH11, proxy: LiveServer, name: str
) -> None:
    with Hostile(proxy.port) as client:
        client.send(frame(HEADERS, WHOLE, 1, spelled(**REFUSED[name])))
        client.settle()

        assert client.resets(1) or client.status(1) == 400
    assert upstream.taken() == []


# Under an ASGI server that lets more through.


@pytest.mark.parametrize(
    "scope",
    [
        scope_of("GET", raw_path=b"", path="/a HTTP/1.1\r\nhost: x\r\n\r\nGET /b"),
        scope_of("GET", raw_path=None, path="/a\r\nx: y"),
    ],
)
async def test_decoded_path_cannot_split_a_request(
    upstream: ReadByH11, scope: dict[str, object]
) -> None:
    async with closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope)

    assert answered.status == 200
    (target,) = upstream.taken()
    assert b"%0D%0A" in target


@pytest.mark.parametrize(
    "scope",
    [
        scope_of("GET", "/", (b"a", b"b\r\nc: d")),
        scope_of("GET", "/", (b"a", b"b\nc: d")),
        scope_of("GET", "/", (b"a\r\nb", b"c")),
        scope_of("GET", "/", (b"a", b"b\0")),
        scope_of("GET", "/a?b c"),
        scope_of("GET", raw_path=b"/a b"),
        scope_of("GET", "/", client=("1.2.3.4\r\nx: y", 0)),
        scope_of("POST", "/", (b"content-length", b"+5")),
    ],
)
async def test_field_that_would_split_a_request_is_refused(
    upstream: ReadByH11, scope: dict[str, object]
) -> None:
    async with closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope)

    assert answered.status == 400
    assert upstream.taken() == []


@pytest.mark.parametrize(
    "content",
    [[b"12345GET /evil HTTP/1.1\r\nhost: x\r\n\r\n"], [b"12", b"345GET /evil HTTP/1.1"], [b"1234"]],
)
async def test_content_that_is_not_as_long_as_it_says_is_no_second_request(
    upstream: ReadByH11, content: list[bytes]
) -> None:
    scope = scope_of("POST", "/", (b"content-length", b"5"))

    async with closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope, *content)

    assert answered.status == 400
    assert upstream.taken() == []
    assert upstream.wrong == []
