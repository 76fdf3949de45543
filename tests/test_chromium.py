"""Debian's Chromium, headless, on the demo's site: one 103, and each asset fetched once.

What it did is read from its own net-log, and what its user reads from the page. It takes no pushes,
so this is the way of browsers.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headstart import devca
from headstart.config import DeliverOptions, ServerOptions
from headstart.deliver.decide import Way
from headstart.demo.app import app
from headstart.demo.site import ASSETS
from headstart.wire.links import parse
from tests.clients.earlyhints_check import Facts, load, read
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send
from tests.visits import Visited, visited

SITE = "/site/"
EVERYTHING = {SITE + name for name in ASSETS}
# Chromium now and then ignores a 103 that comes within two milliseconds of the request.
TRIES = 8
# Longer than Chromium needs to follow a 103, where it does.
PATIENCE = 10.0


class Patient:
    """The demo; its page waits until Chromium has asked for what it was hinted.

    On a busy machine it does so later than in the time that the demo's page takes.
    """

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._asking = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._note(scope)
        await app(scope, receive, send)

    async def _note(self, scope: Scope) -> None:
        decisions = scope.get("headstart.decisions", ())
        hinted = {one.candidate.target for one in decisions if one.way is Way.HINT}
        async with self._asking:
            self._asked.add(scope["path"])
            self._asking.notify_all()
            if scope["path"] == SITE:
                self._asked.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await self._asking.wait_for(lambda: hinted <= self._asked)


def view(site: Visited) -> Facts:
    """One load by a Chromium that has never been here."""
    return load(peer("chromium"), peer("openssl"), site.live.url + SITE)


@contextmanager
def small_site() -> Iterator[Visited]:
    """As `headstart demo` serves it."""
    deliver = DeliverOptions(max_assets=12)
    server = {"options": ServerOptions(deliver=deliver)}
    with visited(Patient(), deliver=deliver, tls=True, server=server) as site:
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

    assert "proceed-link" in page or page == "ERR_CERT_AUTHORITY_INVALID"
    assert "headstart" not in page
