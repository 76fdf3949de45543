"""The recent past of each site: its figures, its refusals and the last views with their assets."""

from __future__ import annotations

import gc
import json
from collections.abc import Coroutine
from typing import Any

import pytest

from headstart.learn import LearnOptions, View
from headstart.middleware.recorded import (
    SPAN,
    SPANS,
    Figures,
    PageLoad,
    Report,
    as_plain,
    report_from,
)
from headstart.middleware.recorder import Recorder
from tests.counting import calls_of
from tests.middleware.served import (
    ASSETS,
    HINT,
    NAVIGATION,
    PAGE,
    PROGRAM,
    PUSH,
    Served,
    Wire,
    ours,
    scope_of,
)
from tests.visits import NO_CONTROL

SITE = "https://example.test"
BROWSER = {**ours(), **HINT}


class Recorded(Served):
    """A middleware that records, with a timer that each look moves on by a millisecond."""

    def __init__(self, learn: LearnOptions = NO_CONTROL) -> None:
        super().__init__(learn=learn)
        self.seconds = 0.0
        self.recorder = Recorder(self.middleware.learner, self.clock, self._timer)
        self.middleware.shared.recorder = self.recorder

    def _timer(self) -> float:
        self.seconds += 0.001
        return self.seconds

    async def later(self) -> None:
        self.seconds += 30.0
        await super().later()

    @property
    def report(self) -> Report:
        report = self.recorder.report()
        assert report_from(json.loads(json.dumps(as_plain(report)))) == report
        return report

    @property
    def figures(self) -> Figures:
        [site] = self.report.sites
        assert site.origin == SITE
        return sum(site.history[1:], site.history[0])

    @property
    def last(self) -> PageLoad:
        return self.report.loads[0]

    async def hinted(self, *fetched: str, connection: int = 1) -> Wire:
        """A browser that is hinted, and fetches these."""
        extensions = {**ours(connection), **HINT}
        wire = await self.get(PAGE, NAVIGATION, extensions)
        for target in fetched:
            referer = (b"referer", SITE.encode() + PAGE.encode())
            await self.get(target, [referer, (b"user-agent", b"test")], ours(connection))
        return wire


@pytest.fixture
async def taught() -> Recorded:
    made = Recorded()
    await made.teach()
    return made


def test_middleware_records_only_if_it_is_told_to() -> None:
    off, on = Served(), Served(recording=True)

    assert off.middleware.shared.recorder is None
    assert off.middleware.learner.ended.on_end is None
    assert on.middleware.shared.recorder is not None


async def test_first_view_shows_what_its_client_asked_for() -> None:
    made = Recorded()

    await made.teach()

    assert made.figures == Figures(made.figures.start, views=1, asked=2)
    assert (made.figures.recall, made.figures.waste, made.figures.share) == (0.0, None, 0.0)
    assert (made.last.origin, made.last.path, made.last.version) == (SITE, PAGE, "2")
    assert made.last.withheld == "nothing-known"
    assert [(one.target, one.way, one.status) for one in made.last.assets] == [
        (target, "", 200) for target in ASSETS
    ]


async def test_hints_that_are_followed_are_of_use(taught: Recorded) -> None:
    await taught.hinted(*ASSETS)
    await taught.later()

    assert taught.figures == Figures(taught.figures.start, 2, 1, 0, asked=2, sent=2, used=2)
    assert taught.figures.recall == 0.5
    assert taught.last.hinted is not None
    assert [one.way for one in taught.last.assets] == ["hint", "hint"]


async def test_hint_that_is_not_followed_is_neither_of_use_nor_waste(taught: Recorded) -> None:
    await taught.hinted(ASSETS[0])
    await taught.later()

    assert (taught.figures.sent, taught.figures.used, taught.figures.wasted) == (2, 1, 0)
    unfollowed = taught.last.assets[-1]
    assert (unfollowed.target, unfollowed.way, unfollowed.start) == (ASSETS[1], "hint", None)


async def test_push_that_its_client_refused_is_waste(taught: Recorded) -> None:
    extensions = {**ours(), **PUSH}
    await taught.get(PAGE, PROGRAM, extensions)
    for _, push, _ in taught.middleware.shared.under_way:
        if push.path == ASSETS[0]:
            push.mark_reset()
        else:
            push.mark_finished()
    await taught.later()

    assert (taught.figures.sent, taught.figures.used, taught.figures.wasted) == (2, 1, 1)
    assert taught.figures.waste == 0.5


async def test_pushed_response_is_part_of_its_pages_load(taught: Recorded) -> None:
    await taught.get(PAGE, PROGRAM, {**ours(), **PUSH})
    await taught.get(ASSETS[0], PROGRAM, ours(pushed=True))

    [pushed, waiting] = taught.last.assets
    assert (pushed.target, pushed.way, pushed.status, pushed.size) == (ASSETS[0], "push", 200, 100)
    assert pushed.start is not None
    assert pushed.responded is not None
    assert pushed.end is not None
    assert 0 < pushed.start < pushed.responded < pushed.end
    assert (waiting.way, waiting.start) == ("push", None)


async def test_times_and_sizes_are_those_of_the_response(taught: Recorded) -> None:
    await taught.hinted(*ASSETS)

    load = taught.last
    assert load.hinted is not None
    assert load.responded is not None
    assert load.end is not None
    assert 0 < load.hinted < load.responded < load.end
    assert (load.status, load.size) == (200, len(b"<!doctype html>"))
    assert [one.size for one in load.assets] == [100, 100]


async def test_reasons_are_counted_for_each_asset_that_was_not_sent(taught: Recorded) -> None:
    await taught.hinted(*ASSETS)
    await taught.hinted()

    [site] = taught.report.sites
    assert site.refused == {"already-sent": 2}


async def test_control_views_are_counted() -> None:
    made = Recorded(LearnOptions(control_share=1))
    await made.teach()
    await made.hinted()
    await made.later()

    assert (made.figures.views, made.figures.controls) == (2, 1)
    assert made.last.withheld == "control-view"


async def test_view_whose_assets_were_all_refused_shows_the_reason(taught: Recorded) -> None:
    saving = [*NAVIGATION, (b"save-data", b"on")]
    await taught.get(headers=saving, extensions={**ours(2), **HINT})

    assert taught.last.withheld == "save-data"


async def test_page_that_is_no_page_leaves_no_trace(taught: Recorded) -> None:
    before = len(taught.report.loads)
    taught.seconds += 10

    await taught.get("/missing", NAVIGATION, ours(5))
    taught.seconds += 10
    wire = await taught.get(PAGE, NAVIGATION, ours(6))
    await taught.later()

    assert wire.messages
    assert len(taught.report.loads) == before + 1
    assert taught.figures.views == 2


async def test_views_in_quick_succession_are_not_all_recorded_and_all_counted() -> None:
    made = Recorded()

    for number in range(50):
        await made.get(f"/{number}/", NAVIGATION, ours(number))
    await made.later()

    assert len(made.report.loads) == 1
    assert made.figures.views == 50


async def test_views_sites_and_spans_are_bounded() -> None:
    made = Recorded()
    for number in range(60):
        made.seconds += 1.0
        host = (b"host", f"{number}.test".encode())
        scope = scope_of("/" + "x" * 1000 + "/", NAVIGATION, ours(number), http_version="2")
        scope["headers"] = [host, *NAVIGATION]
        wire = Wire()
        await made.middleware(scope, wire.receive, wire.send)
    await made.later()

    report = made.report
    assert (len(report.sites), len(report.loads)) == (20, 30)
    assert report.loads[0].origin == "https://59.test"
    assert {len(load.path) for load in report.loads} == {300}


async def test_names_that_a_client_makes_up_push_out_no_visited_site(taught: Recorded) -> None:
    await taught.hinted(*ASSETS)
    await taught.later()

    for number in range(100):
        scope = scope_of("/", NAVIGATION, ours(number))
        scope["headers"] = [(b"host", f"{number}.test".encode()), *NAVIGATION]
        wire = Wire()
        await taught.middleware(scope, wire.receive, wire.send)
    await taught.later()

    assert SITE in [site.origin for site in taught.report.sites]
    assert len(taught.report.sites) == 20


async def test_report_has_the_views_that_are_wanted(taught: Recorded) -> None:
    taught.seconds += 10
    await taught.get("/other/", NAVIGATION, ours(3))
    taught.seconds += 10
    await taught.get("/other/", NAVIGATION, ours(4))
    report = taught.recorder.report

    assert [load.path for load in report(2).loads] == ["/other/", "/other/"]
    assert [load.path for load in report(2, SITE, PAGE).loads] == [PAGE]
    assert len(report(1, SITE).loads) == 1
    assert report(5, "https://other.test").loads == ()
    assert report(0).loads == ()
    assert report(0).sites == taught.report.sites


async def test_history_ends_after_twelve_hours() -> None:
    made = Recorded()
    for _ in range(SPANS + 10):
        await made.hinted()
        made.clock.now += SPAN
        await made.middleware.sync()

    [site] = made.report.sites
    starts = [figures.start for figures in site.history]
    assert len(starts) == SPANS
    assert starts == sorted(set(starts))
    assert starts[0] >= made.clock.now - SPAN * SPANS


async def test_each_change_of_the_report_can_be_seen(taught: Recorded) -> None:
    seen: list[int] = [taught.recorder.changes]
    await taught.hinted(ASSETS[0])
    seen.append(taught.recorder.changes)
    await taught.later()
    seen.append(taught.recorder.changes)

    assert seen == sorted(set(seen))


def test_sum_of_figures_begins_with_the_first() -> None:
    figures: dict[str, Any] = {"views": 2, "served": 1, "sent": 4, "used": 1, "asked": 3}

    total = Figures(600, **figures) + Figures(300, **figures)

    assert total == Figures(300, **{name: 2 * value for name, value in figures.items()})
    assert (total.share, total.recall, total.waste) == (0.5, 0.25, 0.0)


def calls_in(awaitable: Coroutine[Any, Any, object]) -> int:
    """Return the calls of a coroutine that waits for nothing."""

    def run() -> None:
        with pytest.raises(StopIteration):
            awaitable.send(None)

    return calls_of(run)


async def test_recording_an_asset_costs_a_few_calls_however_much_is_recorded(
    taught: Recorded,
) -> None:
    for number in range(40):
        taught.seconds += 1.0
        await taught.hinted(*ASSETS, connection=number)
    referer = (b"referer", SITE.encode() + PAGE.encode())
    shared = taught.middleware.shared

    costs = {}
    for connection, recorder in ((500, taught.recorder), (501, taught.recorder), (502, None)):
        shared.recorder = recorder
        await taught.get(PAGE, NAVIGATION, {**ours(connection), **HINT})
        scope, wire = scope_of(ASSETS[0], [referer], ours(connection)), Wire()
        costs[connection] = calls_in(taught.middleware(scope, wire.receive, wire.send))

    assert 0 < costs[501] - costs[502] < 60


async def test_view_that_has_ended_is_let_go_and_what_was_sent_is_kept(taught: Recorded) -> None:
    def views() -> int:
        gc.collect()
        # `isinstance` would ask lazy objects of other packages for their class.
        return sum(type(one) is View and one.viewer.key == 77 for one in gc.get_objects())

    await taught.hinted(ASSETS[0], connection=77)
    before = views()
    await taught.later()

    assert (before, views()) == (1, 0)
    assert [(one.target, one.way) for one in taught.last.assets] == [
        (ASSETS[0], "hint"),
        (ASSETS[1], "hint"),
    ]
