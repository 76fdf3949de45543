"""Tests of headstart.learn.logs.balancers."""

from __future__ import annotations

import pytest

from headstart.learn.logs.balancers import fields_of
from tests.growth import assert_grows_linearly

TARGETS = "192.0.2.1:2817 10.0.0.1:80 0.000 0.001 -1"
REQUEST = '"GET https://example.org:443/a?b=1 HTTP/2.0" "Agent"'
APPLICATION = (
    f"h2 2026-03-02T12:00:01.186641Z app/site/50dc6c495c0c9188 {TARGETS} 200 200 34 366 {REQUEST} "
    'ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337262" "example.org" "-" 0\n'
)
CLASSIC = f"2026-03-02T12:00:01.186641Z site {TARGETS} 200 200 34 366 {REQUEST} - -\n"


@pytest.mark.parametrize("line", [APPLICATION, CLASSIC], ids=["application", "classic"])
def test_line_is_read_and_has_no_referer(line: str) -> None:
    assert fields_of(line) == {
        "time": "2026-03-02T12:00:01.186641Z",
        "client": "192.0.2.1",
        "status": "200",
        "size": "366",
        "method": "GET",
        "url": "https://example.org:443/a?b=1",
    }


@pytest.mark.parametrize("line", ["", "h2 ", APPLICATION[:60], "a" + APPLICATION])
def test_other_lines_are_none(line: str) -> None:
    assert fields_of(line) is None


@pytest.mark.parametrize("part", ["a", " ", "0.000 ", '"', ":"])
def test_no_line_costs_more_than_its_length(part: str) -> None:
    text = (APPLICATION[:30] + part * 60_000).encode()

    assert_grows_linearly(lambda line: fields_of(line.decode()), text)
