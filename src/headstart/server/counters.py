"""How often each reason was given: plain numbers of one worker, for a page of metrics to read.

`Refusals` counts here, and `admission` the connections. An application gets them from any of its
scopes with `counters_of`; they only ever grow, except `open`. Nothing here knows what the reasons
mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from headstart.reasons import Closing, Refusal

# Over HTTP/1.1, whose scopes have no `headstart` extension: its presence promises pushes.
EXTENSION = "headstart.counters"


class Counters:
    """What one worker counted since it started.

    Attributes:
        accepted: Connections that were taken in.
        open: Connections that are there now.
        connections: Why connections ended, or were not taken in.
        requests: Why requests and streams were refused.
        pushes: Why nothing was sent ahead.
    """

    __slots__ = ("accepted", "connections", "open", "pushes", "requests")

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0
        self.connections: Counter[Closing] = Counter()
        self.requests: Counter[Closing] = Counter()
        self.pushes: Counter[Refusal] = Counter()

    def snapshot(self) -> dict[str, int | dict[str, int]]:
        """All of them as JSON takes them: each reason by its word."""
        return {
            "accepted": self.accepted,
            "open": self.open,
            "connections": {str(reason): n for reason, n in self.connections.items()},
            "requests": {str(reason): n for reason, n in self.requests.items()},
            "pushes": {str(reason): n for reason, n in self.pushes.items()},
        }


def counters_of(scope: Mapping[str, Any]) -> Counters | None:
    """The counters of the worker that serves an ASGI scope; None under another server."""
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    found = extensions.get("headstart", {}).get("counters") or extensions.get(EXTENSION)
    return found if isinstance(found, Counters) else None
