"""Tests of headstart.learn.records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.learn import How, Learner, PageRecord, Record, SiteIcon, Vote, from_plain, to_plain
from tests.learn.site import ASSETS, ORIGIN, STYLE, Site


def _records() -> list[Record]:
    site = Site()
    view = site.open()
    for target in ASSETS:
        site.fetch(view, target)
    votes = site.learner.sync(site.now + 60)
    site.visit(deliver=How.PUSHED)
    site.visit("/news", phone=True)
    site.visit("/news", assets=ASSETS[1:])
    site.learner.pin("/", "/print.css")
    site.learner.never("/secret.css")
    site.learner.forget("/nowhere", site.now)
    removed = site.open()
    site.fetch(removed, STYLE, status=404)
    site.fetch(removed, ASSETS[1], cache_control="max-age=60")
    site.learner.absorb([SiteIcon(ORIGIN, "/logo-32.png")])
    return [*votes, *site.learner.sync(site.now + 60), *site.learner.export()]


def test_each_record_survives_json() -> None:
    records = _records()

    assert {to_plain(record)["record"] for record in records} == {
        *("vote", "page", "rule", "removal", "sighting", "forgotten", "icon")
    }
    assert [from_plain(json.loads(json.dumps(to_plain(record)))) for record in records] == records


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"record": "nonsense"},
        {"record": "vote"},
        {"record": "rule", "verdict": "perhaps", "page": "/", "asset": "/a.css"},
        {"record": "page", "assets": [{"asset": 3}]},
        {"record": "vote", "asked": 7},
    ],
)
def test_what_is_no_record_is_said_to_be_none(plain: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        from_plain(plain)


def split(page: str) -> tuple[str, str]:
    """Return the origin and the path of a page."""
    scheme, _, rest = page.rpartition("://")
    authority, slash, path = rest.partition("/")
    return (f"{scheme}://{authority}", slash + path) if scheme else ("", page)


def _changed(plain: Any) -> Iterator[Any]:
    """Yield a value of JSON with each of its parts, one at a time, of another type."""
    others: list[Any] = [None, [], {}, "x", 7, True, -1.0, 1e300, float("nan")]
    yield from others
    if isinstance(plain, dict):
        for name, inner in plain.items():
            yield from ({**plain, name: other} for other in _changed(inner))
    if isinstance(plain, list):
        for place, inner in enumerate(plain):
            yield from ([*plain[:place], other, *plain[place + 1 :]] for other in _changed(inner))


@pytest.mark.parametrize("record", _records(), ids=lambda record: type(record).__name__)
def test_record_with_a_value_of_another_type_is_refused_or_can_be_learned(record: Record) -> None:
    taken = refused = 0
    for plain in _changed(json.loads(json.dumps(to_plain(record)))):
        try:
            other = from_plain(plain)
        except ConfigurationError:
            refused += 1
            continue
        taken += 1
        learner = Learner()
        learner.absorb([other])
        for each in learner.export():
            assert from_plain(json.loads(json.dumps(to_plain(each)))) == each
        for row in learner.rows():
            assert 0.0 <= row.probability <= 1.0
            learner.candidates(*split(row.page))
    assert refused > taken


@pytest.mark.parametrize(
    "changes",
    [{"sent": 2.0, "useful": 3.0}, {"views": 1e13}, {"last": float("inf")}, {"views": -1.0}],
)
def test_page_whose_counts_cannot_be_is_refused(changes: dict[str, float]) -> None:
    page = next(record for record in _records() if isinstance(record, PageRecord))

    with pytest.raises(ConfigurationError):
        from_plain({**to_plain(page), **changes})


def _page_of_segments() -> dict[str, Any]:
    site = Site()
    for number in range(4):
        site.visit(phone=number % 2 == 0, assets=ASSETS[number % 2 :])
    page = next(r for r in site.learner.export() if isinstance(r, PageRecord) and r.path == "/")
    assert page.segments == 0b11
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(page)))
    return plain


@pytest.mark.parametrize("segments", [-1, 16, 1 << 62])
def test_page_with_segments_that_do_not_exist_is_refused(segments: int) -> None:
    plain = _page_of_segments()

    assert isinstance(from_plain(plain), PageRecord)
    with pytest.raises(ConfigurationError, match="segment"):
        from_plain({**plain, "segments": segments})


@pytest.mark.parametrize(
    "segment", [{"segment": 4}, {"segment": -1}, {"segment": 1 << 40}, {"asked": 9.0}]
)
def test_asset_with_an_impossible_share_of_a_segment_is_refused(segment: dict[str, Any]) -> None:
    plain = _page_of_segments()
    tally = plain["assets"][0]
    tally["segments"] = [{**tally["segments"][0], **segment}]

    with pytest.raises(ConfigurationError):
        from_plain(plain)


@pytest.mark.parametrize("segment", [-1, 4, 1 << 40])
def test_vote_of_a_segment_that_does_not_exist_is_refused(segment: int) -> None:
    plain = to_plain(next(record for record in _records() if isinstance(record, Vote)))

    with pytest.raises(ConfigurationError, match="segment"):
        from_plain({**plain, "segment": segment})


@pytest.mark.parametrize("places", [-1, 1 << 5000, 1.5, True, "7"])
def test_asset_with_places_that_are_no_set_is_refused(places: Any) -> None:
    plain = _page_of_segments()
    plain["assets"][0]["together"]["mates"] = places

    with pytest.raises(ConfigurationError):
        from_plain(plain)


def test_places_of_no_asset_are_left_out() -> None:
    plain = _page_of_segments()
    for tally in plain["assets"]:
        tally["together"].update(bit=1 << 900, mates=(1 << 4000) - 1, apart=0, often_apart=6)
    learner = Learner()

    learner.absorb([from_plain(plain)])

    (page,) = (record for record in learner.export() if isinstance(record, PageRecord))
    for tally in page.assets:
        assert tally.together is not None
        assert tally.together.mates < 1 << len(page.assets)
        assert tally.together.often_apart == 0


def test_asset_that_was_asked_for_more_often_than_viewed_is_refused() -> None:
    page = next(r for r in _records() if isinstance(r, PageRecord) and r.assets)
    plain = to_plain(page)
    plain["assets"] = [{**plain["assets"][0], "views": 0.0, "asked": 9.0}]

    with pytest.raises(ConfigurationError, match="share"):
        from_plain(plain)
