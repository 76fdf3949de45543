"""Report why connections ended and requests were refused: one line in the log, and a number.

Called by the protocols, by `admission` and by `ahead`; writes the log `headstart.refused` and
`Counters`. An attack repeats itself a thousand times a second, so lines are rationed, and the
omitted ones are summed up. A peer's bytes are escaped, so that it cannot write lines of its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from headstart.reasons import Closing, Refusal
from headstart.server.addresses import unmapped
from headstart.server.counters import Counters
from headstart.wire.guard import TokenBucket

logger = logging.getLogger("headstart.refused")

# The ends that every connection comes to; none is anybody's fault.
_ORDINARY: Final = frozenset(
    {
        Closing.CLOSED,
        Closing.PEER_LEFT,
        Closing.IDLE,
        Closing.DRAINED,
        Closing.REQUESTS_USED_UP,
    }
)
# With a sum every ten seconds, about 15 MB of log a day at the most.
_LINES_AT_ONCE: Final = 20
_LINES_A_SECOND: Final = 1
_SUM_EVERY: Final = 10.0
_LONGEST_DETAIL: Final = 200


class Refusals:
    """The log and the numbers of one worker.

    Args:
        counters: Where to count.
        now: Seconds, on the clock that every call is told the time of.

    Attributes:
        counters: The same.
    """

    def __init__(self, counters: Counters, now: float) -> None:
        self.counters = counters
        self._bucket = TokenBucket(_LINES_AT_ONCE, _LINES_A_SECOND, now)
        self._unwritten: Counter[str] = Counter()
        self._summed = now

    def connection(self, reason: Closing, client: object, now: float, detail: str = "") -> None:
        """Report a connection that ended, or was refused.

        Args:
            client: Its address, as the transport names it.
            detail: More words, perhaps the peer's.
        """
        self.counters.connections[reason] += 1
        if reason in _ORDINARY:
            logger.debug("%s - connection ended: %s", named(client), reason)
        else:
            self._write(logging.WARNING, "connection closed", reason, client, now, detail)

    def request(self, reason: Closing, client: object, now: float, detail: str = "") -> None:
        """Report a refused request or stream; the connection may go on."""
        self.counters.requests[reason] += 1
        self._write(logging.INFO, "request refused", reason, client, now, detail)

    def push(self, reason: Refusal, path: str) -> None:
        """Nothing was sent ahead. That is not a fault and happens on every page: counted, and told
        to who looks for it only.
        """
        self.counters.pushes[reason] += 1
        logger.debug("%r not sent ahead: %s", path, reason)

    def second_passed(self, now: float) -> None:
        """Sum up omitted lines; called about once a second."""
        if self._unwritten and now - self._summed >= _SUM_EVERY:
            self._summed = now
            sums = ", ".join(f"{reason} {count}" for reason, count in self._unwritten.most_common())
            logger.warning("%d more not logged: %s", self._unwritten.total(), sums)
            self._unwritten.clear()

    def owes_a_sum(self) -> bool:
        """Return true if omitted lines are not summed up yet."""
        return bool(self._unwritten)

    def _write(
        self, level: int, what: str, reason: Closing, client: object, now: float, detail: str
    ) -> None:
        if not logger.isEnabledFor(level):
            return
        if not self._bucket.take(now):
            self._unwritten[reason] += 1
            return
        more = f" ({escaped(detail)})" if detail else ""
        logger.log(level, "%s - %s: %s%s", named(client), what, reason, more)


def escaped(text: str) -> str:
    """Return any text as printable ASCII on one short line."""
    cut = text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "..."
    return cut.encode("unicode_escape").decode("ascii")


def named(client: object) -> str:
    """Return a peer's address for a log: `127.0.0.1:50312`, `[::1]:50312`, `local`."""
    if not isinstance(client, tuple) or len(client) < 2:
        return "local"
    host, port = unmapped(str(client[0])), client[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
