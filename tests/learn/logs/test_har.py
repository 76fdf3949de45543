"""Tests of headstart.learn.logs.har; its entries are tested with the file's other formats."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.learn.logs import har


def test_archive_above_the_bound_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = b'{"log": {"entries": []}}'
    monkeypatch.setattr(har, "MAX_ARCHIVE", len(archive))

    assert list(har.entries_of(BytesIO(archive))) == []
    with pytest.raises(ConfigurationError, match="is not read"):
        list(har.entries_of(BytesIO(archive + b" ")))


def test_what_is_not_an_entry_is_none() -> None:
    assert list(har.entries_of(BytesIO(b'{"log": {"entries": [5, {}]}}'))) == [None, None]
    assert list(har.entries_of(BytesIO(b"{"))) == [None]


def test_entry_has_what_its_request_and_its_response_say() -> None:
    entry: dict[str, Any] = {
        "startedDateTime": "2026-03-02T12:00:01Z",
        "pageref": "page_1",
        "request": {
            "method": "GET",
            "url": "https://example.org/a.css?v=1",
            "headers": [
                {"name": "Referer", "value": "https://example.org/"},
                {"name": "User-Agent", "value": "Agent"},
            ],
        },
        "response": {
            "status": 200,
            "headers": [
                {"name": "Cache-Control", "value": "max-age=60"},
                {"name": "Vary", "value": "Accept"},
                {"name": "Location", "value": "/b.css"},
                {"name": "Set-Cookie", "value": "a=b"},
            ],
            "bodySize": 99,
            "content": {"mimeType": "text/css", "size": 12},
        },
    }
    bare = {**entry, "request": {**entry["request"], "headers": []}, "response": {"status": 304}}
    del bare["pageref"]

    found = list(har.entries_of(BytesIO(json.dumps({"log": {"entries": [entry, bare]}}).encode())))

    asked = {
        "time": "2026-03-02T12:00:01Z",
        "method": "GET",
        "host": "example.org",
        "url": "/a.css?v=1",
    }
    said = {
        "client": "page_1",
        "status": 200,
        "size": 99,
        "type": "text/css",
        "referer": "https://example.org/",
        "agent": "Agent",
        "cache": "max-age=60",
        "vary": "Accept",
        "location": "/b.css",
        "cookie": True,
        "validated": False,
    }
    nothing = {
        "client": "page",
        "status": 304,
        "size": 0,
        "type": None,
        "referer": None,
        "agent": None,
        "cache": "",
        "vary": None,
        "location": "",
        "cookie": False,
        "validated": False,
    }
    assert found == [asked | said, asked | nothing]
