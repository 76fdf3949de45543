"""A site that tests can change, the middleware around it, and clients that load its pages.

The middleware's clock is the test's, and it counts only when it is told to, so that no test waits
for a window to close. Connections are real; the client's address is any of 127.0.0.0/8.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from ngh2 import Setting

from headstart.config import DeliverOptions
from headstart.learn import LearnOptions
from headstart.middleware import HeadstartMiddleware, keeper
from headstart.wire.links import ParsedLink, parse
from tests.server.apps import Headers, Receive, Scope, Send, body, lifespan, start
from tests.server.live import PATIENCE, LiveServer, running
from tests.server.raw import HERE, RawClient, Response

FRESH = b"public, max-age=600"
NAVIGATION: Headers = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
NO_PUSH: dict[int, int] = {Setting.ENABLE_PUSH: 0}
NO_CONTROL = LearnOptions(control_share=0)
# A test's page answers at once, and is to get its 103 all the same.
NO_GATE = DeliverOptions(min_think_time=0.0)


def answer_head(kind: str, *more: tuple[bytes, bytes], cache: bytes = FRESH) -> Headers:
    """The fields of an answer."""
    return [(b"content-type", kind.encode()), (b"cache-control", cache), *more]


STYLE = answer_head("text/css")
HTML = answer_head("text/html; charset=utf-8", cache=b"no-cache")


@dataclass
class Found:
    """What a path answers."""

    headers: Headers = field(default_factory=lambda: list(STYLE))
    status: int = 200
    content: bytes = b"x" * 100


class Site:
    """An application: `/` and what ends in a slash are pages, `found` is what else there is.

    Attributes:
        found: By path and query.
        asked: Path and query of each request, in order.
        carried: The fields of the last request for each.
        pushed: Those that were pushed.
    """

    def __init__(self, *styles: str) -> None:
        self.found = {path: Found() for path in styles}
        self.asked: list[str] = []
        self.carried: dict[str, dict[bytes, bytes]] = {}
        self.pushed: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        query = scope["query_string"]
        target = (scope["raw_path"] + (b"?" + query if query else b"")).decode()
        self.asked.append(target)
        self.carried[target] = dict(scope["headers"])
        if scope.get("extensions", {}).get("headstart", {}).get("pushed"):
            self.pushed.append(target)
        found = self.found.get(target) or self._other(scope)
        length = (b"content-length", str(len(found.content)).encode())
        await send(start(found.status, [*found.headers, length]))
        await send(body(found.content))
        return None

    def _other(self, scope: Scope) -> Found:
        if scope["path"].endswith("/"):
            return Found(HTML, 200, b"<!doctype html>")
        return Found(answer_head("text/plain", cache=b"no-store"), 404)


class Clock:
    """The middleware's."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Visited:
    """A running server with the middleware, and its visitors."""

    def __init__(self, live: LiveServer, middleware: HeadstartMiddleware, clock: Clock) -> None:
        self.live = live
        self.middleware = middleware
        self.clock = clock

    def sync(self) -> None:
        """What the middleware does about once a second."""
        loop = self.live.server.loop
        asyncio.run_coroutine_threadsafe(self.middleware.sync(), loop).result(PATIENCE)

    def later(self, seconds: float = 30.0) -> None:
        """All windows have closed, and what was seen is counted."""
        self.clock.now += seconds
        self.sync()

    def client(self, address: str = HERE, *, push: bool = True, **more: Any) -> RawClient:
        """A new connection."""
        tls = self.live.scheme == "https"
        return RawClient(
            self.live.port, None if push else NO_PUSH, address=address, tls=tls, **more
        )

    def visit(
        self,
        page: str = "/",
        assets: Iterable[str] = (),
        *,
        address: str = HERE,
        push: bool = True,
        headers: Headers | None = None,
    ) -> Load:
        """Load a page over a new connection, as `load` does."""
        with self.client(address, push=push) as client:
            return load(client, page, assets, headers)

    def teach(self, assets: Iterable[str], page: str = "/", *, visitors: int = 1) -> None:
        """So many clients load the page with these assets, and it is counted."""
        for number in range(visitors):
            self.visit(page, assets, address=f"127.0.0.{number + 2}")
        self.later()


@contextmanager
def visited(
    app: Any,
    *,
    learn: LearnOptions = NO_CONTROL,
    deliver: DeliverOptions = NO_GATE,
    tls: bool = False,
    server: dict[str, Any] | None = None,
    **more: Any,
) -> Iterator[Visited]:
    """Serve `app` with the middleware around it, in a thread."""
    clock = Clock()
    middleware = HeadstartMiddleware(app, learn=learn, deliver=deliver, clock=clock, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "_SYNC_SECONDS", 3600.0)
        with running(middleware, tls=tls, **(server or {})) as live:
            yield Visited(live, middleware, clock)


@dataclass
class Load:
    """What one load of a page came to.

    Attributes:
        page: Its response.
        stream_id: Of the page.
        promised: Paths, in the order of their promises.
        hinted: The links of its 103s.
        linked: The links of its response.
        asked: What the client asked for itself.
        answers: What each asset answered, pushed or asked for.
    """

    page: Response
    stream_id: int
    promised: list[str]
    hinted: list[ParsedLink]
    linked: list[ParsedLink]
    asked: list[str]
    answers: dict[str, Response]

    @property
    def ahead(self) -> list[str]:
        """The targets of all that was sent ahead, whichever way."""
        return [*self.promised, *(link.target for link in (*self.hinted, *self.linked))]


def load(
    client: RawClient, page: str = "/", assets: Iterable[str] = (), headers: Headers | None = None
) -> Load:
    """Load a page as a browser does: ask for the assets that were not pushed, naming the page."""
    before = set(client.promises)
    stream_id = client.request(page.encode(), headers=NAVIGATION if headers is None else headers)
    response = client.response(stream_id)
    promised = {
        path_of(client, number): number for number in client.promises if number not in before
    }
    asked = {
        asset: client.request(asset.encode(), headers=referred(client, page))
        for asset in assets
        if asset not in promised
    }
    answers = {path: client.response(number) for path, number in {**promised, **asked}.items()}
    informational = [field for fields in response.informational for field in fields]
    return Load(
        response,
        stream_id,
        list(promised),
        links(informational),
        links(response.headers),
        list(asked),
        answers,
    )


def referred(client: RawClient, page: str) -> Headers:
    """The field that names the page an asset belongs to."""
    return [(b"referer", client.scheme + b"://localhost" + page.encode())]


def path_of(client: RawClient, promised: int) -> str:
    """The path of a promised request."""
    return dict(client.promises[promised])[b":path"].decode()


def links(fields: Headers) -> list[ParsedLink]:
    """The links that these fields hold."""
    return [link for name, value in fields if name == b"link" for link in parse(value)]
