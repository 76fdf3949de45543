"""How long a visitor waits for the demo's site: alone, with 103, with push, and the floor.

Measured from the request on an open connection until the last asset is there, through a relay that
makes a round trip as long as one over half a continent. A visitor behaves as a browser: it fetches
what a 103 names at once, what the page links when the page is there, and what a stylesheet links
when both the stylesheet and the page that uses it are there; what was pushed it does not ask for.
Each load has a connection of its own, since a server pushes a URL once a connection. The servers'
turns alternate as those of `rounds` do. Called by `__main__`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Final, cast
from urllib.parse import urljoin, urlsplit

from bench.relay import DelayingRelay
from bench.rounds import Result
from bench.sample import LoadFailed, Sample
from bench.scenarios import App, Scenario
from bench.servers import Peer, RunningServer, Site
from headstart.config import ClientLimits
from headstart.demo.site import ASSETS, THINK_SECONDS
from headstart.wire.client import ClientConnection
from headstart.wire.events import (
    ClientEvent,
    ConnectionEnded,
    DataReceived,
    Fields,
    InformationalResponseReceived,
    PromiseReceived,
    ResponseReceived,
    SettingsReceived,
    StreamReset,
)
from headstart.wire.links import parse

ROUND_TRIP: Final = 0.1
FLOOR: Final = "floor"
"""What stands beside the ways, as the time that nothing can be faster than."""
WANTED: Final = 1.15
"""A load with push takes at most so many times the floor."""
_PAGE: Final = "/site/"
# Answered at once and no page, so that it teaches nothing and nothing is sent ahead with it.
_NO_PAGE: Final = "/site/not-there"
_LESSONS: Final = 2
# The learner counts every 0.8 s; what it has not learned after that many times it never will.
_PATIENCE_TO_LEARN: Final = 10
_TIMEOUT: Final = 15.0
_STYLE_URL: Final = re.compile(r"url\(\s*[\"']?([^\"')]+)")
_DESTINATIONS: Final = {
    "css": "style", "js": "script", "woff2": "font", "svg": "image",
}  # fmt: skip


class Way(StrEnum):
    """How a page's assets come."""

    NOTHING = "nothing"
    HINT = "103"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a page.

    Attributes:
        seconds: From the request until the last asset was there.
        status: Of the page.
        pushed: Assets that were promised.
        hinted: Assets that a 103 named.
        asked: Assets that the visitor asked for itself.
    """

    seconds: float
    status: int
    pushed: int
    hinted: int
    asked: int


@dataclass(slots=True)
class Table:
    """All loads.

    Attributes:
        floor: Seconds that nothing can be faster than: think time and one round trip.
    """

    round_trip: float
    floor: float
    loads: dict[Way, list[Load]] = field(default_factory=dict)


class Loading:
    """What a browser asks for while it loads one page, and when it is done. Pure.

    Args:
        page: Its target.
        origin: Scheme and authority, for Referer.
        request: Asks for a target with these fields; the stream's number.
    """

    def __init__(self, page: str, origin: str, request: Callable[[str, Fields], int]) -> None:
        self._page = origin + page
        self._origin = origin
        self._request = request
        self._streams: dict[int, str] = {}
        self._bodies: dict[int, bytearray] = {}
        self._here: dict[str, tuple[str, str]] = {}
        """URL -> media type and text of what has come whole."""
        self._linked: dict[str, None] = {}
        """What the page, or a stylesheet in use, has named so far."""
        self._types: dict[int, str] = {}
        self.status = 0
        self.pushed: set[str] = set()
        self.hinted: set[str] = set()
        self.asked: set[str] = set()

    def begin(self, *, navigates: bool) -> None:
        """Ask for the page."""
        fields = _fetch_metadata("navigate", "document") if navigates else _fetch_metadata()
        self._streams[self._request(self._page.removeprefix(self._origin), fields)] = self._page

    @property
    def done(self) -> bool:
        """Whether the page and all that was linked is here."""
        return self._page in self._here and all(url in self._here for url in self._linked)

    def handle(self, event: ClientEvent) -> None:
        """Take what came.

        Raises:
            LoadFailed: The page cannot become whole.
        """
        match event:
            case InformationalResponseReceived(status=103, headers=headers):
                self._hint(headers)
            case PromiseReceived(promised_stream_id=promised, target=target):
                url = self._origin + target.decode("ascii")
                self._streams[promised] = url
                self.pushed.add(url)
            case ResponseReceived():
                self._respond(event)
            case DataReceived(stream_id=stream_id, data=data):
                self._bodies.setdefault(stream_id, bytearray()).extend(data)
                if event.end_stream:
                    self._came(stream_id)
            case StreamReset() | ConnectionEnded():
                raise LoadFailed(f"the page did not come: {event}")
            case _:
                pass  # settings, pings and streams that close say nothing about the page

    def _hint(self, headers: Fields) -> None:
        for name, value in headers:
            for link in parse(value) if name == b"link" else ():
                url = urljoin(self._page, link.target)
                self.hinted.add(url)
                self._want(url, self._page)

    def _respond(self, event: ResponseReceived) -> None:
        fields = dict(event.headers)
        self._types[event.stream_id] = fields.get(b"content-type", b"").decode("latin-1")
        if self._streams[event.stream_id] == self._page:
            self.status = event.status
        elif event.status != 200:
            raise LoadFailed(f"{self._streams[event.stream_id]} answered {event.status}")
        if event.end_stream:
            self._came(event.stream_id)

    def _came(self, stream_id: int) -> None:
        url = self._streams[stream_id]
        text = bytes(self._bodies.pop(stream_id, b"")).decode("utf-8", "replace")
        self._here[url] = (self._types[stream_id].partition(";")[0], text)
        if url == self._page or url in self._linked:
            self._use(url)

    def _use(self, url: str) -> None:
        """What is here and in use names more."""
        for reference in references(*self._here[url]):
            named = urljoin(url, reference)
            if named in self._linked:
                continue
            self._linked[named] = None
            self._want(named, url)
            if named in self._here:
                self._use(named)

    def _want(self, url: str, referer: str) -> None:
        if url in self._streams.values():
            return
        destination = _DESTINATIONS.get(urlsplit(url).path.rpartition(".")[2], "empty")
        mode = "cors" if destination == "font" else "no-cors"
        fields = [*_fetch_metadata(mode, destination), (b"referer", referer.encode())]
        self._streams[self._request(url.removeprefix(self._origin), fields)] = url
        self.asked.add(url)


def references(media_type: str, text: str) -> Iterator[str]:
    """What a page or a stylesheet links to be fetched with it, in order."""
    if media_type == "text/css":
        yield from _STYLE_URL.findall(text)
    elif media_type == "text/html":
        page = _Links()
        page.feed(text)
        yield from page.found


class _Links(HTMLParser):
    """Stylesheets, scripts and images of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        linked = given.get("href") if given.get("rel") == "stylesheet" else None
        if url := given.get("src") if tag in ("script", "img") else linked:
            self.found.append(url)


def _fetch_metadata(mode: str = "cors", destination: str = "empty") -> Fields:
    return [(b"sec-fetch-mode", mode.encode()), (b"sec-fetch-dest", destination.encode())]


class Visitor(asyncio.Protocol):
    """One connection of a browser. Cleartext.

    Args:
        port: Of 127.0.0.1, as the authority names it.
        push: Whether the server may push.
    """

    def __init__(self, port: int, *, push: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._authority = f"127.0.0.1:{port}"
        self._wire = ClientConnection(ClientLimits(), push, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._loading: Loading | None = None
        self._waiter: asyncio.Future[float] = self._loop.create_future()

    async def ready(self) -> None:
        """Wait for the server's SETTINGS."""
        await self._wait()

    async def load(self, page: str, *, navigates: bool = True) -> Load:
        """Load a page with all that it needs.

        Args:
            navigates: As a document; otherwise as data, which needs nothing more.

        Raises:
            LoadFailed: It did not come whole, or not in time.
        """
        self._waiter = self._loop.create_future()
        loading = self._loading = Loading(page, f"http://{self._authority}", self._request)
        began = self._loop.time()
        loading.begin(navigates=navigates)
        self._flush()
        ended = await self._wait()
        counts = map(len, (loading.pushed, loading.hinted, loading.asked))
        return Load(ended - began, loading.status, *counts)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> float:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._waiter
        except TimeoutError:
            raise LoadFailed(f"the page did not come within {_TIMEOUT:g} s") from None

    def _request(self, target: str, fields: Fields) -> int:
        authority, path = self._authority.encode(), target.encode("ascii")
        return self._wire.request("GET", b"http", authority, path, fields, True)

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._wire.receive(data, self._loop.time()):
                self._act(event)
        except LoadFailed as failure:
            self._fail(failure)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(LoadFailed(f"the server hung up: {exc or 'without a word'}"))

    def _act(self, event: ClientEvent) -> None:
        if isinstance(event, DataReceived):
            self._wire.acknowledge(len(event.data), event.stream_id)
        if self._loading is not None:
            self._loading.handle(event)
            finished = self._loading.done
        else:
            finished = isinstance(event, SettingsReceived)
        if finished and not self._waiter.done():
            self._waiter.set_result(self._loop.time())

    def _fail(self, failure: LoadFailed) -> None:
        if not self._waiter.done():
            self._waiter.set_exception(failure)
            # Whoever waited may have gone.
            self._waiter.exception()

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        while data := self._wire.output():
            self._transport.write(data)
        self._wire.after_output(self._loop.time())


async def visit(port: int, *, push: bool) -> Load:
    """Load the demo's site over a new connection that has answered something else before.

    Raises:
        LoadFailed: It did not come whole.
    """
    loop = asyncio.get_running_loop()
    try:
        _, visitor = await loop.create_connection(
            lambda: Visitor(port, push=push), "127.0.0.1", port
        )
    except OSError as error:
        raise LoadFailed(f"cannot connect: {error}") from error
    try:
        await visitor.ready()
        await visitor.load(_NO_PAGE, navigates=False)
        load = await visitor.load(_PAGE)
    finally:
        visitor.close()
    if load.status != 200 or load.pushed + load.asked != len(ASSETS):
        raise LoadFailed(f"a page with {len(ASSETS)} assets became {load}")
    return load


def _command(port: int, *learning: str) -> list[str]:
    # As `headstart demo` has it: the site needs eleven assets, one more than a page usually gets.
    room = ["--max-pushes-per-request", "12", "--deliver-max-assets", "12"]
    quiet = ["--no-access-log", "--log-level", "warning"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop"]
    serve = [sys.executable, "-m", "headstart.cli", "serve", "headstart.demo.app:app"]
    return [*serve, *where, *quiet, *room, *learning]


def _plain(_site: Site, port: int) -> list[str]:
    return _command(port, "--no-learn")


def _learning(site: Site, port: int) -> list[str]:
    store = site.files / "page-load.sqlite"
    return _command(port, "--learn", "--store", str(store), "--learn-control-share", "0")


PEERS: Final = (Peer("demo", (), _plain), Peer("demo, learning", (), _learning, has_push=True))


def measure_loads(
    folder: Path,
    rounds: int,
    progress: Callable[[str], None] = lambda _: None,
    *,
    round_trip: float = ROUND_TRIP,
) -> Table:
    """Start both servers, teach the one that learns, and load the page so many times each way.

    Args:
        folder: For a store and log files.
        round_trip: Simulated, seconds.

    Raises:
        LoadFailed: A page did not come whole, or nothing was ever sent ahead.
        ServerFailed: A server did not start.
    """
    site = Site(App.BARE, None, folder)
    with ExitStack() as stack:
        ports: list[int] = []
        for peer in PEERS:
            progress(f"starting the {peer.name}")
            log = folder / f"page-load-{len(ports)}.log"
            server = stack.enter_context(RunningServer(peer, site, log))
            server.wait_until_up()
            ports.append(server.port)
        return asyncio.run(_take_turns(ports, rounds, round_trip, progress))


async def _take_turns(
    ports: Sequence[int], rounds: int, round_trip: float, progress: Callable[[str], None]
) -> Table:
    delay = round_trip / 2
    table = Table(round_trip, THINK_SECONDS + round_trip)
    async with DelayingRelay(ports[0], delay) as plain, DelayingRelay(ports[1], delay) as learning:
        progress("teaching the demo")
        await _teach(learning.port)
        for number in range(1, rounds + 1):
            for way in Way:
                progress(f"{way}, load {number} of {rounds}")
                port = plain.port if way is Way.NOTHING else learning.port
                load = await visit(port, push=way is Way.PUSH)
                _check(way, load)
                table.loads.setdefault(way, []).append(load)
    return table


async def _teach(port: int) -> None:
    """Visit until everything is sent ahead."""
    for _ in range(_LESSONS):
        await visit(port, push=False)
    for _ in range(_PATIENCE_TO_LEARN):
        await asyncio.sleep(1.0)
        load = await visit(port, push=False)
        if load.hinted == len(ASSETS):
            return
    raise LoadFailed(f"after {_PATIENCE_TO_LEARN} lessons only {load.hinted} assets are sent ahead")


def _check(way: Way, load: Load) -> None:
    """A load that was not what it is counted as would make its row a lie."""
    ahead = {Way.NOTHING: 0, Way.HINT: load.hinted, Way.PUSH: load.pushed}[way]
    expected = 0 if way is Way.NOTHING else len(ASSETS)
    if ahead != expected or (way is Way.NOTHING and (load.pushed or load.hinted)):
        raise LoadFailed(f"a load with {way} was {load}")


def result_of(scenario: Scenario, table: Table) -> Result:
    """All loads, and the floor as a way of its own, as the results of one scenario."""
    found = Result(scenario)
    for way, loads in table.loads.items():
        found.samples[str(way)] = [_sample(load.seconds) for load in loads]
    found.samples[FLOOR] = [_sample(table.floor)] * max(map(len, table.loads.values()))
    return found


def _sample(seconds: float) -> Sample:
    return Sample(1 / seconds, 1, 0, 0, p50=seconds)


def markdown(result: Result) -> str:
    """The table, and how to read it."""
    if not result.samples:
        return f"Page loads failed: {'; '.join(result.failures.values())}"
    lines = [
        f"| the demo's site, round trip {ROUND_TRIP * 1000:.0f} ms | ms | times the floor |",
        "|---|---:|---:|",
        *[_row(result, way) for way in (*Way, FLOOR)],
    ]
    said = (
        f"From the request on an open connection until the last of {len(ASSETS)} assets: the median"
        f" of {len(result.samples[Way.PUSH])} loads, and the fastest and the slowest. The floor is "
        "the application's think time and one round trip."
    )
    return "\n".join([*lines, "", said])


def _row(result: Result, way: str) -> str:
    each = sorted(sample.p50 * 1000 for sample in result.samples[way])
    times = median(each) / (result.samples[FLOOR][0].p50 * 1000)
    return f"| {way} | {median(each):.0f} ({each[0]:.0f}..{each[-1]:.0f}) | {times:.2f} |"
