"""What came of a load."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.report import as_json, notes, sentence, wrapped
from headstart.h2c.daemon.load.resource import Load, Way
from tests.h2c.daemon.load.samples import PAGE, resource, sample


def test_the_sum_is_a_sentence() -> None:
    assert sentence(sample()) == ("7 resources, 9.00 kB in 200 ms: 4 requested, 1 hinted, 1 pushed")
    assert sentence(Load(PAGE)).startswith("0 resources, 0 B in <0.1 ms")


@given(st.integers(1, 100))
def test_a_line_is_broken_between_words_only(width: int) -> None:
    line = sentence(sample())

    lines = wrapped(line, width)

    assert " ".join(lines).split() == line.split()
    assert all(len(one) <= width or len(one.split()) == 1 for one in lines)
    assert all(one.startswith("  ") for one in lines[1:])


def test_notes_say_what_failed_and_what_was_for_nothing() -> None:
    load = sample()
    load.skipped = [PAGE + "more"]

    assert list(notes(load)) == [
        "failed: /dir/failed.png: the server reset stream 9 (INTERNAL_ERROR)",
        "sent ahead for nothing: /dir/unused.png (push) was not used",
        "not fetched: 1 more; --max-resources N allows more",
    ]


def test_a_hint_that_was_fetched_twice_says_why() -> None:
    load = Load(PAGE)
    hinted = resource("a.css", Way.HINT, 0, 1, 2)
    hinted.used = hinted.reusable = False
    load.resources = [hinted, resource("a.css", Way.REQUEST, 2, 3, 4)]

    assert list(notes(load)) == [
        "sent ahead for nothing: /dir/a.css (hint) was fetched twice, "
        "since its status or Cache-Control forbids to keep it"
    ]


def test_json_has_all_that_is_known() -> None:
    told = json.loads(as_json(sample()))

    assert (told["url"], told["duration"], told["size"]) == (PAGE, 0.2, 9000)
    assert told["connections"] == [{"origin": "https://a.test", "start": 0.0, "end": 0.02}]
    assert told["hints"] == [{"time": 0.03, "links": [PAGE + "a.css"]}]
    assert told["resources"][0] == {
        "url": PAGE,
        "kind": "document",
        "by": "request",
        "used": True,
        "initiator": None,
        "stream": None,
        "status": 200,
        "type": "text/html",
        "size": 5000,
        "start": 0.02,
        "response": 0.1,
        "end": 0.12,
        "reusable": True,
        "error": None,
    }
    assert told["resources"][3]["end"] is None
    assert told["resources"][4]["error"].startswith("the server reset")
