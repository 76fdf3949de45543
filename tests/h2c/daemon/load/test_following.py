"""`get --follow-hints`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame

from headstart import __version__
from headstart.client.errors import ConnectError, RequestError
from headstart.client.origin import Origin
from headstart.h2c import options
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import RequestCommand
from tests.h2c.frame_server import Connection, frame_server
from tests.h2c.push_server import Page, PushServer, push_server
from tests.h2c.recorder import Recorder

FRESH = ((b"cache-control", b"max-age=60"),)


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
async def session(server: PushServer) -> AsyncIterator[Session]:
    made = Session()
    await made.connect(Origin.parse(server.origin), Trust(), 5.0)
    yield made
    await made.close()


async def get(session: Session, *arguments: str) -> tuple[bytes, list[str]]:
    command = options.parse(["get", *arguments])
    assert isinstance(command, RequestCommand)
    recorder = Recorder()
    request = Request(__version__, "/", False, False, arguments)
    assert await exchange(command, session, recorder, request) == 0
    return recorder.output, recorder.messages


def hinting(*links: bytes, after: tuple[str, ...] = ()) -> Page:
    return Page(b"page", hints=links, after=after)


async def test_what_a_103_names_is_fetched_at_once_and_waits_for_the_next_get(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.css>; rel=preload; as=style", after=("GET /a.css",)),
        "/a.css": Page(b"@import 'b.css';", "text/css", fields=FRESH),
    }

    content, messages = await get(session, "--follow-hints", "/")

    assert content == b"page"
    (line,) = messages
    assert line.startswith("hinted: /a.css: 200, 16 B in ")
    assert line.endswith(", waits for the next get")
    assert server.all_fields["/a.css"]["sec-fetch-dest"] == "style"
    assert await get(session, "-v", "/a.css") == (
        b"@import 'b.css';",
        ["200, hinted and fetched on stream 3"],
    )
    assert server.requests == ["GET /", "GET /a.css"]
    await get(session, "/a.css")
    assert server.requests[2:] == ["GET /a.css"]


@pytest.mark.parametrize(
    "arguments", [["--no-push-cache"], ["--data", "x"], ["-H", "range: bytes=0-1"]]
)
async def test_another_request_is_sent(
    arguments: list[str], session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.css>; rel=preload; as=style"),
        "/a.css": Page(b"css", "text/css", fields=FRESH),
    }
    await get(session, "--follow-hints", "/")

    await get(session, *arguments, "/a.css")

    assert server.requests.count("GET /a.css") == 2


async def test_what_no_cache_may_keep_is_fetched_and_not_kept(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.js>; rel=modulepreload"),
        "/a.js": Page(b"", "text/javascript", fields=((b"cache-control", b"no-store"),)),
    }

    _, messages = await get(session, "--follow-hints", "/")

    assert messages[0].endswith("not kept, since its status or Cache-Control forbids it")
    assert len(session.hinted) == 0


async def test_what_is_pushed_is_not_asked_for(session: Session, server: PushServer) -> None:
    server.pages = {
        "/first": Page(pushes=("/a.css",)),
        "/": hinting(b"</a.css>; rel=preload; as=style"),
        "/a.css": Page(b"", "text/css", fields=FRESH),
    }
    await get(session, "/first")

    _, messages = await get(session, "--follow-hints", "/")

    assert server.requests == ["GET /first", "GET /"]
    assert messages[0].endswith("was pushed")


async def test_what_fails_is_told_and_harms_nothing(session: Session, server: PushServer) -> None:
    server.pages = {"/": hinting(b"</reset>; rel=preload; as=image", after=("GET /reset",))}

    content, messages = await get(session, "--follow-hints", "/")

    assert content == b"page"
    assert messages[0].startswith("hinted: /reset: the server reset stream 3")


async def test_without_the_option_nothing_is_fetched(session: Session, server: PushServer) -> None:
    server.pages = {"/": hinting(b"</a.css>; rel=preload; as=style")}

    await get(session, "/")

    assert server.requests == ["GET /"]


async def test_page_that_fails_is_told_as_without_the_option(session: Session) -> None:
    def act(connection: Connection, stream_id: int, _: str) -> None:
        hint = connection.block(103, ("link", "</a.css>; rel=preload; as=style"))
        connection.send(HeadersFrame(stream_id, hint, flags=["END_HEADERS"]))
        connection.close()

    with frame_server() as server:
        server.on_request = act

        with pytest.raises(RequestError, match="the connection is over"):
            await get(session, "--follow-hints", f"{server.origin}/")
        await session.disconnect()


async def test_preconnects_have_a_bound(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Origin] = []
    links = ",".join(f"<http://{number}.test>; rel=preconnect" for number in range(100))
    connect = session.use

    def act(connection: Connection, stream_id: int, _: str) -> None:
        hint = connection.block(103, ("link", links))
        connection.send(HeadersFrame(stream_id, hint, flags=["END_HEADERS"]))
        connection.answer(stream_id, b"page")

    async def use(origin: Origin, *arguments: Any, **more: Any) -> Link:
        if not origin.host.endswith(".test"):
            return await connect(origin, *arguments, **more)
        asked.append(origin)
        raise ConnectError("no such host")

    monkeypatch.setattr(session, "use", use)
    with frame_server() as server:
        server.on_request = act
        content, _ = await get(session, "--follow-hints", f"{server.origin}/")
        await session.disconnect()

    assert content == b"page"
    assert len(asked) == len(set(asked)) == 30
