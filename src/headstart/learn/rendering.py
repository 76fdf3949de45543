"""How likely a client is to fetch assets at all.

Pure. `learner` owns one, asks it of each view, and tells it of each that has ended.
"""

from __future__ import annotations

from headstart.learn.counts import Share, Voters
from headstart.learn.options import LearnOptions
from headstart.learn.views import How, View

_GROUPS = 384
# New clients after which what a group did before has faded to a third.
_GROUP_MEMORY = 256
# The share of views that fetched assets from which on a client is trusted to be a browser's.
_PROVEN = 0.5
_UNDOUBTED = 0.75


class Rendering:
    """Estimate which clients fetch assets, before they do.

    A returning client is judged by its own past. A new one is judged by new clients with the same
    user agent that came the same way (from nowhere, from another site, from a page here), then by
    those whose user agent differs in minor versions only, then by all that came that way. This
    recognises feed readers, link checkers and most robots. The first client of its kind is assumed
    to fetch.
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

    def is_proven(self, view: View) -> bool:
        """Return whether the view's client, or most of new ones like it, were seen to fetch.

        So are all as long as nearly all that came the same way did.
        """
        if view.fetching >= _UNDOUBTED:
            return True
        known = self._clients.get(view.client)
        if known is None:
            group = self._groups.get(view.groups[-1])
            known = group[0] if group is not None else None
        return known is not None and known.estimate(0.0) >= _PROVEN

    def learn(self, view: View) -> None:
        """Take a view that has ended, if its client showed whether it fetches assets.

        One that has the page has its assets, one that cancels a push has a cache, and one that was
        pushed all that is likely may need nothing else.
        """
        if not view.rendered and (view.conditional or view.wasted or _has_all(view)):
            return
        client = self._clients.pop(view.client, None)
        if client is None:
            client = Share()
            self._learn_groups(view)
        self._clients[view.client] = client
        client.add(float(view.rendered), self._options.memory)
        if len(self._clients) > self._options.max_clients:
            del self._clients[next(iter(self._clients))]

    def _learn_groups(self, view: View) -> None:
        """Count only new clients: one that comes every minute is not a measure of others."""
        for key in view.groups:
            known = self._groups.get(key)
            if known is None:
                known = (Share(), Voters())
            else:
                del self._groups[key]
            share, voters = self._groups[key] = known
            if voters.admit(view.viewer.voter, view.opened):
                share.add(float(view.rendered), _GROUP_MEMORY)
        while len(self._groups) > _GROUPS:
            del self._groups[next(iter(self._groups))]


def _has_all(view: View) -> bool:
    """Return whether a view was pushed all that it was likely to need."""
    delivered = view.delivered
    if How.PUSHED not in delivered.values():
        return False
    return all(candidate.target in delivered for candidate in view.candidates)
