"""Pushes from the cache: which are answered without a call, and that they are like those with one.

`Site.direct` tells them apart: the cache's middleware is not called for them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import pytest

from headstart.cache import CacheMiddleware
from headstart.cache.control import matches
from headstart.config import CacheOptions, ServerOptions, WireLimits
from headstart.deliver.outcome import Push
from headstart.server.http2 import Http2ServerConnection
from headstart.server.run import Config
from tests.server.apps import Headers, Message, lifespan, start
from tests.server.live import LiveServer, running, until
from tests.server.raw import RawClient, Response

CSS = b"a{}\n"
PUBLIC = (b"cache-control", b"public, max-age=60")
LARGE = b"0123456789" * 60_000
"""More than a stream may queue."""


@dataclass
class Site:
    """A page at `/`, and assets that it pushes.

    Attributes:
        pushes: The messages that the page sends.
        answers: Paths -> fields and body.
        calls: Paths of the calls of the application.
        asked: Paths of promised requests that the cache's middleware was called for.
        pushed: What the page's pushes became.
        now: Seconds since 1970.
    """

    pushes: list[Message]
    answers: dict[str, tuple[Headers, bytes]] = field(
        default_factory=lambda: {"/a.css": ([PUBLIC], CSS)}
    )
    calls: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    pushed: list[Push] = field(default_factory=list)
    now: float = 1_700_000_000.0
    live: LiveServer = field(init=False)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an application does."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        path = scope["path"].removeprefix(scope["root_path"])
        self.calls.append(path)
        for message in self.pushes if path == "/" else []:
            self.pushed.append(Push(message["path"]))
            await send({**message, "headstart": self.pushed[-1]})
        fields, body = self.answers.get(path, ([], b"page"))
        length = (b"content-length", str(len(body)).encode())
        await send(start(200, [*fields, length]))
        await send({"type": "http.response.body", "body": body})

    @property
    def cache(self) -> CacheMiddleware:
        """The cache around it."""
        config = self.live.server.config
        assert isinstance(config, Config)
        assert config.cache is not None
        return config.cache

    @property
    def connection(self) -> Http2ServerConnection:
        """The only connection."""
        connections: set[Any] = self.live.server.server_state.connections
        (connection,) = connections
        assert isinstance(connection, Http2ServerConnection)
        return connection

    def view(self, headers: Headers | None = None, **client: Any) -> tuple[Response, bool]:
        """View the page on a connection of its own.

        Returns:
            The pushed response, and whether it was sent without a call.
        """
        with RawClient(self.live.port, **client) as viewer:
            return self.view_on(viewer, headers)

    def view_on(self, viewer: RawClient, headers: Headers | None = None) -> tuple[Response, bool]:
        """View the page; see `view`."""
        before, known = len(self.asked), set(viewer.promises)
        viewer.get(b"/", headers or [])
        (promised,) = set(viewer.promises) - known
        response = viewer.response(promised)
        return response, len(self.asked) == before

    def warm_up(self, headers: Headers | None = None) -> None:
        """View the page until its asset is stored, and was sent from there."""
        for _ in range(2):
            _, direct = self.view(headers)
            assert not direct


def push_of(path: str = "/a.css", *headers: tuple[bytes, bytes], **more: Any) -> Message:
    """The message that asks for a push."""
    return {"type": "http.response.push", "path": path, "headers": list(headers), **more}


@pytest.fixture
def serving(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What serves a site until its block ends."""
    call = CacheMiddleware.__call__

    @contextmanager
    def serve(site: Site, limits: WireLimits | None = None, **settings: Any) -> Iterator[Site]:
        async def noted(self: CacheMiddleware, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["extensions"]["headstart"]["pushed"]:
                site.asked.append(scope["path"])
            await call(self, scope, receive, send)

        monkeypatch.setattr(CacheMiddleware, "__call__", noted)
        caching = CacheOptions(
            cache=4_000_000, max_cache_entry=1_000_000, cache_control=str(tmp_path / "control")
        )
        options = ServerOptions(caching=caching, limits=limits or WireLimits())
        with running(site.app, options, interface="asgi3", **settings) as site.live:
            config = site.live.server.config
            assert isinstance(config, Config)
            if config.cache is not None:
                config.cache.clock = lambda: site.now
            yield site

    return serve


def test_stored_asset_is_pushed_without_a_call(serving: Any) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        response, direct = site.view()

        assert direct
        assert (response.status, response.body) == (200, CSS)
        assert site.calls.count("/a.css") == 1


def test_response_without_a_call_is_the_same_as_with_one(serving: Any) -> None:
    answers = {"/a.css": ([PUBLIC, (b"etag", b'"1"'), (b"content-type", b"text/css")], CSS)}
    with serving(Site([push_of()], answers)) as site:
        site.view()
        called, was_direct = site.view()
        direct, is_direct = site.view()

        assert (was_direct, is_direct) == (False, True)
        undated = [[pair for pair in r.headers if pair[0] != b"date"] for r in (called, direct)]
        assert undated[0] == undated[1]
        assert direct.header(b"cache-status") == b"headstart; hit; ttl=60"
        assert direct.header(b"date") is not None


def test_age_grows_and_a_stale_response_needs_a_call(serving: Any) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        site.view()
        site.now += 7.5
        aged, direct = site.view()
        assert direct
        assert (aged.header(b"age"), aged.header(b"cache-status")) == (
            b"7",
            b"headstart; hit; ttl=52",
        )

        site.now += 60
        _, direct = site.view()
        assert not direct
        assert site.calls.count("/a.css") == 2


def test_purged_response_needs_a_call(serving: Any) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        keys = [key for key, _ in site.cache.memory if matches(key, "/a.css")]
        assert [site.cache.purge(key) for key in keys] == [1]

        _, direct = site.view()
        assert not direct
        assert site.calls.count("/a.css") == 2


def test_response_is_not_looked_up_again_while_its_section_holds(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        site.now += 0.3
        ready, asked = site.cache.ready, []

        def noted(*args: Any) -> Any:
            asked.append(args)
            return ready(*args)

        def is_sent_without_a_look() -> bool:
            before = len(asked)
            response, direct = site.view()
            assert direct
            assert response.body == CSS
            return len(asked) == before

        monkeypatch.setattr(site.cache, "ready", noted)
        # The section has the date, which may change meanwhile.
        until(is_sent_without_a_look, "a response whose section still holds")
        (hits,) = (entry.hits for _, entry in site.cache.memory if entry.body == CSS)
        assert hits == site.cache.counters["hit"]


def test_response_that_was_just_sent_and_is_purged_needs_a_call_and_takes_no_memory(
    serving: Any,
) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        site.now += 0.3
        assert all(site.view()[1] for _ in range(2))
        ((key, entry),) = ((key, entry) for key, entry in site.cache.memory if entry.body == CSS)
        purged = ref(entry)
        assert site.cache.purge(key) == 1

        _, direct = site.view()
        del entry

        assert not direct
        until(lambda: purged() is None, "the end of the purged response")


def test_promised_request_gets_the_variant_that_it_asks_for(serving: Any) -> None:
    site = Site([push_of("/a.css", (b"accept-language", b"de"))])
    site.answers["/a.css"] = ([PUBLIC, (b"vary", b"accept-language")], CSS)
    with serving(site):
        site.warm_up()
        assert site.view()[1]

        site.pushes[0]["headers"] = [(b"accept-language", b"fr")]
        site.answers["/a.css"] = (site.answers["/a.css"][0], b"b{}\n")
        response, direct = site.view()
        assert not direct
        assert response.body == b"b{}\n"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"cache-control", b"no-cache")],
        [(b"pragma", b"no-cache")],
        [(b"authorization", b"Basic YTpi")],
        [(b"cookie", b"session=1")],
        [(b"x-forwarded-proto", b"https")],
        [(b"x-forwarded-for", b"192.0.2.1")],
    ],
)
def test_request_that_may_get_another_response_needs_a_call(serving: Any, headers: Headers) -> None:
    site = Site([push_of()])
    # For users without cookies, as it is neither `public` nor a stylesheet.
    site.answers["/a.css"] = ([(b"cache-control", b"max-age=60")], CSS)
    with serving(site):
        site.warm_up()
        assert site.view()[1]

        site.pushes = [push_of("/a.css", *headers)]
        assert not site.view()[1]


def test_head_and_a_redirect_need_a_call(serving: Any) -> None:
    with serving(Site([push_of()])) as site:
        site.warm_up()
        site.pushes = [push_of(method="HEAD")]
        response, direct = site.view()
        assert not direct
        assert (response.body, response.header(b"content-length")) == (b"", b"4")


def test_page_with_a_cookie_gets_what_is_for_everybody(serving: Any) -> None:
    with serving(Site([push_of("/a.css", (b"cookie", b"session=1"))])) as site:
        site.warm_up()
        assert site.view()[1]


def test_asset_behind_a_root_path_is_found(serving: Any) -> None:
    with serving(Site([push_of("/sub/a.css")]), root_path="/sub") as site:
        site.warm_up()
        response, direct = site.view()
        assert direct
        assert response.body == CSS


def test_pushes_of_one_page_go_out_in_one_write_behind_it(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"/{number}.css" for number in range(5)]
    site = Site([push_of(name) for name in names])
    site.answers = {name: ([PUBLIC], name.encode()) for name in names}
    with serving(site):
        for _ in range(2):
            with RawClient(site.live.port) as client:
                client.get(b"/")
                for promised in client.promises:
                    client.response(promised)
        with RawClient(site.live.port) as client:
            client.settle()
            client.frames.clear()
            page = client.request(b"/")
            client.response(page)
            bodies = [client.response(promised).body for promised in client.promises]

            data = [frame.stream_id for frame in client.received("DATA")]
            assert data[0] == page
            assert bodies == [name.encode() for name in names]
            assert len(site.asked) == 2 * len(names)


def test_large_stored_response_is_queued_as_far_as_there_is_room(serving: Any) -> None:
    site = Site([push_of("/large")], {"/large": ([PUBLIC], LARGE)})
    limits = WireLimits(max_queued_stream=100_000)
    with serving(site, limits):
        site.warm_up()
        with RawClient(site.live.port, windows=False) as client:
            page = client.request(b"/")
            client.until(lambda: client.responses[page].ended and client.promises)
            (promised,) = client.promises
            client.until(lambda: client.responses[promised].received == 65_535 - len(b"page"))
            queued: list[int] = []
            site.live.call(lambda: queued.append(site.connection._wire.queued_on(promised)))
            until(lambda: queued)
            assert 0 < queued[0] <= 100_000

            assert client.read_on(promised).body == LARGE
            assert len(site.asked) == 2
        assert site.pushed[-1].state == "finished"


def test_large_stored_response_ends_with_its_reset(serving: Any) -> None:
    site = Site([push_of("/large")], {"/large": ([PUBLIC], LARGE)})
    with serving(site):
        site.warm_up()
        with RawClient(site.live.port, windows=False) as client:
            client.request(b"/")
            client.until(lambda: client.promises)
            (promised,) = client.promises
            client.until(lambda: client.responses[promised].received)
            client.reset(promised)
            until(lambda: site.pushed[-1].state == "reset")

            client.settle()
            assert site.connection._wire.queued() == 0
            assert not site.connection.streams.open


def test_connection_that_is_lost_ends_its_stored_responses(serving: Any) -> None:
    site = Site([push_of("/large")], {"/large": ([PUBLIC], LARGE)})
    with serving(site):
        site.warm_up()
        with RawClient(site.live.port, windows=False) as client:
            client.request(b"/")
            client.until(lambda: client.promises)
        until(lambda: site.pushed[-1].state == "failed")
        until(lambda: not site.live.server.server_state.connections)


def test_direct_pushes_are_counted_and_logged(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "uvicorn.access"), serving(Site([push_of()])) as site:
        site.warm_up()
        state, cache = site.live.server.server_state, site.cache
        before = state.total_requests, cache.counters["hit"]
        (entry,) = [entry for key, entry in cache.memory if key[2] == b"/a.css"]
        hits = entry.hits
        caplog.clear()
        assert site.view()[1]

        until(lambda: state.total_requests == before[0] + 2)  # the page, and what it pushed
        assert cache.counters["hit"] == before[1] + 1
        assert entry.hits == hits + 1
        lines = [record.getMessage() for record in caplog.records]
        assert any(line.endswith('"GET /a.css HTTP/2 pushed" 200') for line in lines), lines


def test_with_each_message_logged_every_push_is_a_call(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "headstart"):
        caplog.set_level(5, name)  # as --log-level trace does, for this test alone
    with serving(Site([push_of()]), log_level=5) as site:
        assert isinstance(site.live.server.config, Config)
        assert site.live.server.config.cache is None
        site.warm_up()
        assert not site.view()[1]
