"""Tests of headstart.learn.records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.learn import How, Learner, PageRecord, Record, from_plain, to_plain
from tests.learn.site import ASSETS, STYLE, Site


def _records() -> list[Record]:
    site = Site()
    view = site.open()
    for target in ASSETS:
        site.fetch(view, target)
    votes = site.learner.sync(site.now + 60)
    site.visit(deliver=How.PUSHED)
    site.learner.pin("/", "/print.css")
    site.learner.never("/secret.css")
    site.learner.forget("/nowhere", site.now)
    removed = site.open()
    site.fetch(removed, STYLE, status=404)
    return [*votes, *site.learner.sync(site.now + 60), *site.learner.export()]


def test_each_record_survives_json() -> None:
    records = _records()

    assert {to_plain(record)["record"] for record in records} == {
        *("vote", "page", "rule", "removal", "forgotten")
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


def test_asset_that_was_asked_for_more_often_than_viewed_is_refused() -> None:
    page = next(r for r in _records() if isinstance(r, PageRecord) and r.assets)
    plain = to_plain(page)
    plain["assets"] = [{**plain["assets"][0], "views": 0.0, "asked": 9.0}]

    with pytest.raises(ConfigurationError, match="share"):
        from_plain(plain)
