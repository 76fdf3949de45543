"""The bound: a predictor that knows each page's statistics before the page's first load.

It knows from the whole log how often clients that fetch assets, and lack this one, asked for it
with this page. It knows which clients fetch assets. It decides before the load, as the learner
does: it sends what is more likely than not, and nothing that its client was seen to have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from headstart.learn.urls import path_of
from headstart.replay.browsers import DAY
from headstart.replay.loads import PageLoad, Step
from headstart.replay.scores import Score

ORACLE = "oracle"
_LIKELY = 0.5


@dataclass(slots=True)
class _Seen:
    """A load, and what its client had before."""

    load: PageLoad
    had: frozenset[str]


class Oracle:
    """Keeps the loads of a log, and scores them when the log is at its end."""

    def __init__(self) -> None:
        self.score = Score(ORACLE)
        self._loads: list[tuple[_Seen, bool]] = []
        self._sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._fetched: dict[tuple[str, str, str], dict[str, float]] = {}
        self._asked: dict[tuple[str, str], dict[str, int]] = {}
        self._lacking: dict[tuple[str, str], dict[str, int]] = {}
        self._views: dict[tuple[str, str], int] = {}

    def take(self, step: Step) -> None:
        """Take the next step."""
        request, answer = step.line.exchange.request, step.line.exchange.answer
        if answer.status == 200 and answer.size:
            self._sizes[request.origin][request.target] = answer.size
        if step.load is None or not step.load.is_page:
            return
        client = (request.address, request.user_agent, request.origin)
        fetched = self._fetched.setdefault(client, {})
        now = step.line.time
        conditional = answer.status == 304
        had = frozenset(target for target, time in fetched.items() if now - time < DAY)
        seen = _Seen(step.load, had)
        self._loads.append((seen, step.fetches and not conditional))
        if step.fetches and not conditional:
            self._count(seen, (request.origin, path_of(request.target)))
        fetched.update(dict.fromkeys(step.load.asked, now))

    def _count(self, seen: _Seen, page: tuple[str, str]) -> None:
        self._views[page] = self._views.get(page, 0) + 1
        asked = self._asked.setdefault(page, {})
        had = self._lacking.setdefault(page, {})
        for target in seen.load.real:
            asked[target] = asked.get(target, 0) + 1
        for target in seen.had:
            if target not in seen.load.real:
                had[target] = had.get(target, 0) + 1

    def finish(self) -> None:
        """Score all loads."""
        plans: dict[tuple[str, str], list[str]] = {}
        for page, asked in self._asked.items():
            had, views = self._lacking[page], self._views[page]
            plans[page] = [
                target
                for target, times in asked.items()
                if times >= _LIKELY * (views - had.get(target, 0))
            ]
        for seen, served in self._loads:
            request = seen.load.line.exchange.request
            page = (request.origin, path_of(request.target))
            plan = plans.get(page, ()) if served else ()
            sent = [target for target in plan if target not in seen.had]
            self.score.add(seen.load, sent, self._sizes[request.origin])
