"""The connections that the background process holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import RequestError
from headstart.client.headers import Headers
from headstart.client.origin import Origin
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits
from headstart.h2c.daemon.session import Hinted, Link, Session, StoredResponse, Tap
from headstart.h2c.failures import NotConnectedError
from headstart.h2c.options.connections import Trust
from headstart.wire.events import Fields
from headstart.wire.frames import Direction
from tests.h2c.push_server import PushServer, push_server
from tests.server.live import PATIENCE


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session()
    yield made
    await made.close()


async def test_nothing_is_current_before_the_first_connection(session: Session) -> None:
    with pytest.raises(NotConnectedError, match="h2c connect HOST:PORT"):
        session.current()
    with pytest.raises(NotConnectedError):
        await session.use_current(1.0)
    assert not session.is_connected


async def test_the_same_origin_is_connected_to_once(session: Session, server: PushServer) -> None:
    origin = Origin.parse(server.origin)

    first = await session.connect(origin, Trust(), 5.0)

    assert await session.connect(origin, Trust(), 5.0) is first
    assert await session.use(origin, Trust(), 5.0) is first
    assert await session.use_current(5.0) is first
    assert session.links() == [(first, True)]


async def test_another_trust_is_another_connection_and_the_old_one_ends(
    session: Session, server: PushServer
) -> None:
    origin = Origin.parse(server.origin)
    first = await session.connect(origin, Trust(insecure=True), 5.0)

    assert await session.use(origin, Trust(), 5.0) is first
    second = await session.connect(origin, Trust(), 5.0)

    assert second is not first
    assert first.connection.closed
    assert session.links() == [(second, True)]


async def test_connections_without_push_are_made_as_the_others_and_end_with_the_block(
    session: Session, server: PushServer
) -> None:
    origin = Origin.parse(server.origin)
    session.fields = [(b"a", b"b")]
    await session.connect(origin, Trust(insecure=True), 5.0)

    async with session.without_push() as pushless:
        link = await pushless.use(origin, Trust(), 5.0)
        assert link.trust == Trust(insecure=True)
        assert pushless.fields == [(b"a", b"b")]
        await link.connection.request("POST", "/data")

    assert link.connection.closed
    assert link.connection.pushes.listing(link.connection.now()) == []


async def with_request(
    session: Session, server: PushServer
) -> tuple[Link, asyncio.Future[AsyncResponse]]:
    """A connection, and a request on it that has no response."""
    link = await session.connect(Origin.parse(server.origin), Trust(), 5.0)
    waiting = asyncio.ensure_future(link.connection.request("GET", "/hang"))
    while not server.requests:
        await asyncio.sleep(0.01)
    return link, waiting


async def test_a_replaced_connection_ends_with_its_last_response(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, waiting = await with_request(session, server)
    monkeypatch.setattr(type(first.connection), "available", False)
    await session.use_current(5.0)

    waiting.cancel()

    async with asyncio.timeout(PATIENCE):
        while not first.connection.closed:
            await asyncio.sleep(0.01)


async def test_a_connection_that_takes_no_requests_is_replaced_but_not_ended(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, waiting = await with_request(session, server)

    monkeypatch.setattr(type(first.connection), "available", False)
    second = await session.use_current(5.0)

    kept = not first.connection.closed
    await session.close()

    assert second is not first
    assert kept
    with pytest.raises(RequestError):
        await waiting


async def test_a_connection_that_takes_no_requests_ends_when_nobody_waits_there(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await session.connect(Origin.parse(server.origin), Trust(), 5.0)

    monkeypatch.setattr(type(first.connection), "available", False)
    await session.use_current(5.0)

    assert first.connection.closed


async def test_a_connection_whose_server_does_not_answer_a_ping_is_replaced(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await session.connect(Origin.parse(server.origin), Trust(), 5.0)

    async def silent(_: Http2ClientConnection) -> bool:
        return False

    monkeypatch.setattr(Http2ClientConnection, "answers", silent)

    assert await session.use_current(5.0) is not first


async def test_what_was_pushed_outlives_two_connections_until_it_is_pushed_again(
    session: Session, server: PushServer
) -> None:
    origin = Origin.parse(server.origin)

    async def push_and_lose() -> Link:
        link = await session.connect(origin, Trust(), 5.0)
        response = await link.connection.request("POST", "/data", [], b"x")
        await response.aread()
        await link.connection.aclose()
        return link

    def holds(connection: Http2ClientConnection) -> bool:
        return bool(connection.pushes.listing(connection.now()))

    first = await push_and_lose()
    second = await session.connect(origin, Trust(), 5.0)
    assert session.waiting(origin, Trust(), holds) is first
    assert session.waiting(origin, Trust(insecure=True), holds) is None
    assert [pushed.target for pushed in session.pushes()] == [b"/data"]
    await second.connection.aclose()

    third = await push_and_lose()
    assert session.waiting(origin, Trust(), holds) is third
    third.connection.pushes.take(2)
    assert session.waiting(origin, Trust(), holds) is None


async def test_a_server_that_is_disconnected_from_leaves_nothing(
    session: Session, server: PushServer
) -> None:
    origin = Origin.parse(server.origin)
    first = await session.connect(origin, Trust(), 5.0)
    await (await first.connection.request("POST", "/data", [], b"x")).aread()
    await first.connection.aclose()
    await session.connect(origin, Trust(), 5.0)

    await session.disconnect()
    await session.connect(origin, Trust(), 5.0)

    assert session.pushes() == []


async def test_the_one_before_is_current_after_disconnect(
    session: Session, server: PushServer
) -> None:
    with push_server() as other:
        first = await session.connect(Origin.parse(server.origin), Trust(), 5.0)
        second = await session.connect(Origin.parse(other.origin), Trust(), 5.0)

        await session.disconnect()

        assert second.connection.closed
        assert session.current() is first
        await session.disconnect()
        assert not session.is_connected


async def test_every_connection_is_listened_to(server: PushServer) -> None:
    heard: list[list[Direction]] = []

    class Taps:
        def tap(self) -> Tap:
            of_one: list[Direction] = []
            heard.append(of_one)
            return lambda direction, data, at: of_one.append(direction)

    session = Session(Taps())
    await session.connect(Origin.parse(server.origin), Trust(), 5.0)
    await session.connect(Origin.parse(server.origin), Trust(insecure=True), 5.0)
    await session.close()

    assert len(heard) == 2
    assert all({Direction.SENT, Direction.RECEIVED} == set(of_one) for of_one in heard)


ORIGIN = Origin("https", "a.test", 443)
ASKED: Fields = [(b"accept-language", b"de")]


def kept(
    content: bytes = b"x", expires: float = 100.0, headers: Fields | None = None
) -> StoredResponse:
    return StoredResponse(200, Headers(headers or []), content, 3, expires)


def hinted(one: StoredResponse, limits: ClientLimits | None = None) -> Hinted:
    made = Hinted(limits)
    made.keep(ORIGIN, "/a", ASKED, one, 10.0)
    return made


def test_each_serves_once() -> None:
    one = kept()
    store = hinted(one)

    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=True) is one
    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=False) is one
    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=False) is None
    assert len(store) == 0


@pytest.mark.parametrize(
    ("method", "origin", "target", "fields"),
    [
        ("HEAD", ORIGIN, "/a", []),
        ("GET", Origin("http", "a.test", 80), "/a", []),
        ("GET", ORIGIN, "/b", []),
        ("GET", ORIGIN, "/a", [(b"host", b"b.test")]),
        ("GET", ORIGIN, "/a", [(b"range", b"bytes=0-1")]),
        ("GET", ORIGIN, "/a", [(b"accept-language", b"en")]),
    ],
)
def test_it_answers_the_same_request_only(
    method: str, origin: Origin, target: str, fields: Fields
) -> None:
    store = hinted(kept(headers=[(b"vary", b"accept-language")]))

    assert store.find(method, origin, target, fields, 11.0, stays=False) is None
    assert store.find("GET", ORIGIN, "/a", ASKED, 11.0, stays=False) is not None


@pytest.mark.parametrize("stays", [True, False])
def test_it_waits_no_longer_than_it_is_fresh(stays: bool) -> None:
    store = hinted(kept(expires=20.0))

    assert store.find("GET", ORIGIN, "/a", [], 20.0, stays=stays) is None
    assert len(store) == 0


def test_it_waits_no_longer_than_a_push() -> None:
    store = hinted(kept(expires=1e9))

    assert store.find("GET", ORIGIN, "/a", [], 311.0, stays=False) is None
    assert len(store) == 0


def test_what_is_too_large_is_not_kept_and_a_newer_one_takes_the_place() -> None:
    store = hinted(kept(), ClientLimits(max_push_bytes=10))

    store.keep(ORIGIN, "/a", ASKED, kept(b"newer"), 10.0)
    assert len(store) == 1
    store.keep(ORIGIN, "/b", ASKED, kept(bytes(11)), 10.0)
    assert store.find("GET", ORIGIN, "/b", [], 11.0, stays=False) is None


async def test_it_reads_as_one_that_just_came() -> None:
    one = kept(b"content", headers=[(b"a", b"1"), (b"a", b"2")])

    assert [data async for data in one.aiter_bytes()] == [b"content"]
    assert one.headers == {"a": "1, 2"}
