"""The live views of pages, and the assets that each viewer is known to have.

Reads requests; owns the live views, the viewers and their assets, all bounded. `learner` calls it
for every request, and turns an ended view into a vote. Time is a parameter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, KeysView
from enum import Enum
from typing import TypeAlias

from headstart.learn.clients import client_key, groups_of, segment_of, viewer_key, voter_of
from headstart.learn.counts import SeenAsset
from headstart.learn.exchange import Request
from headstart.learn.nodes import Candidate
from headstart.learn.options import LearnOptions
from headstart.learn.safety import Kind
from headstart.learn.urls import path_of
from headstart.reasons import Refusal

# Of one view, one viewer and one voter, so much is kept; a page with more assets than this is
# known by its first ones, and a voter with more viewers pushes out its own.
_ASSETS_OF_A_VIEW = 64
_VIEWS_OF_A_VIEWER = 8
_VIEWERS_OF_A_VOTER = 100
_HAD_BY_A_VIEWER = 256
# Seconds without a page after which an address and user agent are taken to have nothing, as a new
# connection has.
_SILENCE = 60.0
# Live views take this part of the learner's bytes at most; so much are a view and an asset of one
# beside their URLs, of which there are up to three copies (path, name, the request's own) and two.
_PART = 0.07
_VIEW_BYTES = 1300
# How long a browser keeps a page that it prefetched and nobody looked at (Chromium).
_PREFETCHED_SECONDS = 300.0
# What a browser waits for before it shows a page, or its text. A tuple, since members of an enum
# are hashed by Python.
_BLOCKING = (Kind.STYLE, Kind.SCRIPT, Kind.FONT)
_SEEN_ASSET_BYTES = 300


class How(Enum):
    """How an asset was sent ahead."""

    PUSHED = "pushed"
    HINTED = "hinted"


class View:
    """One client's load of one page.

    Attributes:
        origin, path: The page.
        candidates: Assets to send now, likeliest first; empty if `withheld` says why.
        withheld: Why nothing is to be sent, or None.
        control: It gets nothing so that it can be compared.
        prefetched: It becomes a view when its first asset is requested.
        credentials: Its request had a Cookie or an Authorization.
        personal: The page may be one that its client alone is allowed to read.
        fetching: How likely its client is to fetch assets at all.
        segment: That of its client and URL, as in `clients.segment_of`.
        proven: Its client, or one like it, was seen to fetch assets.
        returning: Its client was here before.
        lacking: How likely its client lacks the candidates.
        delivered: The assets sent ahead, and how (told by `Learner.delivered`).
        wasted: Those whose push the client reset.
        failed: Those whose push the client did not get (told by `Learner.withdrawn`).
        comparable: It was chosen by lot whether it gets something.
        measured: It gets something, or would if it were not a control view, and so it is compared.
        icon_due: Its client was redirected from an icon, and the log does not say where to.
    """

    __slots__ = (
        "_answered",
        "_blocked",
        "_loaded",
        "_requested",
        "asked",
        "candidates",
        "client",
        "comparable",
        "conditional",
        "confirmed",
        "counted",
        "credentials",
        "delivered",
        "expires",
        "failed",
        "fetched",
        "fetching",
        "fresh",
        "groups",
        "icon_due",
        "judged",
        "lacking",
        "limit",
        "measured",
        "names",
        "opened",
        "origin",
        "path",
        "personal",
        "prefetched",
        "proven",
        "refused",
        "rendered",
        "returning",
        "segment",
        "viewer",
        "wasted",
        "weight",
        "withheld",
    )

    def __init__(self, request: Request, viewer: Viewer, now: float, options: LearnOptions) -> None:
        self.viewer = viewer
        self.client = client_key(request)
        self.groups = groups_of(request)
        self.segment = segment_of(request)
        self.origin = request.origin
        self.path = path_of(request.target)
        self.names = {request.origin + request.target}
        self.conditional = request.conditional
        self.fresh = not viewer.had and not request.conditional
        self.candidates: tuple[Candidate, ...] = ()
        self.judged: tuple[Candidate, ...] = ()
        self.withheld: Refusal | None = None
        self.delivered: dict[str, How] = {}
        self.wasted: set[str] = set()
        # Mostly empty, so that all views have the same one.
        self.failed: frozenset[str] = frozenset()
        # In order: what a client had first is forgotten first.
        self.fetched: dict[str, None] = {}
        self.asked: dict[str, SeenAsset] = {}
        self.counted: set[str] | None = None
        self.refused = False
        self.weight = _VIEW_BYTES + 3 * len(request.target)
        self.rendered = False
        self.fetching = 1.0
        self.proven = True
        self.returning = False
        self.lacking = 1.0
        self.prefetched = request.prefetched
        self.credentials = request.credentials
        self.personal = False
        self.confirmed = self.icon_due = False
        self.comparable = self.measured = False
        self._requested = self._answered = now
        self._blocked = self._loaded = 0.0
        self.open(now, options)

    @property
    def control(self) -> bool:
        """Return true if it gets nothing, so that it can be compared with views that do."""
        return self.withheld is Refusal.CONTROL_VIEW or self.withheld is Refusal.SLOWER

    def answered(self, now: float) -> None:
        """Take that the page's response begins."""
        self._answered = now

    def arrived(self, kind: Kind, now: float) -> None:
        """Take that the response to an asset has ended; the last one is the one that counts."""
        self._loaded = now
        if kind in _BLOCKING:
            self._blocked = now

    @property
    def durations(self) -> tuple[float | None, float | None]:
        """Return seconds from the request to the last blocking asset, and to the last of any kind.

        None where no such asset was seen. Nothing is shown before the page itself is there, so
        assets before it are there no sooner. A client that reset pushes has the assets.
        """
        if not self.measured or self.wasted:
            return None, None
        blocked, loaded = self._since_request(self._blocked), self._since_request(self._loaded)
        return blocked, loaded

    def _since_request(self, last: float) -> float | None:
        return max(last, self._answered) - self._requested if last else None

    def open(self, now: float, options: LearnOptions) -> None:
        """Open the window; called again when the response's head is known."""
        self.opened = now
        if self.prefetched:
            self.limit = self.expires = now + _PREFETCHED_SECONDS
            return
        self.limit = now + options.window_cap
        self.expires = min(now + options.window, self.limit)

    def renew(self, now: float, options: LearnOptions) -> None:
        """Extend the window after an asset, up to the cap."""
        if self.prefetched:
            # Somebody wants to see the page after all: the view begins now.
            self.prefetched = False
            self.open(now, options)
        self.rendered = True
        self.expires = max(self.expires, min(now + options.window, self.limit))

    def name(self, url: str) -> None:
        """Add an asset whose own requests belong to this view, too."""
        if len(self.names) <= _ASSETS_OF_A_VIEW:
            self.names.add(url)


Arrival: TypeAlias = tuple[View, Kind]
"""An asset of a measured view, on its way to the client."""


class Viewer:
    """A connection, or an address with a user agent, and the assets that it has."""

    __slots__ = ("had", "key", "last", "views", "voter")

    def __init__(self, key: Hashable, voter: int) -> None:
        self.key = key
        self.voter = voter
        self.had: dict[int, None] = {}
        self.last = 0.0
        self.views: list[View] = []

    def view_sent(self, target: str, now: float) -> View | None:
        """Return the live view with which this asset was sent ahead."""
        for view in reversed(self.views):
            if target in view.delivered and now <= view.expires:
                return view
        return None

    def live_views(self, now: float) -> list[View]:
        """Return the views that go on, the latest first."""
        return [view for view in reversed(self.views) if now <= view.expires]

    def view_of(self, referer: str, now: float) -> View | None:
        """Return the live view that a request with this Referer belongs to, the latest first."""
        for view in reversed(self.views):
            if now <= view.expires and referer in view.names:
                return view
        return None


class Views:
    """All viewers and their live views."""

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self._most_weight = options.max_bytes * _PART
        self._viewers: dict[Hashable, Viewer] = {}
        self._by_voter: dict[int, dict[Hashable, None]] = {}
        self._live: dict[View, None] = {}
        self._had = 0
        self._weight = 0

    def __iter__(self) -> Iterator[View]:
        return iter(tuple(self._live))

    @property
    def viewers(self) -> KeysView[Hashable]:
        """The keys of all that have viewed a page, as they stand at any time."""
        return self._viewers.keys()

    def viewer(self, request: Request) -> Viewer | None:
        """Return the viewer, if it has viewed a page before."""
        key = request.connection
        return self._viewers.get(viewer_key(request) if key is None else key)

    def open(self, request: Request, now: float) -> tuple[View, list[View]]:
        """Open a view; return it with the views that must end for lack of room."""
        viewer = self._viewers.get(viewer_key(request))
        ended: list[View] = []
        if viewer is None:
            viewer, ended = self._admit(request)
        else:
            del self._viewers[viewer.key]
            self._viewers[viewer.key] = viewer
            if request.connection is None and now - viewer.last > _SILENCE:
                # Another one of an office, or one whose connections have ended. `lacking` knows
                # what the clients of an address mostly do then.
                self._had -= len(viewer.had)
                viewer.had.clear()
        viewer.last = now
        view = View(request, viewer, now, self._options)
        viewer.views.append(view)
        self._live[view] = None
        self._weight += view.weight
        if len(viewer.views) > _VIEWS_OF_A_VIEWER:
            ended.append(viewer.views[0])
        elif len(self._live) > self._options.max_live_views or self._weight > self._most_weight:
            ended.append(next(iter(self._live)))
        return view, ended

    def ask(self, view: View, seen: SeenAsset) -> list[View]:
        """Add a requested asset to a view; return the views that must end for lack of room."""
        if seen.target in view.asked or len(view.asked) >= _ASSETS_OF_A_VIEW:
            return []
        view.asked[seen.target] = seen
        weight = _SEEN_ASSET_BYTES + 2 * len(seen.target)
        view.weight += weight
        self._weight += weight
        return [next(iter(self._live))] if self._weight > self._most_weight else []

    def close(self, view: View) -> bool:
        """Remove a view. Return false if it was removed before."""
        if view not in self._live:
            return False
        del self._live[view]
        self._weight -= view.weight
        view.viewer.views.remove(view)
        return True

    def of_connection(self, connection: Hashable) -> list[View]:
        """Return the live views on a connection."""
        viewer = self._viewers.get(connection)
        return list(viewer.views) if viewer else []

    def forget(self, connection: Hashable) -> None:
        """Forget a connection that has ended, and its assets."""
        viewer = self._viewers.get(connection)
        if viewer is not None:
            self._drop(viewer)

    def remember(self, viewer: Viewer, key: int) -> None:
        """Remember that this viewer has this asset."""
        if key in viewer.had or viewer.key not in self._viewers:
            return
        viewer.had[key] = None
        self._had += 1
        if len(viewer.had) > _HAD_BY_A_VIEWER:
            del viewer.had[next(iter(viewer.had))]
            self._had -= 1
        while self._had > self._options.max_had:
            self._drop_oldest_but(viewer)

    def lacks(self, viewer: Viewer, key: int) -> None:
        """Forget that this viewer has this asset: it was not sent after all."""
        if viewer.had.pop(key, 0) is None and viewer.key in self._viewers:
            self._had -= 1

    def _drop_oldest_but(self, viewer: Viewer) -> None:
        oldest = next(iter(self._viewers.values()))
        if oldest is not viewer:
            self._drop(oldest)
            return
        self._had -= len(viewer.had)
        viewer.had.clear()

    def _admit(self, request: Request) -> tuple[Viewer, list[View]]:
        voter = voter_of(request.address)
        own = self._by_voter.setdefault(voter, {})
        ended: list[View] = []
        if len(own) >= _VIEWERS_OF_A_VOTER:
            ended += self._drop(self._viewers[next(iter(own))])
        elif len(self._viewers) >= self._options.max_clients:
            ended += self._drop(next(iter(self._viewers.values())))
        viewer = Viewer(viewer_key(request), voter)
        self._viewers[viewer.key] = viewer
        self._by_voter.setdefault(voter, {})[viewer.key] = None
        return viewer, ended

    def _drop(self, viewer: Viewer) -> list[View]:
        """Forgets a viewer. Its views live on without it until they end."""
        self._viewers.pop(viewer.key, None)
        own = self._by_voter[viewer.voter]
        own.pop(viewer.key, None)
        if not own:
            del self._by_voter[viewer.voter]
        self._had -= len(viewer.had)
        return list(viewer.views)
