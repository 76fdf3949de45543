"""Votes: the requests of a view, and the deliveries that were of use."""

from __future__ import annotations

import pytest

from headstart.learn import How, Kind, Named, Reading, Trust
from headstart.learn.records import Removal
from headstart.learn.votes import judged_deliveries, partial_vote, vote_of, weight
from tests.learn.site import ASSETS, FONT, IMAGE, ORIGIN, SCRIPT, STYLE, Site
from tests.learn.voting import vote


def test_vote_of_a_view_has_its_assets_in_the_order_of_their_requests() -> None:
    site = Site()
    view = site.open("/about")
    for target in (SCRIPT, STYLE, SCRIPT):
        site.fetch(view, target)

    cast = vote_of(view, site.learner._map, ())

    assert [seen.target for seen in cast.asked] == [SCRIPT, STYLE]
    assert (cast.origin, cast.path, cast.time) == (ORIGIN, "/about", site.now)
    assert (cast.fresh, cast.rendered, cast.continues) == (True, True, False)


def test_parts_of_an_open_view_and_the_vote_at_its_end_have_each_asset_once() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)
    first = partial_vote(view)
    site.fetch(view, SCRIPT)
    second = partial_vote(view)
    site.fetch(view, FONT)

    last = vote_of(view, site.learner._map, ())

    assert [seen.target for seen in first.asked] == [STYLE]
    assert [seen.target for seen in second.asked] == [STYLE, SCRIPT]
    assert [seen.target for seen in last.asked] == [FONT]
    assert set(last.before) == {STYLE, SCRIPT}
    assert last.continues


def test_absence_of_an_asset_that_the_client_has_proves_nothing() -> None:
    site = Site()
    for _ in range(2):
        site.visit()
    site.visit("/other", (STYLE,), "192.0.2.5", connection=1)
    view = site.open("/", "192.0.2.5", connection=1)
    site.learner.delivered(view, SCRIPT, How.PUSHED)
    site.fetch(view, FONT)

    cast = vote_of(view, site.learner._map, ())

    assert set(cast.held) == {STYLE, SCRIPT}  # had, and pushed; not the image
    assert not cast.fresh


def test_client_that_asks_for_nothing_and_was_here_before_is_quiet() -> None:
    site = Site()
    first = site.open()
    returning = site.open()
    returning.returning = True

    quiet = [vote_of(view, site.learner._map, ()).quiet for view in (first, returning)]

    assert quiet == [False, True]


@pytest.mark.parametrize(
    ("how", "fetched", "end", "returning", "expected"),
    [
        (How.HINTED, False, "whole", False, "neither"),
        (How.HINTED, True, "whole", False, "used"),
        (How.PUSHED, False, "whole", False, "used"),
        (How.PUSHED, True, "whole", False, "unused"),
        (How.PUSHED, False, "reset", False, "unused"),
        (How.PUSHED, False, "reset", True, "neither"),
        (How.PUSHED, True, "reset", True, "neither"),
        (How.PUSHED, False, "failed", False, "neither"),
        (How.PUSHED, True, "failed", False, "neither"),
    ],
)
def test_delivery_is_judged_by_the_clients_reaction(
    how: How, fetched: bool, end: str, returning: bool, expected: str
) -> None:
    view = Site().open()
    view.delivered[STYLE] = how
    view.returning = returning
    if fetched:
        view.fetched[STYLE] = None
    if end == "reset":
        view.wasted.add(STYLE)
    if end == "failed":
        view.failed |= {STYLE}

    used, unused = judged_deliveries(view)

    assert (used, unused) == {
        "used": ([STYLE], []),
        "unused": ([], [STYLE]),
        "neither": ([], []),
    }[expected]


def test_worth_of_a_view_is_the_share_of_its_deliveries_that_were_of_use() -> None:
    site = Site()
    view = site.open()
    for target in ASSETS:
        view.delivered[target] = How.PUSHED
    view.wasted.update((FONT, IMAGE))
    shares = []
    for returning in (False, True):
        view.returning = returning
        shares.append(vote_of(view, site.learner._map, ()).worth)

    assert shares == [0.5, 1.0]


def test_view_that_was_sent_nothing_is_worth_the_share_of_candidates_that_it_asked_for() -> None:
    site = Site()
    for _ in range(3):
        site.visit()
    view = site.open()
    before = vote_of(view, site.learner._map, ()).worth
    for target in ASSETS[:3]:
        site.fetch(view, target)

    assert before is None  # a client that fetched nothing may have everything
    assert vote_of(view, site.learner._map, ()).worth == 0.75


def test_weight_grows_with_the_assets_and_their_names() -> None:
    few, many = vote(1, "/a.css"), vote(1, *(f"/{number}.css" for number in range(64)))
    read = Reading(0.0, ORIGIN, "/", 1, Trust.SOLE, named=(Named(STYLE, Kind.STYLE),) * 3)
    empty = Reading(0.0, ORIGIN, "/", 1, Trust.SOLE)

    assert weight(few) < weight(vote(1, "/a.css" + "?" * 100)) < weight(many)
    assert weight(many) - weight(few) == sum(300 + len(f"/{n}.css") for n in range(64)) - 306
    assert weight(read) - weight(empty) == 3 * 500
    assert weight(Removal(ORIGIN, STYLE)) == 300
