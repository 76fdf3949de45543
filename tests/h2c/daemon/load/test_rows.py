"""The lines of a waterfall."""

from __future__ import annotations

from headstart.h2c.daemon.load.resource import Load
from headstart.h2c.daemon.load.rows import Look, rows
from tests.h2c.daemon.load.samples import sample


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
