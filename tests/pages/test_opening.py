"""The beginning of a page, read while it goes out."""

from __future__ import annotations

import gzip

import pytest

from headstart.pages.opening import Opening, opening_of

URL = "https://example.org/blog/"
HTML = "text/html; charset=utf-8"
HEAD = b"<!doctype html><link rel=stylesheet href=a.css><script src=/b.js></script>"


def opening(coding: str = "", content_type: str = HTML) -> Opening:
    made = opening_of(URL, content_type, coding)
    assert made is not None
    return made


def targets(made: Opening, part: bytes) -> list[str]:
    return [named.target for named in made.add(part)]


def test_what_a_part_names_is_known_before_the_page_ends_and_said_once() -> None:
    made = opening()

    assert targets(made, HEAD) == ["/blog/a.css", "/b.js"]
    assert targets(made, b"<p>" * len(HEAD) + b"<img src=c.png>") == ["/blog/c.png"]
    assert targets(made, b"") == []


def test_a_part_that_ends_within_a_tag_is_read_with_the_next_one() -> None:
    made = opening()

    assert targets(made, HEAD[:20]) == []
    assert targets(made, HEAD[20:]) == ["/blog/a.css", "/b.js"]


def test_a_coded_page_is_read_as_far_as_it_is_there() -> None:
    coded = gzip.compress(HEAD + b"<p>text")

    assert targets(opening(" GZIP "), coded) == ["/blog/a.css", "/b.js"]
    assert targets(opening("gzip"), b"no gzip") == []


@pytest.mark.parametrize(("content_type", "coding"), [("text/plain", ""), (HTML, "zstd"), ("", "")])
def test_what_cannot_be_read_is_not(content_type: str, coding: str) -> None:
    assert opening_of(URL, content_type, coding) is None


def test_parts_of_one_byte_are_read_again_only_when_there_is_twice_as_much() -> None:
    made, read = opening(), []
    while not made.done:
        before = made._read
        made.add(b"x")
        if made._read != before:
            read.append(made._read)

    assert sum(read) < 2 * 64 * 1024
    assert read[-1] == 64 * 1024
