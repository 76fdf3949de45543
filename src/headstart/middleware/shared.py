"""State that all requests of one middleware share.

It holds the learner, the deliveries on each connection and their results, and facts about the
server. `middleware` makes it; `visit`, `watch` and `probe` read and change it while they serve,
`keeper` in between.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace

from headstart.config import DeliverOptions
from headstart.deliver.asgi import Scope
from headstart.deliver.decide import Way
from headstart.deliver.outcome import Push, PushState
from headstart.deliver.request import PageRequest, read_request
from headstart.deliver.seen import Memories, Memory
from headstart.learn import (
    Answer,
    Learner,
    Named,
    Request,
    Trust,
    View,
    refusal,
    trust_in,
    voter_of,
)
from headstart.middleware.diagnosis import Diagnosis
from headstart.middleware.habits import Habits
from headstart.middleware.recorder import Recorder
from headstart.middleware.think_times import ThinkTimes
from headstart.middleware.translation import coding_of, connection_of
from headstart.pages import Capture, PageHead, PageReader
from headstart.reasons import Refusal

logger = logging.getLogger("headstart.middleware")

_NOT_RECEIVED = frozenset((PushState.REFUSED, PushState.FAILED))
_VALIDATORS = frozenset((b"etag", b"last-modified"))
_SIGNS = _VALIDATORS | {b"content-length"}


@dataclass(slots=True)
class DeliveryCounters:
    """Counts of deliveries and refusals since the start, for reports.

    Attributes:
        views: Requests that were answered with a page.
        control_views: Those of them that got nothing so that they can be compared.
        candidates: Assets about which there was a decision.
        sent: Assets that were sent or linked, by way.
        refused: Assets that were not, by reason.
    """

    views: int = 0
    control_views: int = 0
    candidates: int = 0
    sent: Counter[Way] = field(default_factory=Counter)
    refused: Counter[Refusal] = field(default_factory=Counter)


class Shared:
    """The learner, the deliveries, and facts about the server.

    Args:
        learner: The learner.
        options: Options of delivery.
        hint_unmarked: Send a 103 to all clients that send no Sec-Fetch-*.
        clock: Seconds since 1970; the same in all workers.
    """

    __slots__ = (
        "_hint_unmarked",
        "_hints_fail",
        "added_fields",
        "asset_requests",
        "clock",
        "counters",
        "diagnosis",
        "habits",
        "learner",
        "memories",
        "options",
        "plain",
        "reader",
        "recorder",
        "referer",
        "think_times",
        "under_way",
        "viewers",
    )

    def __init__(
        self,
        learner: Learner,
        options: DeliverOptions,
        *,
        hint_unmarked: bool,
        clock: Callable[[], float],
    ) -> None:
        self.learner = learner
        self.viewers = learner.viewers
        self.asset_requests = learner.assets
        self.options = options
        self.reader = PageReader() if learner.options.read_pages else None
        self.clock = clock
        self.counters = DeliveryCounters()
        self.diagnosis = Diagnosis(learner, clock)
        self.memories = Memories()
        self.think_times = ThinkTimes()
        self.habits = Habits()
        self.under_way: list[tuple[View, Push, Memory]] = []
        """Pushes that have not ended, each with the memory of its connection."""
        self.recorder: Recorder | None = None
        """Records the recent past, if somebody wants to look at it."""
        self.plain: dict[int, list[tuple[bytes, bytes]]] = {}
        """Connections -> fields of a request there that says nothing of pages."""
        self.added_fields = 0
        """Bytes of fields that the server adds to each response because it was told to."""
        self._hint_unmarked = hint_unmarked
        self._hints_fail = False
        self.referer = learner.options.referer_header.lower().encode("latin-1")

    def read(self, scope: Scope) -> PageRequest:
        """Read a page's request for the decision."""
        page = read_request(scope, hint_unmarked=self._hint_unmarked)
        if self._hints_fail and page.hint_refusal is None:
            return replace(page, hint_refusal=Refusal.UNSUPPORTED)
        return page

    def give_up_hints(self, error: Exception) -> None:
        """Stop sending 103s: the server offers them, but sends none before the response."""
        if not self._hints_fail:
            self._hints_fail = True
            logger.warning("this server takes no 103 before the response; using Link: %s", error)

    def memory_of(self, scope: Scope) -> Memory:
        """Return the memory of the request's connection, an empty one if connections have no id."""
        connection = connection_of(scope)
        return Memory() if connection is None else self.memories.of(connection)

    def remember(self, connection: Hashable, request: Request) -> None:
        """Remember that the client has an asset, if its connection may ask for pages later.

        Args:
            connection: Identifies the connection, or None if connections have no id.
            request: The asset's.
        """
        if connection is None or not self.memories:
            return
        known = request.connection
        if known in self.viewers if known is not None else self.learner.is_viewer(request):
            self.memories.of(connection).add(request.target)

    def capture(
        self,
        request: Request,
        answer: Answer,
        fields: Iterable[tuple[bytes, bytes]],
        linked: tuple[Named, ...] = (),
    ) -> Capture | None:
        """Return a reader for the body of a page, or None if nothing can be learned from it.

        Args:
            request: The page's request.
            answer: The head of the response.
            fields: The header of the response.
            linked: The assets that the application names beside the page's HTML.
        """
        if self.reader is None:
            return None
        trust = trust_in(request, answer)
        if trust is None:
            return None
        return self.reader.capture(self._head_of(request, answer, fields, trust, linked))

    def capture_sheet(
        self,
        request: Request,
        answer: Answer,
        fields: Iterable[tuple[bytes, bytes]],
    ) -> Capture | None:
        """Return a reader for a stylesheet's body, or None unless it is the same for everybody.

        Args:
            request: The stylesheet's request.
            answer: The head of the response.
            fields: The header of the response.
        """
        if self.reader is None or request.cookies:
            return None
        if refusal(request, answer, self.learner.options.max_url, named=True) is not None:
            return None
        fields = list(fields)
        head = self._head_of(request, answer, fields, Trust.SOLE)
        return self.reader.capture(replace(head, signature=_signature(fields), is_sheet=True))

    def _head_of(
        self,
        request: Request,
        answer: Answer,
        fields: Iterable[tuple[bytes, bytes]],
        trust: Trust,
        linked: tuple[Named, ...] = (),
    ) -> PageHead:
        return PageHead(
            self.clock(),
            request.origin,
            request.target,
            voter_of(request.address),
            trust,
            answer.content_type,
            coding_of(fields),
            answer.size,
            linked,
        )

    def settle_pushes(self) -> None:
        """Tell the learner of pushes that the client did not want or did not get."""
        going = []
        for view, push, memory in self.under_way:
            if push.state is PushState.RESET:
                self.learner.feedback(view, push.path)
            elif push.state in _NOT_RECEIVED:
                if self.learner.withdrawn(view, push.path):
                    memory.discard(push.path)
            elif push.state is PushState.SENT:
                going.append((view, push, memory))
        self.under_way = going


def _signature(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Return a hash of the fields that change with a file, or 0 if it has no validator."""
    found = {name.lower(): value for name, value in fields if name.lower() in _SIGNS}
    return hash(tuple(sorted(found.items()))) if found.keys() & _VALIDATORS else 0
