"""What all requests of one middleware share.

The learner, what was sent to which connection and what became of it, and what is known of the
server. `middleware` makes it; `visit`, `watch` and `glance` read and change it while they serve,
`keeper` in between.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headstart.config import DeliverOptions
from headstart.deliver.asgi import Scope
from headstart.deliver.decide import Way
from headstart.deliver.outcome import Push, PushState
from headstart.deliver.request import PageRequest, read_request
from headstart.deliver.seen import Memories, Memory
from headstart.learn import Learner, Request, View
from headstart.middleware.exchange import connection_of
from headstart.middleware.think_times import ThinkTimes
from headstart.reasons import Refusal

logger = logging.getLogger("headstart.middleware")


@dataclass(slots=True)
class Counters:
    """What happened so far, for whoever wants to show it."""

    sent: Counter[Way] = field(default_factory=Counter)
    refused: Counter[Refusal] = field(default_factory=Counter)


class Shared:
    """The learner, what was sent to whom, and what is known of the server.

    Args:
        learner: It.
        options: What to send.
        hint_unmarked: A 103 may go also to clients that send no Sec-Fetch-* at all.
        clock: Seconds since 1970; the same in all workers.
    """

    __slots__ = (
        "_hint_unmarked",
        "_hints_fail",
        "clock",
        "counters",
        "learner",
        "memories",
        "options",
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
        self.options = options
        self.clock = clock
        self.counters = Counters()
        self.memories = Memories()
        self.think_times = ThinkTimes()
        self.under_way: list[tuple[View, Push]] = []
        self._hint_unmarked = hint_unmarked
        self._hints_fail = False
        self.referer = learner.options.referer_header.lower().encode("latin-1")

    def read(self, scope: Scope) -> PageRequest:
        """A page's request, as the decision needs it."""
        page = read_request(scope, hint_unmarked=self._hint_unmarked)
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

    def remember(self, scope: Scope, request: Request) -> None:
        """The client has this now. What matters only where there will be pages to send it with."""
        if self.memories and self.learner.is_viewer(request):
            self.memory_of(scope).add(request.target)

    def settle_pushes(self) -> None:
        """Tell the learner of pushes that the client did not want."""
        going = []
        for view, push in self.under_way:
            if push.state is PushState.RESET:
                self.learner.feedback(view, push.path)
            elif push.state is PushState.SENT:
                going.append((view, push))
        self.under_way = going
