"""Tests of headstart.learn.records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.learn import How, Record, from_plain, to_plain
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
    site.learner.forget("/nowhere")
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
