"""A site that nobody visited before: each of its first visitors is told what the one before needed.

Every visitor is a new browser that obeys a 103: it fetches what is hinted, so what it asks for says
nothing of what it needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.visits import FRESH, Found, Site, Visited, answer_head, load, visited

ASSETS = [f"/{name}" for name in ("a.css", "b.css", "c.js", "d.js", "e.png", "f.woff2")]
_TYPES = {"css": "text/css", "js": "text/javascript", "png": "image/png", "woff2": "font/woff2"}


@pytest.fixture
def site() -> Iterator[Visited]:
    app = Site(*ASSETS)
    for asset in ASSETS:
        kind = _TYPES[asset.rpartition(".")[2]]
        app.found[asset] = Found(answer_head(kind, cache=FRESH))
    with visited(app) as found:
        yield found


def hinted(site: Visited, number: int) -> list[str]:
    """A new browser loads the page. Return what it was told before the page came."""
    with site.client(f"127.0.1.{number}", push=False) as client:
        found = load(client, "/", ASSETS).ahead
    site.later()
    return found


def test_no_visitor_but_the_first_is_told_nothing(site: Visited) -> None:
    told = [hinted(site, number) for number in range(1, 10)]

    first, *others = told
    left_out = [asset for found in others for asset in ASSETS if asset not in found]
    assert first == []
    assert all(others)
    # Each is left out once, so that a browser asks for it unsent; that confirms it.
    assert sorted(left_out) == sorted(ASSETS)
    assert sorted(told[-1]) == sorted(ASSETS)
