"""The requests that pages' pushes promise, kept from one view of a page to the next.

A page pushes the same assets to everybody, with the same few fields. Those are checked and put
together once: the common part of a page's pushes is a `PushTemplate`, which has a `PromisedRequest`
for each asset. Pure. Each `worker.Worker` owns one `PushTemplates` for all of its connections;
`ahead` asks for requests, and `stored` keeps beside them where their responses are stored.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote
from weakref import ref

from headstart.cache.memory import Entry
from headstart.cache.requests import CachedRequest, Key
from headstart.errors import LocalProtocolError
from headstart.wire.events import RequestReceived, RequestTemplate
from headstart.wire.promises import PromiseHead, PromiseHeads
from headstart.wire.responses import is_unchangeable

# ASGI gives push paths decoded; what may stand in a target stays, a fragment never does.
_TARGET_SAFE = "/?%:@!$&'()*+,;=-._~"
# Applications push the same few paths again and again.
_REMEMBERED = 256
# All pages together take about 2 MB at most, whatever clients ask for.
_MOST_TEMPLATES: Final = 64
_MOST_REQUESTS: Final = 32
_MOST_BYTES: Final = 1024
_LONGEST_PATH: Final = 256
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie"})

_Name: TypeAlias = tuple[object, ...]


class PromisedRequest:
    """A request as it is promised on any connection.

    Attributes:
        head: Its header section.
        template: Its common part.
        key: Of stored responses to it; None until somebody looks for one.
        stored: The stored response that answered it last, as long as it lives.
    """

    __slots__ = ("head", "key", "stored", "template")

    def __init__(self, head: PromiseHead, template: PushTemplate) -> None:
        self.head = head
        self.template = template
        self.key: Key | None = None
        self.stored: ref[Entry] | None = None

    def on(self, stream_id: int) -> RequestReceived:
        """Return the request as it re-enters the server, on its promised stream."""
        request, head = self.template.request, self.head
        return RequestReceived(
            stream_id,
            request.method,
            head.target,
            head.authority,
            list(request.headers),
            True,
            request,
        )


class PushTemplate:
    """The common part of one page's pushes, for each view of it.

    Args:
        page: The request of its first view.
        method: Of the promised requests.
        given: Their fields, as the application gives them.
        credentials: They may carry credentials.
        scheme: Of the connection.
        root: The root path.

    Attributes:
        method, credentials: The arguments.
        given: A copy of the argument; None if its content may change.
        request: The common part of the promised requests.
        looked_up: Whether `asks` was worked out.
        asks: A promised request as the cache sees it; None if such a request needs a call.

    Raises:
        LocalProtocolError: A field could not be sent at all.
    """

    __slots__ = (
        "_heads",
        "_requests",
        "_root",
        "asks",
        "credentials",
        "given",
        "looked_up",
        "method",
        "request",
    )

    def __init__(
        self,
        page: RequestReceived,
        method: str,
        given: Any,
        credentials: bool,
        scheme: bytes,
        root: bytes,
    ) -> None:
        self.method = method
        self.credentials = credentials
        self._root = root
        fields = [(name.lower(), value) for name, value in given]
        if not any(name == b"referer" for name, _ in fields):
            fields.append((b"referer", scheme + b"://" + page.authority + page.target))
        self._heads = PromiseHeads(method, scheme, page.authority, fields, credentials=credentials)
        self.given = given.copy() if is_unchangeable(given) else None
        self._requests: dict[str, PromisedRequest] = {}
        self.request = RequestTemplate(
            method, page.authority, ((b"host", page.authority), *fields), 0
        )
        self.looked_up = False
        self.asks: CachedRequest | None = None

    def request_for(self, path: str) -> PromisedRequest:
        """Return the request for an asset.

        Raises:
            LocalProtocolError: The path has half of a surrogate pair, which no URL can say.
        """
        found = self._requests.get(path)
        if found is None:
            found = PromisedRequest(self._heads.of(push_target(path, self._root)), self)
            if len(path) <= _LONGEST_PATH and len(self._requests) < _MOST_REQUESTS:
                self._requests[path] = found
        return found


class PushTemplates:
    """The common parts of the pushes of several pages; those not used for longest go first."""

    def __init__(self) -> None:
        self._templates: dict[_Name, PushTemplate] = {}

    def of(
        self,
        page: RequestReceived,
        method: str,
        given: Any,
        credentials: bool,
        scheme: bytes,
        root: bytes,
    ) -> PushTemplate:
        """Return the common part of a page's pushes; arguments as of `PushTemplate`.

        Raises:
            LocalProtocolError: A field could not be sent at all.
        """
        if not _may_be_shared(page, given):
            return PushTemplate(page, method, given, credentials, scheme, root)
        name = (page.target, page.authority, method, credentials, scheme, root, *given)
        found = self._templates.pop(name, None)
        if found is None:
            found = PushTemplate(page, method, given, credentials, scheme, root)
            if len(self._templates) >= _MOST_TEMPLATES:
                del self._templates[next(iter(self._templates))]
        self._templates[name] = found
        return found

    def __len__(self) -> int:
        return len(self._templates)


def _may_be_shared(page: RequestReceived, given: Any) -> bool:
    """Return true if the pushes carry nothing secret, and not too much to be kept."""
    if not is_unchangeable(given) or not all(len(pair) == 2 for pair in given):
        return False
    size = len(page.target) + len(page.authority)
    size += sum(len(name) + len(value) for name, value in given)
    return size <= _MOST_BYTES and _CREDENTIALS.isdisjoint(name.lower() for name, _ in given)


@lru_cache(_REMEMBERED)
def push_target(path: str, root: bytes) -> bytes:
    """Return the target to promise for an ASGI path, which is decoded and has the root path.

    Raises:
        LocalProtocolError: Half of a surrogate pair, which no URL can say.
    """
    try:
        target = quote(path.partition("#")[0], safe=_TARGET_SAFE).encode("ascii")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{path!r} is not valid text") from error
    # On the wire, the root path was taken away before us.
    return target[len(root) :] if root and target.startswith(root + b"/") else target
