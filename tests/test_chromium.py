"""Debian's Chromium, headless, on the demo's site: one 103, and each asset fetched once.

What it did is read from its own net-log. It takes no pushes, so this is the way of browsers.
"""

from __future__ import annotations

from headstart.config import DeliverOptions, ServerOptions
from headstart.demo.app import app
from headstart.demo.site import ASSETS
from headstart.wire.links import parse
from tests.clients.earlyhints_check import Facts, load
from tests.peers import peer
from tests.visits import Visited, visited

SITE = "/site/"
EVERYTHING = {SITE + name for name in ASSETS}
# Chromium now and then ignores a 103 that comes within two milliseconds of the request; on a busy
# machine it may act on it when the page has come as well.
TRIES = 8


def view(site: Visited) -> Facts:
    """One load by a Chromium that has never been here."""
    return load(peer("chromium"), peer("openssl"), site.live.url + SITE)


def test_second_load_gets_one_103_and_fetches_each_link_once_before_the_page() -> None:
    deliver = DeliverOptions(max_assets=12)
    server = {"options": ServerOptions(deliver=deliver)}
    with visited(app, deliver=deliver, tls=True, server=server) as site:
        first = view(site)
        site.later()
        loads = [view(site)]
        while len(loads) < TRIES and not set(loads[-1].before_final) >= EVERYTHING:
            site.later()
            loads.append(view(site))
    second = loads[-1]
    [links] = second.hinted
    hinted = [link.target for link in parse(links)]

    assert (first.hinted, first.pushes, first.final) == ([], 0, "200")
    assert set(first.requested) >= EVERYTHING
    assert sorted(hinted) == sorted(EVERYTHING)
    assert second.final == "200"
    assert set(hinted) <= set(second.before_final)
    assert {path: second.requested.count(path) for path in hinted} == dict.fromkeys(hinted, 1)
    assert second.pushes == 0
