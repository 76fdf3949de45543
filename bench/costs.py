"""Measure the cost of learning and deciding: `python -m bench.costs`.

Each figure is the median of many calls, in microseconds of a monotonic clock. The learner has a map
of pages with 20 assets each, built from exchanges as the middleware would tell of them. The exit
status is 3 where a figure is not as wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import Final

from headstart.config import DeliverOptions
from headstart.deliver.decide import decide
from headstart.deliver.request import PageRequest
from headstart.deliver.seen import Memory, Seen
from headstart.learn import Answer, Learner, LearnOptions, Request, Trust
from headstart.pages.reading import PageHead, PageReader

ORIGIN: Final = "https://example.org"
HTML: Final = Answer(200, "text/html; charset=utf-8")
# As many as the learner's memory holds; the page that is viewed must be one that it still knows.
PAGES, ASSETS = 800, 20
_VIEWED: Final = 5
# Pages that are viewed again and again. In a full map the candidates of so many are kept.
_POPULAR: Final = 100
_POST: Final = (
    '<article class="post card" id="p1"><h2><a href="/posts/hello-1">A title &amp; more</a></h2>'
    '<p class="meta">By <b>Someone</b> on <time datetime="2024-01-01">1 Jan</time></p><p>Lorem '
    "ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
    "et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco.</p>"
    '<img src="/media/a.jpg" loading="lazy" width=300 height=200 alt="x"></article>\n'
)
_PAGE_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure.

    Attributes:
        name: The action that is measured.
        microseconds: The median of its calls.
        wanted: At most so many; None where nothing is wanted.
    """

    name: str
    microseconds: float
    wanted: float | None = None

    @property
    def is_met(self) -> bool:
        """Return true if the figure is as wanted."""
        return self.wanted is None or self.microseconds <= self.wanted


def median_of(action: Callable[[int], object], times: int = 2000) -> float:
    """Return the median of so many calls, in microseconds."""
    taken = []
    for number in range(times):
        begun = perf_counter_ns()
        action(number)
        taken.append(perf_counter_ns() - begun)
    return median(taken) / 1000


class Site:
    """A learner that knows pages with assets, each asked for by two clients."""

    def __init__(self, pages: int = PAGES, assets: int = ASSETS) -> None:
        self.learner = Learner(LearnOptions(control_share=0))
        self.pages, self.assets = pages, assets
        # Made once, as they are there before the middleware makes a Request of them.
        self._referer = ORIGIN + path(_VIEWED)
        self._targets = [target(_VIEWED, asset) for asset in range(assets)]
        self.now = 0.0
        for visitor in range(2):
            for page in range(pages):
                self._visit(page, f"10.{visitor}.{page // 250}.{page % 250}")
            self.now += 20.0
            self.learner.sync(self.now)

    def _visit(self, page: int, address: str) -> None:
        self.view(page, address)
        for asset in range(self.assets):
            made = exchange(target(page, asset), ORIGIN + path(page), address)
            self.learner.complete(*made, None, self.now)
        self.now += 0.01
        if page % 100 == 0:
            self.learner.sync(self.now)

    def view(self, page: int, address: str, connection: int | None = None) -> None:
        """View a page: from `begin` to `complete`."""
        request = Request(
            ORIGIN, path(page), address, connection=connection, destination="document"
        )
        view = self.learner.begin(request, self.now)
        self.learner.complete(request, HTML, view, self.now)

    def view_on_connection(self) -> None:
        """View the page whose assets `ask` asks for."""
        self.now += 60.0
        self.learner.sync(self.now)
        self.view(_VIEWED, "10.8.0.1", connection=7)

    def call(self) -> None:
        """Call an API from the viewed page."""
        request = Request(
            ORIGIN,
            "/api",
            "10.8.0.1",
            referer=self._referer,
            connection=7,
            destination="empty",
        )
        answer = Answer(200, "application/json", "no-store")
        view = self.learner.begin(request, self.now)
        self.learner.complete(request, answer, view, self.now)

    def made(self, number: int) -> tuple[Request, Answer]:
        """Return a request for an asset of the viewed page, and its answer."""
        return exchange(self._targets[number % self.assets], self._referer, "10.8.0.1", 7)

    def ask(self, number: int) -> None:
        """Ask for an asset of the viewed page."""
        request, answer = self.made(number)
        view = self.learner.begin(request, self.now)
        self.learner.complete(request, answer, view, self.now)

    def median_after_vote(self, distance: int) -> float:
        """Return how long a page's candidates take after a vote, in microseconds.

        Args:
            distance: The vote's page is so many pages further on.
        """
        taken = []
        for number in range(200):
            page = number % min(20, self.pages)
            self.learner.candidates(ORIGIN, path(page))
            self._visit((page + distance) % self.pages, f"10.7.{number // 250}.{number % 250}")
            self.now += 20.0
            self.learner.sync(self.now)
            begun = perf_counter_ns()
            self.learner.candidates(ORIGIN, path(page))
            taken.append(perf_counter_ns() - begun)
        return median(taken) / 1000


def path(page: int) -> str:
    """Return a page's path; ten directories share them."""
    return f"/d{page % 10}/p{page}"


def target(page: int, asset: int) -> str:
    """Return the path of an asset of a page."""
    return f"/s/{page}/a{asset}.css"


def exchange(
    asset: str, referer: str, address: str, connection: int | None = None
) -> tuple[Request, Answer]:
    """Return a request for an asset, and its answer."""
    request = Request(
        origin=ORIGIN,
        target=asset,
        address=address,
        user_agent="",
        referer=referer,
        connection=connection,
        destination="style",
        mode="no-cors",
    )
    return request, Answer(200, "text/css", "public, max-age=3600", "", False, 1000)


def learning(pages: int = PAGES) -> list[Cost]:
    """Measure the learner."""
    site = Site(pages)
    popular = min(_POPULAR, pages)
    for number in range(popular):
        site.learner.candidates(ORIGIN, path(number))
    made = median_of(site.made)
    page = median_of(
        lambda number: site.view(number % popular, f"10.9.{number // 250}.{number % 250}"), pages
    )
    site.view_on_connection()
    return [
        Cost("making a Request and an Answer", made),
        Cost("no page: a call of an API", median_of(lambda _: site.call()), 3.0),
        Cost("no page: a known asset of a live view", median_of(site.ask), 3.0),
        Cost(f"a page with {ASSETS} candidates", page, 30.0),
        Cost("a page's candidates after its own vote", site.median_after_vote(0), 30.0),
        Cost("a page's candidates after another's vote", site.median_after_vote(pages // 2), 50.0),
    ]


def deciding() -> Cost:
    """Measure how long it takes to choose what is sent with a page, and how."""
    candidates = Site(pages=10).learner.candidates(ORIGIN, path(_VIEWED))
    seen, options, request = Seen(Memory(), ORIGIN), DeliverOptions(), PageRequest(origin=ORIGIN)
    median_us = median_of(lambda _: decide(request, candidates, seen, options))
    return Cost(f"deciding for {len(candidates)} candidates", median_us, 50.0)


def reading() -> list[Cost]:
    """Measure the reading of a page, where it changed and where it did not."""
    reader = PageReader()
    head = PageHead(0.0, ORIGIN, "/posts/", 1, Trust.SOLE)
    markup = "".join(f'<link rel="stylesheet" href="/static/c{at}.css?v=3">' for at in range(6))
    page = f"<!doctype html><title>Posts</title>{markup}{_POST * (_PAGE_BYTES // len(_POST))}"

    def read(body: bytes) -> None:
        capture = reader.capture(head)
        if capture is not None:
            capture.add(body, more=False)
        for waiting in reader.take(0.0):
            reader.read(waiting, lambda origin, path: True)

    changed = median_of(lambda number: read(page.encode() + b"%d" % number), 100)
    kept = page.encode()
    same = median_of(lambda _: read(kept), 100)
    return [
        Cost("reading a page of 100 kB that changed", changed, 1000.0),
        Cost("reading a page of 100 kB that did not", same, 50.0),
    ]


def main(pages: int = PAGES) -> int:
    """Print each figure beside the wanted one, and return the exit status."""
    costs = [*learning(pages), deciding(), *reading()]
    print(f"{'':45} {'µs':>8} {'wanted':>8}")
    for cost in costs:
        wanted = "" if cost.wanted is None else f"{cost.wanted:8.0f}"
        verdict = "" if cost.is_met else "  missed"
        print(f"{cost.name:45} {cost.microseconds:8.1f} {wanted}{verdict}")
    return 0 if all(cost.is_met for cost in costs) else 3


if __name__ == "__main__":
    sys.exit(main())
