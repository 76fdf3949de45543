"""The bound for hints: the hints of a server that knew each page's statistics and kept our rules.

It knows from the whole log which clients fetch assets, how often a view that fetches any asks for
each asset that its client never had, and how often clients ask again for an asset that they had so
long ago. It decides before the load and by the server's thresholds, to browsers with caches and
with connections that end, as in `live`. So it sends again assets that a client had, and nothing
twice on one connection. It has no control views, and it does not know how a page changes in the
course of the log: where pages change, a server that learns may foresee more.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headstart.config import DeliverOptions
from headstart.learn import LearnOptions
from headstart.learn.counts import Share
from headstart.learn.lacking import AGES
from headstart.learn.urls import path_of
from headstart.replay.assumptions import Assumptions
from headstart.replay.browsers import Browser, Browsers
from headstart.replay.loads import LineKind, PageLoad, Step, client_of
from headstart.replay.scores import Score

HINTING_ORACLE = "oracle, hints"
# The assets that the share of those asked for again weighs before any was seen, as in the server.
_WEIGHT = 2.0
_Url: TypeAlias = tuple[str, str]
_Page: TypeAlias = tuple[str, str, bool]
"""Origin, path, and whether its URL has a query."""


@dataclass(slots=True)
class _Fetch:
    """A request for an asset."""

    time: float
    client: tuple[str, str]
    url: _Url
    is_there: bool


@dataclass(slots=True)
class _View:
    """A navigation.

    Attributes:
        time, client: When it was, and whose.
        load: What its client asked for.
        page: Which page it is of.
        had: Assets that the client had -> how long ago, in seconds.
        hinted: It may be hinted anything.
    """

    time: float
    client: tuple[str, str]
    load: PageLoad
    page: _Page
    had: dict[str, float]
    hinted: bool


class HintingOracle:
    """Keeps the steps of a log, and scores its loads when the log is at its end.

    Args:
        learn, deliver: The server's options.
        assumptions: Facts that the log does not hold.
    """

    def __init__(
        self,
        learn: LearnOptions | None = None,
        deliver: DeliverOptions | None = None,
        assumptions: Assumptions | None = None,
    ) -> None:
        self.score = Score(HINTING_ORACLE)
        self._likely = (learn or LearnOptions()).likely
        self._deliver = deliver or DeliverOptions()
        self._assumed = assumptions or Assumptions()
        self._steps: list[_Fetch | _View] = []
        self._sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._fetched: defaultdict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
        self._now = 0.0

    def take(self, step: Step) -> None:
        """Take the next step."""
        line, answer = step.line, step.answer
        request, client = line.exchange.request, client_of(line)
        now = self._now = max(self._now, line.time)
        if step.kind is LineKind.ASSET:
            url, is_there = (request.origin, request.target), answer.status in (200, 304)
            self._steps.append(_Fetch(now, client, url, is_there))
            if answer.status == 200 and answer.size:
                self._sizes[request.origin][request.target] = answer.size
        if step.load is None or not step.load.is_page:
            return
        fetched = self._fetched[*client, request.origin]
        had = {target: now - time for target, time in fetched.items()}
        fetched.update(dict.fromkeys(step.load.asked, now))
        page = request.origin, path_of(request.target), "?" in request.target
        hinted = step.fetches and answer.status != 304
        self._steps.append(_View(now, client, step.load, page, had, hinted))

    def finish(self) -> None:
        """Score all loads."""
        views = [step for step in self._steps if isinstance(step, _View)]
        chances = _chances(views)
        again = _again(views, chances, self._likely)
        browsers = Browsers(self._assumed.idle)
        given: defaultdict[int, set[_Url]] = defaultdict(set)
        for step in self._steps:
            browser = browsers.at(step.client, step.time)
            if isinstance(step, _View):
                plan = self._plan(step, chances[step.page], again[step.page[0]])
                self._hint(step, browser, plan, given[browser.connection])
            elif browser.was_brought(step.url, step.time):
                del browser.brought[step.url]
            elif step.is_there:
                browser.fetched(step.url, step.time + self._assumed.lifetime)
                given[browser.connection].add(step.url)

    def _plan(
        self, view: _View, chances: Mapping[str, float], again: Mapping[int, Share]
    ) -> list[str]:
        """Return the assets that are worth a hint, the likeliest first."""
        if not view.hinted:
            return []
        least, found = self._deliver.min_again, []
        for target, chance in chances.items():
            age = view.had.get(target)
            if age is None:
                enough = chance >= self._likely
            else:
                enough = chance * again[bisect(AGES, age)].estimate(1.0, _WEIGHT) >= least
            if enough:
                found.append(target)
        return sorted(found, key=lambda target: -chances[target])

    def _hint(self, view: _View, browser: Browser, plan: Iterable[str], given: set[_Url]) -> None:
        """Score a load with the assets of the plan that its connection was not given."""
        origin, load, now = view.page[0], view.load, view.time
        spared = [target for target in load.real if browser.was_brought((origin, target), now)]
        sent = [target for target in plan if (origin, target) not in given]
        sent, moved = sent[: self._deliver.max_assets], []
        for target in sent:
            url = origin, target
            given.add(url)
            if not browser.has(url, load, now):
                browser.was_sent(url, now + self._assumed.lifetime)
                moved.append(target)
        self.score.add(load, sent, self._sizes[origin], transferred=moved, spared=spared)


def _chances(views: Iterable[_View]) -> defaultdict[_Page, dict[str, float]]:
    """Return how often a view of each page asked for each asset, if its client never had it."""
    rendering: Counter[_Page] = Counter()
    asked: defaultdict[_Page, Counter[str]] = defaultdict(Counter)
    had: defaultdict[_Page, Counter[str]] = defaultdict(Counter)
    for view in views:
        if view.hinted and view.load.subrequests:
            rendering[view.page] += 1
            asked[view.page].update(view.load.real.difference(view.had))
            had[view.page].update(view.had.keys())
    found: defaultdict[_Page, dict[str, float]] = defaultdict(dict)
    for page, counts in asked.items():
        for target, times in counts.items():
            found[page][target] = times / (rendering[page] - had[page][target])
    return found


def _again(
    views: Iterable[_View], chances: Mapping[_Page, Mapping[str, float]], likely: float
) -> defaultdict[str, dict[int, Share]]:
    """Return how often clients of an origin ask again for a likely asset, by its age."""
    found: defaultdict[str, dict[int, Share]] = defaultdict(
        lambda: {age: Share() for age in range(len(AGES) + 1)}
    )
    for view in views:
        if not (view.hinted and view.load.subrequests):
            continue
        for target, age in view.had.items():
            if chances.get(view.page, {}).get(target, 0.0) >= likely:
                share = found[view.page[0]][bisect(AGES, age)]
                share.tries += 1.0
                share.hits += target in view.load.real
    return found
