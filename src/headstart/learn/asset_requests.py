"""Learn from requests that are for assets: which view each belongs to, and whether it is safe.

Called by `learner` for each response that opens no view. Changes the views, and the map where an
asset is new, has changed or is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from headstart.learn.attribution import Attribution
from headstart.learn.clients import voter_of
from headstart.learn.counts import Asset, SeenAsset
from headstart.learn.ended_views import EndedViews
from headstart.learn.exchange import Answer, Request
from headstart.learn.icons import Icons
from headstart.learn.model import Map
from headstart.learn.options import LearnOptions
from headstart.learn.outbox import Outbox
from headstart.learn.records import Removal, Sighting
from headstart.learn.safety import ASSETS, NAMING, PRESENT, Kind, Unlearnable, kind_of_path, refusal
from headstart.learn.sightings import hash_of, is_news, seen_asset_of, unsays
from headstart.learn.views import Arrival, How, View, Viewer, Views

# Answers that speak about the client that asked, not about the asset: credentials, bans, rates,
# malformed or conditional requests. One client's are not held against the asset.
_PERSONAL = frozenset((400, 401, 403, 405, 406, 407, 408, 411, 412, 413, 414, 416, 417, 421, 425,
                       426, 428, 429, 431, 451, 499, 503))  # fmt: skip
# URLs that are remembered as no assets, so that a page that names them does not bring them back.
_REFUSED = 1000


class AssetRequests:
    """The requests for assets, and the URLs that are not assets for everybody.

    Args:
        options: The learner's.
        known: The map.
        views: The live views.
        ended: Takes the views that end for lack of room.
        outbox: Takes the removed and the changed assets, for other workers.

    Attributes:
        icons: The URLs that are icons in spite of their names.
        refusals: The number of assets that may not be learned, by reason.
        arriving: The asset whose response has just begun, if its view is measured.
    """

    def __init__(
        self,
        options: LearnOptions,
        known: Map,
        views: Views,
        ended: EndedViews,
        outbox: Outbox,
    ) -> None:
        self._options = options
        self._map = known
        self._views = views
        self._ended = ended
        self._outbox = outbox
        self._attribution = Attribution(known, options)
        self._refused: dict[int, None] = {}
        # The keys of the assets of the map that other workers know otherwise, with their origins.
        self._news: dict[int, str] = {}
        self.icons = Icons(known, views)
        self.refusals: dict[Unlearnable, int] = dict.fromkeys(Unlearnable, 0)
        self.arriving: Arrival | None = None
        self.on_refusal: Callable[[Request, Answer, Unlearnable], None] | None = None
        """Told of each asset of a view that may not be learned."""
        self.on_fetch: Callable[[Request, bool], None] | None = None
        """Told of each request for an asset that its view hinted, and whether it is the second."""
        self.on_asset: Callable[[Request, View], None] | None = None
        """Told of each request for an asset with the view that it belongs to."""

    def take(self, request: Request, answer: Answer, now: float) -> None:
        """Take the head of the response to a request that opens no view."""
        if request.destination and request.destination not in ASSETS:
            self.refusals[Unlearnable.DYNAMIC_TYPE] += 1
            return
        viewer = self._views.viewer(request)
        known = self._map.asset(request.origin, request.target)
        self.arriving = None
        if answer.status not in PRESENT:
            if known is not None:
                self._not_there(request, answer, known, viewer)
            elif answer.status not in _PERSONAL and kind_of_path(request.target) is not None:
                self.refuse(request.origin, request.target)
        if viewer is None or answer.status not in PRESENT:
            self._redirected(request, answer, viewer, now)
            return
        view = self._attribution.view_of(viewer, request, now) if viewer.views else None
        if view is not None and view.origin == request.origin:
            self._belongs(view, request, answer, known, now)
            if self.on_asset is not None:
                self.on_asset(request, view)
        elif known is not None:
            if not known.answered:
                self._seen_asset(request, answer, known)
            if sent := viewer.view_sent(request.target, now):
                sent.fetched[request.target] = None
                if sent.measured:
                    self.arriving = (sent, known.seen.kind)
            self._views.remember(viewer, known.key)

    def _belongs(
        self, view: View, request: Request, answer: Answer, known: Asset | None, now: float
    ) -> None:
        """Take an asset of a view: the client lacks it (200), or had it (304)."""
        seen, target = self._seen_asset(request, answer, known), request.target
        kind = seen.kind if seen is not None else kind_of_path(target)
        if kind is None:
            return
        if kind in NAMING:
            view.name(request.origin + target)
        view.renew(now, self._options)
        if kind is Kind.IMAGE and self.icons.is_asked_for(view, target):
            self.refusals[Unlearnable.ICON] += 1
            return
        if view.measured:
            self.arriving = (view, kind)
        key = known.key if known is not None else hash((request.origin, target))
        if target in view.delivered:
            self._fetched(view, request)
        elif seen is not None and key not in view.viewer.had:
            for old in self._views.ask(view, seen):
                self._ended.end(old)
        self._views.remember(view.viewer, key)

    def _redirected(
        self, request: Request, answer: Answer, viewer: Viewer | None, now: float
    ) -> None:
        """Take where an icon leads to, and tell other workers."""
        icon = self.icons.redirected(request, answer)
        if icon is not None and self.icons.take(icon):
            self._outbox.add(icon)
        elif answer.location is None and viewer and self.icons.leads_on(request, answer):
            view = self._attribution.view_of(viewer, request, now)
            if view is not None:
                view.icon_due = True

    def _fetched(self, view: View, request: Request) -> None:
        """Take that a client asked for an asset that it was told of."""
        again = request.target in view.fetched
        view.fetched[request.target] = None
        hinted = view.delivered[request.target] is How.HINTED
        if hinted and not request.conditional and self.on_fetch is not None:
            self.on_fetch(request, again)

    def _seen_asset(
        self, request: Request, answer: Answer, known: Asset | None
    ) -> SeenAsset | None:
        """Return the asset as it was seen now, or None if it may not be learned."""
        if answer.status != 200:
            return None
        checked = hash_of(request, answer)
        if known is not None and known.checked == checked:
            return known.seen
        named = known is not None and known.named
        why = refusal(request, answer, self._options.max_url, named=named)
        if why is not None:
            self.refusals[why] += 1
            if self.on_refusal is not None:
                self.on_refusal(request, answer, why)
            if unsays(why, answer) or (known is not None and _was_believed(known, answer, why)):
                self.refuse(request.origin, request.target)
                if known is not None:
                    self.remove(Removal(request.origin, request.target))
            return None
        self._refused.pop(hash((request.origin, request.target)), None)
        seen = seen_asset_of(request, answer)
        if known is not None:
            known.checked = checked
            before, answered = known.seen, known.answered
            self._map.see(known, seen)
            if not answered or is_news(before, known.seen):
                self._news[known.key] = request.origin
        return seen

    def tell(self) -> None:
        """Tell other workers of the assets that were seen for the first time, or have changed."""
        news, self._news = self._news, {}
        for key, origin in news.items():
            if (known := self._map.asset_with(key)) is not None:
                self._outbox.add(Sighting(origin, known.seen))

    def _not_there(
        self, request: Request, answer: Answer, known: Asset, viewer: Viewer | None
    ) -> None:
        """Remove the asset after a failed response, unless it is about one client only."""
        if answer.status in _PERSONAL and not known.doubted_by(
            viewer.voter if viewer else voter_of(request.address)
        ):
            return
        self.remove(Removal(request.origin, request.target))

    def is_refused(self, origin: str, target: str) -> bool:
        """Return true if a URL was seen not to be an asset for everybody."""
        return hash((origin, target)) in self._refused

    def refuse(self, origin: str, target: str) -> None:
        """Remember that a URL is not an asset for everybody, even if pages name it."""
        self._refused[hash((origin, target))] = None
        if len(self._refused) > _REFUSED:
            del self._refused[next(iter(self._refused))]

    def remove(self, removal: Removal) -> None:
        """Forget an asset that is not for everybody, here and in open views."""
        self.refuse(removal.origin, removal.target)
        if self._map.remove(removal):
            self._outbox.add(removal)
        for view in self._views:
            if view.origin == removal.origin:
                view.asked.pop(removal.target, None)


def _was_believed(known: Asset, answer: Answer, why: Unlearnable) -> bool:
    """Return whether an asset with a query turns out to have no lifetime and no validator.

    A log, which shows neither, may have taught it.
    """
    return why is Unlearnable.QUERY and known.answered and answer.validated is not None
