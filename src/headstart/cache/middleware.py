"""CacheMiddleware: from the cache, or from the application and into the cache.

    miss, hit            RFC 9111, 4; Cache-Status as RFC 9211 has it
    stale                validated, or used while a new one is fetched (RFC 5861, 3)
    simultaneous misses  one call of the application; the others wait for its response
    unsafe methods       remove the entries of their target (RFC 9111, 4.4)

Put around an application by `server.run`, inside of `HeadstartMiddleware`, so that a pushed asset
comes from the cache as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from headstart.cache.control import Control
from headstart.cache.fetch import Fetch
from headstart.cache.memory import Entry, Memory
from headstart.cache.requests import CachedRequest, Key, number
from headstart.cache.serve import send_entry
from headstart.config import CacheOptions
from headstart.deliver.asgi import Application, Message, Receive, Scope, Send
from headstart.middleware.lifespan import run_lifespan

logger = logging.getLogger("headstart.cache")

_SAFE = frozenset(("OPTIONS", "TRACE"))
# Keys whose responses are not stored: their requests do not wait for each other.
_MAX_PASSES: Final = 4096
# How old a request may be for whose response others wait: its client may read slowly, and hold that
# up for ever. nginx has the same for proxy_cache_lock.
_MAX_WAIT: Final = 5.0
_MAX_REFRESH: Final = 60.0
# Calls in the background. They are outside of the limits of the client that caused them.
_MAX_REFRESHES: Final = 32
# The cache cuts a range out itself, and an Upgrade is for the server.
_NOT_THE_SITES = frozenset((b"range", b"if-range", b"upgrade"))
_NOT_REPEATED = frozenset(
    (b"range", b"if-range", b"if-none-match", b"if-modified-since", b"cache-control", b"pragma")
)
_MISS, _STALE = b"fwd=uri-miss", b"fwd=stale"


class CacheMiddleware:
    """Cache the responses of an ASGI application.

    Args:
        app: The application.
        options: Sizes, and the control socket.
        lifespan_required: Fail the start if the application raises in its lifespan, instead of
            assuming that it does not support the lifespan.
        clock: Seconds since 1970.

    Attributes:
        memory: The stored entries.
        counters: The number of hits, misses, and so on.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        app: Application,
        options: CacheOptions | None = None,
        *,
        lifespan_required: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.options = options or CacheOptions(cache=CacheOptions.usual_size)
        self.memory = Memory(self.options.cache)
        self.counters: Counter[str] = Counter()
        self.clock = clock
        self._fetches: dict[Key, list[Fetch]] = {}
        """GETs under way; others wait for the first one."""
        self._passes: OrderedDict[int, None] = OrderedDict()
        """Hashes of keys, which are short however long a URL is."""
        self._refreshing: dict[Key, asyncio.Task[None]] = {}
        self._lifespan_required = lifespan_required
        self._control = Control(
            self.memory, self._fetches, self.purge, self.options.cache_control, clock
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        kind = scope["type"]
        if kind == "http":
            method = scope["method"]
            if method in ("GET", "HEAD"):
                await self._get(scope, receive, send)
            elif method in _SAFE:
                await self.app(scope, receive, send)
            else:
                await self._change(scope, receive, send)
        elif kind == "lifespan":
            try:
                await run_lifespan(
                    self.app,
                    scope,
                    receive,
                    send,
                    start=self._control.start,
                    stop=self._stop,
                    required=self._lifespan_required,
                )
            finally:
                await self._stop()  # a server that must end at once only cancels
        else:
            await self.app(scope, receive, send)

    # GET and HEAD.

    async def _get(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = CachedRequest(scope)
        if request.bypasses:
            self.counters["bypass"] += 1
            await self.app(scope, receive, send)
            return
        waited = False
        while True:
            entry = self.memory.find(request)
            if entry is not None and not _may_get(request, entry):
                self.counters["bypass"] += 1
                await self.app(scope, receive, send)
                return
            if entry is not None and await self._answered(request, entry, scope, send, waited):
                return
            if b"only-if-cached" in request.says:
                await _gateway_timeout(send)
                return
            fetches = self._fetches.get(request.key)
            if not fetches or waited or self._passes_by(request, fetches[0]):
                break
            # Once only: what comes then is either stored, or not for this request.
            waited = True
            waits = fetches[0].begun + _MAX_WAIT - asyncio.get_running_loop().time()
            if waits > 0:
                await asyncio.wait([fetches[0].decided], timeout=waits)
        if entry is not None and (entry.etag or entry.modified):
            await self._validate(request, entry, scope, receive, send)
        else:
            await self._fetch(request, scope, receive, send)

    async def _answered(
        self, request: CachedRequest, entry: Entry, scope: Scope, send: Send, waited: bool
    ) -> bool:
        """Answer from the entry if that may be done without asking the application."""
        now = self.clock()
        left = entry.left(now)
        if request.wants_new and not waited:
            return False
        if _too_old(request, entry, now):
            return False
        if left <= 0:
            if -left > entry.freshness.while_revalidate:
                return False
            self._refresh(request, entry, scope)
        self.counters["hit" if left > 0 else "stale"] += 1
        how = b"hit; ttl=%d%b" % (left, b"; collapsed" if waited else b"")
        await send_entry(request, entry, send, now, how)
        return True

    def ready(self, request: CachedRequest, key: Key, now: float) -> Entry | None:
        """Return a stored response that answers a GET as it is.

        For a server that sends it itself, and counts it with `count_hits`. A response that the
        middleware around the cache has not seen yet goes there by a call first.

        Args:
            request: Without conditions, range and Cache-Control: one that may be promised.
            key: Of the request; its own, or with another target.
            now: Seconds since 1970.

        Returns:
            The response; None if the request has to go the way of a call.
        """
        entry = self.memory.find(request, key)
        if entry is None or not entry.shown or entry.status != 200 or now >= entry.stale_at:
            return None
        if not _may_get(request, entry):
            return None
        entry.hits += 1
        return entry

    def count_hits(self, count: int) -> None:
        """Count responses from `ready` that were sent."""
        self.counters["hit"] += count

    async def _fetch(
        self, request: CachedRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.counters["miss"] += 1
        why = b"fwd=request" if request.wants_new else _MISS
        if why is _MISS and self.memory.has(request.key):
            why = b"fwd=vary-miss"
        await self._call(self._fetch_of(request, send, why), request, scope, receive)

    async def _validate(
        self, request: CachedRequest, entry: Entry, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Ask the application whether the entry still holds (RFC 9111, 4.3)."""
        self.counters["validated"] += 1
        why = b"fwd=request" if request.wants_new else _STALE
        asked = _validating(scope, entry)
        fetch = self._fetch_of(CachedRequest(asked), send, why, entry)
        try:
            await self._call(fetch, request, asked, receive)
        except Exception:
            # The response has not begun, so the client may get the old one (RFC 5861, 4).
            if fetch.status or -entry.left(self.clock()) >= entry.freshness.if_error:
                raise
            logger.exception("The application failed; %s is used although stale", request.key[2])
            fetch.failed = True
        if (fetch.not_modified or fetch.outdated) and not fetch.stored:
            self.memory.drop(request.key, entry)
        if fetch.varies:  # this client may be one of those that get another response
            await self._fetch(request, scope, receive, send)
        elif fetch.not_modified or fetch.failed:
            self.counters["stale" if fetch.failed else "hit"] += 1
            how = b"%b; fwd-status=%d" % (why, fetch.status)
            await send_entry(request, fetch.confirmed or entry, send, self.clock(), how)

    def _fetch_of(
        self, request: CachedRequest, send: Send, why: bytes, old: Entry | None = None
    ) -> Fetch:
        def store(entry: Entry) -> None:
            self.memory.put(request.key, entry)

        return Fetch(request, send, store, self.options.max_cache_entry, self.clock, why, old)

    async def _call(
        self, fetch: Fetch, request: CachedRequest, scope: Scope, receive: Receive
    ) -> None:
        """Call the application; others may wait for its response meanwhile."""
        key = request.key
        gets = request.method == "GET"
        if gets:
            self._fetches.setdefault(key, []).append(fetch)
        try:
            await self.app(_without_files(scope), fetch.receive_with(receive), fetch.send)
        finally:
            fetch.give_up()
            if gets:
                fetches = self._fetches[key]
                fetches.remove(fetch)
                if not fetches:
                    del self._fetches[key]
        if gets:
            self._note(key, fetch)

    def _passes_by(self, request: CachedRequest, other: Fetch) -> bool:
        """Return whether the request goes on without waiting for another one's response."""
        if request.method == "HEAD" or hash(request.key) in self._passes:
            return True
        return request.went_on_from(other.request)

    def _note(self, key: Key, fetch: Fetch) -> None:
        """Remember whether requests for the key need to wait for each other."""
        if self.memory.has(key):
            self._passes.pop(hash(key), None)
        elif fetch.status:
            self._passes[hash(key)] = None
            if len(self._passes) > _MAX_PASSES:
                self._passes.popitem(last=False)

    # In the background.

    def _refresh(self, request: CachedRequest, entry: Entry, scope: Scope) -> None:
        """Fetch a new response while the old one is used, unless very many are fetched."""
        if request.key in self._refreshing or len(self._refreshing) >= _MAX_REFRESHES:
            return
        asked = _validating(scope, entry)
        asked["method"] = "GET"
        asked["extensions"] = {}
        task = asyncio.get_running_loop().create_task(self._fetch_anew(asked, entry))
        self._refreshing[request.key] = task

        def ended(_: object) -> None:
            self._refreshing.pop(request.key, None)

        task.add_done_callback(ended)

    async def _fetch_anew(self, scope: Scope, entry: Entry) -> None:
        request = CachedRequest(scope)
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # this client never leaves
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            """Drop the response, which the cache has recorded."""

        fetch = self._fetch_of(request, send, _STALE, entry)
        try:
            async with asyncio.timeout(_MAX_REFRESH):
                await self._call(fetch, request, scope, receive)
        except Exception:
            logger.exception("%s could not be fetched anew", request.key[2])
        if 0 < fetch.status < 500 and not fetch.stored:
            self.memory.drop(request.key, entry)  # its new response is for nobody else

    async def _stop(self) -> None:
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._control.stop()

    # Everything else.

    async def _change(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove entries that an unsafe method may have changed."""
        request = CachedRequest(scope)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and 200 <= message["status"] < 400:
                self._invalidate(request.key, message.get("headers") or ())
            await send(message)

        await self.app(scope, receive, watched)

    def _invalidate(self, key: Key, fields: Any) -> None:
        scheme, host, target, front = key
        own = f"{scheme}://{host.decode('latin-1')}{target.decode('latin-1')}"
        targets = {target}
        for name, value in fields:
            if bytes(name).lower() in (b"location", b"content-location"):
                try:
                    text = bytes(value).decode("latin-1")
                    url = urlsplit(urljoin(own, text))
                except ValueError:
                    continue
                if url.netloc.lower().encode("latin-1") == host:
                    path = url.path or "/"
                    # Both functions drop the mark of an empty query, which is in the key.
                    mark = url.query or text.partition("#")[0].endswith("?")
                    query = f"?{url.query}" if mark else ""
                    targets.add(f"{path}{query}".encode("latin-1"))
        for changed in targets:
            for spoken in ("http", "https"):
                self.counters["invalidated"] += self.purge((spoken, host, changed, front))

    def purge(self, key: Key) -> int:
        """Remove the entries of the key, stored or on their way; return their number."""
        for fetch in self._fetches.get(key, ()):
            fetch.give_up()
        return self.memory.remove(key)


def _may_get(request: CachedRequest, entry: Entry) -> bool:
    """Return whether the application would send the stored response to this request, too.

    A page may be another one for a user who is logged in, or a part of itself for a script that
    says so in a field which Vary forgets.
    """
    if entry.freshness.asset:
        return True
    if request.cookies and not entry.freshness.shared:
        return False
    unknown = request.names - request.known
    return not unknown or unknown <= _NOT_THE_SITES.union(entry.vary)


def _too_old(request: CachedRequest, entry: Entry, now: float) -> bool:
    """Return true if the request's max-age or min-fresh rules the entry out (RFC 9111, 5.2.1)."""
    says = request.says
    if not says:
        return False
    most, least = number(says.get(b"max-age")), number(says.get(b"min-fresh"))
    return bool(
        (most is not None and entry.age(now) > most)
        or (least is not None and entry.left(now) < least)
    )


def _validating(scope: Scope, entry: Entry) -> dict[str, Any]:
    """Return the scope of a request that asks whether the entry still holds.

    It carries nothing that would keep the response from being stored: no cookies unless the
    response is for everybody, and no field that the response may not depend on.
    """
    known = CachedRequest(scope).known | set(entry.vary)
    fields = [
        pair
        for pair in scope["headers"]
        if pair[0] in known
        and pair[0] not in _NOT_REPEATED
        and (pair[0] != b"cookie" or entry.freshness.shared)
    ]
    if entry.etag:
        fields.append((b"if-none-match", entry.etag))
    if entry.modified:
        fields.append((b"if-modified-since", entry.modified))
    return {**scope, "headers": fields}


def _without_files(scope: Scope) -> Scope:
    """Return a scope in which the application sends files as content, which can be stored."""
    extensions = scope.get("extensions") or {}
    if "http.response.pathsend" not in extensions:
        return scope
    rest = {name: value for name, value in extensions.items() if name != "http.response.pathsend"}
    return {**scope, "extensions": rest}


async def _gateway_timeout(send: Send) -> None:
    """Answer `only-if-cached` (RFC 9111, 5.2.1.7)."""
    fields = [(b"content-length", b"0"), (b"cache-status", b"headstart; fwd=request; detail=none")]
    await send({"type": "http.response.start", "status": 504, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
