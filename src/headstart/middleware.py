"""Learns from an ASGI application's traffic what its pages need, and sends it ahead.

Works in anybody's ASGI server: it reads scopes and messages, and speaks the extensions
`http.response.push` and `http.response.early_hint` where the server offers them. In ours it also
knows connections by identity and what became of each push. The way of a page: `learn` says what it
is likely to need, `deliver` decides what this client gets and how, promises and the 103 go out,
and only then the application runs. Owns the learner, a store and the task that keeps both in step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, assert_never

from headstart.config import DeliverOptions
from headstart.deliver.asgi import Message, Receive, Scope, Send
from headstart.deliver.decide import Decision, Expected, Way, decide, had
from headstart.deliver.outcome import Hint, Push, PushState
from headstart.deliver.request import PageRequest, read_request
from headstart.deliver.seen import Memories, Memory, Seen, grown, may_carry_cookie, set_cookie
from headstart.learn import Answer, How, Learner, LearnOptions, Request, View
from headstart.reasons import Refusal
from headstart.store import MemoryStore, Store

logger = logging.getLogger("headstart.middleware")

Application = Callable[[Scope, Receive, Send], Awaitable[object]]

# Two of them, and the store's own time, pass before another worker knows: less than two seconds.
_SYNC_SECONDS = 0.8
_MAX_THINK_TIMES = 1000
# How much one answer moves the think time of its page: the last four make two thirds of it.
_THINK_WEIGHT = 0.25
# What a learned push carries of the page's request: what the client can read, never who it is.
_CARRIED = frozenset(
    {b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"user-agent"}
)
_HTTP_1 = ("1.0", "1.1")
_NONE: Mapping[str, Any] = {}
# Name of what is kept beside a connection's requests: the fields of one that says nothing of pages.
_PLAIN = "headstart.plain"
_SEQUENCES = (list, tuple)
_CONDITIONS = (b"if-none-match", b"if-modified-since")
_READ = frozenset((b"content-type", b"cache-control", b"vary", b"set-cookie", b"content-length"))


@dataclass(slots=True)
class Counters:
    """What happened so far, for whoever wants to show it."""

    sent: Counter[Way] = field(default_factory=Counter)
    refused: Counter[Refusal] = field(default_factory=Counter)


class HeadstartMiddleware:
    """Around an ASGI application.

    Args:
        app: The application.
        learn: How to learn.
        deliver: What to send.
        store: Where what was learned is kept and shared with other workers; memory without one.
        hint_unmarked_clients: A 103 may go also to clients that send no Sec-Fetch-* at all.
        clock: Seconds since 1970; the same in all workers.
    """

    def __init__(
        self,
        app: Application,
        *,
        learn: LearnOptions | None = None,
        deliver: DeliverOptions | None = None,
        store: Store | None = None,
        hint_unmarked_clients: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.learner = Learner(learn)
        self.counters = Counters()
        self.options = deliver or DeliverOptions()
        self.hint_unmarked = hint_unmarked_clients
        self.clock = clock
        self.memories = Memories()
        self.think_times = ThinkTimes()
        self.under_way: list[tuple[View, Push]] = []
        self._store: Store = store or MemoryStore()
        self._keeper: asyncio.Task[None] | None = None
        self._hints_fail = False
        self._viewers = self.learner.viewers
        self._no_pages = self.learner.no_pages
        self._referer = self.learner.options.referer_header.lower().encode("latin-1")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "http" and scope["method"] == "GET":
            if self._keeper is None:
                await self.start()
            ours = (scope.get("extensions") or _NONE).get("headstart")
            if ours is not None:
                if ours["pushed"]:
                    await self._pushed(scope, receive, send)
                    return
                if ours["connection"] not in self._viewers and (
                    # What was found of requests like this is not looked for again.
                    (
                        scope["raw_path"] in self._no_pages
                        and ours.get("kept", _NONE).get(_PLAIN) == scope["headers"]
                    )
                    or self._is_no_page(scope, ours)
                ):
                    await self.app(scope, receive, partial(_glance, self, scope, send))
                    return
            now = self.clock()
            request = learned_request(scope, self._referer)
            view = self.learner.begin(request, now)
            if view is None:
                await self.app(scope, receive, self._watched(scope, request, send))
                return
            visit = Visit(self, scope, send, request, view)
            if view.candidates:
                await visit.send_ahead(view, now)
            await self.app(scope, receive, visit.send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_no_page(self, scope: Scope, ours: Mapping[str, Any]) -> bool:
        """Whether this is no page, as far as that shows before the answer.

        Where nobody viewed a page on the connection, it is nobody's asset either. Most requests of
        an API are such, and pay for this glance instead of all that is read else.
        """
        headers = scope["headers"]
        if self.learner.knows_path(scope["raw_path"]) or _says_page(headers):
            return False
        if "kept" in ours:
            ours["kept"][_PLAIN] = list(headers)
        return True

    def _watched(self, scope: Scope, request: Request, send: Send) -> Send:
        """A `send` for what is no page: it looks at the answer's head and changes nothing."""

        def watched(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._answered(scope, request, message)
            return send(message)

        return watched

    def _answered(self, scope: Scope, request: Request, message: Message) -> None:
        status: int = message["status"]
        answer = learned_answer(status, _headers(message))
        view = self.learner.complete(request, answer, None, self.clock())
        if view is None and status == 200:
            self._remember(scope, request)

    def _remember(self, scope: Scope, request: Request) -> None:
        """The client has this now. What matters only where there will be pages to send it with."""
        if self.memories and self.learner.is_viewer(request):
            self.memory_of(scope).add(request.target)

    async def _pushed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A pushed request teaches nothing but that an asset is no longer there for everybody."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = learned_answer(message["status"], _headers(message))
                self.learner.pushed(learned_request(scope, self._referer), answer)
            await send(message)

        await self.app(scope, receive, watched)

    def read(self, scope: Scope) -> PageRequest:
        """A page's request, as the decision needs it."""
        page = read_request(scope, hint_unmarked=self.hint_unmarked)
        if self._hints_fail and page.hint_refusal is None:
            return replace(page, hint_refusal=Refusal.UNSUPPORTED)
        return page

    def give_up_hints(self, error: Exception) -> None:
        """The server offers a 103, and takes none before the response."""
        if not self._hints_fail:
            self._hints_fail = True
            logger.warning("this server takes no 103 before the response; using Link: %s", error)

    def memory_of(self, scope: Scope) -> Memory:
        """What the request's connection had; nothing where connections cannot be told apart."""
        connection = connection_of(scope)
        return Memory() if connection is None else self.memories.of(connection)

    # Life.

    async def start(self) -> None:
        """Take what was learned before, and begin to keep in step with the store."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep_in_step())
            self.learner.absorb(await asyncio.to_thread(self._store.load))

    async def stop(self) -> None:
        """Keep what was learned last, and let the store go."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self.sync()
            await asyncio.to_thread(self._store.close)

    async def _keep_in_step(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            try:
                await self.sync()
            except Exception:
                # Serving goes on, and so does learning: the next turn may do better.
                logger.exception("what was learned could not be counted or kept")

    async def sync(self) -> None:
        """Count what was seen, tell other workers, and take what they saw."""
        self._settle_pushes()
        # One turn of the loop: the image is what was absorbed before, and what is in the outbox.
        outbox = self.learner.sync(self.clock())
        image = list(self.learner.export()) if self._store.snapshot_due else None
        self.learner.absorb(await asyncio.to_thread(self._store.exchange, outbox, image))

    def _settle_pushes(self) -> None:
        """Tell the learner of pushes that the client did not want."""
        going = []
        for view, push in self.under_way:
            if push.state is PushState.RESET:
                self.learner.feedback(view, push.path)
            elif push.state is PushState.SENT:
                going.append((view, push))
        self.under_way = going

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = False

        async def watched() -> Message:
            nonlocal asked
            asked = True
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
            return message

        try:
            await self.app(scope, watched, send)
        except Exception:
            if asked:
                raise
        if not asked:
            # The application knows no lifespan; the learner needs one.
            await _plain_lifespan(watched, send)


async def _plain_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Visit:
    """One GET on its way through the middleware."""

    __slots__ = (
        "_began",
        "_decisions",
        "_middleware",
        "_page",
        "_request",
        "_scope",
        "_seen",
        "_send",
        "_view",
    )

    def __init__(
        self,
        middleware: HeadstartMiddleware,
        scope: Scope,
        send: Send,
        request: Request,
        view: View | None,
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._send = send
        self._request = request
        self._view = view
        self._decisions: list[Decision] = []
        self._page: PageRequest | None = None
        self._seen: Seen | None = None
        self._began = time.monotonic() if view is not None else 0.0

    async def send_ahead(self, view: View, now: float) -> None:
        """Decide what this client gets; send promises and the 103 before the application runs."""
        middleware, scope = self._middleware, self._scope
        options = middleware.options
        page = self._page = middleware.read(scope)
        memory = middleware.memory_of(scope)
        seen = self._seen = page.seen(memory, now, cookie=options.cookie)
        expected = Expected(think_time=middleware.think_times.of(view.origin + view.path))
        self._decisions = decide(page, view.candidates, seen, options, expected)
        # For an application that wants to show what was sent ahead of its page.
        scope["headstart.decisions"] = self._decisions
        hints: list[Decision] = []
        for decision in self._decisions:
            match decision.way:
                case Way.PUSH:
                    await self._push(view, decision, memory)
                case Way.HINT:
                    hints.append(decision)
                case Way.LINK:
                    pass  # goes out with the response
                case Way.NOTHING:
                    if decision.refusal is not None:
                        middleware.counters.refused[decision.refusal] += 1
                case _:
                    assert_never(decision.way)
        if hints:
            await self._hint(view, hints, memory)

    async def _push(self, view: View, decision: Decision, memory: Memory) -> None:
        middleware = self._middleware
        push = Push(decision.candidate.target)
        await self._send(
            {
                "type": "http.response.push",
                "path": push.path,
                "headers": [pair for pair in self._scope["headers"] if pair[0] in _CARRIED],
                "headstart": push,
                "learned": True,
                "urgency": decision.urgency,
            }
        )
        if push.refusal is not None:
            decision.way, decision.refusal = Way.NOTHING, push.refusal
            middleware.counters.refused[push.refusal] += 1
            return
        if push:
            middleware.under_way.append((view, push))
        self._sent(view, decision, How.PUSHED, memory)

    async def _hint(self, view: View, hints: list[Decision], memory: Memory) -> None:
        hint = Hint()
        links = [decision.link() for decision in hints]
        try:
            await self._send(
                {"type": "http.response.early_hint", "links": links, "headstart": hint}
            )
        except OSError:
            raise  # the client has left (ASGI, HTTP, 2.4)
        except Exception as error:
            self._middleware.give_up_hints(error)
            for decision in hints:
                decision.way = Way.LINK if self._middleware.options.links else Way.NOTHING
                decision.refusal = Refusal.UNSUPPORTED
            return
        for decision in hints:
            if hint.refusal is not None:
                decision.way, decision.refusal = Way.NOTHING, hint.refusal
                self._middleware.counters.refused[hint.refusal] += 1
            else:
                self._sent(view, decision, How.HINTED, memory)

    def _sent(self, view: View, decision: Decision, how: How, memory: Memory) -> None:
        middleware = self._middleware
        middleware.counters.sent[decision.way] += 1
        middleware.learner.delivered(view, decision.candidate.target, how)
        memory.add(decision.candidate.target)

    async def send(self, message: Message) -> None:
        """The application's `send`: the head of its answer tells what it was."""
        if message["type"] == "http.response.start":
            message = self._answered(message)
        await self._send(message)

    def _answered(self, message: Message) -> Message:
        middleware, now = self._middleware, self._middleware.clock()
        headers = _headers(message)
        answer = learned_answer(message["status"], headers)
        view = middleware.learner.complete(self._request, answer, self._view, now)
        if view is None:
            if message["status"] == 200:
                middleware._remember(self._scope, self._request)
            return message
        if self._view is None:
            return message
        middleware.think_times.add(view.origin + view.path, time.monotonic() - self._began)
        more = self._more_fields(view, headers, now)
        return {**message, "headers": [*headers, *more]} if more else message

    def _more_fields(self, view: View, headers: Any, now: float) -> list[tuple[bytes, bytes]]:
        """Link, where neither push nor 103 works, and the cookie that says what the client has."""
        middleware, page, seen = self._middleware, self._page, self._seen
        if page is None or seen is None:
            return []
        more = []
        for decision in self._decisions:
            if decision.way is Way.LINK:
                more.append((b"link", decision.link()))
                self._sent(view, decision, How.HINTED, seen.memory)
        name = middleware.options.cookie
        if name and may_carry_cookie(headers):
            client_set = grown(seen.cookie, had(self._decisions, page.origin), now)
            if client_set is not None:
                value = set_cookie(client_set, now, secure=page.secure, name=name)
                more.append((b"set-cookie", value))
        return more


class ThinkTimes:
    """How long each page's application usually takes to answer; bounded, seconds.

    It keeps hashes of pages, so that long URLs take no more room than short ones.
    """

    def __init__(self, max_pages: int = _MAX_THINK_TIMES) -> None:
        self._times: OrderedDict[int, float] = OrderedDict()
        self._max_pages = max_pages

    def of(self, page: str) -> float | None:
        """The page's think time, or None where it was not seen."""
        return self._times.get(hash(page))

    def add(self, page: str, seconds: float) -> None:
        """An answer of the page took that long."""
        key = hash(page)
        old = self._times.get(key)
        new = seconds if old is None else old + _THINK_WEIGHT * (seconds - old)
        self._times[key] = new
        self._times.move_to_end(key)
        if len(self._times) > self._max_pages:
            self._times.popitem(last=False)


def _headers(message: Message) -> Sequence[tuple[bytes, bytes]]:
    """The fields of an answer; ASGI allows an iterator, which can be read once, so it is kept."""
    headers = message.get("headers") or ()
    if not isinstance(headers, _SEQUENCES):
        headers = message["headers"] = list(headers)
    return headers


def _glance(
    middleware: HeadstartMiddleware, scope: Scope, send: Send, message: Message
) -> Awaitable[None]:
    """A `send` for what seems of no interest: looks whether its answer is all the same.

    It is if it opens a view, being HTML, or if it says of something that it is not there. No
    coroutine of its own, since two of them a request cost more than what is done here.
    """
    if message["type"] == "http.response.start" and (
        message["status"] != 200
        or _may_be_html(message)
        or scope["extensions"]["headstart"]["connection"] in middleware._viewers
    ):
        middleware._answered(scope, learned_request(scope, middleware._referer), message)
    return send(message)


def _says_page(headers: Any) -> bool:
    """Whether the fields of a request say something of pages: of a browser, or that wants HTML."""
    found: dict[bytes, bytes] = dict(headers)
    return b"sec-fetch-dest" in found or found.get(b"accept", b"").find(b"text/html") >= 0


def _may_be_html(message: Message) -> bool:
    """Whether an answer seems to say that it is HTML; a closer look tells.

    Not by `in`: with bytes on both sides that takes ten times as long as `find`.
    """
    headers = message.get("headers")
    if type(headers) is not list:
        headers = _headers(message)
    for name, value in headers:
        if name == b"content-type":
            # The first says it: of two, it is none (`learned_answer` joins them).
            return value.find(b"html") >= 0
    return b" ".join([value for _, value in headers]).find(b"html") >= 0


def connection_of(scope: Scope) -> Hashable:
    """What stands for the connection: our server's number for it, or the client's address and port.

    None where there is no such thing: a Unix socket names no client, and a proxy's X-Forwarded-For
    no port, which uvicorn shows as 0.
    """
    ours = (scope.get("extensions") or {}).get("headstart")
    if ours is not None:
        number: int = ours["connection"]
        return number
    client = scope.get("client")
    return tuple(client) if client and client[1] else None


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return str(path + b"?" + query if query else path, "latin-1")


def learned_request(scope: Scope, referer_header: bytes = b"referer") -> Request:
    """What the learner needs of a request.

    Made for each GET: nothing is decoded that is not there, and fields go by position, which takes
    half as long.
    """
    found: dict[bytes, bytes] = dict(scope["headers"])
    get = found.get
    client = scope.get("client")
    agent, referer = get(b"user-agent"), get(referer_header)
    destination, mode = get(b"sec-fetch-dest"), get(b"sec-fetch-mode")
    accept = get(b"accept")
    return Request(
        scope["scheme"] + "://" + str(get(b"host", b""), "latin-1"),
        _target(scope),
        client[0] if client else "",
        "GET",
        str(agent, "latin-1") if agent else "",
        str(referer, "latin-1") if referer else "",
        # Over HTTP/1.1 a client opens six of them, so one says nothing.
        None if scope.get("http_version", "1.1") in _HTTP_1 else connection_of(scope),
        str(destination, "latin-1") if destination else "",
        str(mode, "latin-1") if mode else "",
        accept is not None and accept.find(b"text/html") >= 0,
        _CONDITIONS[0] in found or _CONDITIONS[1] in found,
        b"authorization" in found,
    )


# An application has few field names and says them again and again, mostly in lower case.
@lru_cache(maxsize=256)
def _read_name(name: bytes) -> bytes | None:
    """The name in lower case, where the learner reads the field; else None."""
    lower = name.lower()
    return lower if lower in _READ else None


def learned_answer(status: int, headers: Any) -> Answer:
    """What the learner needs of the head of an answer."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        read = _read_name(bytes(name))
        if read is not None:
            known = found.get(read)
            found[read] = value if known is None else known + b", " + value
    get = found.get
    content_type, cache_control, vary = get(b"content-type"), get(b"cache-control"), get(b"vary")
    length = get(b"content-length", b"").partition(b",")[0]
    return Answer(
        status,
        str(content_type, "latin-1") if content_type else "",
        str(cache_control, "latin-1") if cache_control else "",
        str(vary, "latin-1") if vary else "",
        b"set-cookie" in found,
        int(length) if length.isdigit() else 0,
    )
