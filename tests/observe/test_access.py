"""The access log as fields."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from headstart.observe.access import log_access
from headstart.observe.exchange import Exchange


def exchange(**more: Any) -> Exchange:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "http_version": "2",
        "path": "/page",
        "raw_path": b"/page",
        "query_string": b"a=1",
        "client": ("192.0.2.1", 4711),
        "headers": [],
        **more,
    }
    made = Exchange(scope)
    made.size = 7
    return made


def logged(caplog: pytest.LogCaptureFixture, **scope: Any) -> dict[str, Any]:
    with caplog.at_level(logging.INFO, "headstart.access"):
        log_access(exchange(**scope), 200)
    (record,) = caplog.records
    assert record.getMessage() == "GET /page?a=1 200"
    fields: dict[str, Any] = vars(record)["fields"]
    return fields


def test_line_has_the_request_and_its_response_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    fields = logged(caplog)

    assert fields.pop("duration") >= 0
    assert fields == {
        "client": "192.0.2.1:4711",
        "method": "GET",
        "path": "/page?a=1",
        "version": "2",
        "pushed": False,
        "status": 200,
        "bytes": 7,
    }


def test_line_of_a_page_says_how_its_assets_were_sent(caplog: pytest.LogCaptureFixture) -> None:
    push = {"path": "/a.css", "state": "sent", "refusal": None}

    fields = logged(caplog, extensions={"headstart": {"pushes": [push], "pushed": False}})

    assert (fields["way"], fields["sent"], fields["refused"]) == ("push", ["/a.css"], {})


def test_nothing_is_written_where_the_log_is_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headstart.access"):
        log_access(exchange(), 200)

    assert caplog.records == []
