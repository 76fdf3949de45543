"""The figures of one way of predicting."""

from __future__ import annotations

from collections import Counter

from headstart.replay.loads import PageLoad
from headstart.replay.scores import Score
from tests.replay.test_rivals import line

SIZES = Counter({"/a.css": 100, "/b.js": 10, "/c.png": 1})


def load(asked: dict[str, int], *, is_page: bool = True, others: tuple[str, ...] = ()) -> PageLoad:
    """A page whose horizon is over; the assets in `others` were not asked for by the page."""
    subrequests = {target: status for target, status in asked.items() if target not in others}
    page = line(0.0, "/", destination="document")
    made = PageLoad(page, is_page=is_page, asked=asked, subrequests=subrequests)
    made.end()
    return made


def scored(*loads: PageLoad, sent: tuple[str, ...] = ()) -> Score:
    score = Score("ours")
    for one in loads:
        score.add(one, sent, SIZES)
    return score


def test_nothing_sent_wastes_nothing_and_foresees_nothing() -> None:
    score = Score("ours")
    assert (score.recall, score.precision, score.rendering_precision) == (0.0, 1.0, 1.0)
    assert score.wasted_share == 0.0

    score = scored(load({"/a.css": 200}))

    assert (score.views, score.rendering, score.real, score.recall) == (1, 1, 1, 0.0)
    assert (score.precision, score.sent_bytes) == (1.0, 0)


def test_recall_is_the_share_of_real_subrequests_and_precision_that_of_what_was_sent() -> None:
    score = scored(load({"/a.css": 200, "/b.js": 200}), sent=("/a.css", "/c.png"))

    assert (score.real, score.foreseen, score.recall) == (2, 1, 0.5)
    assert (score.sent, score.used, score.precision) == (2, 1, 0.5)
    assert (score.sent_bytes, score.wasted_bytes) == (101, 1)
    assert score.wasted_share == 1 / 101


def test_asset_that_the_client_had_is_wasted_and_counted_as_revalidated() -> None:
    score = scored(load({"/a.css": 304}), sent=("/a.css",))

    assert (score.used, score.revalidated, score.real) == (0, 1, 0)
    assert score.wasted_bytes == score.sent_bytes == 100


def test_view_without_subrequests_counts_for_precision_but_not_as_rendering() -> None:
    score = scored(load({}), load({"/a.css": 200}), sent=("/a.css",))

    assert (score.views, score.rendering) == (2, 1)
    assert (score.precision, score.rendering_precision) == (0.5, 1.0)


def test_asset_that_was_asked_for_elsewhere_is_used_but_not_foreseen() -> None:
    score = scored(load({"/a.css": 200}, others=("/a.css",)), sent=("/a.css",))

    assert (score.used, score.foreseen, score.rendering) == (1, 0, 0)


def test_load_that_turned_out_not_to_be_a_page_wastes_without_being_a_view() -> None:
    score = scored(load({}, is_page=False), sent=("/a.css",))

    assert (score.views, score.sent, score.wasted_bytes) == (0, 1, 100)


def test_hint_that_the_client_did_not_follow_moves_no_bytes() -> None:
    score = Score("ours")

    score.add(load({"/b.js": 200}), ["/a.css", "/b.js"], SIZES, transferred=["/b.js"])
    assert (score.sent, score.used) == (2, 1)
    assert (score.sent_bytes, score.wasted_bytes) == (10, 0)
    score.add(load({}), {"/a.css": 0}, SIZES, transferred=set())
    assert score.sent_bytes == 10


def test_asset_that_an_earlier_page_sent_ahead_counts_neither_way() -> None:
    score = Score("ours")

    score.add(load({"/a.css": 200, "/b.js": 200}), {"/b.js"}, SIZES, spared=["/a.css"])

    assert (score.real, score.foreseen, score.recall) == (1, 1, 1.0)


def test_asset_of_unknown_size_has_no_bytes() -> None:
    score = Score("ours")

    score.add(load({"/x.css": 200}), ["/x.css"], Counter())

    assert (score.used, score.sent_bytes, score.wasted_share) == (1, 0, 0.0)
