"""Fetch a page and its assets, each as soon as it is known to be needed.

Follows a browser over HTTP/2: one connection per origin, all requests at once, important ones
first and marked as such (RFC 9218). Links of a 103 are fetched as soon as it comes; pushed
resources are not requested. Responses are read and discarded, except for the links of documents
and stylesheets. Uses the session's connections; called by `command`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin, split_url
from headstart.client.response import AsyncResponse
from headstart.errors import HeadstartError
from headstart.h2c.daemon.load import links
from headstart.h2c.daemon.load.links import Preconnect
from headstart.h2c.daemon.load.resource import (
    Early,
    Kind,
    Load,
    Opened,
    Resource,
    Want,
    Way,
    resolve,
)
from headstart.h2c.daemon.requesting import location_of
from headstart.h2c.daemon.session import Session
from headstart.h2c.options.connections import Trust
from headstart.wire.events import Fields

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Fetch, 4.5: a browser shows an error then.
_MOST_REDIRECTIONS = 20
# How Chromium marks them (RFC 9218, 4): urgency, and whether a part of it is of use already.
_PRIORITIES = {
    Kind.DOCUMENT: b"u=0, i",
    Kind.STYLE: b"u=0",
    Kind.SCRIPT: b"u=1",
    Kind.FONT: b"u=1",
    Kind.IMAGE: b"u=5, i",
    Kind.OTHER: b"u=3",
}
_ACCEPTED = {
    Kind.DOCUMENT: b"text/html,application/xhtml+xml,*/*;q=0.8",
    Kind.STYLE: b"text/css,*/*;q=0.1",
    Kind.IMAGE: b"image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8",
}
# Fetch Metadata: what is fetched with CORS whatever the page says.
_WITH_CORS = frozenset({Kind.FONT, Kind.OTHER})
_ORDER = list(Kind)
# Origins of `preconnect`: a page may name thousands, and each costs a socket.
_MOST_PRECONNECTED = 30
# Fields that a browser sends to every site.
_FOR_ALL = frozenset({b"user-agent", b"accept-language"})


Keep: TypeAlias = Callable[[Origin, str, Fields, AsyncResponse, bytes], None]
"""Takes a whole response: its origin and target, its request's fields, and its content."""


class TooMuchError(HeadstartError):
    """The bound on bytes is reached."""


class RedirectError(HeadstartError):
    """The redirections of a resource do not end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to fetch a page.

    Attributes:
        fields: Headers of each request to the page's origin; they replace a browser's.
        use_hints: Fetch resources named by a 103 or a Link header.
        max_bytes: Limit on the bytes of all contents together.
    """

    fields: tuple[tuple[bytes, bytes], ...]
    trust: Trust
    timeout: float
    use_pushes: bool
    use_hints: bool
    max_resources: int
    max_bytes: int


class Loader:
    """Load a page. As a context manager, it waits at the end until everything has arrived.

    Args:
        url: The page's URL.
        keep: Called with a response that a 103 named, if a cache may keep it.

    Attributes:
        result: The responses.
        problem: Why the page itself failed; None if it did not.
    """

    def __init__(
        self, session: Session, settings: Settings, url: str, keep: Keep | None = None
    ) -> None:
        self._session = session
        self._keep = keep
        self._settings = settings
        self._tasks = asyncio.TaskGroup()
        self._is_open = False
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._known: dict[str, Resource] = {}
        self._held: defaultdict[str, list[Want]] = defaultdict(list)
        """What is linked by what a 103 named: it is wanted once that is used."""
        self._families: set[str] = set()
        """The families that rules name."""
        self._faces: list[tuple[Resource, Want]] = []
        """Fonts whose family no rule names so far, each with its stylesheet."""
        self._again: dict[str, Want] = {}
        """What the page wants of that which a 103 named and which is still under way."""
        self._redirections: dict[str, list[str]] = {}
        """URLs that responses redirected to -> those that led there, the first one first."""
        self._connections: dict[Origin, Http2ClientConnection] = {}
        self._preconnected: set[Origin] = set()
        self._size = 0
        self._origin = str(split_url(url)[0])
        self.result = Load(url)
        self.problem: HeadstartError | None = None

    async def __aenter__(self) -> Loader:
        await self._tasks.__aenter__()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        except BaseExceptionGroup:
            if error is None:
                raise
            return  # the body's own error, which goes on, and what ended because of it
        finally:
            self._is_open = False
        await self._count_unused_pushes()

    def page(self) -> None:
        """Begin with the page, which brings all else."""
        self.want([Want(self.result.url, Kind.DOCUMENT, "")])

    def want(self, found: Iterable[Want]) -> None:
        """Fetch resources that are not fetched yet, in order of importance."""
        for wanted in sorted(found, key=lambda wanted: _ORDER.index(wanted.kind)):
            known = self._known.get(wanted.url)
            if known is None:
                self._begin(wanted)
            elif not wanted.hinted:
                self._reuse(known, wanted)

    def informed(self, url: str, status: int, fields: Fields) -> None:
        """Handle an informational response to the page at this URL."""
        if status == 103 and self._is_open:
            named = links.links_of_headers(fields, url, early=True)
            urls = tuple(one.url for one in named)
            ignored = tuple(links.ignored_links(fields, url))
            self.result.early.append(Early(self._now(), urls, ignored))
            self._follow(named)

    def _now(self) -> float:
        return self._loop.time() - self._began

    def _follow(self, named: Iterable[Want | Preconnect]) -> None:
        if not self._settings.use_hints:
            return
        wanted: list[Want] = []
        for one in named:
            if isinstance(one, Preconnect):
                self._tasks.create_task(self._preconnect(one.url))
            else:
                wanted.append(one)
        self.want(wanted)

    async def _preconnect(self, url: str) -> None:
        origin, _ = split_url(url)
        assert origin is not None
        if origin not in self._preconnected and len(self._preconnected) >= _MOST_PRECONNECTED:
            return
        self._preconnected.add(origin)
        try:
            await self._connection(origin)
        except HeadstartError:
            return  # nobody asked for anything there yet; who does is told

    def _begin(self, wanted: Want) -> None:
        if len(self.result.resources) >= self._settings.max_resources:
            self.result.skipped.append(wanted.url)
            return
        way = Way.HINT if wanted.hinted else Way.REQUEST
        resource = Resource(wanted.url, wanted.kind, wanted.initiator, way, self._now())
        resource.used = not wanted.hinted
        self._known[wanted.url] = resource
        self.result.resources.append(resource)
        self._tasks.create_task(self._fetch(wanted, resource))

    def _reuse(self, known: Resource, wanted: Want) -> None:
        """Reuse a hinted response for the page, or fetch it again if no cache may keep it."""
        if known.used:
            return
        if known.ended is None and not known.error:
            self._again[wanted.url] = wanted
        elif known.reusable and not known.error:
            known.used = True
            self.want(self._held.pop(known.url, ()))
        else:
            self._begin(wanted)

    async def _fetch(self, wanted: Want, resource: Resource) -> None:
        try:
            await self._transfer(wanted, resource)
        except HeadstartError as error:
            resource.error = str(error)
            if wanted.kind is Kind.DOCUMENT:
                self.problem = error
        again = self._again.pop(wanted.url, None)
        if again is not None:
            self._reuse(resource, again)

    async def _transfer(self, wanted: Want, resource: Resource) -> None:
        origin, target = split_url(wanted.url)
        assert origin is not None
        connection = await self._connection(origin)
        resource.origin, resource.started = str(origin), self._now()
        fields = self._fields(wanted)
        response = await connection.request(
            "GET",
            target,
            fields,
            timeout=self._settings.timeout,
            use_pushes=self._settings.use_pushes,
            informed=lambda status, fields: (
                self.informed(wanted.url, status, fields) if wanted.kind is Kind.DOCUMENT else None
            ),
        )
        async with response:
            self._note(resource, response)
            self._follow_response(wanted, response)
            body = await self._read(wanted, resource, response)
        resource.ended = self._since(response.times.ended)
        if wanted.early:
            resource.reusable = links.is_reusable(response.headers.raw, response.status_code)
            if self._keep is not None and resource.reusable and not response.from_push:
                self._keep(origin, target, fields, response, body)

    def _note(self, resource: Resource, response: AsyncResponse) -> None:
        """Record the response's status and headers."""
        resource.status, resource.stream = response.status_code, response.stream_id
        resource.media_type = links.essence(response.headers.get("content-type", ""))
        resource.responded = self._since(response.times.responded)
        if response.from_push:
            resource.way, resource.used = Way.PUSH, True
            # Pushed before this load, it was here from the start.
            resource.started = max(self._since(response.times.started) or 0.0, 0.0)
            resource.responded = max(resource.responded or 0.0, 0.0)

    def _since(self, at: float | None) -> float | None:
        return None if at is None else max(at - self._began, 0.0)

    def _follow_response(self, wanted: Want, response: AsyncResponse) -> None:
        """Return the resources that a response's headers lead to."""
        if response.status_code in _REDIRECTS and (location := location_of(response.headers.raw)):
            target = resolve(wanted.url, location)
            if target is not None:
                self._redirect(wanted, target)
        elif wanted.kind is Kind.DOCUMENT:
            self._follow(links.links_of_headers(response.headers.raw, wanted.url, early=False))

    def _redirect(self, wanted: Want, target: str) -> None:
        """Go where a response leads, unless that has no end.

        Raises:
            RedirectError: It leads back to where it came from, or on and on.
        """
        chain = self._redirections[target] = [*self._redirections.get(wanted.url, ()), wanted.url]
        if target in chain:
            raise RedirectError(f"the redirections lead back to {target}")
        if len(chain) > _MOST_REDIRECTIONS:
            raise RedirectError(f"there are more than {_MOST_REDIRECTIONS} redirections")
        self.want([Want(target, wanted.kind, wanted.url)])

    async def _read(self, wanted: Want, resource: Resource, response: AsyncResponse) -> bytes:
        """Read all of it; returns it if somebody keeps it."""
        kept = bytearray()
        kind = response.headers.get("content-type", "")
        encoding = response.headers.get("content-encoding", "")
        reader = links.reader_of(wanted.url, wanted.kind, kind, encoding)
        async for data in response.aiter_bytes():
            resource.size += len(data)
            self._size += len(data)
            if self._size > self._settings.max_bytes:
                raise TooMuchError("the page and what it needs are larger than --max-bytes")
            if self._keep is not None:
                kept += data
            await self._read_links(resource, reader, data)
        await self._read_links(resource, reader, b"", final=True)
        return bytes(kept)

    async def _read_links(
        self, resource: Resource, reader: links.Reader, data: bytes, *, final: bool = False
    ) -> None:
        """Find links in the content.

        Reading a megabyte takes a second, and a few bytes of gzip can expand to one. Other commands
        wait for this thread.
        """
        if isinstance(reader, links.Nothing):
            return
        found = await asyncio.to_thread(reader.feed, data, final=final)
        faces = [(resource, one) for one in found if one.family]
        self._found(resource, [one for one in found if not one.family])
        if faces or not reader.families <= self._families:
            self._families |= reader.families
            self._faces += faces
            self._use_faces()

    def _use_faces(self) -> None:
        """Fetch the fonts whose family is used by now; the others wait for a rule that uses it."""
        used = [pair for pair in self._faces if pair[1].family in self._families]
        self._faces = [pair for pair in self._faces if pair[1].family not in self._families]
        for resource, face in used:
            self._found(resource, [face])

    def _found(self, resource: Resource, found: list[Want]) -> None:
        if resource.used:
            self.want(found)
        else:
            self._held[resource.url] += found

    def _fields(self, wanted: Want) -> Fields:
        """Return the headers that a browser would send, replaced by the user's."""
        fields = [
            (b"accept", _ACCEPTED.get(wanted.kind, b"*/*")),
            (b"accept-encoding", b"gzip, deflate"),
            (b"priority", _PRIORITIES[wanted.kind]),
            *_metadata(wanted),
        ]
        said = list(self._settings.fields)
        if str(split_url(wanted.url)[0]) != self._origin:
            # What the user says to one site, a cookie say, is not for others that it links.
            said = [field for field in said if field[0] in _FOR_ALL]
        named = {name for name, _ in said}
        return [*said, *(field for field in fields if field[0] not in named)]

    async def _connection(self, origin: Origin) -> Http2ClientConnection:
        """Return the connection to an origin; connect if there is none."""
        began = self._now()
        link = await self._session.use(
            origin,
            self._settings.trust,
            self._settings.timeout,
            make_current=str(origin) == self._origin,
        )
        connection = link.connection
        if self._connections.get(origin) is not connection:
            self._connections[origin] = connection
            if connection.connected_at >= self._began:
                self.result.connections.append(Opened(str(origin), began, self._now()))
        return connection

    async def _count_unused_pushes(self) -> None:
        """Count the responses pushed during the load that stay for the next `get`."""
        for origin, connection in self._connections.items():
            for pushed in connection.pushes.listing(connection.now()):
                promised = connection.connected_at + pushed.promised_at - self._began
                url = f"{origin}{pushed.target.decode('latin-1')}"
                resource = Resource(url, Kind.OTHER, "", Way.PUSH, promised)
                resource.origin, resource.stream = str(origin), pushed.stream_id
                resource.status, resource.size = pushed.status, pushed.size
                resource.media_type, resource.used = links.essence(pushed.content_type), False
                if promised >= 0:
                    self.result.resources.append(resource)


def _metadata(wanted: Want) -> Fields:
    """Fetch Metadata, and the page as the referrer."""
    if wanted.kind is Kind.DOCUMENT:
        return [(b"sec-fetch-dest", b"document"), (b"sec-fetch-mode", b"navigate")]
    destination = b"empty" if wanted.kind is Kind.OTHER else wanted.kind.value.encode()
    mode = b"cors" if wanted.kind in _WITH_CORS else b"no-cors"
    fields = [(b"sec-fetch-dest", destination), (b"sec-fetch-mode", mode)]
    if split_url(wanted.initiator)[0] == split_url(wanted.url)[0]:
        # Elsewhere a browser tells the origin only.
        referer = wanted.initiator.encode("ascii", "ignore")
        fields += [(b"sec-fetch-site", b"same-origin"), (b"referer", referer)]
    return fields
