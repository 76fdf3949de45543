"""HTTP archives, and the cookies in them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hario_core.models.har_1_2 import HarLog
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.dump.exchanges import Bounds
from headstart.h2c.dump.har import HarWriter, request_cookies, response_cookies
from headstart.h2c.dump.settings import FrameFilter
from headstart.h2c.dump.tap import Sink
from headstart.h2c.dump.text import Source, masked
from headstart.learn.logs import LogFile, LogFormat
from headstart.wire.frames import Frame
from tests.h2c.transcript import (
    RECEIVED,
    SENT,
    data,
    headers,
    promise,
    request,
    reset,
    response,
)

SOURCE = Source(1, 1_764_000_000.0)

Archive = Callable[..., dict[str, Any]]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Writes frames as an archive, has it read by one who knows HAR, and gives its `log`."""

    def written(
        *frames: Frame, shown: FrameFilter | None = None, bounds: Bounds | None = None
    ) -> dict[str, Any]:
        path = tmp_path / "visit.har"
        sink = Sink(str(path))
        writer = HarWriter(sink.write, shown or FrameFilter(), bounds)
        for frame in frames:
            writer.show(frame, SOURCE)
            checked(path)
        writer.end(SOURCE)
        writer.close()
        sink.close()
        return checked(path)

    return written


def checked(path: Path) -> dict[str, Any]:
    """The archive's `log`, if everything in it has the place and the type that HAR 1.2 asks for."""
    log: dict[str, Any] = json.loads(path.read_bytes())["log"]
    HarLog.model_validate_json(json.dumps(log), strict=True)
    return log


def entry(log: dict[str, Any]) -> dict[str, Any]:
    (found,) = log["entries"]
    assert isinstance(found, dict)
    return found


def test_without_an_exchange_it_is_an_archive_without_entries(archive: Archive) -> None:
    log = archive()

    assert (log["version"], log["creator"]["name"]) == ("1.2", "h2c")
    assert (log["pages"], log["entries"]) == ([], [])


def test_an_entry_tells_request_response_and_times(archive: Archive) -> None:
    found = entry(
        archive(
            request(1.0, 1, "/data?a=1&b=x%20y&c=", ("cookie", "k=v"), method="POST"),
            data(1.25, SENT, 1, b"hello", end=True),
            response(
                1.5,
                1,
                303,
                ("content-type", "text/plain"),
                ("location", "/x"),
                ("set-cookie", "s=1"),
            ),
            data(2.0, RECEIVED, 1, "ä".encode(), end=True),
        )
    )

    assert found["startedDateTime"] == "2025-11-24T16:00:01.000000+00:00"
    assert found["timings"] == {
        **dict.fromkeys(("blocked", "dns", "connect", "ssl"), -1),
        **dict.fromkeys(("send", "wait"), 250.0),
        "receive": 500.0,
    }
    assert (found["time"], found["connection"], found["_streamId"]) == (1000.0, "1", 1)
    asked, said = found["request"], found["response"]
    assert (asked["method"], asked["url"]) == ("POST", "https://example.org/data?a=1&b=x%20y&c=")
    assert [(q["name"], q["value"]) for q in asked["queryString"]] == [
        ("a", "1"),
        ("b", "x y"),
        ("c", ""),
    ]
    assert asked["cookies"] == [{"name": "k", "value": "v"}]
    assert asked["postData"] == {"mimeType": "x-unknown", "params": [], "text": "hello"}
    assert (asked["bodySize"], asked["httpVersion"]) == (5, "HTTP/2")
    assert (said["status"], said["redirectURL"], said["bodySize"]) == (303, "/x", 2)
    assert said["content"] == {"size": 2, "mimeType": "text/plain", "text": "ä"}
    assert said["cookies"] == [{"name": "s", "value": "1"}]
    assert said["_transferSize"] == 10 + 9 + 2 + 9


def test_a_push_is_marked_with_its_parent(archive: Archive) -> None:
    log = archive(
        request(1.0, 1),
        promise(1.1, 1, 2, "/style.css"),
        response(1.2, 1, 200, end=True),
        response(1.35, 2, 200, end=True),
    )

    page, pushed = log["entries"]
    assert "_was_pushed" not in page
    assert (pushed["_was_pushed"], pushed["_parentStreamId"], pushed["_streamId"]) == (1, 1, 2)
    assert pushed["request"]["url"] == "https://example.org/style.css"
    assert (pushed["timings"]["send"], pushed["timings"]["wait"]) == (0.0, 250.0)


def test_a_103_has_its_time_and_fields(archive: Archive) -> None:
    found = entry(
        archive(
            request(1.0, 1),
            response(1.1, 1, 103, ("link", "</a>")),
            response(2.0, 1, 200, end=True),
        )
    )

    (hint,) = found["_informational"]
    assert (hint["status"], hint["time"]) == (103, 100.0)
    assert hint["startedDateTime"] == "2025-11-24T16:00:01.100000+00:00"
    assert {"name": "link", "value": "</a>"} in hint["headers"]
    assert found["response"]["status"] == 200
    assert found["timings"]["wait"] == 1000.0


def test_frames_are_listed_as_the_filter_has_it_and_those_of_no_exchange_at_the_end(
    archive: Archive,
) -> None:
    frames = [
        Frame(0.0, SENT, "SETTINGS", 4),
        Frame(0.1, SENT, "PING", 6),
        request(1.0, 1),
        response(1.2, 1, 200),
        data(1.3, RECEIVED, 1, b"x", end=True),
    ]

    log = archive(*frames, shown=FrameFilter.of(exclude=["PING", "DATA"]))

    assert [(f["connection"], f["type"]) for f in log["_frames"]] == [(1, "SETTINGS")]
    assert [f["type"] for f in entry(log)["_frames"]] == ["HEADERS", "HEADERS"]
    assert entry(log)["response"]["content"]["text"] == "x"


def test_what_is_no_text_is_in_base64(archive: Archive) -> None:
    found = entry(
        archive(
            request(1.0, 1, method="PUT"),
            data(1.1, SENT, 1, b"\xff\x00", end=True),
            response(1.2, 1, 200),
            data(1.3, RECEIVED, 1, b"\x89PNG", end=True),
        )
    )

    content = found["response"]["content"]
    assert (base64.b64decode(content["text"]), content["encoding"]) == (b"\x89PNG", "base64")
    posted = found["request"]["postData"]
    assert (base64.b64decode(posted["text"]), posted["_encoding"]) == (b"\xff\x00", "base64")
    assert "encoding" not in posted


def test_a_long_body_is_cut_off_and_said_to_be(archive: Archive) -> None:
    found = entry(
        archive(
            request(1.0, 1),
            response(1.2, 1, 200),
            data(1.3, RECEIVED, 1, "aaä".encode(), end=True),
            bounds=Bounds(body=3),
        )
    )

    content = found["response"]["content"]
    assert (content["text"], content["size"], content["_truncated"]) == ("aa", 4, True)


def test_content_in_gzip_is_told_without_it(archive: Archive) -> None:
    text = "ä" * 1000
    sent = gzip.compress(text.encode())
    found = entry(
        archive(
            request(1.0, 1),
            response(1.2, 1, 200, ("content-encoding", "gzip")),
            data(1.3, RECEIVED, 1, sent, end=True),
        )
    )

    content = found["response"]["content"]
    assert (content["text"], content["size"]) == (text, 2000)
    assert content["compression"] == 2000 - len(sent)
    assert found["response"]["bodySize"] == len(sent)


@pytest.mark.parametrize(("coding", "bound"), [("br", 100), ("gzip", 10)])
def test_content_whose_coding_cannot_be_undone_is_told_as_it_was_sent(
    coding: str, bound: int, archive: Archive
) -> None:
    sent = gzip.compress(b"content")
    found = entry(
        archive(
            request(1.0, 1),
            response(1.2, 1, 200, ("content-encoding", coding)),
            data(1.3, RECEIVED, 1, sent, end=True),
            bounds=Bounds(body=bound),
        )
    )

    content = found["response"]["content"]
    assert base64.b64decode(content["text"]) == sent[:bound]
    assert content["size"] == len(sent)
    assert "compression" not in content


def test_resets_omissions_trailers_and_what_is_unfinished_are_said(archive: Archive) -> None:
    log = archive(
        request(1.0, 1),
        reset(1.5, SENT, 1),
        request(1.6, 3, method="POST"),
        headers(1.7, SENT, 3, ("sum", "1"), end=True),
        response(1.8, 3, 200),
        headers(1.9, RECEIVED, 3, ("checksum", "2"), end=True),
        request(2.0, 5),
        bounds=Bounds(frames=1),
    )

    cancelled, trailed, open_ = log["entries"]
    assert (cancelled["_error"], cancelled["_resetBy"]) == ("CANCEL", "client")
    assert cancelled["_framesOmitted"] == 1
    assert (cancelled["response"]["status"], cancelled["time"]) == (0, 500.0)
    assert trailed["request"]["_trailers"] == [{"name": "sum", "value": "1"}]
    assert trailed["response"]["_trailers"] == [{"name": "checksum", "value": "2"}]
    assert open_["_unfinished"]
    assert "_unfinished" not in cancelled


def test_a_request_of_the_server_itself_has_no_path(archive: Archive) -> None:
    found = entry(archive(request(1.0, 1, "*", method="OPTIONS"), reset(1.1, SENT, 1)))

    assert found["request"]["url"] == "https://example.org"


def test_an_answer_before_the_upload_ends_was_not_waited_for(archive: Archive) -> None:
    found = entry(
        archive(
            request(1.0, 1, method="POST"),
            response(1.5, 1, 413, end=True),
            data(2.0, SENT, 1, b"rest", end=True),
        )
    )

    timings = found["timings"]
    assert (timings["send"], timings["wait"], timings["receive"]) == (500.0, 0.0, 0.0)


def test_masked_frames_have_no_secret_anywhere(archive: Archive) -> None:
    frames = [
        request(1.0, 1, "/", ("cookie", "id=s3cret"), ("authorization", "s3cret")),
        response(1.1, 1, 200, ("set-cookie", "id=s3cret"), end=True),
    ]

    log = archive(*map(masked, frames))

    assert "s3cret" not in json.dumps(log)
    assert entry(log)["request"]["cookies"] == []


def test_replay_reads_what_is_written(archive: Archive, tmp_path: Path) -> None:
    archive(
        request(1.0, 1, "/", ("user-agent", "ua")),
        response(1.1, 1, 200, ("content-type", "text/html"), end=True),
        request(1.2, 3, "/style.css", ("referer", "https://example.org/")),
        response(
            1.3, 3, 200, ("content-type", "text/css"), ("cache-control", "max-age=9"), end=True
        ),
    )

    log = LogFile(tmp_path / "visit.har")
    page, sheet = log

    assert (log.format, log.lines, log.broken) == (LogFormat.HAR, 2, 0)
    assert page.is_page
    assert not sheet.is_page
    assert sheet.exchange.request.referer == "https://example.org/"
    assert sheet.exchange.answer.cache_control == "max-age=9"
    assert page.time == SOURCE.began + 1.0


def test_replay_reads_an_archive_of_one_exchange(archive: Archive, tmp_path: Path) -> None:
    archive(request(1.0, 1, "/"), response(1.1, 1, 200, ("content-type", "text/html"), end=True))

    log = LogFile(tmp_path / "visit.har")
    (page,) = log

    assert (log.format, log.lines, log.broken) == (LogFormat.HAR, 1, 0)
    assert page.is_page


def test_a_request_may_have_its_cookies_in_one_field_or_in_several() -> None:
    expected = [{"name": "a", "value": "1"}, {"name": "b", "value": "x=y"}]

    assert request_cookies(["a=1; b=x=y"]) == expected
    assert request_cookies(["a=1", "b=x=y"]) == expected


def test_what_is_hidden_or_empty_is_no_cookie() -> None:
    assert request_cookies(["{hidden}", ""]) == []
    assert response_cookies(["{hidden}", "", "x; path=/"]) == []


def test_a_response_tells_where_and_how_long_a_cookie_counts() -> None:
    value = (
        "id=1; Path=/x; Domain=example.org; Secure; HttpOnly; SameSite=Lax; "
        "Expires=Wed, 21 Oct 2026 07:28:00 GMT"
    )

    assert response_cookies([value]) == [
        {
            "name": "id",
            "value": "1",
            "path": "/x",
            "domain": "example.org",
            "secure": True,
            "httpOnly": True,
            "expires": "2026-10-21T07:28:00+00:00",
        }
    ]


def test_a_date_that_is_none_is_left_out() -> None:
    assert response_cookies(["id=1; expires=soon"]) == [{"name": "id", "value": "1"}]


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_value_raises(values: list[str]) -> None:
    for cookie in request_cookies(values) + response_cookies(values):
        assert json.loads(json.dumps(cookie))["name"] == cookie["name"]


@given(st.text(max_size=60))
def test_no_date_raises(date: str) -> None:
    (cookie,) = response_cookies([f"a=b; expires={date.replace(';', '')}"])

    assert cookie["name"] == "a"
