"""Tests of headstart.replay.ideal: by hand, and on real traffic where it is at hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from headstart.learn import LearnOptions
from headstart.learn.logs import LogFile, LogLine
from headstart.replay import Score
from headstart.replay.ideal import IDEAL, Ideal
from headstart.replay.loads import Loads
from tests.replay import traces
from tests.replay.test_loads import answered
from tests.replay.test_rivals import line


def _replayed(name: str, **options: Any) -> dict[str, Score]:
    path = traces.folder() / name
    if not path.exists():
        pytest.skip(f"the trace {name} is not in {path.parent}")
    return {score.name: score for score in _judged(LogFile(path), LearnOptions(**options))}


def _judged(lines: Iterable[LogLine], options: LearnOptions | None = None) -> list[Score]:
    loads, ideal = Loads(), Ideal(options)
    for one in lines:
        for step in loads.take(one):
            ideal.take(step)
    for step in loads.until(float("inf")):
        ideal.take(step)
    ideal.finish()
    return ideal.scores


def _visit(time: float, client: str, *assets: str, status: int = 200) -> list[LogLine]:
    visit = [line(time, "/", address=client, destination="document")]
    for asset in assets:
        visit.append(line(time + 0.1, asset, "/", status, address=client))
    return visit


def test_each_view_is_predicted_before_anything_is_learned_from_it() -> None:
    first = _visit(0, "a", "/a.css", "/b.css")
    second = _visit(100, "b", "/a.css", "/c.css")

    ours, *_, everything = _judged([*first, *second])

    assert (ours.views, ours.rendering, ours.real) == (2, 2, 4)
    assert (ours.sent, ours.used, ours.foreseen) == (2, 1, 1)
    assert (ours.recall, ours.precision, ours.rendering_precision) == (0.25, 0.5, 0.5)
    assert (everything.sent, everything.used) == (2, 1)


def test_bytes_are_wasted_by_what_is_not_asked_for_or_was_in_the_cache() -> None:
    sized = [
        line(0.0, "/", address="a", destination="document"),
        *(line(0.1, target, "/", address="a") for target in ("/a.css", "/b.css")),
    ]
    sized[1:] = [answered(one, size=10) for one in sized[1:]]

    ours, *_ = _judged([*sized, *_visit(100, "b", "/a.css", status=304)])

    assert (ours.sent, ours.used, ours.revalidated) == (2, 0, 1)
    assert (ours.sent_bytes, ours.wasted_bytes, ours.wasted_share) == (20, 20, 1.0)
    assert ours.real == 2


def test_an_empty_log_has_scores() -> None:
    ours, *_ = _judged([])

    assert (ours.recall, ours.precision, ours.rendering_precision) == (0.0, 1.0, 1.0)


def test_semicomplete_is_foreseen_as_well_as_wanted() -> None:
    ours = _replayed(traces.SEMICOMPLETE)[IDEAL]

    assert ours.recall >= 0.70
    assert ours.rendering_precision >= 0.90
    assert ours.precision >= 0.50


@pytest.mark.parametrize("name", [traces.FARMWORK, traces.HAR])
def test_more_is_foreseen_than_by_jetty_s_filter_and_each_wastes_fewer_bytes(name: str) -> None:
    scores = _replayed(name)
    ours, jetty = scores[IDEAL], scores["Jetty's filter, 2 s"]

    assert ours.recall > jetty.recall
    assert ours.wasted_bytes / ours.foreseen < jetty.wasted_bytes / jetty.foreseen


def test_with_more_places_a_page_the_longer_window_is_beaten_too() -> None:
    scores = _replayed(traces.HAR, max_assets=64)
    ours, jetty = scores[IDEAL], scores["Jetty's filter, 4 s"]

    assert ours.recall > jetty.recall
    assert ours.precision > jetty.precision


def _unlearned(
    lines: Iterable[LogLine], cache_control: str | None, validated: bool | None = None
) -> int:
    """Return the number of assets that are left out, if all responses are such."""
    loads, ideal = Loads(), Ideal()
    for one in lines:
        known = answered(one, cache_control=cache_control, validated=validated)
        for step in loads.take(known):
            ideal.take(step)
    for step in loads.until(float("inf")):
        ideal.take(step)
    ideal.finish()
    return ideal.unlearned


def test_assets_whose_query_the_log_cannot_vouch_for_are_counted_from_two_addresses_on() -> None:
    lines = [
        *_visit(0, "a", "/a.css?v=1", "/b.css?s=1", "/plain.css", "/api?x=1"),
        *_visit(100, "a", "/a.css?v=1", "/b.css?s=1"),
        *_visit(200, "b", "/a.css?v=1", "/b.css?s=2", "/plain.css", "/api?x=1"),
    ]

    assert _unlearned(lines, None) == 1
    assert _unlearned(lines, "") == 1
    assert _unlearned(lines, "max-age=600") == 0
    assert _unlearned(lines, "", validated=False) == 0  # the log tells that there is none
