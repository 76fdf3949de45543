"""Which request belongs to whose view of which page, and what each client is known to have.

Reads requests; owns the live views, the clients and what they had, all bounded. `learner` calls it
for every request; it folds what a view says into the map when the view ends. Time is a parameter.

A viewer is a connection, or an address with a user agent where the connection says nothing. A
client is always the latter: whether it fetches assets is remembered across its connections.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, KeysView
from enum import Enum, StrEnum
from hashlib import blake2b
from typing import Literal

from headstart.learn.counts import Share, Sighting, Voters
from headstart.learn.exchange import Request
from headstart.learn.nodes import Candidate
from headstart.learn.options import LearnOptions
from headstart.learn.urls import path_of

# Of one view, one viewer and one voter, so much is kept; a page with more assets than this is
# known by its first ones, and a voter with more viewers pushes out its own.
_ASSETS_OF_A_VIEW = 64
_VIEWS_OF_A_VIEWER = 8
_VIEWERS_OF_A_VOTER = 100
_HAD_BY_A_VIEWER = 256
# Live views take this part of the learner's bytes at most; so much are a view and an asset of one
# beside their URLs, of which there are up to three copies (path, name, the request's own) and two.
_PART = 0.07
_VIEW_BYTES = 1300
_SIGHTING_BYTES = 300
_GROUPS = 256
_AGENT = 200
# New clients after which what a group did before has faded to a third.
_GROUP_MEMORY = 256


class How(Enum):
    """How an asset was sent ahead."""

    PUSHED = "pushed"
    HINTED = "hinted"


class Silence(StrEnum):
    """Why nothing is sent with a page. The value is the word shown in logs and counters."""

    NOTHING_KNOWN = "nothing-known"
    """No asset is likely with this page, or the client has all that are."""
    CONDITIONAL = "conditional"
    """The client has the page, so it likely has the assets."""
    CONTROL = "control"
    """One view in so many gets nothing, for comparison."""
    NOT_RENDERING = "not-rendering"
    """Such clients do not fetch assets."""
    MOSTLY_WASTE = "mostly-waste"
    """What was sent with this page was mostly not used."""


class View:
    """One client's load of one page.

    Attributes:
        origin, path: The page.
        candidates: What to send now, the most likely first; empty where `silence` says why.
        silence: Why nothing is to be sent, or None.
        control: It gets nothing so that it can be compared.
        delivered: What was sent ahead, and how (told by `Learner.delivered`).
    """

    __slots__ = (
        "asked",
        "candidates",
        "client",
        "conditional",
        "confirmed",
        "counted",
        "delivered",
        "expires",
        "fetched",
        "fresh",
        "groups",
        "judged",
        "limit",
        "names",
        "opened",
        "origin",
        "path",
        "refused",
        "rendered",
        "silence",
        "viewer",
        "wasted",
        "weight",
    )

    def __init__(self, request: Request, viewer: Viewer, now: float, options: LearnOptions) -> None:
        self.viewer = viewer
        self.client = client_key(request)
        self.groups = _groups(request)
        self.origin = request.origin
        self.path = path_of(request.target)
        self.names = {request.origin + request.target}
        self.conditional = request.conditional
        self.fresh = not viewer.had and not request.conditional
        self.candidates: tuple[Candidate, ...] = ()
        self.judged: tuple[Candidate, ...] = ()
        self.silence: Silence | None = None
        self.delivered: dict[str, How] = {}
        self.wasted: set[str] = set()
        self.fetched: set[str] = set()
        self.asked: dict[str, Sighting] = {}
        self.counted: set[str] | None = None
        self.refused = False
        self.weight = _VIEW_BYTES + 3 * len(request.target)
        self.rendered = False
        self.confirmed = False
        self.open(now, options)

    @property
    def control(self) -> bool:
        """Whether it is a control view."""
        return self.silence is Silence.CONTROL

    def open(self, now: float, options: LearnOptions) -> None:
        """The window opens; it does once more when the answer's head is known."""
        self.opened = now
        self.limit = now + options.window_cap
        self.expires = min(now + options.window, self.limit)

    def renew(self, now: float, options: LearnOptions) -> None:
        """An asset came: the next one has as long again, up to the cap."""
        self.rendered = True
        self.expires = max(self.expires, min(now + options.window, self.limit))

    def name(self, url: str) -> None:
        """What an asset of this view asks for belongs to the view too."""
        if len(self.names) <= _ASSETS_OF_A_VIEW:
            self.names.add(url)


class Viewer:
    """Who views: a connection, or an address with a user agent; and what it had of us."""

    __slots__ = ("had", "key", "views", "voter")

    def __init__(self, key: Hashable, voter: int) -> None:
        self.key = key
        self.voter = voter
        self.had: dict[int, None] = {}
        self.views: list[View] = []

    def view_sent(self, target: str, now: float) -> View | None:
        """The live view with which this asset was sent ahead."""
        for view in reversed(self.views):
            if target in view.delivered and now <= view.expires:
                return view
        return None

    def view_of(self, referer: str, now: float) -> View | None:
        """The live view that a request with this Referer belongs to, the latest first."""
        for view in reversed(self.views):
            if now <= view.expires and referer in view.names:
                return view
        return None


def viewer_key(request: Request) -> Hashable:
    """The viewer that a request comes from."""
    if request.connection is not None:
        return request.connection
    return client_key(request)


def client_key(request: Request) -> tuple[str, str]:
    """The client that a request comes from. Nobody's User-Agent needs more to be told apart."""
    return (request.address, request.user_agent[:_AGENT])


def voter_of(address: str) -> int:
    """The number that an address votes under: one for a whole /64 of IPv6, which is one customer's.

    The same in every process and never 0.
    """
    if ":" in address:
        address = _network(address)
    digest = blake2b(address.encode(errors="replace"), digest_size=7).digest()
    return int.from_bytes(digest, "big") | 1 << 56


def _network(address: str) -> str:
    """The first four groups of an IPv6 address."""
    head, gap, _ = address.lower().partition("::")
    groups = [group.lstrip("0") or "0" for group in head.split(":") if group]
    if gap:
        groups += ["0"] * 4
    return ":".join(groups[:4])


class Views:
    """All viewers and their live views."""

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
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
        """Who this is, if it has viewed a page before."""
        key = request.connection
        return self._viewers.get(viewer_key(request) if key is None else key)

    def open(self, request: Request, now: float) -> tuple[View, list[View]]:
        """A new view, and those that must end because there is no room for them."""
        viewer = self._viewers.get(viewer_key(request))
        ended: list[View] = []
        if viewer is None:
            viewer, ended = self._admit(request)
        else:
            del self._viewers[viewer.key]
            self._viewers[viewer.key] = viewer
        view = View(request, viewer, now, self._options)
        viewer.views.append(view)
        self._live[view] = None
        self._weight += view.weight
        if len(viewer.views) > _VIEWS_OF_A_VIEWER:
            ended.append(viewer.views[0])
        elif len(self._live) > self._options.max_live_views or self._too_heavy:
            ended.append(next(iter(self._live)))
        return view, ended

    @property
    def _too_heavy(self) -> bool:
        return self._weight > self._options.max_bytes * _PART

    def ask(self, view: View, seen: Sighting) -> list[View]:
        """An asset was asked for in a view. What must end because there is no room for it."""
        if seen.target in view.asked or len(view.asked) >= _ASSETS_OF_A_VIEW:
            return []
        view.asked[seen.target] = seen
        weight = _SIGHTING_BYTES + 2 * len(seen.target)
        view.weight += weight
        self._weight += weight
        return [next(iter(self._live))] if self._too_heavy else []

    def close(self, view: View) -> bool:
        """Takes a view out. False if it was out before."""
        if view not in self._live:
            return False
        del self._live[view]
        self._weight -= view.weight
        view.viewer.views.remove(view)
        return True

    def of_connection(self, connection: Hashable) -> list[View]:
        """The live views on a connection."""
        viewer = self._viewers.get(connection)
        return list(viewer.views) if viewer else []

    def forget(self, connection: Hashable) -> None:
        """A connection has ended; what it had is nobody's any more."""
        viewer = self._viewers.get(connection)
        if viewer is not None:
            self._drop(viewer)

    def remember(self, viewer: Viewer, key: int) -> None:
        """This viewer has this asset."""
        if key in viewer.had or viewer.key not in self._viewers:
            return
        viewer.had[key] = None
        self._had += 1
        if len(viewer.had) > _HAD_BY_A_VIEWER:
            del viewer.had[next(iter(viewer.had))]
            self._had -= 1
        while self._had > self._options.max_had:
            self._drop_oldest_but(viewer)

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


class Rendering:
    """Which clients fetch assets, as far as it can be told before they do.

    A client that was here before is judged by what it did, then by what new clients with the same
    user agent that came the same way did (from nowhere, from another site, from a page here), then
    by all that came that way. Feed readers, link checkers and most robots show in that; a client
    that is the first of its kind is taken to fetch.
    """

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self._clients: dict[tuple[str, str], Share] = {}
        self._groups: dict[tuple[str, ...], tuple[Share, Voters]] = {}

    def chance(self, view: View) -> float:
        """How likely the view's client is to fetch assets."""
        chance = 1.0
        for key in view.groups:
            group = self._groups.get(key)
            if group is not None:
                chance = group[0].estimate(chance, 2.0)
        client = self._clients.get(view.client)
        return chance if client is None else client.estimate(chance)

    def learn(self, view: View) -> None:
        """A view has ended in which the client could show it."""
        client = self._clients.pop(view.client, None)
        if client is None:
            client = Share()
            self._learn_groups(view)
        self._clients[view.client] = client
        client.add(float(view.rendered), self._options.memory)
        if len(self._clients) > self._options.max_clients:
            del self._clients[next(iter(self._clients))]

    def _learn_groups(self, view: View) -> None:
        """Only new clients count here: one that comes every minute is no other client's measure."""
        for key in view.groups:
            share, voters = self._groups.pop(key, (Share(), Voters()))
            self._groups[key] = (share, voters)
            if voters.admit(view.viewer.voter, view.opened):
                share.add(float(view.rendered), _GROUP_MEMORY)
        while len(self._groups) > _GROUPS:
            del self._groups[next(iter(self._groups))]


_Arrival = Literal["nowhere", "elsewhere", "here"]


def _arrival(request: Request) -> _Arrival:
    if not request.referer:
        return "nowhere"
    here = request.referer.startswith(request.origin + "/") or request.referer == request.origin
    return "here" if here else "elsewhere"


def _groups(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The widest first."""
    wide = (request.origin, _arrival(request), request.destination)
    return wide, (*wide, request.user_agent[:_AGENT])
