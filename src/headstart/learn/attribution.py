"""Find the live view of a viewer that an asset belongs to.

Asks the map which assets pages name, and counts on which sites assets come without a Referer;
bounded. Called by `learner` for each asset requested by a viewer of a page.
"""

from __future__ import annotations

from headstart.learn.counts import Share
from headstart.learn.exchange import Request
from headstart.learn.model import Map
from headstart.learn.options import LearnOptions
from headstart.learn.safety import ASSETS
from headstart.learn.views import View, Viewer

# The share of a site's assets that come without a Referer, from which on the site sends none.
_BARE = 0.5


class Attribution:
    """Finds the view of an asset, by its Referer where there is one.

    A page with `Referrer-Policy: no-referrer` sends no Referer, and one with `origin` that of the
    site's root. Then it is the view whose HTML names the asset, or the only one that goes on, on a
    connection that is one client's. Where most assets come with a Referer, one without is a
    robot's.
    """

    def __init__(self, known: Map, options: LearnOptions) -> None:
        self._map = known
        self._options = options
        self._bare: dict[str, Share] = {}

    def view_of(self, viewer: Viewer, request: Request, now: float) -> View | None:
        """Return the live view that an asset belongs to, or None."""
        referer, root = request.referer, request.origin + "/"
        if referer and referer != root:
            # As most: no list of views is made for nothing.
            found = viewer.view_of(referer, now)
            if found is not None or viewer.live_views(now):
                self._count(request)
            return found
        live = viewer.live_views(now)
        bare = self._count(request).estimate(0.0, 0.0) if live else 0.0
        if referer and len(live) == 1:
            return viewer.view_of(referer, now)
        for view in live:
            if self._map.names(view.origin, view.path, request.target):
                return view
        if referer:
            return viewer.view_of(referer, now)
        alone = len(live) == 1 and request.connection is not None and bare >= _BARE
        return live[0] if alone and request.destination in ASSETS else None

    def _count(self, request: Request) -> Share:
        """Count an asset of a site. Return the share of its assets that come without a Referer."""
        share = self._bare.get(request.origin)
        if share is None:
            share = self._bare[request.origin] = Share()
            if len(self._bare) > self._options.max_sites:
                del self._bare[next(iter(self._bare))]
        share.add(0.0 if request.referer else 1.0, self._options.memory)
        return share
