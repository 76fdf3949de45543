"""Lines about connections, pushes and streams."""

from __future__ import annotations

import json
from dataclasses import replace

from headstart.client.pushes import Pushed
from headstart.client.response_stream import StreamInfo
from headstart.h2c.daemon import reports

PUSHED = Pushed(2, 1, "GET", b"https", b"host", b"/a", [], 10.0)
COMPLETE = Pushed(
    4,
    1,
    "GET",
    b"https",
    b"host",
    b"/longer",
    [],
    11.0,
    status=200,
    headers=[(b"content-type", b"text/css")],
    size=1234,
    complete=True,
)


def test_paths_are_one_a_line() -> None:
    assert list(reports.push_paths([PUSHED, COMPLETE])) == ["/a", "/longer"]


def test_the_table_has_columns_under_a_heading() -> None:
    assert list(reports.push_table([PUSHED, COMPLETE], 12.5)) == [
        "STREAM  PARENT  STATUS  SIZE  AGE    STATE     TYPE      AUTHORITY  PATH",
        "2       1       -       0     2.5 s  promised  -         host       /a",
        "4       1       200     1234  1.5 s  complete  text/css  host       /longer",
    ]


def test_the_table_has_nothing_that_a_terminal_obeys() -> None:
    hostile = replace(COMPLETE, headers=[(b"content-type", b"text/\x9b31mcss")])

    _, row = reports.push_table([hostile], 12.5)

    assert row.isprintable()
    assert "text/\\x9b31mcss" in row


def test_without_pushes_there_is_no_heading() -> None:
    assert list(reports.push_table([], 0.0)) == []


def test_promises_that_were_refused_are_counted_by_reason() -> None:
    assert list(reports.refused({"method": 2, "bad-path": 1})) == ["refused: 1 bad-path, 2 method"]
    assert list(reports.refused({})) == []


def test_json_says_null_for_what_is_not_known() -> None:
    (pushed,) = json.loads(reports.push_json([PUSHED], 12.5))

    assert (pushed["status"], pushed["type"], pushed["age"]) == (None, None, 2.5)


def test_streams_are_id_method_path_state() -> None:
    infos = [StreamInfo(1, "GET", "/a", "open", False), StreamInfo(2, "GET", "/b", "closed", True)]

    assert list(reports.streams(infos)) == [
        "1: GET /a open",
        "2: GET /b closed (cached push promise)",
    ]


def test_streams_have_their_windows_when_asked_for() -> None:
    infos = [
        StreamInfo(1, "POST", "/a", "open", False, received=7),
        StreamInfo(2, "GET", "/b", "closed", True, parent=1, status=200, received=3),
        StreamInfo(3, "GET", "/c", "open", False),
    ]
    windows = {0: (10, 20), 1: (1, 2)}

    assert list(reports.streams(infos, windows.get)) == [
        "0: the connection, may send 10, may receive 20",
        "1: POST /a open, received 7, may send 1, may receive 2",
        "2: GET /b closed (cached push promise), promised on 1, status 200, received 3",
        "3: GET /c open, received 0",
    ]


def test_ipv6_addresses_are_in_brackets() -> None:
    assert reports.address(("::1", 8443, 0, 0)) == "[::1]:8443"
    assert reports.address(("127.0.0.1", 8443)) == "127.0.0.1:8443"
