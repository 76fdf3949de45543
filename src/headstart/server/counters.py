"""Count each reason: plain numbers of one worker, for a page of metrics to read.

`Refusals` counts here, and `admission` the connections. An application gets them from any of its
scopes with `counters_of`; they only grow, except `open`. A scope holds a number that identifies
them: its extensions are plain data, which applications copy, log and send elsewhere. Nothing here
depends on the meaning of the reasons.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from headstart.deliver.asgi import OURS
from headstart.reasons import Closing, Refusal

# Over HTTP/1.1, whose scopes have no `headstart` extension: its presence promises pushes.
EXTENSION = "headstart.counters"

_numbers = itertools.count(1)
_all: WeakValueDictionary[int, Counters] = WeakValueDictionary()


class Counters:
    """The counts of one worker since it started.

    Attributes:
        number: Identifies them in scopes.
        accepted: Accepted connections.
        open: Open connections.
        connections: Reasons why connections ended, or were refused.
        requests: Reasons why requests and streams were refused.
        pushes: Reasons why nothing was sent ahead.
        promises: Pushes that were sent.
        early_hints: Responses 103 that were sent.
        bytes_received: Of clients, without TLS; WebSockets over HTTP/1.1 are not counted.
        bytes_sent: To clients, likewise.
    """

    __slots__ = (
        "__weakref__",
        "accepted",
        "bytes_received",
        "bytes_sent",
        "connections",
        "early_hints",
        "number",
        "open",
        "promises",
        "pushes",
        "requests",
    )

    def __init__(self) -> None:
        self.number = next(_numbers)
        _all[self.number] = self
        self.accepted = 0
        self.open = 0
        self.promises = 0
        self.early_hints = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connections: Counter[Closing] = Counter()
        self.requests: Counter[Closing] = Counter()
        self.pushes: Counter[Refusal] = Counter()

    def snapshot(self) -> dict[str, int | dict[str, int]]:
        """Return connections and reasons as JSON takes them: each reason by its word."""
        return {
            "accepted": self.accepted,
            "open": self.open,
            "connections": {str(reason): n for reason, n in self.connections.items()},
            "requests": {str(reason): n for reason, n in self.requests.items()},
            "pushes": {str(reason): n for reason, n in self.pushes.items()},
        }


def counters_of(scope: Mapping[str, Any]) -> Counters | None:
    """Return the counters of the worker that serves an ASGI scope; None under another server."""
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    ours: Mapping[str, Any] = extensions.get(OURS) or extensions.get(EXTENSION) or {}
    return _all.get(ours.get("counters", 0))
