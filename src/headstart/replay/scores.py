"""The figures of one way of predicting.

`ideal`, `live` and `oracle` add page loads to a score; the command and the tests read it. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from headstart.replay.loads import PageLoad


@dataclass(slots=True)
class Score:
    """How one way of predicting did.

    Attributes:
        name: The way.
        views, rendering: Page views, and those followed by a sub-request.
        real, foreseen: Real sub-requests, and those of them that were sent ahead.
        sent, used: Assets sent ahead, and those then asked for and answered 200.
        rendering_sent, rendering_used: Likewise over rendering views only.
        revalidated: Sent ahead, and then answered 304.
        sent_bytes, wasted_bytes: Bytes of what was sent, and of what was sent and not used. A hint
            that the client did not follow sends nothing.
    """

    name: str
    views: int = 0
    rendering: int = 0
    real: int = 0
    foreseen: int = 0
    sent: int = 0
    used: int = 0
    rendering_sent: int = 0
    rendering_used: int = 0
    revalidated: int = 0
    sent_bytes: int = 0
    wasted_bytes: int = 0

    @property
    def recall(self) -> float:
        """Share of real sub-requests that were sent ahead."""
        return self.foreseen / self.real if self.real else 0.0

    @property
    def precision(self) -> float:
        """Share of what was sent that was used; 1 if nothing was sent."""
        return self.used / self.sent if self.sent else 1.0

    @property
    def rendering_precision(self) -> float:
        """The precision over views followed by a sub-request."""
        return self.rendering_used / self.rendering_sent if self.rendering_sent else 1.0

    @property
    def wasted_share(self) -> float:
        """Share of the bytes sent that were not used."""
        return self.wasted_bytes / self.sent_bytes if self.sent_bytes else 0.0

    def add(
        self,
        load: PageLoad,
        sent: Collection[str],
        sizes: Counter[str],
        *,
        transferred: Collection[str] | None = None,
        spared: Collection[str] = (),
    ) -> None:
        """Add one page load.

        Args:
            load: The load, or what turned out not to be a page.
            sent: Targets sent ahead with it.
            sizes: Bytes of targets, 0 for those not known.
            transferred: Those of them whose bytes went to the client; None for all.
            spared: Targets that the client did not ask for because it had them from an earlier
                page load that sent them ahead. They count neither way.
        """
        asked, used = load.asked, 0
        met = _met(asked, sent)
        if met:
            statuses = [asked[target] for target in met]
            used = statuses.count(200)
            self.revalidated += statuses.count(304)
        self.sent += len(sent)
        self.used += used
        moved = sent if transferred is None else transferred
        if moved:
            # Of a `Counter` this is 0 for an unknown target, and adds none.
            size = sum(map(sizes.__getitem__, moved))
            self.sent_bytes += size
            self.wasted_bytes += size
            if used:
                came = met if transferred is None else _met(asked, transferred)
                self.wasted_bytes -= sum([sizes[each] for each in came if asked[each] == 200])
        if not load.is_page:
            return
        self.views += 1
        if load.subrequests:
            real = load.real.difference(spared) if spared else load.real
            self.real += len(real)
            if met:
                self.foreseen += len(real & met)
            self.rendering += 1
            self.rendering_sent += len(sent)
            self.rendering_used += used


def _met(asked: Mapping[str, int], sent: Collection[str]) -> AbstractSet[str]:
    """Return the assets sent that a client asked for: it asks for few, and there may be many."""
    if not sent:
        return frozenset()
    return asked.keys() & (sent.keys() if isinstance(sent, dict) else set(sent))
