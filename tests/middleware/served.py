"""A middleware called as servers call it, and the scopes and the wire that they bring."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from headstart.config import DeliverOptions
from headstart.deliver.outcome import Hint, Push
from headstart.learn import LearnOptions
from headstart.learn.records import Record
from headstart.middleware import HeadstartMiddleware
from headstart.reasons import Refusal
from headstart.store import MemoryStore
from tests.server.apps import Headers, Message
from tests.visits import NO_CONTROL, NO_GATE, Clock, Site, answer_head

PAGE, ASSETS = "/page/", ("/site.css", "/app.js")
HOST = (b"host", b"example.test")
NAVIGATION: Headers = [
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"user-agent", b"test"),
    (b"accept-language", b"de"),
    (b"cookie", b"user=me"),
]
# Of a browser that was never here.
STRANGER: Headers = NAVIGATION[:-1]
# Of a client that is no browser.
PROGRAM: Headers = [(b"accept", b"text/html")]
PUSH: dict[str, Any] = {"http.response.push": {}}
HINT: dict[str, Any] = {"http.response.early_hint": {}}
REQUEST: Message = {"type": "http.request", "body": b"", "more_body": False}
API = "/api/items"

# What servers make of a scope.
UVICORN_1 = {"http_version": "1.1", "extensions": None}
UVICORN_2 = {"extensions": {**HINT, "http.response.trailers": {}}}
HYPERCORN_1 = {"http_version": "1.1", "extensions": {}}
HYPERCORN_2 = {"extensions": {**PUSH, **HINT, "http.response.trailers": {}}}
GRANIAN: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}
H2CORN: dict[str, Any] = {
    "extensions": {**HINT, "http.response.pathsend": {}, "http.response.zerocopysend": {}}
}


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
            offer.mark_sent(2)
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


class Late(Wire):
    """Offers a 103, and raises an error where it comes before the response."""

    def __init__(self, error: Exception) -> None:
        super().__init__(silent=True)
        self.error = error

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message["type"] == "http.response.early_hint":
            raise self.error


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
        await self.load(assets, ours(999), headers=STRANGER)
        await self.later()

    async def later(self) -> None:
        self.clock.now += 30.0
        await self.middleware.sync()


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
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        self.calls.append("exchange")
        self.outbox += outbox
        return []

    def close(self) -> None:
        self.calls.append("close")


def tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def as_seen_by(
    served: Served, server: dict[str, Any], headers: Headers = NAVIGATION, wire: Wire | None = None
) -> Wire:
    """A load on a server that is not ours, so that nobody fills in what became of it."""
    wire, scope = wire or Wire(silent=True), scope_of(PAGE, headers, **server)
    if scope["extensions"] is None:
        del scope["extensions"]
    await served.middleware(scope, wire.receive, wire.send)
    return wire
