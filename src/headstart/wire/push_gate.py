"""The push gate of one connection: a list of early refusals, each with its reason, as in h2o.

Reads the requests of pages and the client's limit on pushes; sends PUSH_PROMISE by the engine, and
remembers the promises whose streams have not closed. Each `wire.server.ServerConnection` owns one
`PushGate`, and tells it of closed streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import ngh2

from headstart.config import WireLimits
from headstart.reasons import Refusal
from headstart.wire.promises import PromiseHead

# RFC 9218, 4.1: 3 is the default, 7 the lowest.
_LOWEST_URGENCY: Final = 7
_PRIORITIES: Final = tuple(ngh2.Priority(urgency) for urgency in range(_LOWEST_URGENCY + 1))


class PushGate:
    """The promises of one connection.

    Args:
        engine: The connection's.
        streams: Streams that the client opened -> authority, b"" once our response has ended.
        limits: Limits on promises.

    Attributes:
        targets: A page's stream -> the targets promised on it.
        pushed: Promised streams that have not closed.
        page: The page that was last asked for its urgency; 0 when it may have changed.
    """

    __slots__ = (
        "_behind",
        "_engine",
        "_limits",
        "_longest_target",
        "_most_on_page",
        "_most_pushed",
        "_streams",
        "page",
        "pushed",
        "targets",
    )

    def __init__(
        self, engine: ngh2.Connection, streams: Mapping[int, bytes], limits: WireLimits
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._limits = limits
        self._most_on_page = limits.max_pushes_per_request
        self._longest_target = limits.max_target_size
        # RFC 9113, 6.5.2: no limit until the client says one.
        self._most_pushed = limits.max_concurrent_streams
        """Promised streams that may be open at once."""
        self._behind = 0
        """The highest urgency behind that of `page`."""
        self.page = 0
        self.targets: dict[int, set[bytes]] = {}
        # A dict would be made anew for every five promises.
        self.pushed: set[int] = set()

    def limit(self, most: int) -> None:
        """Take the client's MAX_CONCURRENT_STREAMS."""
        self._most_pushed = min(most, self._limits.max_concurrent_streams)

    def promise(self, parent_id: int, head: PromiseHead, urgency: int) -> int | Refusal:
        """Promise a response on the page's stream; see `ServerConnection.promise`."""
        own = self._streams.get(parent_id)
        if not own:
            return Refusal.PARENT_CLOSED if parent_id % 2 else Refusal.PUSHED_PARENT
        if head.unfit is not None:
            return head.unfit
        if head.authority != own:
            return Refusal.FOREIGN_AUTHORITY
        target = head.target
        if not head.is_path or len(target) > self._longest_target:
            return Refusal.BAD_PATH
        targets = self.targets.get(parent_id)
        if targets is None:
            targets = set()  # kept once something is promised
        elif target in targets:
            return Refusal.ALREADY_PUSHED
        pushed = self.pushed
        # Reserved streams do not count against MAX_CONCURRENT_STREAMS (RFC 9113, 5.1.2), so a
        # server could promise without end; counting them as open bounds that too.
        if len(targets) >= self._most_on_page or len(pushed) >= self._most_pushed:
            return Refusal.TOO_MANY
        try:
            promised_id = self._engine.send_push_promise(parent_id, head.fields)
        except ngh2.NGH2Error:
            return Refusal.PARENT_CLOSED
        if not targets:
            self.targets[parent_id] = targets
        targets.add(target)
        pushed.add(promised_id)
        # The pushed response waits behind the page's own (RFC 9218, 10).
        behind = self._behind if parent_id == self.page else self._urgency_behind(parent_id)
        if urgency < behind:
            urgency = behind
        elif urgency > _LOWEST_URGENCY:
            urgency = _LOWEST_URGENCY
        self._engine.set_stream_priority(promised_id, _PRIORITIES[urgency])
        return promised_id

    def _urgency_behind(self, parent_id: int) -> int:
        """Return the highest urgency below the page's own; noted until the client sends another
        one.
        """
        page = self._engine.get_stream_priority(parent_id)
        self.page = parent_id
        self._behind = _LOWEST_URGENCY if page is None else min(page.urgency + 1, _LOWEST_URGENCY)
        return self._behind
