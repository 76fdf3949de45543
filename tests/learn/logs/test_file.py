"""Tests of headstart.learn.logs.file."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headstart.errors import ConfigurationError
from headstart.learn.logs import LogFile, LogFormat, LogLine, Pattern
from tests.learn.logs.test_balancers import APPLICATION, CLASSIC
from tests.learn.logs.test_w3c import CLOUDFRONT, IIS

PAGE = '192.0.2.1 - - [10/Oct/2025:13:55:36 +0200] "GET /a.html HTTP/1.1" 200 2326 "-" "Agent"'
ASSET = (
    '192.0.2.1 - - [10/Oct/2025:13:55:37 +0200] "GET /site.css HTTP/1.1" 200 99 '
    '"https://www.example.org/a.html?x=1" "Agent"'
)
ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
ZSTD = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
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
        "redirectURL": "/elsewhere.css",
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
            "resp_headers": {
                "Content-Type": ["text/css"],
                "Cache-Control": ["max-age=60"],
                "Location": ["/x.css"],
            },
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
    assert line.exchange.answer.location == ("/x.css" if "request" in entry else None)


@pytest.mark.parametrize(("before", "indent"), [("", None), ("", 2), (" ", None), ("\t", 2)])
def test_a_har_is_read_whether_on_one_line_or_many(
    tmp_path: Path, before: str, indent: int | None
) -> None:
    har = {"log": {"entries": [HAR_ENTRY, {"request": {}}]}}

    log, (line,) = _read(tmp_path / "page.har", before + json.dumps(har, indent=indent))

    assert log.format is LogFormat.HAR
    assert log.broken == 1
    assert line.exchange.request.target == "/site.css?v=1"
    assert line.exchange.answer.cache_control == "max-age=60"
    assert line.exchange.answer.size == 99
    assert line.exchange.answer.location == "/elsewhere.css"


def test_a_har_whose_only_entry_fills_a_line_is_no_log_of_json_lines(tmp_path: Path) -> None:
    text = f'{{"log":{{"version":"1.2","entries":[\n{json.dumps(HAR_ENTRY)}\n]}}}}\n'

    log, (line,) = _read(tmp_path / "page.har", text)

    assert log.format is LogFormat.HAR
    assert line.exchange.request.target == "/site.css?v=1"


def test_a_json_line_that_is_cut_off_hides_no_other(tmp_path: Path) -> None:
    entry = {"time": 1, "uri": "/site.css", "status": 200, "host": "example.org", "referer": ""}
    whole = json.dumps({"log": {"id": 1}, **entry})

    log, lines = _read(tmp_path / "access.log", f"{whole[:20]}\n{whole}\n")

    assert log.format is LogFormat.JSON_LINES
    assert len(lines) == 1


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


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, ZSTD.compress])
def test_lines_before_the_end_of_an_archive_that_is_cut_off_are_read(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    lines = [PAGE.replace("a.html", f"{crc32(b'%d' % n)}.html") for n in range(30_000)]
    packed = pack("\n".join(lines).encode())
    path = tmp_path / "access.log.cut"
    path.write_bytes(packed[: len(packed) // 2])

    log = LogFile(path)
    read = [line.exchange.request.target for line in log]

    assert len(read) > 1000
    assert read == [f"/{crc32(b'%d' % n)}.html" for n in range(len(read))]
    assert (log.lines, log.broken) == (len(read) + 1, 1)
    assert log.damage == "Compressed file ended before the end-of-stream marker was reached"


def test_small_archive_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    lines = [PAGE.replace("a.html", f"{crc32(b'%d' % n)}.html") for n in range(20)]
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode())[:-30])

    log = LogFile(path)

    assert 1 < len(list(log)) < 20
    assert log.damage


def test_a_whole_archive_has_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress(f"{PAGE}\n{ASSET}\n".encode()))

    log = LogFile(path)

    assert len(list(log)) == 2
    assert not log.damage


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(start="", rest=b"\xfe\xff")
@given(
    start=st.sampled_from(["", TRACE + "\n", "{}\n", '{"a":\n', PAGE + "\n", ASSET + "\n"]),
    rest=st.binary(max_size=300),
)
def test_no_bytes_stop_the_reader(tmp_path: Path, start: str, rest: bytes) -> None:
    path = tmp_path / "any.log"
    data = start.encode() + rest
    path.write_bytes(data)

    try:
        log = LogFile(path)
    except ConfigurationError:
        # An archive that cannot be opened, or text that has to be converted first.
        assert data.startswith((*ARCHIVES, *UTF_16))
        return
    lines = list(log)

    assert len(lines) + log.broken == log.lines


# What is found around lines, and before them.


@pytest.mark.parametrize(
    "before", ["\ufeff", "Attaching to web-1\n", "\n\n# a comment\n", "web-1  | starting\n{}\n"]
)
def test_a_first_line_that_is_none_hides_no_other(tmp_path: Path, before: str) -> None:
    log, lines = _read(tmp_path / "access.log", f"{before}web-1  | {PAGE}\nweb-1  | {ASSET}\n")

    assert log.format is LogFormat.COMBINED
    assert len(lines) == 2


@pytest.mark.parametrize("before", ["\ufeff", "starting\n", "web-1  | starting\nweb-1  | "])
def test_a_first_line_that_is_none_hides_no_json(tmp_path: Path, before: str) -> None:
    entry = {"time": 1, "uri": "/site.css", "status": 200, "host": "example.org", "referer": ""}

    log, lines = _read(tmp_path / "access.log", before + json.dumps(entry) + "\n")

    assert log.format is LogFormat.JSON_LINES
    assert len(lines) == 1
    assert log.names_referer


@pytest.mark.parametrize("text", [PAGE, json.dumps({"time": 1, "uri": "/a.html", "status": 200})])
def test_docker_s_files_are_read(tmp_path: Path, text: str) -> None:
    entry = {"log": f"{text}\n", "stream": "stdout", "time": "2026-03-02T00:00:00Z"}

    _, (line,) = _read(tmp_path / "container.log", json.dumps(entry) + "\n")

    assert line.exchange.request.target == "/a.html"


@pytest.mark.parametrize("name", ["message", "MESSAGE", "textPayload"])
def test_lines_that_were_gathered_are_read(tmp_path: Path, name: str) -> None:
    _, (line,) = _read(
        tmp_path / "log", json.dumps({name: PAGE, "@timestamp": "2026-03-02"}) + "\n"
    )

    assert line.exchange.request.target == "/a.html"


@pytest.mark.parametrize(
    ("text", "form", "referer"),
    [
        (IIS, LogFormat.W3C, True),
        (CLOUDFRONT, LogFormat.W3C, True),
        (APPLICATION, LogFormat.BALANCER, False),
        (CLASSIC, LogFormat.BALANCER, False),
    ],
    ids=["iis", "cloudfront", "alb", "elb"],
)
def test_other_formats_are_recognised(
    tmp_path: Path, text: str, form: LogFormat, referer: bool
) -> None:
    log, (line,) = _read(tmp_path / "log", text)

    assert (log.format, log.lines, log.broken, log.names_referer) == (form, 1, 0, referer)
    assert line.exchange.answer.status == 200


def test_format_that_is_given_counts_instead_of_the_recognised_one(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{PAGE}\n1|/a.css|200|https://example.org/\n")

    with LogFile(path, pattern=Pattern("$msec|$request_uri|$status|$http_referer")) as log:
        (line,) = log

    assert (log.format, log.lines, log.broken) == (LogFormat.GIVEN, 2, 1)
    assert line.exchange.request.origin == "https://example.org"
    assert log.unread == PAGE[:60]


def test_json_without_a_host_is_of_the_site_that_referers_name(tmp_path: Path) -> None:
    entry = {"time": 1, "uri": "/a.css", "status": 200}
    referers = ["https://other.example/", "https://example.org/", "https://example.org/a"]
    text = "".join(json.dumps({**entry, "referer": referer}) + "\n" for referer in referers)

    _, lines = _read(tmp_path / "log", text)

    assert [line.exchange.request.origin for line in lines] == ["https://example.org"] * 3


@pytest.mark.parametrize(
    "entry", [PAGE.partition(' "-"')[0], '{"t": 1, "uri": "/", "status": 200}']
)
def test_a_log_without_referer_is_known_as_one(tmp_path: Path, entry: str) -> None:
    log, lines = _read(tmp_path / "log", entry + "\n")

    assert (len(lines), log.names_referer) == (1, False)


def test_virtual_hosts_come_to_the_same_as_their_log_in_json(tmp_path: Path) -> None:
    times = [f"10/Oct/2026:13:00:{second:02} +0000" for second in (0, 1, 30)]
    asked = [
        ("shop.example", "203.0.113.1", "/", "-"),
        ("shop.example", "203.0.113.1", "/shop.css", "https://shop.example/"),
        ("blog.example", "203.0.113.2", "/", "-"),
    ]
    text = "".join(
        f'{host}:443 {client} - - [{time}] "GET {url} HTTP/1.1" 200 9 "{referer}" "Agent"\n'
        for time, (host, client, url, referer) in zip(times, asked, strict=True)
    )
    entries = "".join(
        json.dumps(
            {
                "time_local": time,
                "host": host,
                "remote_addr": client,
                "method": "GET",
                "uri": url,
                "status": 200,
                "size": 9,
                "referer": referer,
                "ua": "Agent",
            }
        )
        + "\n"
        for time, (host, client, url, referer) in zip(times, asked, strict=True)
    )

    _, as_text = _read(tmp_path / "access.log", text)
    _, as_json = _read(tmp_path / "access.json", entries)

    assert as_text == as_json
    assert [line.exchange.request.origin for line in as_text] == [
        "https://shop.example",
        "https://shop.example",
        "https://blog.example",
    ]


def test_utf_16_is_told(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(PAGE, encoding="utf-16")

    with pytest.raises(ConfigurationError, match="UTF-16"):
        LogFile(path)


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    text = f"{PAGE}\n{ASSET}\n"
    _, lines = _read(tmp_path / "access.log", text)

    with LogFile(Path("-"), io.BytesIO(gzip.compress(text.encode()))) as log:
        assert list(log) == lines
        assert log.position == log.size == 0


@pytest.mark.parametrize("start", ["a", "{", '{"a": "', "[", " "])
def test_one_long_line_takes_no_more_memory_than_what_is_looked_at(
    tmp_path: Path, start: str
) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(start.encode() + b"a" * (8 << 20) + b"\n")

    tracemalloc.start()
    try:
        log = LogFile(path)
        lines = list(log) if log.format is LogFormat.COMBINED else []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert lines == []
    assert peak < 8 << 20
