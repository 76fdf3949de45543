"""Views that end: each is told and counted once, later than the request that ended it."""

from __future__ import annotations

from headstart.learn import View, Vote
from tests.learn.site import ASSETS, STYLE, Site, page_request


def watched(site: Site) -> list[View]:
    """Return the list that each view which is counted is added to."""
    told: list[View] = []
    site.learner.ended.on_end = told.append
    return told


def votes(site: Site) -> list[Vote]:
    """Return the votes since the last sync, for other workers."""
    return [record for record in site.learner.sync(site.now) if isinstance(record, Vote)]


def test_view_that_ended_is_told_once_and_becomes_one_vote() -> None:
    site = Site()
    told = watched(site)
    view = site.open()
    site.fetch(view, STYLE)

    for _ in range(3):
        site.learner.ended.end(view)

    assert told == []  # the map does not change within a request
    cast = votes(site)
    assert told == [view]
    assert [(vote.path, [seen.target for seen in vote.asked]) for vote in cast] == [("/", [STYLE])]
    assert votes(site) == []


def test_third_view_of_a_client_is_counted_like_the_first() -> None:
    site = Site()
    told = watched(site)
    for _ in range(3):
        site.visit("/", ASSETS, "192.0.2.9")

    assert [view.path for view in told] == ["/", "/", "/"]


def test_page_that_was_prefetched_and_never_looked_at_is_not_counted() -> None:
    site = Site()
    told = watched(site)
    unseen = site.open("/unseen", prefetched=True)
    seen = site.open("/seen", prefetched=True)
    site.fetch(seen, STYLE)

    site.learner.ended.end(unseen)
    site.learner.ended.end(seen)

    assert [vote.path for vote in votes(site)] == ["/seen"]
    assert told == [seen]


def test_request_that_turned_out_to_be_no_page_is_not_counted() -> None:
    site = Site()
    told = watched(site)
    view = site.learner.begin(page_request("/download"), site.now)
    assert view is not None

    site.learner.ended.end(view)

    assert votes(site) == []
    assert told == []


def test_views_that_take_too_much_memory_are_counted_at_once() -> None:
    # One hundredth of the bytes may wait: five views of 1,300 bytes and a little each.
    site = Site(max_bytes=700_000)
    told = watched(site)
    views = [site.open() for _ in range(6)]
    counted = []
    for view in views:
        site.learner.ended.end(view)
        counted.append(len(told))

    assert counted == [0, 0, 0, 0, 0, 6]


def test_open_view_is_counted_in_part_and_only_the_rest_of_it_at_its_end() -> None:
    site = Site()
    view = site.open()
    for target in ASSETS[:2]:
        site.fetch(view, target)
    first = votes(site)
    again = votes(site)
    for target in ASSETS[2:]:
        site.fetch(view, target)
    site.learner.ended.end(view)
    last = votes(site)

    assert [seen.target for vote in first for seen in vote.asked] == list(ASSETS[:2])
    assert again == []
    assert [seen.target for vote in last for seen in vote.asked] == list(ASSETS[2:])
    assert [(vote.partial, vote.continues) for vote in first + last] == [
        (True, False),
        (False, True),
    ]
