"""Choose the assets that a view gets: the page's candidates, unless something speaks against it.

Reads the map, the client's habits and the lot; changes the view and its own counters. Called by
`learner` when a view opens, and by it for pages whose HTML is all that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from headstart.learn.asset_requests import AssetRequests
from headstart.learn.lacking import Lacking
from headstart.learn.model import Map
from headstart.learn.named import Named
from headstart.learn.nodes import Candidate, Judgement
from headstart.learn.options import LearnOptions
from headstart.learn.rendering import Rendering
from headstart.learn.views import View
from headstart.reasons import Refusal


class Choice:
    """Chooses the candidates of each view.

    Args:
        options: The learner's.
        known: The map.
        rendering: Knows which clients fetch assets.
        lacking: Knows which clients lack assets.
        requests: Knows the URLs that are not assets for everybody.

    """

    def __init__(
        self,
        options: LearnOptions,
        known: Map,
        rendering: Rendering,
        lacking: Lacking,
        requests: AssetRequests,
    ) -> None:
        self._options = options
        self._map = known
        self._rendering = rendering
        self._lacking = lacking
        self._requests = requests
        self._firsts = 0

    def choose(self, view: View) -> Refusal | None:
        """Set the likely assets that the client of a new view may lack.

        Returns:
            Why the view gets none of them, or None.
        """
        view.returning = self._lacking.knows(view)
        had = view.viewer.had
        likely = self._map.candidates(view.origin, view.path, view.segment)
        if not view.credentials and self._map.holds_personal():
            likely = tuple(candidate for candidate in likely if not candidate.personal)
        if self._map.is_personal(view.origin, view.path):
            likely = tuple(filter(partial(self._may_know, view), likely))
        elif view.credentials and self._map.holds_personal():
            # A cookie may be made up, and a stranger may get a form in place of the page.
            likely = tuple(c for c in likely if not c.personal or self._may_know(view, c))
        view.candidates = tuple(c for c in likely if c.key not in had) if had else likely
        if view.conditional:
            return Refusal.CONDITIONAL
        if not view.candidates:
            return Refusal.NOTHING_KNOWN
        view.fetching = self._rendering.chance(view)
        view.proven = self._rendering.is_proven(view)
        view.lacking = self._lacking.chance(view)
        if view.fetching * self._options.likely < self._options.min_chance:
            view.candidates = tuple(c for c in view.candidates if self._is_worth_it(view, c))
            if not view.candidates:
                return Refusal.NO_SUBRESOURCES
        view.judged = view.candidates
        if self._map.is_waste(view.origin, view.path):
            return Refusal.MOSTLY_WASTE
        page = view.origin, view.path, view.segment
        view.comparable = self._options.measure and self._map.control.is_comparable(*page)
        is_chosen = self._map.control.is_control(*page)
        if self._map.is_stopped(view.origin, view.path):
            # The sorts change places: few views get something, so that a change for the better
            # shows, and all others are what they are compared with.
            return None if is_chosen and view.comparable else Refusal.SLOWER
        return Refusal.CONTROL_VIEW if is_chosen else None

    def first_candidates(
        self, view: View, named: Sequence[Named], *, credentials: bool
    ) -> list[Candidate]:
        """Return the assets of which nothing was known before the page's HTML named them now.

        Only assets that are safe to send to this client; none if such clients seldom fetch any.

        Args:
            view: Of the page.
            named: The assets that the copy that goes out names.
            credentials: The page was asked for with a Cookie or an Authorization.
        """
        if not named:
            return []
        view.fetching = self._rendering.chance(view)
        view.lacking = self._lacking.chance(view)
        found = []
        for each in named:
            if self._requests.is_refused(view.origin, each.target):
                continue
            candidate = self._map.first_candidate(
                view.origin, view.path, each, credentials=credentials
            )
            if candidate is not None and self._is_worth_it(view, candidate):
                found.append(candidate)
        return found

    def is_first_control(self) -> bool:
        """Return whether this view is pushed none of the assets that the page's HTML names.

        A client that is pushed all that a page names looks like one that lacks nothing, whether it
        would fetch assets or not. This view shows it.
        """
        share = self._options.control_share
        self._firsts += 1
        return share > 0 and self._firsts % share == share // 2

    def _may_know(self, view: View, candidate: Candidate) -> bool:
        """Return true if the view's client, or several others, asked for the asset before.

        The page may be one that a single user is allowed to read. Whoever asks for its URL must not
        be told of assets that this user alone has seen.
        """
        if candidate.why is Judgement.PINNED:
            return True
        asset = self._map.asset(view.origin, candidate.target)
        return asset is None or asset.asker in (0, view.viewer.voter)

    def _is_worth_it(self, view: View, candidate: Candidate) -> bool:
        """Return true if an asset is likely enough for a client that fetches assets so often."""
        return candidate.probability * view.fetching >= self._options.min_chance
