"""Workers that share a store: each knows how browsers may keep the assets that another one saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headstart.store import open_store
from tests.visits import FRESH, HTML, Found, Site, Visited, answer_head, visited

STYLE, SCRIPT = "/a.css", "/a.js"
ASSETS = [STYLE, SCRIPT]
CURL = [(b"user-agent", b"curl/8.0"), (b"accept", b"*/*")]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Visited]]:
    """Start a worker on the store of the others."""
    app = Site()
    app.found["/"] = Found(
        HTML, 200, b"<link rel=stylesheet href=/a.css><script src=/a.js></script>"
    )
    app.found[STYLE] = Found(answer_head("text/css", cache=FRESH))
    app.found[SCRIPT] = Found(answer_head("text/javascript", cache=FRESH))
    with ExitStack() as stack:

        def worker() -> Visited:
            store = open_store(tmp_path / "learned.sqlite3", print)
            stack.callback(store.close)
            return stack.enter_context(visited(app, store=store))

        yield worker


def hinted(worker: Visited, address: str) -> list[str]:
    """Return the assets that a 103 names when a new browser opens the page."""
    return sorted(link.target for link in worker.visit(address=address, push=False).hinted)


def test_cache_fields_of_assets_that_a_link_named_first_reach_workers_and_a_restart(
    start: Callable[[], Visited],
) -> None:
    """A program is the first visitor, so no view of a browser goes without the page's links."""
    one, two = start(), start()
    one.visit(headers=CURL)
    one.later()
    load = one.visit("/", ASSETS, address="127.0.0.2", push=False)
    one.later()
    two.later()

    assert (load.hinted, sorted(link.target for link in load.linked)) == ([], ASSETS)
    assert hinted(two, "127.0.0.3") == ASSETS
    assert hinted(start(), "127.0.0.4") == ASSETS
