"""Tests of headstart.learn.logs.lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn import Request
from headstart.learn.logs.lines import (
    Fields,
    bare,
    fields_from,
    host_of,
    line_of,
    plain_line_of,
)

REQUEST: Fields = {"time": 1, "method": "GET", "url": "/", "status": 200, "host": "example.org"}
SECONDS = 1760097336.0


@pytest.mark.parametrize(
    "time",
    [
        1760097336,
        "1760097336.000",
        1760097336000,
        "1760097336000",
        1760097336000000,
        1760097336000000000,
        "2025-10-10T13:55:36+02:00",
        "2025-10-10T11:55:36Z",
        "10/Oct/2025:13:55:36 +0200",
        "10/Oct/2025:13:55:36.000 +0200",
    ],
)
def test_times_are_read_in_any_unit_and_notation(time: object) -> None:
    line = line_of({**REQUEST, "time": time}, "")

    assert line is not None
    assert line.time == SECONDS


def test_wall_time_of_caddy_is_read() -> None:
    later, earlier = (
        line_of({**REQUEST, "time": f"2025/10/10 11:55:{second}"}, "") for second in (36, 35)
    )

    assert later is not None
    assert earlier is not None
    assert later.time - earlier.time == 1


@pytest.mark.parametrize(
    "time", ["", "soon", "nan", "inf", "1e400", None, "32/Oct/2025:25:61:61 +0000"]
)
def test_times_that_are_none_make_no_line(time: object) -> None:
    assert line_of({**REQUEST, "time": time}, "") is None


@pytest.mark.parametrize(
    ("host", "referer", "seen"),
    [
        ("example.org", "http://www.example.org/a?b", "https://example.org/a?b"),
        ("example.org", "https://example.org:8443", "https://example.org/"),
        ("example.org:8443", "https://example.org/a", "https://example.org:8443/a"),
        ("[::1]:8443", "https://[::1]/a", "https://[::1]:8443/a"),
        ("[::1]", "https://[::2]/a", "https://[::2]/a"),
        ("example.org", "https://other.example/", "https://other.example/"),
        ("example.org", "-", ""),
        ("example.org", "http://[", "http://["),
    ],
)
def test_referer_of_the_site_is_on_the_site_s_one_name(host: str, referer: str, seen: str) -> None:
    line = line_of({**REQUEST, "host": host, "referer": referer}, "")

    assert line is not None
    assert line.exchange.request.referer == seen


def test_line_that_says_the_least_is_the_least_request() -> None:
    line = line_of({"time": 1, "method": "GET", "url": "/", "status": 200}, "example.org")

    assert line is not None
    assert line.exchange.request == Request(
        "https://example.org", "/", "", user_agent="", referer="", destination="document"
    )


@pytest.mark.parametrize(
    ("url", "content_type", "is_page"),
    [
        ("/data.json", "text/html; charset=utf-8", True),
        ("/data.json", "Application/XHTML+xml", True),
        ("/", "application/json", False),
        ("/about.html", "", True),
        ("/about", "", True),
        ("/data.json", "", False),
    ],
)
def test_page_is_what_its_type_says_or_else_its_name(
    url: str, content_type: str, is_page: bool
) -> None:
    line = line_of({**REQUEST, "url": url, "type": content_type}, "")

    assert line is not None
    assert line.is_page is is_page


def test_site_stands_where_no_host_does() -> None:
    line = line_of({**REQUEST, "host": ""}, "example.net")

    assert line is not None
    assert line.exchange.request.origin == "https://example.net"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.net:443/a?b", "https://example.net"),
        ("http://example.net:80/a?b", "https://example.net"),
        ("http://www.example.net:8080/a?b", "https://example.net:8080"),
    ],
)
def test_host_of_a_whole_url_counts_where_no_other_is_named(url: str, origin: str) -> None:
    line = line_of({**REQUEST, "host": "", "url": url}, "localhost")
    named = line_of({**REQUEST, "host": "a.example", "url": url}, "localhost")

    assert line is not None
    assert (line.exchange.request.origin, line.exchange.request.target) == (origin, "/a?b")
    assert named is not None
    assert named.exchange.request.origin == "https://a.example"


@pytest.mark.parametrize("url", ["*", "example.org:443", "", None])
def test_target_that_is_neither_a_path_nor_a_url_makes_no_line(url: object) -> None:
    assert line_of({**REQUEST, "url": url}, "") is None


@pytest.mark.parametrize("size", ["", None, "-", "x", "9" * 30])
def test_size_that_is_none_is_nought(size: object) -> None:
    line = line_of({**REQUEST, "size": size}, "")

    assert line is not None
    assert line.exchange.answer.size == 0


def test_names_of_a_host_are_one() -> None:
    assert bare("WWW.Example.org") == host_of("https://www.example.org/a") == "example.org"
    assert host_of(None) == host_of("http://[") == bare(None) == ""


CLOCK = "10/Oct/2025:13:55:36 +0200"
HERE = "https://www.Example.org/a?x=1"


@pytest.mark.parametrize(
    "values",
    [
        ("", "192.0.2.1", CLOCK, "GET", "/", "200", "5", "-", "Agent"),
        ("", "192.0.2.1", CLOCK, "GET", "/a.html?x=1", "304", "-", HERE, ""),
        ("www.Example.org", "::1", CLOCK, "GET", "/a.css", "200", "0" * 19, HERE, "-"),
        ("www.", "192.0.2.1", CLOCK, "POST", "/", "200", "5", "https://other.example", "Agent"),
        ("", "192.0.2.1", CLOCK, "GET", "/nothing", "404", "12", "/odd", "Agent"),
    ],
)
def test_plain_line_is_read_as_its_fields_are(values: tuple[str, ...]) -> None:
    line = plain_line_of(values, "example.org")

    assert line is not None
    assert line == line_of(fields_from(values), "example.org")


@pytest.mark.parametrize(
    "values",
    [
        ("", "192.0.2.1", CLOCK, "GET", "https://example.org/", "200", "5", "-", "Agent"),
        ("", "192.0.2.1", CLOCK, "GET", "/", "-", "5", "-", "Agent"),
        ("", "192.0.2.1", "1760097336", "GET", "/", "200", "5", "-", "Agent"),
        ("", "192.0.2.1", "10/Okt/2025:13:55:36 +0200", "GET", "/", "200", "5", "-", "Agent"),
    ],
)
def test_odd_line_is_left_to_its_fields(values: tuple[str, ...]) -> None:
    assert plain_line_of(values, "example.org") is None


@given(
    day=st.integers(0, 99),
    month=st.sampled_from(["Jan", "Feb", "Oct", "Okt"]),
    year=st.sampled_from(["0000", "0001", "2024", "2025", "9999"]),
    hour=st.integers(0, 99),
    second=st.integers(0, 99),
    zone=st.sampled_from(["+0000", "-0930", "+2400", "-9999"]),
)
def test_time_that_is_none_makes_a_plain_line_unreadable_and_no_error(
    day: int, month: str, year: str, hour: int, second: int, zone: str
) -> None:
    clock = f"{day:02}/{month}/{year}:{hour:02}:59:{second:02} {zone}"
    values = ("", "192.0.2.1", clock, "GET", "/", "200", "5", "-", "Agent")

    assert plain_line_of(values, "") == line_of(fields_from(values), "")
