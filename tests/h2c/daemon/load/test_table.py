"""The waterfall as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.resource import Load
from headstart.h2c.daemon.load.table import Style, shortened, table
from tests.h2c.daemon.load.samples import PAGE, sample


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
