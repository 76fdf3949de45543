"""Text and tables: alignment, a width that is kept to, nothing that a terminal would obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.cli import terminal
from headstart.cli.terminal import Column, count, named, printable, shortened, table

COLUMNS = (Column("page", least=8), Column("n", right=True), Column("why"))


def test_columns_are_aligned_and_numbers_stand_at_the_right() -> None:
    lines = table(COLUMNS, [("/", "7", "a"), ("/about", "12", "bb")], None)

    assert lines == ["page     n  why", "/        7  a", "/about  12  bb"]


def test_table_without_rows_has_titles() -> None:
    assert table(COLUMNS, [], 80) == ["page  n  why"]


def test_long_cells_lose_their_middle_where_the_width_is_short() -> None:
    lines = table(COLUMNS, [("/a/long/path/to/a/file.css", "7", "because")], 30)

    assert lines[1] == "/a/long...file.css  7  because"
    assert len(lines[1]) == 30


def test_column_is_never_shorter_than_it_may_be() -> None:
    lines = table(COLUMNS, [("/a/long/path", "7", "because")], 5)

    assert lines[1].split()[0] == "/a...ath"
    assert lines[1].endswith("because")


def test_short_room_leaves_the_beginning() -> None:
    assert [shortened("abcdef", room) for room in (6, 5, 4, 3, 2)] == [
        *("abcdef", "a...f", "...f", "abc", "ab")
    ]


@given(st.text(), st.integers(0, 30))
def test_shortened_text_fits(text: str, room: int) -> None:
    assert len(shortened(text, room)) <= room


@given(st.text())
def test_nothing_is_printed_that_is_no_character_to_print(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_escape_sequence_is_written_out() -> None:
    assert printable("/\x1b[31m\r\n\u202e") == r"/\x1b[31m\r\n\u202e"


def test_empty_argument_has_quotes_in_an_error() -> None:
    assert (named(""), named("/a\n")) == ("''", r"/a\n")


def test_one_is_singular_and_thousands_have_a_comma() -> None:
    assert [count(number, "page") for number in (0, 1, 2000)] == [
        "0 pages",
        "1 page",
        "2,000 pages",
    ]
    assert [count(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


def test_what_the_store_says_is_one_line_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.warn("an entry is left out:\x1b[2J")

    assert capsys.readouterr() == ("", "Warning: an entry is left out:\\x1b[2J.\n")


def test_no_terminal_has_no_width() -> None:
    assert terminal.width() is None
