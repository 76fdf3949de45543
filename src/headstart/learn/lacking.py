"""Estimate how likely a returning client lacks the assets of a page.

A browser that returns has most of a site in its cache, and cancels pushes of those assets. This
says nothing of the next client, which is new, so such a cancel counts against no asset but for
this client alone. A client that was never here is assumed to lack everything.

No header tells how long a browser really keeps an asset. So it is learned of each site: of the
assets that a client had so long ago, the share that it asked for again.

Pure. `learner` owns one, asks it about each view, and tells it of each ended view.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping

from headstart.learn.counts import Share
from headstart.learn.options import LearnOptions
from headstart.learn.views import How, View

# Views after which what a client did before has faded to a third; and assets, of those that it had.
_MEMORY = 8
_ASSETS_MEMORY = 32
# Assets after which what a site's clients did before has faded to a third.
_SITE_MEMORY = 256
# Seconds since a client got an asset, between which all are taken to be as likely in its cache.
AGES = (60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0, 3 * 86_400.0)
# The share that is asked for again before any was seen to be, and the assets that it weighs.
_AGAIN = 1.0
_AGAIN_WEIGHT = 2.0
_HAD_BY_A_CLIENT = 128
# An address with more clients than that is a proxy's, and each of them may be many people.
_CLIENTS_OF_AN_ADDRESS = 8


class _Client:
    """The memory of one client.

    Attributes:
        lacked: The share of its candidates that it lacked, of those that it was not seen to have.
        again: The share of its assets that it asked for again.
        had: The key of each asset that it was seen to have -> when.
    """

    __slots__ = ("again", "had", "lacked")

    def __init__(self) -> None:
        self.lacked = Share()
        self.again = Share()
        self.had: dict[int, float] = {}


class Lacking:
    """Clients that were here before, and the share of their candidates that they lacked.

    Bounded; the longest unseen are forgotten first, and are new when they come again.
    """

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self._clients: dict[tuple[str, str], _Client] = {}
        self._of_address: dict[str, int] = {}
        self._sites: dict[str, list[Share]] = {}
        self._had = 0

    def knows(self, view: View) -> bool:
        """Return whether the view's client was here before."""
        return view.client in self._clients

    def chance(self, view: View) -> float:
        """Return how likely the view's client lacks an asset that it was not seen to have."""
        client = self._one_client(view)
        return 1.0 if client is None else client.lacked.estimate(1.0)

    def had(self, view: View) -> Mapping[int, float]:
        """Return the assets that the view's client was seen to have, and when."""
        client = self._one_client(view)
        return {} if client is None else client.had

    def again(self, view: View) -> dict[str, float]:
        """Return the candidates that the view's client had, and how likely it asks again."""
        client = self._one_client(view)
        if client is None or not client.had:
            return {}
        ages = self._sites.get(view.origin)
        found = {}
        for candidate in view.candidates:
            time = client.had.get(candidate.key)
            if time is not None:
                age = bisect(AGES, view.opened - time)
                others = ages[age].estimate(_AGAIN, _AGAIN_WEIGHT) if ages is not None else _AGAIN
                found[candidate.target] = client.again.estimate(others, _AGAIN_WEIGHT)
        return found

    def learn(self, view: View) -> None:
        """Take a view that has ended. A client's first one says nothing of its return.

        Nor does one that asked for nothing and was sent nothing: its client may have everything, or
        be a robot, or one of many behind one address that is.
        """
        address = view.client[0]
        known = self._clients.pop(view.client, None)
        client = self._clients[view.client] = known or _Client()
        if known is None:
            self._of_address[address] = self._of_address.get(address, 0) + 1
        elif view.judged and (view.rendered or view.delivered):
            self._judge(view, client)
        if self._of_address[address] <= _CLIENTS_OF_AN_ADDRESS:
            self._remember(view, client)
        # Half as many as connections had: most of a client's are remembered there too.
        most, most_had = self._options.max_clients, self._options.max_had // 2
        while len(self._clients) > most or self._had > most_had:
            oldest = next(iter(self._clients))
            self._had -= len(self._clients.pop(oldest).had)
            self._of_address[oldest[0]] -= 1
            if not self._of_address[oldest[0]]:
                del self._of_address[oldest[0]]

    def _judge(self, view: View, client: _Client) -> None:
        """Take which of its candidates a client that was here before lacked."""
        ages = self._sites.get(view.origin)
        if ages is None:
            ages = self._sites[view.origin] = [Share() for _ in range(len(AGES) + 1)]
            if len(self._sites) > self._options.max_sites:
                del self._sites[next(iter(self._sites))]
        unseen = []
        for candidate in view.judged:
            if candidate.target in view.failed:
                continue  # its client may lack it or not
            lacked = float(_lacked(view, candidate.target))
            time = client.had.get(candidate.key)
            if time is None:
                unseen.append(lacked)
            elif time < view.opened:
                client.again.add(lacked, _ASSETS_MEMORY)
                ages[bisect(AGES, view.opened - time)].add(lacked, _SITE_MEMORY)
        if unseen:
            client.lacked.add(sum(unseen) / len(unseen), _MEMORY)

    def _remember(self, view: View, client: _Client) -> None:
        """Take the assets that a client has since a view."""
        pushed = [
            target
            for target, how in view.delivered.items()
            if how is How.PUSHED and target not in view.failed
        ]
        had = client.had
        self._had -= len(had)
        for target in (*view.asked, *view.fetched, *pushed):
            key = hash((view.origin, target))
            had.pop(key, None)
            had[key] = view.opened
        while len(had) > _HAD_BY_A_CLIENT:
            del had[next(iter(had))]
        self._had += len(had)

    def _one_client(self, view: View) -> _Client | None:
        """Return the view's client if it was here before, and is not many behind one address."""
        if self._of_address.get(view.client[0], 0) > _CLIENTS_OF_AN_ADDRESS:
            return None
        return self._clients.get(view.client)


def _lacked(view: View, target: str) -> bool:
    """Return whether the client asked for an asset, or took a push of it."""
    if target in view.asked or target in view.fetched:
        return True
    return view.delivered.get(target) is How.PUSHED and target not in view.wasted
