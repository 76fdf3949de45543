"""What the learner would have sent for a log, and how much of it would have been right.

Prequential: each view is predicted before anything is learned from it, in the log's order, from
nothing. `headstart replay` calls it; the tests hold its figures.

A view's *sub-requests* are GETs for stylesheets, scripts, fonts and images by the same client on
the same origin within 10 s, whose Referer is the page or another sub-request of it. Those answered
200 are *real*; one answered 304 was in the client's cache, so sending it would have been waste.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from headstart.learn.learner import Learner
from headstart.learn.logs import LogLine
from headstart.learn.options import LearnOptions
from headstart.learn.rivals import Everything, JettyFilter
from headstart.learn.safety import kind_of_path, kind_of_type
from headstart.learn.urls import path_of

# A prediction is judged by what the client asks for in so many seconds.
HORIZON = 10.0
_SYNC = 1.0


@dataclass(slots=True)
class Score:
    """How one way of predicting did.

    Attributes:
        name: Which way.
        views, rendering: Views, and those followed by a sub-request.
        real, foreseen: Real sub-requests, and those of them that were sent ahead.
        sent, used: Assets sent ahead, and those then asked for and answered 200.
        rendering_sent, rendering_used: The same over rendering views only.
        revalidated: Sent ahead, and then answered 304.
        sent_bytes, wasted_bytes: Bytes of what was sent, and of what was sent and not used.
    """

    name: str
    views: int = 0
    rendering: int = 0
    real: int = 0
    foreseen: int = 0
    sent: int = 0
    used: int = 0
    rendering_sent: int = 0
    rendering_used: int = 0
    revalidated: int = 0
    sent_bytes: int = 0
    wasted_bytes: int = 0

    @property
    def recall(self) -> float:
        """Share of real sub-requests that were sent ahead."""
        return self.foreseen / self.real if self.real else 0.0

    @property
    def precision(self) -> float:
        """Share of what was sent that was used; 1 where nothing was sent."""
        return self.used / self.sent if self.sent else 1.0

    @property
    def rendering_precision(self) -> float:
        """The same over views followed by a sub-request."""
        return self.rendering_used / self.rendering_sent if self.rendering_sent else 1.0

    @property
    def wasted_share(self) -> float:
        """Share of the bytes sent that were not used."""
        return self.wasted_bytes / self.sent_bytes if self.sent_bytes else 0.0


@dataclass(slots=True)
class _Truth:
    """What a view's client really asked for."""

    line: LogLine
    names: set[str]
    sent: dict[str, Collection[str]]
    sizes: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    subrequests: dict[str, int] = field(default_factory=dict)


class Replay:
    """Feeds a log to the learner and its rivals, and keeps their scores."""

    def __init__(self, options: LearnOptions | None = None) -> None:
        # A log tells what clients asked for unaided: each view is already a control view.
        self.learner = Learner(replace(options or LearnOptions(), control_share=0))
        self._jettys = {f"Jetty's filter, {period:g} s": JettyFilter(period) for period in (2, 4)}
        self._everything = Everything()
        self.scores = [Score(name) for name in ("Headstart", *self._jettys, "everything ever seen")]
        self._live: dict[tuple[str, str], list[_Truth]] = {}
        self._open: list[_Truth] = []
        self._sizes: dict[tuple[str, str], int] = {}
        self._synced = float("-inf")

    def run(self, lines: Iterable[LogLine]) -> list[Score]:
        """Takes all lines, and judges what is left at their end."""
        for line in lines:
            self.take(line)
        self._judge(float("inf"))
        self.learner.sync(float("inf"))
        return self.scores

    def take(self, line: LogLine) -> None:
        """Predicts if this is a page, then learns from it."""
        self._judge(line.time - HORIZON)
        if line.time - self._synced >= _SYNC or line.time < self._synced:
            self.learner.sync(line.time)
            self._synced = line.time
        self._note_size(line)
        sent = self._predict(line)
        if line.is_page:
            self._open_view(line, sent)
        elif _is_asset(line):
            self._note_asset(line)

    def _predict(self, line: LogLine) -> dict[str, Collection[str]]:
        request, answer = line.exchange.request, line.exchange.answer
        view = self.learner.begin(request, line.time)
        ours = tuple(candidate.target for candidate in view.candidates) if view else ()
        self.learner.complete(request, answer, view, line.time)
        sent: dict[str, Collection[str]] = {"Headstart": ours}
        for name, jetty in self._jettys.items():
            sent[name] = jetty.take(line)
        sent["everything ever seen"] = self._everything.take(line)
        return sent

    def _note_size(self, line: LogLine) -> None:
        request, answer = line.exchange.request, line.exchange.answer
        if answer.status == 200 and answer.size:
            self._sizes[request.origin, request.target] = answer.size

    def _open_view(self, line: LogLine, sent: dict[str, Collection[str]]) -> None:
        request = line.exchange.request
        truth = _Truth(line, {request.origin + request.target}, sent)
        everything = {target for targets in sent.values() for target in targets}
        truth.sizes = {
            target: self._sizes.get((request.origin, target), 0) for target in everything
        }
        self._open.append(truth)
        self._live.setdefault((request.address, request.user_agent), []).append(truth)

    def _note_asset(self, line: LogLine) -> None:
        request, status = line.exchange.request, line.exchange.answer.status
        views = self._live.get((request.address, request.user_agent), ())
        owned = False
        for truth in reversed(views):
            page = truth.line.exchange.request
            if page.origin != request.origin:
                continue
            truth.asked.setdefault(request.target, status)
            if not owned and request.referer in truth.names:
                owned = True
                truth.names.add(request.origin + request.target)
                truth.subrequests.setdefault(request.target, status)

    def _judge(self, until: float) -> None:
        """Scores the views that opened before then."""
        while self._open and self._open[0].line.time < until:
            truth = self._open.pop(0)
            request = truth.line.exchange.request
            self._live[request.address, request.user_agent].remove(truth)
            for score in self.scores:
                _add(score, truth, truth.sent[score.name])
            for target in truth.subrequests:
                self._everything.learn(request.origin, path_of(request.target), target)


def _is_asset(line: LogLine) -> bool:
    request, answer = line.exchange.request, line.exchange.answer
    if request.method != "GET":
        return False
    media_type = answer.content_type.partition(";")[0].strip().lower()
    return bool(kind_of_type(media_type) if media_type else kind_of_path(request.target))


def _add(score: Score, truth: _Truth, sent: Collection[str]) -> None:
    real = {target for target, status in truth.subrequests.items() if status == 200}
    used = [target for target in sent if truth.asked.get(target) == 200]
    score.views += 1
    score.real += len(real)
    score.foreseen += len(real.intersection(sent))
    score.sent += len(sent)
    score.used += len(used)
    if truth.subrequests:
        score.rendering += 1
        score.rendering_sent += len(sent)
        score.rendering_used += len(used)
    score.revalidated += sum(truth.asked.get(target) == 304 for target in sent)
    size = sum(truth.sizes[target] for target in sent)
    score.sent_bytes += size
    score.wasted_bytes += size - sum(truth.sizes[target] for target in used)
