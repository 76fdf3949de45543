"""Captures of pages: what is kept, for how long, and when a page is read."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest

from headstart.learn import Kind, Named, Reading, Trust
from headstart.pages.reading import MOST_BYTES, Capture, PageHead, PageReader

PAGE = b"<link rel=stylesheet href=a.css>"
HEAD = PageHead(100.0, "https://example.org", "/blog/?p=1", 7, Trust.SOLE)
NAMED = (Named("/blog/a.css", Kind.STYLE),)


def head(**fields: Any) -> PageHead:
    values = {name: getattr(HEAD, name) for name in PageHead.__dataclass_fields__}
    return PageHead(**{**values, **fields})


class Passing:
    """A reader, and pages that pass it."""

    def __init__(self) -> None:
        self.reader = PageReader()
        self.known = True

    def capture(self, page: PageHead = HEAD) -> Capture:
        capture = self.reader.capture(page)
        assert capture is not None
        return capture

    def passes(self, body: bytes = PAGE, page: PageHead = HEAD) -> None:
        self.capture(page).add(body, more=False)

    def read(self, now: float = 101.0) -> list[Reading]:
        readings = [
            self.reader.read(capture, lambda origin, path: self.known)
            for capture in self.reader.take(now)
        ]
        return [reading for reading in readings if reading is not None]


def test_a_page_that_passed_is_read_once_it_is_whole() -> None:
    passing = Passing()
    capture = passing.capture()

    capture.add(PAGE[:10], more=True)
    assert passing.read() == []
    capture.add(PAGE[10:], more=True)
    capture.add(b"", more=False)

    assert passing.read(HEAD.time + 1.0) == [
        Reading(HEAD.time, "https://example.org", "/blog/", 7, Trust.SOLE, True, NAMED)
    ]
    assert passing.read() == []


def test_a_page_is_read_again_when_its_beginning_end_or_length_changed() -> None:
    passing = Passing()
    middle = b" " * 30_000
    bodies = [PAGE + middle, PAGE + middle, PAGE + middle + b"x", PAGE + middle + b"y"]
    bodies += [b"<p>" + PAGE + middle, b"<p>" + PAGE + middle]

    counts = []
    for body in bodies:
        passing.passes(body)
        counts.append(len(passing.read()))

    assert counts == [1, 0, 1, 1, 1, 0]


def test_an_unchanged_page_is_read_again_where_the_learner_does_not_know_it() -> None:
    passing = Passing()
    passing.passes()
    passing.read()
    passing.known = False

    passing.passes()

    assert len(passing.read()) == 1


def test_a_copy_that_does_not_speak_alone_is_read_once_of_each_voter() -> None:
    passing = Passing()
    counts = []
    for voter in (7, 7, 8, 8):
        passing.passes(page=head(trust=Trust.AGREED, voter=voter))
        counts.append(len(passing.read()))

    assert counts == [1, 0, 1, 0]


def test_a_page_that_loads_from_elsewhere_is_read_of_two_voters() -> None:
    passing = Passing()
    page = b"<script src=//cdn.example/a.js></script>"
    counts = []
    for voter in (7, 7, 8, 8, 9, 7):
        passing.passes(page, head(voter=voter))
        counts.append(len(passing.read()))

    assert counts == [1, 0, 1, 0, 0, 0]


def test_only_the_beginning_of_a_long_page_is_read_and_it_says_so() -> None:
    passing = Passing()
    capture = passing.capture()

    for _ in range(100):
        capture.add(PAGE + b" " * 65_536, more=True)

    [reading] = passing.read()
    assert (reading.named, reading.whole) == (NAMED, False)
    assert capture.size == 0


def test_one_long_part_is_not_held_whole() -> None:
    passing = Passing()
    capture = passing.capture()

    capture.add(PAGE + bytes(10_000_000), more=False)

    assert capture.size == len(capture.body) == MOST_BYTES


def test_codings_are_undone_and_what_was_cut_is_not_whole() -> None:
    passing = Passing()
    passing.passes(gzip.compress(PAGE), head(coding="gzip"))
    passing.passes(gzip.compress(PAGE)[:-8], head(coding="GZIP", target="/cut"))
    passing.passes(b"not so", head(coding="gzip", target="/broken"))

    assert [(reading.named != (), reading.whole) for reading in passing.read()] == [
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"content_type": "application/xhtml+xml"},
        {"content_type": "text/html-not"},
        {"content_type": ""},
        {"coding": "gzip, gzip"},
        {"coding": "exi"},
        {"length": 3_000_000},
    ],
)
def test_what_is_no_html_or_too_long_or_coded_otherwise_is_not_captured(
    fields: dict[str, Any],
) -> None:
    assert PageReader().capture(head(**fields)) is None


def test_the_charset_of_the_response_counts() -> None:
    passing = Passing()
    page = '<link rel=stylesheet href="/é.css">'.encode("latin-1")
    passing.passes(page, head(content_type='text/html; charset="ISO-8859-1"'))

    [reading] = passing.read()
    assert [each.target for each in reading.named] == ["/%C3%A9.css"]


def test_of_a_page_that_passes_often_the_last_copy_waits() -> None:
    passing = Passing()
    for at in range(100):
        passing.passes(b"<script src=/%d.js></script>" % at)

    [reading] = passing.read()
    assert [each.target for each in reading.named] == ["/99.js"]


def test_captures_are_bounded_together_and_end_with_their_time() -> None:
    passing = Passing()
    going = []
    for at in range(100):
        capture = passing.reader.capture(head(target=f"/{at}"))
        if capture is not None:
            capture.add(bytes(MOST_BYTES // 2), more=True)
            going.append(capture)

    assert sum(capture.size for capture in going) <= 768 * 1024
    passing.read(200.0)
    assert [capture.size for capture in going] == [0] * len(going)
    passing.passes(page=head(time=200.0))
    assert len(passing.read(201.0)) == 1


def test_captures_are_bounded_in_number() -> None:
    passing = Passing()
    going = [passing.reader.capture(head(target=f"/{at}")) for at in range(100)]

    assert sum(capture is not None for capture in going) == 64


def test_so_many_pages_wait_and_no_more() -> None:
    passing = Passing()
    for at in range(30):
        passing.passes(page=head(target=f"/{at}"))

    assert len(passing.read()) == 16
    passing.passes(page=head(target="/29"))
    assert len(passing.read()) == 1


def test_pages_with_long_urls_take_little_memory_once_they_are_read() -> None:
    passing = Passing()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for at in range(3000):
            passing.passes(page=head(target=f"/{at}{'x' * 1900}"))
            passing.read()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert taken < 1024 * 1024


def test_a_call_that_ends_early_leaves_nothing_behind() -> None:
    passing = Passing()
    capture = passing.capture()
    capture.add(bytes(MOST_BYTES), more=True)
    others = [passing.capture(head(target=f"/{at}")) for at in range(3)]
    for other in others:
        other.add(bytes(MOST_BYTES), more=True)

    del capture, other, others

    assert passing.reader.held == 0


CSS = b"@font-face { src: url(f.woff2) } @font-face { src: url(/bold.woff2) }"
SHEET = head(
    target="/blog/a.css", content_type="text/css; charset=utf-8", signature=5, is_sheet=True
)
FONTS = tuple(
    Named(target, Kind.FONT, crossorigin="anonymous", sheet="/blog/a.css")
    for target in ("/blog/f.woff2", "/bold.woff2")
)


@pytest.mark.parametrize("sheet_first", [True, False])
def test_a_page_is_read_with_the_fonts_of_its_stylesheets_whichever_passed_first(
    sheet_first: bool,
) -> None:
    passing = Passing()
    bodies = [(CSS, SHEET), (PAGE, HEAD)]
    for body, its in bodies if sheet_first else reversed(bodies):
        passing.passes(body, its)

    [reading] = passing.read()

    assert reading.named == (*NAMED, *FONTS)
    assert reading.sheets == ("/blog/a.css",)


def test_a_page_that_was_read_before_its_stylesheet_is_read_again() -> None:
    passing = Passing()
    passing.passes()
    [before] = passing.read()
    assert (before.named, before.sheets) == (NAMED, ())
    passing.passes()
    assert passing.read() == []

    passing.passes(gzip.compress(CSS), head(**_fields(SHEET), coding="gzip"))
    assert passing.read() == []
    passing.passes()
    [after] = passing.read()

    assert after.named == (*NAMED, *FONTS)
    passing.passes()
    assert passing.read() == []


def test_fonts_of_an_imported_stylesheet_are_the_pages_and_one_that_is_unknown_is_said() -> None:
    passing = Passing()
    passing.passes(b"@import 'b.css';", SHEET)
    passing.passes()
    [before] = passing.read()
    assert (before.named, before.sheets) == (NAMED, ())

    passing.passes(CSS, head(**{**_fields(SHEET), "target": "/blog/b.css"}))
    passing.passes()
    [after] = passing.read()

    assert after.named == (*NAMED, *FONTS)
    assert after.sheets == ("/blog/a.css",)


def test_stylesheets_that_import_each_other_in_circles_end() -> None:
    passing = Passing()
    passing.passes(b"@import 'a.css'; @import 'b.css';" + CSS, SHEET)
    passing.passes(
        b"@import 'a.css'; @import 'b.css';", head(**{**_fields(SHEET), "target": "/blog/b.css"})
    )
    passing.passes()

    [reading] = passing.read()

    assert reading.named == (*NAMED, *FONTS)


def test_a_stylesheet_is_not_captured_again_while_its_validators_stay() -> None:
    passing = Passing()
    passing.passes(CSS, SHEET)
    passing.read()

    assert passing.reader.capture(SHEET) is None
    assert passing.reader.capture(head(**{**_fields(SHEET), "signature": 6})) is not None
    assert passing.reader.capture(head(**{**_fields(SHEET), "signature": 0})) is not None


def test_fonts_that_the_html_names_itself_are_not_the_stylesheets() -> None:
    passing = Passing()
    passing.passes(CSS, SHEET)
    passing.passes(PAGE + b"<link rel=preload as=font crossorigin href=/bold.woff2>")

    [reading] = passing.read()

    own = Named("/bold.woff2", Kind.FONT, crossorigin="anonymous")
    assert reading.named == (*NAMED, own, FONTS[0])


def test_stylesheets_and_pages_are_remembered_as_long_as_there_is_room() -> None:
    passing = Passing()
    name = b"x" * 500
    faces = b"".join(b"@font-face { src: url(%s%d.woff2) }" % (name, at) for at in range(20))
    tracemalloc.start()
    try:
        for number in range(160):
            its = {**_fields(SHEET), "target": f"/blog/{number}.css?{'x' * 1000}"}
            passing.passes(faces, head(**its))
            passing.read()
        for number in range(1100):
            passing.passes(b"<link rel=stylesheet href=%d.css>" % number, head(target=f"/{number}"))
            passing.read()
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert size < 1_500_000
    assert passing.reader.capture(head(**its)) is None
    assert passing.reader.capture(SHEET) is not None


def _fields(its: PageHead) -> dict[str, Any]:
    names = ("target", "content_type", "signature", "is_sheet")
    return {name: getattr(its, name) for name in names}
