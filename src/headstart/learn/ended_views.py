"""Turn the views that ended into votes, and count them.

A view may end within a request, but the map changes later: all views that ended are counted in
`Learner.sync` and `Learner.gone`, or when they take too much memory. Changes the map, and what is
known of the clients; `learner` and `asset_requests` end the views.
"""

from __future__ import annotations

from collections.abc import Callable

from headstart.learn.gains import Stop
from headstart.learn.lacking import Lacking
from headstart.learn.model import Map
from headstart.learn.options import LearnOptions
from headstart.learn.outbox import Outbox
from headstart.learn.records import Vote
from headstart.learn.rendering import Rendering
from headstart.learn.views import View, Views
from headstart.learn.votes import partial_vote, vote_of

# The part of the learner's bytes that views which ended may take before they are counted.
_PART = 0.01


class EndedViews:
    """The views that ended and are not counted yet.

    Args:
        options: The learner's.
        known: The map that the votes change.
        views: The live views.
        rendering: Learns which clients fetch assets.
        lacking: Learns which clients lack assets.
        outbox: Takes the votes, for other workers.
    """

    def __init__(
        self,
        options: LearnOptions,
        known: Map,
        views: Views,
        rendering: Rendering,
        lacking: Lacking,
        outbox: Outbox,
    ) -> None:
        self._most = options.max_bytes * _PART
        self._map = known
        self._views = views
        self._rendering = rendering
        self._lacking = lacking
        self._outbox = outbox
        self._ended: list[View] = []
        self._weight = 0
        self.on_end: Callable[[View], None] | None = None
        """Told of each view of a page that has ended."""
        self.on_stop: Callable[[Stop], None] | None = None
        """Told of each page that this worker stops for what it gains, or lets go on."""

    def end(self, view: View) -> None:
        """End a view; nothing happens if it has ended before."""
        if self._views.close(view) and view.confirmed:
            self._ended.append(view)
            self._weight += view.weight
        if self._weight > self._most:
            self.count()

    def count(self) -> None:
        """Count the views that ended."""
        ended, self._ended, self._weight = self._ended, [], 0
        for view in ended:
            if view.prefetched:
                continue  # nobody has looked at it
            if self.on_end is not None:
                self.on_end(view)
            self._rendering.learn(view)
            vote = vote_of(view, self._map, self._lacking.had(view))
            self._lacking.learn(view)
            self._cast(view, vote)

    def count_partly(self, view: View) -> None:
        """Count an open view, so that the next client need not wait for its end."""
        vote = partial_vote(view)
        view.refused = not self._cast(view, vote)

    def _cast(self, view: View, vote: Vote) -> bool:
        counted = self._map.measure(vote)
        stop = self._map.judge_gain(vote) if counted else None
        if not view.refused:
            counted |= self._map.fold(vote)
        if not counted:
            return False
        self._outbox.add(vote)
        if stop is not None:
            self._outbox.add(stop)
            if self.on_stop is not None:
                self.on_stop(stop)
        return True
