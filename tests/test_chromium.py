"""Debian's Chromium, headless, on the demo's site: one 103, and each asset fetched once.

What it did is read from its own net-log, and what its user reads from the page. It takes no pushes,
so this is the way of browsers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart import devca
from headstart.config import DeliverOptions, ServerOptions
from headstart.demo.app import app
from headstart.demo.site import ASSETS
from headstart.wire.links import parse
from tests.clients.earlyhints_check import Facts, load, read
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


@contextmanager
def small_site() -> Iterator[Visited]:
    """As `headstart demo` serves it."""
    deliver = DeliverOptions(max_assets=12)
    server = {"options": ServerOptions(deliver=deliver)}
    with visited(app, deliver=deliver, tls=True, server=server) as site:
        yield site


def test_second_load_gets_one_103_and_fetches_each_link_once_before_the_page() -> None:
    with small_site() as site:
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


UNUSED = '<p id="unused">'  # without `hidden`
HIDDEN = '<p id="unused" hidden="">'


def test_page_says_nothing_of_the_sort_where_the_user_trusts_the_ca(tmp_path: Path) -> None:
    chromium, certutil = peer("chromium"), peer("certutil")
    path = f"{Path(certutil).parent}:/usr/bin:/bin"
    command = devca.trust_command(devca.ensure().ca_certfile)
    subprocess.run(
        ["sh", "-c", command], env={"HOME": str(tmp_path), "PATH": path}, timeout=90, check=True
    )

    with small_site() as site:
        first = read(chromium, site.live.url + SITE, tmp_path)
        pages: list[str] = []
        while len(pages) < TRIES and not (pages and HIDDEN in pages[-1]):
            site.later()
            pages.append(read(chromium, site.live.url + SITE, tmp_path))

    assert "Nothing: the server is still learning" in first
    assert pages[-1].count('data-way="hint"') == len(ASSETS)
    assert HIDDEN in pages[-1]


def test_page_notices_hints_that_a_certificate_error_made_useless(tmp_path: Path) -> None:
    """The flag does what clicking the warning away does: nothing is kept."""
    chromium = peer("chromium")
    with small_site() as site:
        for _ in range(2):
            page = read(chromium, site.live.url + SITE, tmp_path, "--ignore-certificate-errors")
            site.later()

    assert UNUSED in page
    assert f">{len(ASSETS)} of {len(ASSETS)} hints<" in page


def test_browser_that_does_not_know_the_ca_shows_its_warning(tmp_path: Path) -> None:
    with small_site() as site:
        page = read(peer("chromium"), site.live.url + SITE, tmp_path)

    assert "proceed-link" in page
    assert "headstart" not in page
