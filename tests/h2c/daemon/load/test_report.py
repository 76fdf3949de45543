"""The waterfall as lines, as text and as JSON, and the sum of it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.report import (
    Look,
    Style,
    as_json,
    notes,
    rows,
    sentence,
    shortened,
    table,
    wrapped,
)
from headstart.h2c.daemon.load.resource import Load, Way
from tests.h2c.daemon.load.samples import PAGE, resource, sample


def test_lines_are_in_the_order_of_their_beginning() -> None:
    lines = rows(sample())

    assert [line.label for line in lines] == [
        *("connect a.test", "/dir/", "/dir/b.js", "/dir/unused.png", "/dir/a.css"),
        *("/dir/failed.png", "cdn.test/x?y=?[31m", "/dir/missing.png"),
    ]
    assert [line.look for line in lines] == [
        *(Look.CONNECT, Look.REQUEST, Look.PUSH, Look.UNUSED, Look.HINT),
        *(Look.FAILED, Look.REQUEST, Look.FAILED),
    ]


def test_a_line_ends_with_the_last_thing_that_happened() -> None:
    by_label = {line.label: line for line in rows(sample())}

    page, unused = by_label["/dir/"], by_label["/dir/unused.png"]
    assert (page.start, page.responded, page.end, page.marks) == (0.02, 0.1, 0.12, (0.03,))
    assert (unused.start, unused.end, unused.by) == (0.025, 0.025, "push, unused")
    assert by_label["/dir/failed.png"].end == 0.2
    assert page.took == "100 ms"


def test_nothing_has_no_lines() -> None:
    assert rows(Load("https://a.test/")) == []


def test_bars_stand_under_the_time() -> None:
    lines = table(sample(), Style(110, unicode=True, colour=False))

    assert lines[0].split() == [
        *("RESOURCE", "STATUS", "SIZE", "BY", "START", "TIME", "0", "100", "ms", "200", "ms")
    ]
    bars = [line[lines[0].index(" 0 ") + 1 :] for line in lines]
    assert bars[1].startswith("····")
    assert bars[2].lstrip().startswith("──◆───")
    assert bars[2].rstrip().endswith("─━━━━━")
    assert bars[2].index("─") == len(bars[1]) - 1
    assert bars[6].endswith("──✗")
    assert max(map(len, bars[1:])) == len(bars[0])


def test_with_less_room_the_start_is_left_out() -> None:
    heading = table(sample(), Style(90, unicode=True, colour=False))[0]

    assert "START" not in heading
    assert "TIME" in heading


@pytest.mark.parametrize("width", [1, 20, 60, 79, 80, 100, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    lines = table(sample(), Style(width, unicode=True, colour=False))

    assert len(lines) == 9
    assert all(len(line) <= width for line in lines)


def test_a_narrow_terminal_has_no_bars() -> None:
    assert not re.search("[─━]", "".join(table(sample(), Style(60, unicode=True, colour=False))))


def test_without_unicode_there_is_ascii_only() -> None:
    text = "\n".join(table(sample(), Style(100, unicode=False, colour=False)))

    assert text.isascii()
    assert text.isprintable() or set(text) - {"\n"}
    assert "--" in text
    assert "*" in text


def test_colour_says_how_it_came_and_nothing_else_is_for_the_terminal() -> None:
    plain = table(sample(), Style(100, unicode=True, colour=False))
    coloured = table(sample(), Style(100, unicode=True, colour=True))

    assert "\x1b" not in "".join(plain)
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == plain
    assert set(re.findall(r"\x1b\[(\d+)m", "".join(coloured))) == {
        *("0", "2", "31", "32", "33", "34", "35")
    }


@pytest.mark.parametrize("width", range(12, 61))
def test_a_column_is_there_as_a_whole_or_not_at_all(width: int) -> None:
    heading, *lines = table(sample(), Style(width, unicode=True, colour=False))
    whole = table(sample(), Style(200, unicode=True, colour=False))[1:]

    columns = ["RESOURCE", "STATUS", "SIZE", "BY", "TIME"]
    assert heading.split() == columns[: len(heading.split())]
    for line, full in zip(lines, whole, strict=True):
        assert line[12:].split() == [] or set(line.split()[1:]) <= set(full.split())


def test_nothing_is_a_heading() -> None:
    assert table(Load(PAGE), Style(80, unicode=True, colour=False))[0].startswith("RESOURCE")


@given(st.text(max_size=40), st.integers(0, 40))
def test_shortened_text_keeps_to_its_room(text: str, room: int) -> None:
    short = shortened(text, room, "…")

    assert len(short) <= max(room, 0)
    assert short == text or len(text) > room


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
    assert told["hints"] == [{"time": 0.03, "links": [PAGE + "a.css"], "ignored": []}]
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
