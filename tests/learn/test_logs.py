"""Tests of headstart.learn.logs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.errors import ConfigurationError
from headstart.learn.logs import LogFile, LogFormat, LogLine

PAGE = '192.0.2.1 - - [10/Oct/2025:13:55:36 +0200] "GET /a.html HTTP/1.1" 200 2326 "-" "Agent"'
ASSET = (
    '192.0.2.1 - - [10/Oct/2025:13:55:37 +0200] "GET /site.css HTTP/1.1" 200 99 '
    '"https://www.example.org/a.html?x=1" "Agent"'
)
TRACE = "t\tclient\tmethod\thost\tpath\tstatus\tsize\tmime\treferer\tua\tcachehdr"
HAR_ENTRY: dict[str, Any] = {
    "startedDateTime": "2025-10-10T13:55:36.500Z",
    "pageref": "page_1",
    "request": {
        "method": "GET",
        "url": "https://example.org/site.css?v=1",
        "headers": [{"name": "Referer", "value": "https://example.org/"}],
    },
    "response": {
        "status": 200,
        "bodySize": -1,
        "content": {"size": 99, "mimeType": "text/css"},
        "headers": [{"name": "Cache-Control", "value": "max-age=60"}],
    },
}


def _read(path: Path, text: str) -> tuple[LogFile, list[LogLine]]:
    path.write_text(text, encoding="utf-8")
    log = LogFile(path)
    return log, list(log)


def test_a_combined_log_is_read(tmp_path: Path) -> None:
    log, (page, asset) = _read(tmp_path / "access.log", f"{PAGE}\n{ASSET}\n")

    assert log.format is LogFormat.COMBINED
    assert page.is_page
    assert not asset.is_page
    assert asset.time - page.time == 1.0
    assert asset.exchange.request.referer == "https://example.org/a.html?x=1"
    assert asset.exchange.request.origin == page.exchange.request.origin == "https://example.org"
    assert asset.exchange.answer.size == 99
    assert asset.exchange.answer.cache_control is None


@pytest.mark.parametrize("line", [f"example.org:443 {ASSET}", f'{ASSET} "198.51.100.1"'])
def test_a_virtual_host_or_a_forwarded_address_is_no_obstacle(tmp_path: Path, line: str) -> None:
    log, lines = _read(tmp_path / "access.log", f"{line}\n")

    assert len(lines) == 1
    assert log.broken == 0
    assert lines[0].exchange.request.origin == "https://example.org"


def test_broken_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    nonsense = PAGE.replace("GET /a.html HTTP/1.1", "\\x16\\x03\\x01")

    log, lines = _read(tmp_path / "access.log", f"{PAGE}\nrubbish\n\n{nonsense}\n{ASSET}\n")

    assert len(lines) == 2
    assert (log.lines, log.broken) == (5, 3)


def test_a_compressed_log_is_read_and_its_position_known(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress(f"{PAGE}\n{ASSET}\n".encode()))

    log = LogFile(path)

    assert len(list(log)) == 2
    assert log.position == log.size == path.stat().st_size


def test_a_trace_is_read_with_its_cache_headers(tmp_path: Path) -> None:
    columns = ["7.5", "abc", "GET", "www.example.org", "/site.css", "200", "99", "text/css"]
    row = "\t".join(
        [*columns, "http://example.org/", "desktop", "cache-control=max-age=9|set-cookie"]
    )

    log, (line,) = _read(tmp_path / "t.tsv", f"{TRACE}\n{row}\ntoo\tshort\n")

    request, answer = line.exchange.request, line.exchange.answer
    assert log.format is LogFormat.TRACE
    assert log.broken == 1
    assert (line.time, request.address) == (7.5, "abc")
    assert request.referer == "https://example.org/"
    assert (answer.cache_control, answer.sets_cookie) == ("max-age=9", True)


@pytest.mark.parametrize(
    "entry",
    [
        {
            "time_iso8601": "2025-10-10T13:55:36+02:00",
            "remote_addr": "192.0.2.1",
            "request_method": "GET",
            "request_uri": "/site.css",
            "status": "200",
            "body_bytes_sent": "99",
            "http_host": "example.org",
            "http_referer": "https://example.org/",
            "http_user_agent": "Agent",
        },
        {
            "ts": 1760097336.0,
            "request": {
                "remote_ip": "192.0.2.1",
                "method": "GET",
                "host": "example.org",
                "uri": "/site.css",
                "headers": {"Referer": ["https://example.org/"], "User-Agent": ["Agent"]},
            },
            "status": 200,
            "size": 99,
            "resp_headers": {"Content-Type": ["text/css"], "Cache-Control": ["max-age=60"]},
        },
    ],
    ids=["nginx", "caddy"],
)
def test_json_lines_are_read_as_servers_write_them(tmp_path: Path, entry: dict[str, Any]) -> None:
    log, (line,) = _read(tmp_path / "log.json", json.dumps(entry) + "\n[]\nrubbish\n")

    assert log.format is LogFormat.JSON_LINES
    assert log.broken == 2
    assert line.exchange.request.target == "/site.css"
    assert line.exchange.request.address == "192.0.2.1"
    assert line.exchange.request.referer == "https://example.org/"
    assert line.time == 1760097336.0
    assert line.exchange.answer.size == 99


@pytest.mark.parametrize("indent", [None, 2])
def test_a_har_is_read_whether_on_one_line_or_many(tmp_path: Path, indent: int | None) -> None:
    har = {"log": {"entries": [HAR_ENTRY, {"request": {}}]}}

    log, (line,) = _read(tmp_path / "page.har", json.dumps(har, indent=indent))

    assert log.format is LogFormat.HAR
    assert log.broken == 1
    assert line.exchange.request.target == "/site.css?v=1"
    assert line.exchange.answer.cache_control == "max-age=60"
    assert line.exchange.answer.size == 99


def test_a_har_that_is_cut_off_is_one_broken_line(tmp_path: Path) -> None:
    log, lines = _read(tmp_path / "page.har", '{\n  "log": {"entries": [')

    assert lines == []
    assert log.broken == 1


def test_a_page_that_was_not_modified_is_a_conditional_request(tmp_path: Path) -> None:
    _, (line,) = _read(tmp_path / "access.log", PAGE.replace(" 200 ", " 304 "))

    assert line.is_page
    assert line.exchange.request.conditional


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        LogFile(tmp_path / "nowhere.log")


def test_a_damaged_archive_is_said_to_be_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(PAGE.encode() * 99)[:40])

    with pytest.raises(ConfigurationError, match="cannot read"):
        LogFile(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.sampled_from(["", TRACE + "\n", "{}\n", '{"a":\n', PAGE + "\n", ASSET + "\n"]),
    rest=st.binary(max_size=300),
)
def test_no_bytes_stop_the_reader(tmp_path: Path, start: str, rest: bytes) -> None:
    path = tmp_path / "any.log"
    path.write_bytes(start.encode() + rest.replace(b"\x1f\x8b", b""))

    log = LogFile(path)
    lines = list(log)

    assert len(lines) + log.broken == log.lines
