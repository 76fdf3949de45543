"""The clients of a log before the real middleware, which hints or pushes to them.

Each client is a browser that obeys a 103: it fetches what is hinted and what it lacks, with the
page as Referer, and does not ask again for what it was brought. A client that the log never shows
fetching an asset is a robot, and ignores hints. All clients look alike to the server: each sends a
browser's Sec-Fetch fields. What is delivered is told to the learner, and connections are told apart
and end, as in the server.

A log has no cache headers. Where it names none, assets are answered with a lifetime that
`Assumptions` states.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote

from headstart.config import DeliverOptions
from headstart.deliver.asgi import OURS, HeadstartExtension, Message, Receive, Scope, Send
from headstart.deliver.decide import Way
from headstart.deliver.outcome import Push, PushState
from headstart.learn import Answer, LearnOptions, Request
from headstart.learn.safety import essence, kind_of_path, kind_of_type, lifetime
from headstart.learn.urls import path_of
from headstart.middleware import HeadstartMiddleware
from headstart.middleware.think_times import ThinkTimes
from headstart.replay.assumptions import Assumptions, Mode
from headstart.replay.browsers import Browser, Browsers
from headstart.replay.loads import LineKind, PageLoad, Step, client_of, type_of
from headstart.replay.scores import Score

_SYNC = 1.0
# How long a hinted asset takes to be asked for, in seconds.
_SOON = 0.05
# Characters below which a target is remembered.
_SHORT = 256
# Sec-Fetch-Mode by Sec-Fetch-Dest, where it is not no-cors.
_MODES = {"document": "navigate", "font": "cors", "empty": "cors"}


class Live:
    """Plays a log's steps through a middleware, and keeps the score.

    Args:
        mode: How the server sends ahead.
        learn, deliver: The server's options.
        assumptions: What the log does not say.
    """

    def __init__(
        self,
        mode: Mode = Mode.HINT,
        learn: LearnOptions | None = None,
        deliver: DeliverOptions | None = None,
        assumptions: Assumptions | None = None,
    ) -> None:
        self.score = Score("Headstart")
        self._mode = mode
        self._assumed = assumptions or Assumptions()
        self._site = _LoggedSite(self._assumed.lifetime)
        self._browsers = Browsers(self._assumed.idle)
        self._now = 0.0
        self._synced = float("-inf")
        # A log does not say how long a page took to answer: each waits long enough for a 103.
        deliver = deliver or DeliverOptions(min_think_time=0.0)
        # Nor how long clients waited, so no gain is measured, nor any page's HTML.
        learn = replace(learn or LearnOptions(), measure=False, read_pages=False)
        self.middleware = HeadstartMiddleware(
            self._site, learn=learn, deliver=deliver, clock=lambda: self._now
        )
        self.middleware.shared.think_times = _Assumed(self._assumed.think_time)

    async def play(self, steps: Iterable[Step]) -> Score:
        """Play all steps of a log. Return the score."""
        await self.middleware.start()
        try:
            for step in steps:
                await self._take(step)
        finally:
            await self.middleware.stop()
        return self.score

    async def _take(self, step: Step) -> None:
        """Play one step."""
        if step.kind is LineKind.OTHER:
            return
        self._now = max(self._now, step.line.time)
        if self._now - self._synced >= _SYNC:
            self._sync()
        browser = self._browsers.at(client_of(step.line), self._now)
        if step.kind is LineKind.ASSET:
            await self._fetch(step, browser)
        elif step.kind is LineKind.CALL:
            await self._ask(browser, step.line.exchange.request, step.answer, "empty")
        else:
            assert step.load is not None
            await self._navigate(step, step.load, browser)

    def _sync(self) -> None:
        self._synced = self._now
        self.middleware.shared.settle_pushes()
        self.middleware.learner.sync(self._now)

    async def _navigate(self, step: Step, load: PageLoad, browser: Browser) -> None:
        request, answer = step.line.exchange.request, step.answer
        spared = [
            target
            for target in load.real
            if browser.was_brought((request.origin, target), self._now)
        ]
        sent = await self._ask(browser, request, answer, "document")
        if self._mode is Mode.HINT:
            moved = await self._follow(step, load, browser, sent.targets)
        else:
            moved = await self._accept(step, load, browser, sent)
        self.score.add(
            load, sent.targets, self._site.sizes(request.origin), transferred=moved, spared=spared
        )

    async def _follow(
        self, step: Step, load: PageLoad, browser: Browser, targets: Iterable[str]
    ) -> list[str]:
        """Fetch what is hinted and lacking. Return what was transferred for it."""
        request = step.line.exchange.request
        moved: list[str] = []
        if not step.fetches:
            return moved
        self._now += _SOON
        for target in targets:
            url = (request.origin, target)
            if browser.has(url, load, self._now):
                continue
            answer = self._site.answer(url, load.asked.get(target))
            fetch = _fetch_of(request, target)
            if not self._tell_of_asset(browser, fetch, answer):
                await self._ask(browser, fetch, answer, _kind(answer))
            browser.was_sent(url, self._stale(answer))
            if answer.status == 200:
                moved.append(target)
        return moved

    async def _accept(self, step: Step, load: PageLoad, browser: Browser, sent: _Sent) -> list[str]:
        """Take what is pushed, and reset what the browser has. Return what was transferred."""
        request = step.line.exchange.request
        moved = []
        for push in sent.pushes:
            url = (request.origin, push.path)
            answer = self._site.answer(url, load.asked.get(push.path))
            await self._ask(browser, _fetch_of(request, push.path), answer, "", pushed=True)
            if browser.has(url, load, self._now):
                push.state = PushState.RESET
                continue
            push.state = PushState.FINISHED
            browser.was_sent(url, self._stale(answer))
            moved.append(push.path)
        return moved

    async def _fetch(self, step: Step, browser: Browser) -> None:
        """Ask for an asset as the log says, unless it was brought."""
        request, answer = step.line.exchange.request, step.answer
        url = (request.origin, request.target)
        self._site.note(url, answer)
        if browser.was_brought(url, self._now):
            del browser.brought[url]
            return
        if not self._tell_of_asset(browser, request, answer):
            await self._ask(browser, request, answer, _kind(answer))
        if answer.status in (200, 304):
            browser.fetched(url, self._stale(answer))

    def _stale(self, answer: Answer) -> float:
        fresh = lifetime(answer.cache_control) if answer.cache_control is not None else None
        return self._now + (self._assumed.lifetime if fresh is None else fresh)

    def _tell_of_asset(self, browser: Browser, request: Request, answer: Answer) -> bool:
        """Tell the server of an asset that a browser asks for.

        Most lines of a log are such. The middleware would read the same request and answer from a
        scope and a message, which takes longer than all that it does with them.

        Returns:
            False if the middleware would read something else, so that it has to be asked.
        """
        if not _survives_latin_1(request, answer):
            return False
        status = answer.status
        request = _asset_request(request, _kind(answer), browser.connection, status == 304)
        answer = self._site.as_read(request.target, answer)
        shared = self.middleware.shared
        shared.learner.complete(request, answer, None, self._now)
        if status == 200:
            shared.remember(browser.connection, request)
        return True

    async def _ask(
        self,
        browser: Browser,
        request: Request,
        answer: Answer,
        destination: str,
        *,
        pushed: bool = False,
    ) -> _Sent:
        """Ask the middleware. Return what it sent ahead."""
        sent = _Sent()
        self._site.next = answer
        scope = _scope(request, answer, destination, browser.connection)
        extensions = scope["extensions"]
        extensions[OURS]["pushed"] = pushed
        if destination == "document":
            offered = "early_hint" if self._mode is Mode.HINT else "push"
            extensions[f"http.response.{offered}"] = {}
        await self.middleware(scope, _receive, sent.send)
        sent.targets += [
            decision.candidate.target
            for decision in scope.get("headstart.decisions", ())
            if decision.way is not Way.NOTHING
        ]
        return sent


class _Sent:
    """What came back for one request."""

    __slots__ = ("pushes", "targets")

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.pushes: list[Push] = []

    async def send(self, message: Message) -> None:
        """Take a message of the server's side."""
        if message["type"] == "http.response.early_hint":
            message["headstart"].sent = True
        elif message["type"] == "http.response.push":
            push: Push = message["headstart"]
            # The number of a stream that a server may promise; nothing hangs on which.
            push.mark_sent(2)
            self.pushes.append(push)


class _Assumed(ThinkTimes):
    """How long each page takes to answer: not how long the replay takes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def of(self, page: str) -> float | None:
        """Return the same for each page."""
        return self._seconds

    def add(self, page: str, seconds: float) -> None:
        """Take no measure."""


class _LoggedSite:
    """The application: it answers as the log says.

    Attributes:
        next: The answer to the request that comes now.
    """

    def __init__(self, lifetime: float) -> None:
        self._assumed = f"public, max-age={lifetime:.0f}"
        self._known: dict[tuple[str, str], Answer] = {}
        self._sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.next = Answer(200)

    def note(self, url: tuple[str, str], answer: Answer) -> None:
        """The log shows this answer of a URL."""
        known = self._known.get(url)
        if known is not None and not answer.size:
            answer = answer._replace(size=known.size)
        if answer.status != 304:
            self._known[url] = answer
            self._sizes[url[0]][url[1]] = answer.size

    def sizes(self, origin: str) -> Counter[str]:
        """Return the bytes of an origin's targets, as far as the log has shown them."""
        return self._sizes[origin]

    def answer(self, url: tuple[str, str], status: int | None) -> Answer:
        """Return what a URL answers now. `status` is what the log shows, if it does."""
        known = self._known.get(url)
        if known is None:
            known = Answer(200, content_type=type_of(url[1]), cache_control=None)
        return known if status is None else known._replace(status=status)

    def as_read(self, target: str, answer: Answer) -> Answer:
        """Return what the middleware reads of an answer that the site gives."""
        status, content_type, said, vary, sets_cookie, size, *_, location = answer
        validated = said is None and _is_file(target)
        if validated:
            said = self._assumed
        return Answer(
            status,
            content_type,
            said or "",
            vary,
            sets_cookie,
            size,
            validated,
            None,
            None,
            location,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request that comes now."""
        answer = self.next
        headers = []
        if answer.content_type:
            headers.append((b"content-type", answer.content_type.encode("latin-1", "replace")))
        if answer.cache_control is None:
            if kind_of_path(scope["path"]):
                headers += [(b"cache-control", self._assumed.encode()), (b"etag", b'"1"')]
        elif answer.cache_control:
            headers.append((b"cache-control", answer.cache_control.encode("latin-1", "replace")))
        if answer.vary:
            headers.append((b"vary", answer.vary.encode("latin-1", "replace")))
        if answer.sets_cookie:
            headers.append((b"set-cookie", b"a=b"))
        if answer.size:
            headers.append((b"content-length", b"%d" % answer.size))
        if answer.location:
            headers.append((b"location", answer.location.encode("latin-1", "replace")))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body"})


@lru_cache(maxsize=4096)
def _is_short_file(target: str) -> bool:
    return kind_of_path(unquote(path_of(target))) is not None


def _is_file(target: str) -> bool:
    """Return true if a target names a stylesheet, a script, a font or an image, as a scope does."""
    return (_is_short_file if len(target) < _SHORT else _is_short_file.__wrapped__)(target)


def _kind(answer: Answer) -> str:
    """Return the Sec-Fetch-Dest of a request for an asset."""
    return (_kind_of if len(answer.content_type) < _SHORT else _kind_of.__wrapped__)(
        answer.content_type
    )


@lru_cache(maxsize=256)
def _kind_of(content_type: str) -> str:
    return kind_of_type(essence(content_type)) or "image"


def _fetch_of(page: Request, target: str) -> Request:
    """Return the request for an asset that was hinted with a page."""
    origin, of_page, address, method, agent, *_ = page
    return Request(origin, target, address, method, agent, origin + of_page)


def _survives_latin_1(request: Request, answer: Answer) -> bool:
    """Return true if a scope and a message would hold the same text."""
    origin, target, _, _, agent, referer, *_ = request
    _, content_type, cache_control, vary, *_ = answer
    texts = target, referer, agent, origin, content_type, vary, cache_control or ""
    # Each string knows whether it is ASCII, and a longer one of them all would be read.
    return all(map(str.isascii, texts)) and target[-1:] != "?"


def _asset_request(
    request: Request, destination: str, connection: int, conditional: bool
) -> Request:
    """Return the request for an asset as the middleware reads it from `_scope`."""
    return Request(
        request.origin,
        request.target,
        request.address,
        "GET",
        request.user_agent,
        request.referer,
        connection,
        destination,
        _MODES.get(destination, "no-cors"),
        False,
        conditional,
    )


def _scope(request: Request, answer: Answer, destination: str, connection: int) -> Scope:
    """Return the scope of a request as our own server makes it for HTTP/2."""
    path, _, query = request.target.partition("?")
    scheme, _, host = request.origin.partition("://")
    mode = _MODES.get(destination, "no-cors")
    fields = [("host", host), ("user-agent", request.user_agent), ("referer", request.referer)]
    if destination:
        fields += [("sec-fetch-dest", destination), ("sec-fetch-mode", mode)]
    if destination == "document":
        fields.append(("accept", "text/html"))
    if answer.status == 304:
        fields.append(("if-none-match", '"1"'))
    ours: HeadstartExtension = {
        "connection": connection,
        "push_enabled": False,
        "pushed": False,
        "pushes": (),
        "counters": 0,
    }
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "2",
        "method": "GET",
        "scheme": scheme,
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in fields if value
        ],
        "client": (request.address, 0),
        "extensions": {OURS: ours},
    }


async def _receive() -> Message:
    return {"type": "http.disconnect"}
