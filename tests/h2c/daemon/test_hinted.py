"""Responses that a 103 named wait for the next request."""

from __future__ import annotations

import pytest

from headstart.client.headers import Headers
from headstart.client.origin import Origin
from headstart.config import ClientLimits
from headstart.h2c.daemon.hinted import Hinted, StoredResponse
from headstart.wire.events import Fields

ORIGIN = Origin("https", "a.test", 443)
ASKED: Fields = [(b"accept-language", b"de")]


def kept(
    content: bytes = b"x", expires: float = 100.0, headers: Fields | None = None
) -> StoredResponse:
    return StoredResponse(200, Headers(headers or []), content, 3, expires)


def hinted(one: StoredResponse, limits: ClientLimits | None = None) -> Hinted:
    made = Hinted(limits)
    made.keep(ORIGIN, "/a", ASKED, one, 10.0)
    return made


def test_each_serves_once() -> None:
    one = kept()
    store = hinted(one)

    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=True) is one
    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=False) is one
    assert store.find("GET", ORIGIN, "/a", [], 11.0, stays=False) is None
    assert len(store) == 0


@pytest.mark.parametrize(
    ("method", "origin", "target", "fields"),
    [
        ("HEAD", ORIGIN, "/a", []),
        ("GET", Origin("http", "a.test", 80), "/a", []),
        ("GET", ORIGIN, "/b", []),
        ("GET", ORIGIN, "/a", [(b"host", b"b.test")]),
        ("GET", ORIGIN, "/a", [(b"range", b"bytes=0-1")]),
        ("GET", ORIGIN, "/a", [(b"accept-language", b"en")]),
    ],
)
def test_it_answers_the_same_request_only(
    method: str, origin: Origin, target: str, fields: Fields
) -> None:
    store = hinted(kept(headers=[(b"vary", b"accept-language")]))

    assert store.find(method, origin, target, fields, 11.0, stays=False) is None
    assert store.find("GET", ORIGIN, "/a", ASKED, 11.0, stays=False) is not None


@pytest.mark.parametrize("stays", [True, False])
def test_it_waits_no_longer_than_it_is_fresh(stays: bool) -> None:
    store = hinted(kept(expires=20.0))

    assert store.find("GET", ORIGIN, "/a", [], 20.0, stays=stays) is None
    assert len(store) == 0


def test_it_waits_no_longer_than_a_push() -> None:
    store = hinted(kept(expires=1e9))

    assert store.find("GET", ORIGIN, "/a", [], 311.0, stays=False) is None
    assert len(store) == 0


def test_what_is_too_large_is_not_kept_and_a_newer_one_takes_the_place() -> None:
    store = hinted(kept(), ClientLimits(max_push_bytes=10))

    store.keep(ORIGIN, "/a", ASKED, kept(b"newer"), 10.0)
    assert len(store) == 1
    store.keep(ORIGIN, "/b", ASKED, kept(bytes(11)), 10.0)
    assert store.find("GET", ORIGIN, "/b", [], 11.0, stays=False) is None


async def test_it_reads_as_one_that_just_came() -> None:
    one = kept(b"content", headers=[(b"a", b"1"), (b"a", b"2")])

    assert [data async for data in one.aiter_bytes()] == [b"content"]
    assert one.headers == {"a": "1, 2"}
