"""Where the bars of waterfalls and of the history are."""

from __future__ import annotations

import pytest

from headstart.admin.site.charts import history, waterfall
from headstart.middleware.recorded import SPAN, SPANS, AssetLoad, Figures, PageLoad


def page(*assets: AssetLoad, end: float | None = 0.2, hinted: float | None = None) -> PageLoad:
    return PageLoad("https://a.test", "/", 10.0, "2", "", hinted, 0.1, end, 200, 1500, assets)


def asset(way: str = "", start: float | None = 0.1, end: float | None = 0.4) -> AssetLoad:
    responded = None if start is None else start + 0.1
    return AssetLoad("/a.css", way, start, responded, end, 200 if start is not None else 0, 100)


def test_bars_are_in_proportion_to_time() -> None:
    fall = waterfall(page(asset(), hinted=0.05))

    first, second = fall.lines
    unit = 1000 / (0.4 * 1.01)
    assert (first.wait_x, first.wait_width) == pytest.approx((0.0, 0.1 * unit), abs=0.1)
    assert (first.bar_x, first.bar_width) == pytest.approx((0.1 * unit, 0.1 * unit), abs=0.1)
    assert first.mark == pytest.approx(0.05 * unit, abs=0.1)
    assert second.wait_x == pytest.approx(0.1 * unit, abs=0.1)
    assert (second.took, second.began, second.size) == ("300 ms", "100 ms", "100 B")
    assert (fall.took, fall.ahead, fall.fetched) == ("400 ms", 0, 1)


@pytest.mark.parametrize(
    ("way", "said"), [("push", "pushed"), ("hint", "103"), ("link", "Link"), ("", "asked for")]
)
def test_way_of_an_asset_is_a_word_and_a_colour(way: str, said: str) -> None:
    line = waterfall(page(asset(way))).lines[1]

    assert (line.said, line.way) == (said, way or "request")


def test_asset_that_was_sent_and_not_fetched_has_no_bar() -> None:
    fall = waterfall(page(asset("hint", None, None)))

    line = fall.lines[1]
    assert (line.way, line.said) == ("unused", "103, not fetched")
    assert (line.wait_width, line.bar_width, line.took, line.size) == (0.0, 0.0, "", "")
    assert (fall.ahead, fall.fetched) == (1, 0)


def test_response_that_goes_on_lasts_until_the_end_and_has_a_bar_that_can_be_seen() -> None:
    fall = waterfall(page(asset(end=None), end=None))

    assert all(line.bar_width >= 4 for line in fall.lines)
    assert all(line.bar_x + line.bar_width <= 1000 for line in fall.lines)


def test_view_without_any_time_is_drawn() -> None:
    empty = PageLoad("https://a.test", "/", 10.0, "2", "", None, None, None, 0, 0)

    assert waterfall(empty).lines[0].bar_width >= 4


def spans(**views: int) -> list[Figures]:
    """Spans of twelve hours; those named `s3` have so many views."""
    return [Figures(number * SPAN, views.get(f"s{number}", 0)) for number in range(SPANS)]


def test_each_span_with_views_has_a_column() -> None:
    found = spans(s0=4)
    found[1] = Figures(SPAN, views=8, served=6, asked=1, sent=4, used=3, wasted=1)

    drawn = history(found)

    assert drawn.most == 8
    assert [(c.served_y, c.served_height, c.rest_y, c.rest_height) for c in drawn.columns] == [
        (100.0, 0.0, 50.0, 50.0),
        (25.0, 75.0, 0.0, 25.0),
    ]
    assert drawn.columns[0].x < drawn.columns[1].x


def test_hours_are_sums_with_the_latest_first() -> None:
    drawn = history(spans(s0=1, s11=2, s12=4, s143=8))

    assert [(hour.start, hour.figures.views) for hour in drawn.hours] == [
        (132 * SPAN, 8),
        (12 * SPAN, 4),
        (0, 3),
    ]
    assert drawn.starts == tuple(range(0, SPANS * SPAN, 12 * SPAN))


def test_lines_are_interrupted_where_nothing_was_needed() -> None:
    found = spans()
    for number, used in ((0, 1), (12, 3), (36, 1)):
        found[number] = Figures(number * SPAN, 4, 4, asked=3, sent=4, used=used)

    drawn = history(found)

    assert drawn.recall.count("M") == 2
    assert drawn.recall.count("L") == 1
    assert drawn.recall.endswith("h8")
    assert drawn.waste.startswith("M41.7 100.0L125.0 100.0M")


def test_history_of_nothing_is_empty() -> None:
    drawn = history(spans())

    assert (drawn.columns, drawn.most, drawn.recall, drawn.hours) == ((), 0, "", ())
