"""The middleware around an application: what it passes, what it adds, and when it lives."""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from headstart import middleware as module
from headstart.config import DeliverOptions
from headstart.deliver.decide import Decision, Way
from headstart.deliver.outcome import Hint, Push, PushState
from headstart.learn import Answer, LearnOptions, Request
from headstart.learn.records import PageRecord, Record, Rule
from headstart.middleware import (
    HeadstartMiddleware,
    ThinkTimes,
    connection_of,
    learned_answer,
    learned_request,
)
from headstart.reasons import Refusal
from headstart.server.run import Config
from headstart.store import MemoryStore
from tests.server.apps import Headers, Message, Receive, Scope, Send, answer, body, hello, start
from tests.server.live import PATIENCE, LiveServer
from tests.visits import NO_CONTROL, NO_GATE, Clock, Found, Site, answer_head

PAGE, ASSETS = "/page/", ("/site.css", "/app.js")
HOST = (b"host", b"example.test")
NAVIGATION: Headers = [
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"user-agent", b"test"),
    (b"accept-language", b"de"),
    (b"cookie", b"user=me"),
]
PUSH: dict[str, Any] = {"http.response.push": {}}
HINT: dict[str, Any] = {"http.response.early_hint": {}}
REQUEST: Message = {"type": "http.request", "body": b"", "more_body": False}


def site() -> Site:
    made = Site(*ASSETS)
    made.found["/app.js"].headers = answer_head("text/javascript")
    return made


def ours(connection: int = 1, *, pushed: bool = False) -> dict[str, Any]:
    """What our own server adds to a scope."""
    return {"headstart": {"connection": connection, "pushed": pushed, "pushes": []}}


def scope_of(
    target: str = PAGE,
    headers: Iterable[tuple[bytes, bytes]] = (),
    extensions: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "http_version": "2",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [HOST, *headers],
        "client": ("192.0.2.1", 50000),
        "extensions": {} if extensions is None else extensions,
    } | more


class Wire:
    """A server's side of one request."""

    def __init__(self, refusal: Refusal | None = None, *, silent: bool = False) -> None:
        self.messages: list[Message] = []
        self.refusal = refusal
        self.silent = silent
        self._asked = False

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        offer = message.get("headstart")
        if self.silent or not isinstance(offer, Push | Hint):
            return
        if self.refusal is not None:
            offer.refuse(self.refusal)
        elif isinstance(offer, Push):
            offer.sent(2)
        else:
            offer.sent = True

    async def receive(self) -> Message:
        if self._asked:
            await asyncio.Event().wait()  # the client stays
        self._asked = True
        return REQUEST

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def pushed(self) -> list[str]:
        return [message["path"] for message in self.of("http.response.push")]

    @property
    def hinted(self) -> list[list[bytes]]:
        return [message["links"] for message in self.of("http.response.early_hint")]

    @property
    def headers(self) -> Headers:
        [message] = self.of("http.response.start")
        fields: Headers = message["headers"]
        return fields

    @property
    def links(self) -> list[bytes]:
        return [value for name, value in self.headers if name == b"link"]


class Served:
    """The middleware, called as servers call it."""

    def __init__(
        self,
        app: Any = None,
        *,
        learn: LearnOptions = NO_CONTROL,
        deliver: DeliverOptions = NO_GATE,
        **more: Any,
    ) -> None:
        self.clock = Clock()
        self.middleware = HeadstartMiddleware(
            app or site(), learn=learn, deliver=deliver, clock=self.clock, **more
        )

    async def get(
        self,
        target: str = PAGE,
        headers: Iterable[tuple[bytes, bytes]] = NAVIGATION,
        extensions: dict[str, Any] | None = None,
        *,
        wire: Wire | None = None,
        **more: Any,
    ) -> Wire:
        wire = wire or Wire()
        scope = scope_of(target, headers, extensions, **more)
        await self.middleware(scope, wire.receive, wire.send)
        return wire

    async def load(
        self,
        assets: Iterable[str] = ASSETS,
        extensions: dict[str, Any] | None = None,
        *,
        page: str = PAGE,
        headers: Iterable[tuple[bytes, bytes]] = NAVIGATION,
        **more: Any,
    ) -> Wire:
        """A page and its assets."""
        wire = await self.get(page, headers, extensions, **more)
        sent = wire.pushed
        referer = (b"referer", b"https://example.test" + page.encode())
        for asset in assets:
            if asset not in sent:
                await self.get(asset, [referer, (b"user-agent", b"test")], extensions, **more)
        return wire

    async def teach(self, assets: Iterable[str] = ASSETS) -> None:
        await self.load(assets, ours(999))
        await self.later()

    async def later(self) -> None:
        self.clock.now += 30.0
        await self.middleware.sync()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """With what a page needs learned."""
    made = Served()
    await made.teach()
    yield made
    await made.middleware.stop()


# What goes out ahead, by what the server offers. The scopes are those that the servers make.

UVICORN_1 = {"http_version": "1.1", "extensions": None}
UVICORN_2 = {"extensions": {**HINT, "http.response.trailers": {}}}
HYPERCORN_1 = {"http_version": "1.1", "extensions": {}}
HYPERCORN_2 = {"extensions": {**PUSH, **HINT, "http.response.trailers": {}}}
GRANIAN: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}
H2CORN: dict[str, Any] = {
    "extensions": {**HINT, "http.response.pathsend": {}, "http.response.zerocopysend": {}}
}


# A client that is no browser.
PROGRAM: Headers = [(b"accept", b"text/html")]


async def as_seen_by(
    served: Served, server: dict[str, Any], headers: Headers = NAVIGATION, wire: Wire | None = None
) -> Wire:
    """A load on a server that is not ours, so that nobody fills in what became of it."""
    wire, scope = wire or Wire(silent=True), scope_of(PAGE, headers, **server)
    if scope["extensions"] is None:
        del scope["extensions"]
    await served.middleware(scope, wire.receive, wire.send)
    return wire


async def test_server_with_pushes_is_given_a_push_for_each_asset(served: Served) -> None:
    wire = await as_seen_by(served, HYPERCORN_2, PROGRAM)

    assert wire.pushed == ["/site.css", "/app.js"]
    assert [m["type"] for m in wire.messages[:3]] == ["http.response.push"] * 2 + [
        "http.response.start"
    ]
    assert (wire.hinted, wire.links) == ([], [])


@pytest.mark.parametrize("server", [UVICORN_2, HYPERCORN_2], ids=["uvicorn and zttp", "hypercorn"])
async def test_server_that_gives_a_browser_103_alone_is_given_one_with_all_links(
    served: Served, server: dict[str, Any]
) -> None:
    wire = await as_seen_by(served, server)

    assert wire.hinted == [
        [
            b'</site.css>; rel=preload; as=style; type="text/css"',
            b'</app.js>; rel=preload; as=script; type="text/javascript"',
        ]
    ]
    assert (wire.pushed, wire.links) == ([], [])
    assert wire.messages[0]["type"] == "http.response.early_hint"


class Late(Wire):
    """Offers a 103, and raises an error where it comes before the response."""

    def __init__(self, error: Exception) -> None:
        super().__init__(silent=True)
        self.error = error

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message["type"] == "http.response.early_hint":
            raise self.error


async def test_server_that_takes_no_103_before_the_response_gets_links_and_is_asked_once(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    error = RuntimeError("must follow http.response.start")
    loads = [
        await as_seen_by(served, {**UVICORN_2, "client": ("192.0.2.1", port)}, wire=Late(error))
        for port in (50001, 50002)
    ]

    assert [len(wire.hinted) for wire in loads] == [1, 0]
    assert [len(wire.links) for wire in loads] == [2, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert served.middleware.counters.sent == {Way.LINK: 4}


async def test_client_that_has_left_ends_the_request_and_nothing_else(served: Served) -> None:
    with pytest.raises(BrokenPipeError):
        await as_seen_by(served, UVICORN_2, wire=Late(BrokenPipeError()))
    wire = await as_seen_by(served, {**UVICORN_2, "client": ("192.0.2.1", 50002)})

    assert len(wire.hinted) == 1


@pytest.mark.parametrize(
    "server",
    [UVICORN_1, HYPERCORN_1, GRANIAN, H2CORN],
    ids=["uvicorn over HTTP/1.1", "hypercorn over HTTP/1.1", "granian", "h2corn"],
)
async def test_server_with_neither_gets_links_in_the_response(
    served: Served, server: dict[str, Any]
) -> None:
    wire = await as_seen_by(served, server)

    assert [m["type"] for m in wire.messages] == ["http.response.start", "http.response.body"]
    assert [link.split(b">")[0] for link in wire.links] == [b"</site.css", b"</app.js"]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_plain_uvicorn_gets_links_with_the_second_load_and_is_as_before(parser: str) -> None:
    app = site()
    clock = Clock()
    middleware = HeadstartMiddleware(app, learn=NO_CONTROL, deliver=NO_GATE, clock=clock)
    config = uvicorn.Config(middleware, http=parser, log_config=None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    live = LiveServer(cast(Config, config), listener)
    try:
        first = over_http_1(live.port)
        clock.now += 30.0
        asyncio.run_coroutine_threadsafe(middleware.sync(), live.server.loop).result(PATIENCE)
        second = over_http_1(live.port, "127.0.0.2")
    finally:
        live.stop()

    assert first == [(200, []), (200, []), (200, []), (200, []), (404, [])]
    assert [status for status, _ in second] == [status for status, _ in first]
    assert second[0][1] == [
        '</site.css>; rel=preload; as=style; type="text/css"',
        '</app.js>; rel=preload; as=script; type="text/javascript"',
    ]
    assert all(links == [] for _, links in second[1:])


def over_http_1(port: int, address: str = "127.0.0.1") -> list[tuple[int, list[str]]]:
    """Status and links of a page, its assets, a HEAD and a POST, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE, (address, 0))
    asks = [("GET", PAGE), *(("GET", asset) for asset in ASSETS), ("HEAD", PAGE), ("POST", "/x")]
    came = []
    for method, target in asks:
        headers = {"Accept": "text/html"} if target == PAGE else {}
        if target in ASSETS:
            headers["Referer"] = f"http://127.0.0.1:{port}{PAGE}"
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        response.read()
        came.append((response.status, response.headers.get_all("link") or []))
    connection.close()
    return came


@pytest.mark.parametrize("server", [HYPERCORN_2, UVICORN_2], ids=["hypercorn", "uvicorn and zttp"])
async def test_client_that_comes_again_over_a_new_http_2_connection_is_served_again(
    served: Served, server: dict[str, Any]
) -> None:
    loads = []
    for port in (50001, 50002):
        server = {**server, "client": ("192.0.2.1", port)}
        loads.append(await served.load(**server))

    assert [len(load.pushed) + len(load.hinted) for load in loads] in ([2, 2], [1, 1])


async def test_links_are_added_behind_the_applications_own_which_stay_as_they_are() -> None:
    own = [(b"link", b"</own.css>; rel=preload; as=style"), (b"Link", b"</>; rel=canonical")]

    class Linked(Site):
        def _other(self, scope: Scope) -> Found:
            return Found([*answer_head("text/html"), *own], 200)

    app = Linked()
    app.found = site().found
    made = Served(app)
    await made.teach()
    wire = await made.get()

    assert wire.headers[2:4] == own
    assert len(wire.links) == 3
    assert wire.links[1].startswith(b"</site.css>")
    await made.middleware.stop()


async def test_learned_push_carries_nothing_of_who_asks(served: Served) -> None:
    wire = await served.get(extensions={**ours(), **PUSH})

    for message in wire.of("http.response.push"):
        assert message["headers"] == [(b"user-agent", b"test"), (b"accept-language", b"de")]
        assert message["learned"] is True
    assert [m["urgency"] for m in wire.of("http.response.push")] == [4, 4]


async def test_what_a_connection_was_sent_it_is_not_sent_again(served: Served) -> None:
    await served.get(extensions={**ours(1), **PUSH})
    again = await served.get(extensions={**ours(1), **PUSH})
    other = await served.get(extensions={**ours(2), **PUSH})

    assert (again.pushed, other.pushed) == ([], ["/site.css", "/app.js"])


@pytest.mark.parametrize("client", [None, ("192.0.2.7", 0)], ids=["Unix socket", "behind a proxy"])
async def test_where_connections_cannot_be_told_apart_one_visitor_does_not_silence_the_next(
    served: Served, client: tuple[str, int] | None
) -> None:
    loads = [await served.get(extensions=HINT, client=client) for _ in range(3)]

    assert [len(wire.hinted) for wire in loads] == [1, 1, 1]


async def test_control_views_get_nothing_and_the_next_view_does() -> None:
    made = Served(learn=LearnOptions(control_share=2))
    await made.teach()
    loads = [await made.get(extensions={**ours(n), **PUSH}) for n in range(8)]

    silent = [wire for wire in loads if not wire.pushed]
    assert 3 <= len(silent) <= 5
    assert all(wire.messages[0]["type"] == "http.response.start" for wire in silent)
    await made.middleware.stop()


async def test_page_that_answers_at_once_gets_no_103() -> None:
    made = Served(deliver=DeliverOptions(min_think_time=3600.0))
    await made.teach()
    wire = await made.get(extensions={**ours(), **HINT})

    assert wire.hinted == []
    assert len(wire.links) == 2
    await made.middleware.stop()


# Counters, and what the application is shown.


async def test_decisions_are_in_the_scope_before_the_application_runs() -> None:
    seen: list[object] = []
    inner = site()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get("headstart.decisions"))
        await inner(scope, receive, send)

    made = Served(app)
    await made.teach()
    seen.clear()
    await made.get(extensions={**ours(), **PUSH})

    [decisions] = seen
    assert isinstance(decisions, list)
    assert all(isinstance(decision, Decision) for decision in decisions)
    assert [(d.candidate.target, d.way) for d in decisions] == [
        ("/site.css", Way.PUSH),
        ("/app.js", Way.PUSH),
    ]
    await made.middleware.stop()


async def test_counters_tell_ways_and_reasons(served: Served) -> None:
    counters = served.middleware.counters
    await served.get(extensions={**ours(1), **PUSH})
    await served.get(extensions={**ours(2), **HINT})
    await served.get(extensions={**ours(2), **HINT})
    await served.get(extensions=None)

    assert counters.sent == {Way.PUSH: 2, Way.HINT: 2, Way.LINK: 2}
    assert counters.refused == {Refusal.ALREADY_SENT: 2}


@pytest.mark.parametrize("way", [PUSH, HINT], ids=["push", "103"])
async def test_what_the_server_refuses_is_counted_shown_and_not_remembered_as_sent(
    served: Served, way: dict[str, Any]
) -> None:
    wire = Wire(Refusal.CONNECTION_CLOSING)
    scope = scope_of(PAGE, NAVIGATION, {**ours(1), **way})
    await served.middleware(scope, wire.receive, wire.send)
    again = await served.get(extensions={**ours(1), **way})

    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.CONNECTION_CLOSING] * 2
    assert [d.way for d in scope["headstart.decisions"]] == [Way.NOTHING] * 2
    assert served.middleware.counters.refused[Refusal.CONNECTION_CLOSING] == 2
    assert len(again.pushed) + sum(map(len, again.hinted)) == 2


async def test_push_that_the_client_resets_counts_as_waste(served: Served) -> None:
    for connection in range(8):
        wire = await served.get(extensions={**ours(connection), **PUSH})
        for message in wire.of("http.response.push"):
            message["headstart"].state = PushState.RESET
        await served.later()
    wire = await served.get(extensions={**ours(77), **PUSH})

    assert wire.pushed == []
    assert served.middleware.under_way == []


async def test_pushes_under_way_are_watched_until_their_end(served: Served) -> None:
    wire = await served.get(extensions={**ours(), **PUSH})
    await served.middleware.sync()
    under_way = len(served.middleware.under_way)
    for message in wire.of("http.response.push"):
        message["headstart"].state = PushState.FINISHED
    await served.middleware.sync()

    assert (under_way, served.middleware.under_way) == (2, [])


async def test_pushed_request_teaches_nothing_and_gets_nothing_ahead(served: Served) -> None:
    before = list(served.middleware.learner.rows())
    referer = (b"referer", b"https://example.test" + PAGE.encode())
    wire = await served.get("/new.css", [referer], {**ours(pushed=True), **PUSH})
    page = await served.get(PAGE, NAVIGATION, {**ours(pushed=True), **PUSH})
    await served.later()

    assert [m["type"] for m in wire.messages] == ["http.response.start", "http.response.body"]
    assert page.pushed == []
    assert list(served.middleware.learner.rows()) == before


# The cookie.


async def test_cookie_remembers_across_connections_what_was_sent() -> None:
    options = DeliverOptions(min_think_time=0.0, cookie="had")
    app = site()
    for found in app.found.values():
        found.headers[1] = (b"cache-control", b"max-age=86400")

    async def private(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] == PAGE:
                message["headers"] = answer_head("text/html", cache=b"private, no-cache")
            await send(message)

        await app(scope, receive, marked)

    made = Served(private, deliver=options)
    await made.teach()
    first = await made.get(extensions={**ours(1), **PUSH})
    [cookie] = [value for name, value in first.headers if name == b"set-cookie"]
    kept = (b"cookie", b"other=1; " + cookie.split(b";")[0])
    second = await made.get(PAGE, [*NAVIGATION, kept], {**ours(2), **PUSH})

    assert cookie.startswith(b"had=")
    assert second.pushed == []
    assert made.middleware.counters.refused == {Refusal.IN_COOKIE: 2}
    assert not any(name == b"set-cookie" for name, _ in second.headers)
    await made.middleware.stop()


async def test_no_cookie_without_a_name_or_on_a_page_that_others_may_be_given() -> None:
    named = Served(deliver=DeliverOptions(min_think_time=0.0, cookie="had"))
    for made in (named, Served()):
        await made.teach()
        wire = await made.get(extensions={**ours(1), **PUSH})

        assert wire.pushed
        assert not any(name == b"set-cookie" for name, _ in wire.headers)
        await made.middleware.stop()


# Think times.


def test_think_time_follows_the_last_answers() -> None:
    times = ThinkTimes()
    unknown = times.of("/")
    times.add("/", 1.0)
    first = times.of("/")
    for _ in range(20):
        times.add("/", 0.2)

    assert (unknown, first) == (None, 1.0)
    assert times.of("/") == pytest.approx(0.2, abs=0.01)


def test_think_times_of_the_pages_seen_last_are_kept() -> None:
    times = ThinkTimes(max_pages=2)
    for page in ("/a", "/b", "/a", "/c"):
        times.add(page, 0.1)

    assert [times.of(page) is None for page in ("/a", "/b", "/c")] == [False, True, False]


# What is no page's and nobody's asset is only glanced at.

API = "/api/items"


def kept_by(connection: int, kept: dict[str, Any]) -> dict[str, Any]:
    """As `ours`, with what the connection's requests with the same fields share."""
    made = ours(connection)
    made["headstart"]["kept"] = kept
    return made


async def test_connection_without_a_page_takes_no_place_among_those_with_one(
    served: Served,
) -> None:
    await served.get(PAGE, PROGRAM, {**PUSH, **ours(1)})
    for connection in range(100, 200):
        await served.get("/site.css", [], ours(connection))
    await served.get("/site.css", [], http_version="1.1")

    assert len(served.middleware.memories) == 1


@pytest.mark.parametrize("kept", [None, {}])
async def test_page_that_says_so_in_its_answer_alone_is_learned_on_a_connection_of_requests(
    kept: dict[str, Any] | None,
) -> None:
    served = Served()
    extensions = ours(1) if kept is None else kept_by(1, kept)
    for _ in range(2):
        await served.get("/app.js", [], extensions)

    await served.load(extensions=extensions, headers=[])
    await served.later()

    sent = served.middleware.learner.candidates("https://example.test", PAGE)
    assert {candidate.target for candidate in sent} == set(ASSETS)
    await served.middleware.stop()


@pytest.mark.parametrize("name", [b"content-type", b"Content-Type"])
async def test_path_that_was_no_page_is_served_as_one_once_it_is_known(name: bytes) -> None:
    served = Served()
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found[API] = Found([(b"content-type", b"application/json")])
    kept: dict[str, Any] = {}
    for _ in range(2):
        await served.get(API, [], {**PUSH, **kept_by(1, kept)})

    found[API] = Found([(name, b"text/html")])
    await served.load(page=API, headers=[], extensions=kept_by(2, {}))
    await served.later()

    assert set((await served.get(API, [], {**PUSH, **kept_by(1, kept)})).pushed) == set(ASSETS)
    await served.middleware.stop()


async def test_other_fields_than_before_are_looked_at_anew(served: Served) -> None:
    kept: dict[str, Any] = {}
    api = cast(Any, served.middleware.app).found
    api[API] = Found([(b"content-type", b"application/json")])
    viewers = served.middleware.learner.viewers
    for _ in range(2):
        await served.get(API, [(b"accept", b"*/*")], kept_by(1, kept))
    glanced = 1 not in viewers

    await served.get(API, PROGRAM, kept_by(1, kept))

    assert glanced
    assert 1 in viewers


async def test_asset_that_is_gone_for_somebody_without_a_page_is_gone(served: Served) -> None:
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found["/site.css"] = Found(status=404)
    for _ in range(2):
        await served.get("/site.css", [], kept_by(1, {}))

    assert (await served.get(extensions={**PUSH, **ours(2)})).pushed == ["/app.js"]


# What the learner is told.


def test_request_is_read_from_the_scope() -> None:
    scope = scope_of(
        "/a%20b?x=1",
        [
            (b"user-agent", b"agent"),
            (b"referer", b"https://example.test/"),
            (b"sec-fetch-dest", b"font"),
            (b"sec-fetch-mode", b"cors"),
            (b"accept", b"text/html, */*"),
            (b"if-none-match", b'"1"'),
            (b"authorization", b"Basic x"),
        ],
        ours(7),
    )

    assert learned_request(scope) == Request(
        origin="https://example.test",
        target="/a%20b?x=1",
        address="192.0.2.1",
        user_agent="agent",
        referer="https://example.test/",
        connection=7,
        destination="font",
        mode="cors",
        accepts_html=True,
        conditional=True,
        authorized=True,
    )


def test_scope_with_nothing_in_it_is_read_all_the_same() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/ä",
        "query_string": b"",
        "headers": [],
    }

    assert learned_request(scope) == Request(origin="http://", target="/Ã¤", address="")
    assert connection_of(scope) is None


def test_connection_counts_over_http_2_alone() -> None:
    """Over HTTP/1.1 a client opens six of them."""
    elsewhere = learned_request(scope_of()).connection
    old = learned_request(scope_of(http_version="1.1")).connection

    assert (elsewhere, old) == (("192.0.2.1", 50000), None)


async def test_headers_that_can_be_read_once_reach_the_client() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = ((name, b"1") for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b""})

    for headers in (NAVIGATION, ()):
        wire = await Served(app).get("/", headers)
        assert list(wire.headers) == [(b"x-a", b"1"), (b"x-b", b"1")]


async def test_name_of_the_referer_may_be_in_any_case() -> None:
    served = Served(learn=LearnOptions(control_share=0, referer_header="X-Page"))
    await served.get()
    page = (b"x-page", b"https://example.test" + PAGE.encode())
    for asset in ASSETS:
        await served.get(asset, [page, (b"user-agent", b"test")])
    await served.later()

    assert served.middleware.learner.candidates("https://example.test", PAGE)


def test_referer_can_have_another_name() -> None:
    scope = scope_of(headers=[(b"x-page", b"https://example.test/"), (b"referer", b"no")])

    assert learned_request(scope, b"x-page").referer == "https://example.test/"


def test_answer_is_read_from_its_head_in_any_case_and_either_type() -> None:
    headers: Sequence[tuple[Any, Any]] = [
        (b"Content-Type", b"text/css"),
        (b"Cache-Control", b"public"),
        (b"cache-control", b"max-age=60"),
        (b"Vary", b"Accept"),
        (b"VARY", b"Cookie"),
        (b"Set-Cookie", b"a=b"),
        (bytearray(b"content-length"), b"12"),
        (b"content-length", b"none"),
    ]

    assert learned_answer(200, headers) == Answer(
        status=200,
        content_type="text/css",
        cache_control="public, max-age=60",
        vary="Accept, Cookie",
        sets_cookie=True,
        size=12,
    )
    assert learned_answer(204, ()) == Answer(204)


def test_connection_is_our_servers_number_or_address_and_port() -> None:
    assert connection_of(scope_of(extensions=ours(5))) == 5
    assert connection_of(scope_of()) == ("192.0.2.1", 50000)
    assert connection_of(scope_of(client=("192.0.2.1", 0))) is None


# What is passed on untouched.


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_other_methods_pass_untouched(served: Served, method: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))
        await answer(send)

    served.middleware.app = app
    wire, scope = Wire(), scope_of(PAGE, NAVIGATION, {**ours(), **PUSH}, method=method)
    await served.middleware(scope, wire.receive, wire.send)

    assert seen[0] is scope
    assert seen[1:] == [wire.receive, wire.send]
    assert "headstart.decisions" not in scope
    assert wire.pushed == []


async def test_websocket_passes_untouched() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    wire, scope = Wire(), {"type": "websocket", "path": "/"}
    await HeadstartMiddleware(app)(scope, wire.receive, wire.send)

    assert seen == [scope, wire.receive, wire.send]


async def test_stream_is_passed_part_by_part_and_the_application_reads_its_request(
    served: Served,
) -> None:
    read: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        read.append(await receive())
        await send(start(200, answer_head("text/html")))
        for number in range(3):
            await send(body(b"%d" % number, more_body=True))
        await send(body())

    served.middleware.app = app
    wire = await served.get(extensions={**ours(), **PUSH})

    assert [m["body"] for m in wire.of("http.response.body")] == [b"0", b"1", b"2", b""]
    assert read == [REQUEST]


async def test_exception_of_the_application_reaches_the_server_and_teaches_nothing(
    served: Served,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    before = list(served.middleware.learner.rows())
    served.middleware.app = app
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await served.get(extensions={**ours(), **PUSH})
    await served.later()

    assert list(served.middleware.learner.rows()) == before


async def test_starlette_with_a_base_http_middleware_works_as_before() -> None:
    async def page(request: StarletteRequest) -> Response:
        return Response("<p>", media_type="text/html")

    async def style(request: StarletteRequest) -> Response:
        return Response("p {}", media_type="text/css", headers={"cache-control": "max-age=60"})

    async def stream(request: StarletteRequest) -> Response:
        return StreamingResponse((part for part in ("a", "b")), media_type="text/plain")

    async def fault(request: StarletteRequest) -> Response:
        raise ValueError

    async def handled(request: StarletteRequest, error: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    class Marks(BaseHTTPMiddleware):
        async def dispatch(
            self, request: StarletteRequest, call_next: RequestResponseEndpoint
        ) -> Response:
            response = await call_next(request)
            response.headers["x-mark"] = "1"
            return response

    routes = [Route(p, f) for p, f in {PAGE: page, "/site.css": style, "/s": stream}.items()]
    app = Starlette(
        routes=[*routes, Route("/fault", fault)],
        middleware=[Middleware(Marks)],
        exception_handlers={ValueError: handled},
    )
    made = Served(app)
    await made.teach(["/site.css"])
    wire = await made.get(extensions={**ours(), **PUSH})
    streamed = await made.get("/s")
    failed = await made.get("/fault")

    assert wire.pushed == ["/site.css"]
    assert (b"x-mark", b"1") in wire.headers
    assert b"".join(m["body"] for m in streamed.of("http.response.body")) == b"ab"
    assert failed.of("http.response.start")[0]["status"] == 500
    await made.middleware.stop()


# Life.


class NotingStore(MemoryStore):
    """Says what was called, and keeps what it is given."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.calls: list[str] = []
        self.records = list(records)
        self.outbox: list[Record] = []

    def load(self) -> list[Record]:
        self.calls.append("load")
        return self.records

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[PageRecord | Rule] | None = None
    ) -> list[Record]:
        self.calls.append("exchange")
        self.outbox += outbox
        return []

    def close(self) -> None:
        self.calls.append("close")


def tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def run_lifespan(middleware: HeadstartMiddleware) -> tuple[list[str], int]:
    """Start and stop as a server does: the messages sent, and the tasks in between."""
    due = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []
    alive = 0

    async def receive() -> Message:
        nonlocal alive
        alive = len(tasks())
        return {"type": next(due)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await middleware({"type": "lifespan"}, receive, send)
    return sent, alive


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def ignores_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    return None


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    "app",
    [hello, Starlette(lifespan=_lifespan), without_lifespan, ignores_lifespan],
    ids=["plain", "Starlette", "raises", "returns"],
)
async def test_lifespan_starts_and_ends_the_keeper_whether_the_application_knows_it_or_not(
    app: Any,
) -> None:
    store = NotingStore()
    sent, alive = await run_lifespan(HeadstartMiddleware(app, store=store))

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert alive == 1
    assert not tasks()
    assert store.calls == ["load", "exchange", "close"]


async def test_application_that_fails_to_start_is_heard() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise OSError("no database")

    middleware = HeadstartMiddleware(app)
    with pytest.raises(OSError, match="no database"):
        await run_lifespan(middleware)
    await middleware.stop()


async def test_first_request_starts_what_no_lifespan_did() -> None:
    store = NotingStore()
    made = Served(store=store)
    await made.get()
    started = len(tasks())
    await made.get()
    await made.middleware.stop()
    await made.middleware.stop()

    assert started == 1
    assert not tasks()
    assert store.calls == ["load", "exchange", "close"]


async def test_what_was_learned_before_is_used_and_what_is_learned_is_kept() -> None:
    first = NotingStore()
    made = Served(store=first)
    await made.load()
    made.clock.now += 30.0
    await made.middleware.stop()
    second = Served(store=NotingStore(first.outbox))
    await second.middleware.start()
    wire = await second.get(extensions={**ours(), **PUSH})

    assert wire.pushed == ["/site.css", "/app.js"]
    await second.middleware.stop()


async def test_keeper_counts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.001)
    store = NotingStore()
    middleware = HeadstartMiddleware(hello, store=store)
    await middleware.start()
    async with asyncio.timeout(20):
        while store.calls.count("exchange") < 3:
            await asyncio.sleep(0.001)
    await middleware.stop()


async def test_fault_in_one_turn_is_logged_and_the_keeper_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(NotingStore):
        def exchange(
            self, outbox: Sequence[Record], image: Sequence[PageRecord | Rule] | None = None
        ) -> list[Record]:
            super().exchange(outbox, image)
            if len(self.calls) == 2:
                raise RuntimeError("a fault")
            return []

    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.001)
    store = Faulty()
    middleware = HeadstartMiddleware(hello, store=store)
    with caplog.at_level(logging.ERROR, "headstart"):
        await middleware.start()
        async with asyncio.timeout(20):
            while store.calls.count("exchange") < 3:
                await asyncio.sleep(0.001)
    await middleware.stop()

    [record] = caplog.records
    assert "could not be counted" in record.getMessage()
