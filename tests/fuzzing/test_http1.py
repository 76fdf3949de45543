"""Stories of HTTP/1.1 clients: many requests, several connections, cut anywhere, and what smuggles.

Each client knows what it asked for, so it is known which answers must come, in which order, and
that the application sees nothing else: bodies here look like requests, and what is malformed has a
well-formed request right behind it. The socket is in memory and the clock skips.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config
from headstart.server.worker import Worker
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket
from tests.fuzzing.profile import fuzzing
from tests.server.apps import Receive, Scope, Send, answer, read_all
from tests.server.test_http1 import MALFORMED, MALFORMED_BODIES

pytestmark = pytest.mark.timeout(300)

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
HIDDEN = b"0\r\n\r\n" + SMUGGLED
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
# Beyond every time-out of the server.
LONG = 400.0


@pytest.fixture(autouse=True, scope="module")
def silence() -> Iterator[None]:
    """Refusals are what is looked for here: thousands of lines."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and what must become of it.

    Attributes:
        data: As it goes over the wire.
        seen: What the application must be shown: method, target, body; None for nothing, or for
            nothing whole.
        called: How often the application may be called for it.
    """

    data: bytes
    seen: tuple[str, str, bytes] | None
    called: int = 0


BODIES = st.sampled_from([b"", b"x", SMUGGLED, HIDDEN, b"\r\n\r\n", bytes(300), HIDDEN * 40])
PATHS = st.sampled_from(["/", "/late", "/hasty", "/a%20b?c=d", "/" + "x" * 2000])
NOISE = st.sampled_from([b"", b"X: y\r\n", b"Cookie: a=b\r\nCookie: c=d\r\n", UPGRADE])


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in chunks (RFC 9112, 7.1), with all that may stand around them."""
    data, at = b"", 0
    while at < len(body):
        size = draw(st.integers(1, len(body)))
        part = body[at : at + size]
        spelled = draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % len(part)
        extension = draw(st.sampled_from([b"", b";a", b';a="b;c"']))
        data += spelled + extension + b"\r\n" + part + b"\r\n"
        at += size
    trailers = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]))
    return data + b"0\r\n" + trailers + b"\r\n"


@st.composite
def well_formed(draw: st.DrawFn) -> Asked:
    """A request that is answered, and the next one behind it."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    path, body, noise = draw(PATHS), draw(BODIES), draw(NOISE)
    head = f"{method} {path} HTTP/1.1\r\n".encode() + b"Host: localhost\r\n" + noise
    if draw(st.booleans()):
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + draw(chunked(body))
    elif body or draw(st.booleans()):
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        data = head + b"\r\n"
    return Asked(data, (method, path, body), called=1)


BAD = st.sampled_from(
    [
        *(Asked(data, None) for data in MALFORMED.values()),
        *(Asked(data, None, called=1) for data in MALFORMED_BODIES.values()),
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Asked]:
    """What one client asks for: well-formed requests, and perhaps one that is not behind them."""
    asked = draw(st.lists(well_formed(), max_size=6))
    if draw(st.booleans()):
        asked = [*asked, draw(BAD)]
    return asked


@dataclass(slots=True)
class Story:
    """One server, the connections made to it and what the application was shown."""

    loop: ClockLoop
    state: ServerState = field(default_factory=ServerState)
    seen: dict[str, list[tuple[str, str, bytes]]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def connect(self, client: str) -> Socket:
        """Another connection."""
        config = Config(self.application, ServerOptions(), log_config=None, interface="asgi3")
        config.load()
        protocol: Any = HeadstartProtocol(config, self.state, {}, self.loop)
        socket = Socket(protocol, self.loop, client)
        protocol.connection_made(socket)
        return socket

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body, except for `/hasty`; answers with what it was shown."""
        self.calls[scope["client"][0]] += 1
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode()
        body = b""
        if target == "/late":
            await asyncio.sleep(0.01)
        if target != "/hasty":
            try:
                body = await read_all(receive)
            except AssertionError:  # the client's body has no good end
                return
        said = scope["method"], target, body
        self.seen.setdefault(scope["client"][0], []).append(said)
        await answer(send, repr(said).encode())


async def talk(socket: Socket, data: bytes, cuts: list[int]) -> bytes:
    """Send in segments; all that the server says until it has nothing more to say."""
    heard, at = b"", 0
    for cut in [*cuts, len(data)]:
        if not socket.is_closing() and at < len(data):
            protocol = socket.get_protocol()
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(data[at : at + cut])
            at += cut
        await asyncio.sleep(0)
        heard += socket.read(1 << 20)
    await asyncio.sleep(0.5)
    return heard + socket.read(1 << 30)


def answers(data: bytes) -> list[tuple[int, bytes]]:
    """The responses: status and body. Each has a Content-Length, and nothing stands between."""
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, head
        status = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*", head.split(b"\r\n")[0])
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert status is not None, head
        assert length is not None, head
        size = int(length[1])
        found.append((int(status[1]), data[:size]))
        data = data[size:]
    return found


def shown(asked: Asked) -> tuple[str, str, bytes]:
    """What the application saw: `/hasty` reads no body."""
    assert asked.seen is not None
    method, path, body = asked.seen
    return method, path, b"" if path == "/hasty" else body


async def check(story: Story, client: str, asked: list[Asked], cuts: list[int]) -> None:
    """Let a client talk, and look whether it was answered as it must be."""
    socket = story.connect(client)
    data = b"".join(one.data for one in asked)
    bad = bool(asked) and asked[-1].seen is None

    heard = answers(await talk(socket, data + SMUGGLED * bad, cuts))

    good = [shown(one) for one in asked if one.seen is not None]
    assert story.seen.get(client, []) == good
    assert len(good) <= story.calls[client] <= sum(one.called for one in asked)
    assert heard[: len(good)] == [(200, repr(said).encode()) for said in good]
    if bad:
        assert [status for status, _ in heard[len(good) :]] == [400]
        await asyncio.sleep(LONG)
        assert socket.is_closing()
    else:
        assert len(heard) == len(good)
    socket.read(1 << 30)
    socket.abort()


async def tell(story: Story, clients: list[tuple[list[Asked], list[int]]]) -> None:
    """All clients at once; then everything must have come to its end."""
    async with asyncio.TaskGroup() as group:
        for number, (asked, cuts) in enumerate(clients):
            group.create_task(check(story, f"10.0.0.{number}", asked, cuts))
    await asyncio.sleep(LONG)
    config = Config(story.application, ServerOptions(), log_config=None)
    counters = Worker.of(story.state, config, story.loop).counters
    assert counters.open == 0
    assert counters.connections.total() == len(clients)


@given(
    st.lists(
        st.tuples(conversations(), st.lists(st.integers(1, 300), max_size=30)),
        min_size=1,
        max_size=3,
    )
)
@fuzzing(300)
def test_each_client_gets_the_answers_to_what_it_asked_and_nothing_is_smuggled(
    clients: list[tuple[list[Asked], list[int]]],
) -> None:
    with closing(ClockLoop()) as loop:
        story = Story(loop)
        loop.run_until_complete(tell(story, clients))

        assert not loop.problems
        assert not asyncio.all_tasks(loop)
        assert not story.state.connections
        assert not story.state.tasks
