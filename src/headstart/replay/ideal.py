"""The learner alone on a log, beside its rivals.

Nothing is delivered, so each view of the log is as good as a control view, and there are no
budgets. This says what the map knows; `live` says what a server makes of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace

from headstart.learn import Learner, LearnOptions
from headstart.learn.records import Removal
from headstart.learn.urls import path_of
from headstart.replay.loads import LineKind, Step
from headstart.replay.queries import SharedQueries, Url
from headstart.replay.rivals import Everything, JettyFilter
from headstart.replay.scores import Score

IDEAL = "the map alone"
_EVERYTHING = "everything ever seen"
_SYNC = 1.0
# Seconds, of Jetty's filter.
_PERIODS = (2.0, 4.0)
_NAVIGATIONS = (LineKind.PAGE, LineKind.NAVIGATION)


class Ideal:
    """Feeds the steps of a log to a learner and its rivals, and keeps their scores.

    Attributes:
        learner: The learner, with what the log taught it.
        scores: The learner's first.
    """

    def __init__(self, options: LearnOptions | None = None) -> None:
        self.learner = Learner(replace(options or LearnOptions(), control_share=0))
        self._jettys = (JettyFilter(*_PERIODS), JettyFilter(*_PERIODS, query_in_key=True))
        jettys = [
            f"Jetty's filter, {period:g} s{with_query}"
            for with_query in ("", ", query in key")
            for period in _PERIODS
        ]
        self._everything = Everything()
        self.scores = [Score(name) for name in (IDEAL, *jettys, _EVERYTHING)]
        self._sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._synced = float("-inf")
        self._queries = SharedQueries(self.learner.options.max_url, self._withdraw)

    @property
    def unlearned(self) -> int:
        """Return the number of assets with a query that several clients share and it lacks."""
        return len(self._queries.left_out)

    def take(self, step: Step) -> None:
        """Predict if this is a navigation, then learn from it."""
        line = step.line
        if line.time - self._synced >= _SYNC or line.time < self._synced:
            self.learner.sync(line.time)
            self._synced = line.time
        request = line.exchange.request
        ours = self._foreseen(step)
        if step.load is not None and step.kind in _NAVIGATIONS:
            sizes = self._sizes[request.origin]
            sent = (
                ours,
                *[pushes for jetty in self._jettys for pushes in jetty.take(line)],
                self._everything.take(line),
            )
            for score, targets in zip(self.scores, sent, strict=True):
                score.add(step.load, targets, sizes)
        else:
            for jetty in self._jettys:
                jetty.learn(line)
        if step.load is not None and step.load.is_page:
            for target in step.load.subrequests:
                self._everything.learn(request.origin, path_of(request.target), target)
        answer = line.exchange.answer
        if answer.status == 200 and answer.size:
            self._sizes[request.origin][request.target] = answer.size

    def finish(self) -> None:
        """End the views that are still open."""
        self.learner.sync(float("inf"))
        self._queries.finish()

    def _withdraw(self, url: Url) -> None:
        """Forget an asset, after what views that have ended say of it."""
        self.learner.sync(self._synced)
        self.learner.assets.remove(Removal(*url))

    def _foreseen(self, step: Step) -> Collection[str]:
        """Return the assets that the learner foresees; then it learns from the request."""
        line = step.line
        request, answer = line.exchange.request, step.answer
        if step.kind is LineKind.ASSET:
            answer = self._queries.judged(request, answer)
        navigation = step.kind in _NAVIGATIONS
        destination = "document" if navigation else "empty" if step.kind is LineKind.CALL else ""
        if request.destination != destination:
            request = request._replace(destination=destination)
        view = self.learner.begin(request, line.time)
        ours = tuple(candidate.target for candidate in view.candidates) if view else ()
        self.learner.complete(request, answer, view, line.time)
        return ours
