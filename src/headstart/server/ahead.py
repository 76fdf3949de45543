"""Pushes and hints of one HTTP/2 connection.

Reads the applications' pushes and hints; asks the gate of `wire.server`; keeps the result of each
push and the links that wait for the next write. Owned by `http2_streams.Http2Streams`, which calls
the application for a promised request and reports closed streams.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from headstart.config import ServerOptions
from headstart.deliver.asgi import OURS, HeadstartExtension
from headstart.deliver.outcome import Hint, Push
from headstart.errors import StreamGoneError
from headstart.reasons import Refusal
from headstart.server.cycle import Cycle, Message, Scope
from headstart.server.promised import PromisedRequest, PushTemplate, PushTemplates
from headstart.server.refusals import Refusals
from headstart.server.scope import Scopes
from headstart.wire.events import Fields, RequestReceived, StreamSet
from headstart.wire.fields import checked_fields
from headstart.wire.server import ServerConnection

logger = logging.getLogger("headstart.server")

# RFC 9113, 6.5.2: a field counts for so many octets besides its own.
_FIELD_OVERHEAD = 32


class Ahead:
    """The pushes and hints of one connection.

    Attributes:
        pushes: Promised streams that have not closed -> the `Push` of each.
        links: Streams -> links that go out with the next write.
        alive: Calls of the application for promised requests.
    """

    def __init__(
        self,
        wire: ServerConnection,
        scopes: Scopes,
        options: ServerOptions,
        refusals: Refusals,
        templates: PushTemplates,
    ) -> None:
        self._wire = wire
        self._refusals = refusals
        self._counters = refusals.counters
        self._scopes = scopes
        self._templates = templates
        self._options = options
        self._scheme = scopes.scheme.encode("ascii")
        self._hinted: StreamSet = {}
        """Streams that had their 103 and have not closed."""
        self._pushes_at_all = options.push
        self._most_alive = options.limits.max_concurrent_streams
        self._last_page: RequestReceived | None = None
        self._last_template: PushTemplate | None = None
        """That of the last push, on the last page."""
        self._records: list[Mapping[str, str | None]] = []
        """The last page's pushes, where its application finds them."""
        self.pushes: dict[int, Push] = {}
        self.links: dict[int, Fields] = {}
        self.alive = 0

    def push(self, cycle: Cycle, message: Message) -> tuple[int, PromisedRequest] | None:
        """Promise the application's push.

        Returns:
            The promised stream and request, if the promise was sent.

        Raises:
            LocalProtocolError: The path or a field could not be sent at all.
        """
        push = message.get("headstart")
        if not isinstance(push, Push):
            push = Push(message["path"])
        page = cycle.request
        if page is not self._last_page:
            self._last_page, self._last_template = page, None
            self._records = _records_of(cycle.scope["extensions"])
        self._records.append(push.record)
        outcome: int | Refusal
        if not self._pushes_at_all:
            outcome = Refusal.UNSUPPORTED
        elif self.alive >= self._most_alive:
            outcome = Refusal.TOO_MANY
        else:
            promised = self._template(page, message).request_for(message["path"])
            urgency = message.get("urgency", 0)
            outcome = self._wire.promise(page.stream_id, promised.head, urgency)
            if type(outcome) is int:
                self._counters.promises += 1
                push.mark_sent(outcome)
                self.pushes[outcome] = push
                return outcome, promised
        assert isinstance(outcome, Refusal)
        push.refuse(outcome)
        self._refusals.push(outcome, push.path)
        return None

    def _template(self, page: RequestReceived, message: Message) -> PushTemplate:
        """Return the common part of this push and others of its page, mostly the last one."""
        method, given = message.get("method", "GET"), message.get("headers") or []
        # What was learned goes to anybody, so it never carries what is one user's.
        credentials = not message.get("learned", False)
        last = self._last_template
        if (
            last is not None
            and given == last.given
            and method == last.method
            and credentials is last.credentials
        ):
            return last
        self._last_template = template = self._templates.of(
            page, method, given, credentials, self._scheme, self._scopes.raw_root
        )
        return template

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
        hint.sent = True
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
        return self._scopes.hint_refusal(request)

    def send_links(self, stream_id: int) -> None:
        """Send the 103 that is held for a stream, if there is one."""
        links = self.links.pop(stream_id, None)
        if links:
            self._hinted[stream_id] = None
            try:
                self._wire.inform(stream_id, 103, links)
            except StreamGoneError:
                return  # reset, or the whole connection closed, while the links were held
            self._refusals.counters.early_hints += 1
            logger.debug(
                "103 sent on stream %d: %s",
                stream_id,
                b", ".join(value for _, value in links).decode("latin-1"),
            )

    def promise_failed(self, stream_id: int, refusal: Refusal) -> None:
        """Record that a queued promise could not be sent, or was taken back."""
        push = self.pushes.pop(stream_id, None)
        if push is not None:
            push.refuse(refusal)
            self._refusals.push(refusal, push.path)

    def stream_reset(self, stream_id: int) -> None:
        """Say of a push that its client does not want it."""
        push = self.pushes.pop(stream_id, None)
        if push is not None:
            push.mark_reset()

    def stream_closed(self, stream_id: int, error_code: int) -> None:
        """Forget a stream, and say how its push ended."""
        push = self.pushes.pop(stream_id, None)
        if push is not None:
            if error_code:
                push.mark_failed()
            else:
                push.mark_finished()
        elif self._hinted or self.links:
            self.links.pop(stream_id, None)
            self._hinted.pop(stream_id, None)

    def connection_lost(self) -> None:
        """Record that pushes on their way do not arrive."""
        for push in self.pushes.values():
            push.mark_failed()
        self.pushes.clear()
        self.links.clear()


def _records_of(extensions: Scope) -> list[Mapping[str, str | None]]:
    """Return where an application finds its pushes; most requests have none, and share the rest."""
    ours: HeadstartExtension = extensions[OURS]
    records = ours["pushes"]
    if not isinstance(records, list):
        records = []
        extensions[OURS] = {**ours, "pushes": records}
    return records
