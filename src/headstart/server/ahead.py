"""Pushes and hints of one HTTP/2 connection.

Reads the applications' pushes and hints; asks the gate of `wire.server`; keeps the result of each
push and the links that wait for the next write. Owned by `http2_streams.Http2Streams`, which calls
the application for a promised request and reports closed streams.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from headstart.config import ServerOptions
from headstart.deliver.asgi import OURS, HeadstartExtension
from headstart.deliver.outcome import Hint, Push
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.reasons import Refusal
from headstart.server.cycle import Cycle, Message, Scope
from headstart.server.refusals import Refusals
from headstart.server.scope import Scopes, watched_fields
from headstart.wire.events import Fields, RequestReceived, RequestTemplate
from headstart.wire.fields import checked_fields
from headstart.wire.responses import is_unchangeable
from headstart.wire.server import ServerConnection

# ASGI gives push paths decoded; what may stand in a target stays, a fragment never does.
_TARGET_SAFE = "/?%:@!$&'()*+,;=-._~"
# Applications push the same few paths again and again.
_REMEMBERED = 256
# RFC 9113, 6.5.2: a field counts for so many octets besides its own.
_FIELD_OVERHEAD = 32


class _Common:
    """The common part of one page's pushes, for each view of it.

    Attributes:
        page: The request of its first view.
        method: Of the promised requests.
        fields: Of the promised requests, as the gate takes them.
        template: For the promised requests.
    """

    __slots__ = ("_given", "fields", "method", "page", "template")

    def __init__(self, page: RequestReceived, method: str, given: Any, scheme: bytes) -> None:
        self.page = page
        self.method = method
        self.fields = [(name.lower(), value) for name, value in given]
        if not any(name == b"referer" for name, _ in self.fields):
            self.fields.append((b"referer", scheme + b"://" + page.authority + page.target))
        headers = ((b"host", page.authority), *self.fields)
        self.template = RequestTemplate(method, page.authority, headers, 0)
        self._given = given.copy() if is_unchangeable(given) else None

    def is_of(self, page: RequestReceived, method: str, given: object) -> bool:
        """Return true if a push with these properties has this common part."""
        known = self.page
        return (
            method == self.method
            and given == self._given
            and (
                page is known or (page.target == known.target and page.authority == known.authority)
            )
        )


class Ahead:
    """The pushes and hints of one connection.

    Attributes:
        links: Streams -> links that go out with the next write.
        alive: Calls of the application for promised requests.
        used: Anything was ever sent ahead; if not, there is nothing to forget.
    """

    def __init__(
        self,
        wire: ServerConnection,
        scopes: Scopes,
        options: ServerOptions,
        refusals: Refusals,
    ) -> None:
        self._wire = wire
        self._refusals = refusals
        self._scopes = scopes
        self._options = options
        self._scheme = scopes.scheme.encode("ascii")
        self._pushes: dict[int, Push] = {}
        """Promised streams that have not closed -> what the application knows of them."""
        self._hinted: set[int] = set()
        """Streams that had their 103 and have not closed."""
        self._last_common: _Common | None = None
        self.links: dict[int, Fields] = {}
        self.alive = 0
        self.used = False

    def push(self, cycle: Cycle, message: Message) -> RequestReceived | None:
        """Promise the application's push; return the promised request, if it was sent."""
        push = message.get("headstart")
        if not isinstance(push, Push):
            push = Push(message["path"])
        _note(push, cycle.scope["extensions"])
        outcome = self._promise(cycle.request, message)
        if isinstance(outcome, Refusal):
            push.refuse(outcome)
            self._refusals.push(outcome, push.path)
            return None
        self.used = True
        self._refusals.counters.promises += 1
        push.mark_sent(outcome.stream_id)
        self._pushes[outcome.stream_id] = push
        return outcome

    def _promise(self, page: RequestReceived, message: Message) -> Refusal | RequestReceived:
        if not self._options.push:
            return Refusal.UNSUPPORTED
        if self.alive >= self._options.limits.max_concurrent_streams:
            return Refusal.TOO_MANY
        common = self._common(page, message)
        target = push_target(message["path"], self._scopes.raw_root)
        outcome = self._wire.promise(
            page.stream_id,
            common.method,
            self._scheme,
            page.authority,
            target,
            common.fields,
            # What was learned goes to anybody, so it never carries what is one user's.
            credentials=not message.get("learned", False),
            urgency=message.get("urgency", 0),
        )
        if isinstance(outcome, Refusal):
            return outcome
        template = common.template
        return RequestReceived(
            outcome,
            template.method,
            target,
            template.authority,
            list(template.headers),
            True,
            template,
        )

    def _common(self, page: RequestReceived, message: Message) -> _Common:
        """Return the common part of this push and others of its page, mostly the last one."""
        method, given = message.get("method", "GET"), message.get("headers") or []
        common = self._last_common
        if common is not None and common.is_of(page, method, given):
            return common
        self._last_common = common = _Common(page, method, given, self._scheme)
        return common

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Hold the links until this turn of the loop ends: browsers read one 103 only.

        Raises:
            LocalProtocolError: A link has a character that HTTP forbids.
        """
        hint = message.get("headstart")
        if not isinstance(hint, Hint):
            hint = Hint()
        links = checked_fields([(b"link", bytes(link)) for link in message["links"]], [])
        refusal = Refusal.RESPONSE_STARTED if started else self._hint_refusal(cycle.request, links)
        if refusal is not None:
            hint.refuse(refusal)
            self._refusals.push(refusal, cycle.scope["path"])
            return
        self.used = hint.sent = True
        self.links.setdefault(cycle.request.stream_id, []).extend(links)

    def _hint_refusal(self, request: RequestReceived, links: Fields) -> Refusal | None:
        stream_id = request.stream_id
        if not links:
            return Refusal.NO_LINKS
        if stream_id % 2 == 0:
            return Refusal.UNSUPPORTED
        held = self.links.get(stream_id)
        if held is None and stream_id in self._hinted:
            return Refusal.ALREADY_HINTED
        size = sum(len(value) + _FIELD_OVERHEAD for _, value in links + (held or []))
        if size > self._options.limits.max_hint_size:
            return Refusal.TOO_LARGE
        return self._scopes.hint_refusal(request, watched_fields(request))

    def send_links(self, stream_id: int) -> None:
        """Send the 103 that is held for a stream, if there is one."""
        links = self.links.pop(stream_id, None)
        if links:
            self._hinted.add(stream_id)
            try:
                self._wire.inform(stream_id, 103, links)
            except StreamGoneError:
                return  # reset, or the whole connection closed, while the links were held
            self._refusals.counters.early_hints += 1

    def promise_failed(self, stream_id: int, refusal: Refusal) -> None:
        """Record that a queued promise could not be sent."""
        push = self._pushes.pop(stream_id, None)
        if push is not None:
            push.refuse(refusal)
            self._refusals.push(refusal, push.path)

    def stream_closed(self, stream_id: int, error_code: int) -> None:
        """Forget a stream, and say how its push ended."""
        push = self._pushes.pop(stream_id, None)
        if push is not None:
            push.mark_ended(reset=bool(error_code))
        elif self._hinted or self.links:
            self.links.pop(stream_id, None)
            self._hinted.discard(stream_id)

    def connection_lost(self) -> None:
        """Record that pushes on their way do not arrive."""
        for push in self._pushes.values():
            push.mark_ended(reset=True)
        self._pushes.clear()
        self.links.clear()


def _note(push: Push, extensions: Scope) -> None:
    """Put a push where the application finds it; most requests have none, and share the rest."""
    ours: HeadstartExtension = extensions[OURS]
    if isinstance(ours["pushes"], list):
        ours["pushes"].append(push.record)
    else:
        extensions[OURS] = {**ours, "pushes": [push.record]}


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
