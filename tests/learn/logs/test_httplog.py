"""Lines of HAProxy's httplog and httpslog."""

from __future__ import annotations

import pytest

from headstart.learn.logs.httplog import fields_of
from headstart.learn.logs.lines import line_of

LINE = (
    "10.0.0.9:33317 [02/Mar/2026:12:00:00.655] web~ app/<NOSRV> 10/0/30/-1/+109 {status} +2750 - - "
    '---- 1/1/1/1/+0 0/0 {captured}"GET {url} HTTP/1.1"{behind}'
)


def line(
    captured: str = "", url: str = "/a.css", status: str = "200", behind: str = ""
) -> dict[str, object]:
    text = LINE.format(status=status, captured=captured, url=url, behind=behind)
    found = fields_of(text)
    assert found is not None
    return found


def test_line_without_captures_has_no_referer() -> None:
    assert line() == {
        "time": "02/Mar/2026:12:00:00.655 +0000",
        "client": "10.0.0.9",
        "status": "200",
        "size": "2750",
        "method": "GET",
        "url": "/a.css",
    }
    read = line_of(line(), "shop.example")
    assert read is not None
    assert read.time == 1772452800.655


@pytest.mark.parametrize(
    ("captured", "referer", "agent", "client"),
    [
        ("{https://shop.example/} ", "https://shop.example/", "", "10.0.0.9"),
        ("{} ", "", "", "10.0.0.9"),
        ("{|} {text/html} ", "", "", "10.0.0.9"),
        (
            "{shop.example|Mozilla/5.0 (X11)|http://shop.example/?a=1#22#7C|192.0.2.7, 10.1.1.1} ",
            'http://shop.example/?a=1"|',
            "Mozilla/5.0 (X11)",
            "192.0.2.7",
        ),
        ("{curl/8.0|gzip} ", "", "curl/8.0", "10.0.0.9"),
        ("{https://shop.example/#C3#A9} ", "https://shop.example/\u00e9", "", "10.0.0.9"),
    ],
)
def test_captures_are_recognised_by_their_looks(
    captured: str, referer: str, agent: str, client: str
) -> None:
    found = line(captured)

    assert (found["referer"], found["agent"], found["client"]) == (referer, agent, client)


@pytest.mark.parametrize(
    ("status", "captured", "has_referer"),
    [
        ("302", "{https://shop.example/login} ", False),
        ("302", "{https://shop.example/} {/login} ", True),
        ("304", "{https://shop.example/} ", True),
    ],
)
def test_url_of_a_redirection_is_not_a_referer(
    status: str, captured: str, has_referer: bool
) -> None:
    assert ("referer" in line(captured, status=status)) is has_referer


def test_httpslog_has_more_behind_the_request_and_http2_whole_urls() -> None:
    found = line(
        url="https://shop.example/a.css", behind=" 0/0000000000000000/0/0/0 -/TLSv1.3/TLS_AES"
    )

    assert found["url"] == "https://shop.example/a.css"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.9:33317 [02/Mar/2026:12:00:00.655] web app/one 1/0/1748 180 -- 1/1/1/1/0 0/0",
        LINE.format(status="200", captured="", url="/", behind="").replace(
            "GET / HTTP/1.1", "<BADREQ>"
        ),
    ],
)
def test_other_lines_are_not_read(text: str) -> None:
    assert fields_of(text) is None
