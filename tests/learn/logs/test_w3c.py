"""Tests of headstart.learn.logs.w3c."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn.logs.lines import line_of
from headstart.learn.logs.w3c import Columns, named_in

IIS = """#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2026-03-02 00:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \
cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken
2026-03-02 12:00:01 10.0.0.4 GET /site.css v=2 443 - 192.0.2.1 Mozilla/5.0+(X11;+Linux) \
https://example.org/ 200 0 0 15
"""
CLOUDFRONT = """#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
cs(Referer) cs(User-Agent) cs-uri-query x-host-header sc-content-type
2026-03-02\t12:00:01\tFRA56\t99\t192.0.2.1\tGET\td1.cloudfront.net\t/site.css\t200\t\
https://example.org/a%2520b\tMozilla/5.0%20(X11;%20Linux)\tv=2\texample.org\ttext/css
"""


def read(text: str) -> list[dict[str, Any] | None]:
    columns = Columns()
    return [
        None if line is None else columns.fields_of(line)
        for line in columns.requests(text.splitlines(keepends=True))
    ]


@pytest.mark.parametrize("before", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_of_iis_is_read(before: str, end: str) -> None:
    [fields] = read(before + IIS.replace("\n", end))

    assert fields == {
        "time": "2026-03-02 12:00:01Z",
        "client": "192.0.2.1",
        "method": "GET",
        "url": "/site.css?v=2",
        "status": "200",
        "referer": "https://example.org/",
        "agent": "Mozilla/5.0 (X11; Linux)",
    }
    line = line_of(fields, "example.org")
    assert line is not None
    assert line.time == 1772452801.0


def test_line_of_cloudfront_is_read_with_its_values_decoded_once() -> None:
    [fields] = read(CLOUDFRONT)

    assert fields == {
        "time": "2026-03-02 12:00:01Z",
        "client": "192.0.2.1",
        "method": "GET",
        "host": "example.org",
        "url": "/site.css?v=2",
        "status": "200",
        "size": "99",
        "type": "text/css",
        "referer": "https://example.org/a%20b",
        "agent": "Mozilla/5.0 (X11; Linux)",
    }


def test_columns_may_change_within_a_file() -> None:
    first, second, third = read(
        "#Fields: date time cs-uri-stem sc-status\n2026-03-02 12:00:01 /a 200\n"
        "#Fields: date time cs-uri-stem\n2026-03-02 12:00:02 /b 200\n2026-03-02 12:00:02 /c\n"
    )

    assert first is not None
    assert (first["url"], first["status"]) == ("/a", "200")
    assert second is None
    assert third is not None
    assert third["url"] == "/c"


def test_line_that_is_too_long_stays_one_that_cannot_be_read() -> None:
    assert list(Columns().requests([None, "#Version: 1.0", "x"])) == [None, "x"]


def test_line_before_the_columns_are_named_is_none() -> None:
    assert read("2026-03-02 12:00:01 /a 200\n") == [None]


def test_row_without_a_time_or_a_path_is_none() -> None:
    assert named_in({"date": "2026-03-02", "cs-uri-stem": "/"}) is None


def test_decoded_path_is_encoded_again_and_the_first_forwarded_address_counts() -> None:
    fields = named_in(
        {
            "date": "2026-03-02",
            "time": "12:00:01",
            "cs-uri-stem": "/caf\u00e9/a%20b",
            "c-ip": "10.0.0.1",
            "x-forwarded-for": "192.0.2.1, 10.0.0.2",
        }
    )

    assert fields is not None
    assert fields["url"] == "/caf%C3%A9/a%20b"
    assert fields["client"] == "192.0.2.1"
