"""A stored response as ASGI messages."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.cache.memory import Entry
from headstart.cache.policy import Freshness
from headstart.cache.requests import CachedRequest
from headstart.cache.serve import send_entry, told_fields
from tests.cache.cached import Fields, scope_of

NOW = 1_700_000_000.0
LONG_AGO, THEN, LATER = (
    b"Sat, 04 Nov 1995 08:49:37 GMT",
    b"Sun, 05 Nov 1995 08:49:37 GMT",
    b"Mon, 06 Nov 1995 08:49:37 GMT",
)
BODY = b"0123456789"


def entry(status: int = 200, etag: bytes = b'"v1"', modified: bytes = THEN) -> Entry:
    freshness = Freshness(60.0, 5.0, 0.0, 0.0, shared=True, asset=True)
    fields: Fields = [(b"content-type", b"text/css"), (b"content-length", b"10"), (b"etag", etag)]
    return Entry(status, fields, BODY, (), (), freshness, NOW - 10, etag, modified)


async def served(
    *asks: tuple[bytes, bytes], stored: Entry | None = None, method: str = "GET"
) -> tuple[int, dict[bytes, bytes], bytes]:
    """The status, the fields and the body that answer such a request."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    request = CachedRequest(scope_of("/a.css", *asks, method=method))
    await send_entry(request, stored or entry(), send, NOW, b"hit")
    start, body = messages
    return start["status"], dict(start["headers"]), body["body"]


async def test_response_tells_its_age_and_that_it_was_stored() -> None:
    status, fields, body = await served()

    assert (status, body) == (200, BODY)
    assert (fields[b"age"], fields[b"cache-status"]) == (b"15", b"headstart; hit")
    assert told_fields(entry(), NOW, b"hit") == [
        (b"age", b"15"),
        (b"cache-status", b"headstart; hit"),
    ]


async def test_entry_counts_its_uses_and_notes_that_all_of_it_was_shown() -> None:
    stored = entry()
    await served(stored=stored, method="HEAD")
    await served((b"if-none-match", b'"v1"'), stored=stored)
    assert (stored.hits, stored.shown) == (2, False)

    await served(stored=stored)

    assert (stored.hits, stored.shown) == (3, True)


async def test_head_has_the_fields_alone() -> None:
    status, fields, body = await served((b"range", b"bytes=0-1"), method="HEAD")

    assert (status, fields[b"content-length"], body) == (200, b"10", b"")


@pytest.mark.parametrize(
    ("asks", "status"),
    [
        ((b"if-none-match", b'"v1"'), 304),
        ((b"if-none-match", b'"v0", W/"v1"'), 304),
        ((b"if-none-match", b"*"), 304),
        ((b"if-none-match", b'"v2"'), 200),
        ((b"if-modified-since", THEN), 304),
        ((b"if-modified-since", LATER), 304),
        ((b"if-modified-since", LONG_AGO), 200),
        ((b"if-modified-since", b"yesterday"), 200),
    ],
)
async def test_client_that_has_it_is_told_so(asks: tuple[bytes, bytes], status: int) -> None:
    answered, fields, body = await served(asks)

    assert answered == status
    assert (body == b"", b"content-type" in fields) == (status == 304, status == 200)
    assert fields[b"etag"] == b'"v1"'


async def test_entry_without_validators_is_sent_whole() -> None:
    stored = entry(etag=b"", modified=b"")

    assert (await served((b"if-none-match", b'""'), stored=stored))[0] == 200
    assert (await served((b"if-modified-since", THEN), stored=stored))[0] == 200
    assert (await served((b"if-modified-since", THEN), stored=entry(modified=b"x")))[0] == 200


async def test_response_that_is_not_200_has_neither_ranges_nor_conditions() -> None:
    asks = (b"if-none-match", b'"v1"'), (b"range", b"bytes=0-1")

    assert (await served(*asks, stored=entry(404)))[::2] == (404, BODY)


@pytest.mark.parametrize(
    ("asked", "told", "part"),
    [
        (b"bytes=0-3", b"bytes 0-3/10", b"0123"),
        (b"bytes = 4-", b"bytes 4-9/10", b"456789"),
        (b"bytes=8-99", b"bytes 8-9/10", b"89"),
        (b"bytes=-3", b"bytes 7-9/10", b"789"),
        (b"bytes=-99", b"bytes 0-9/10", BODY),
    ],
)
async def test_range_is_sent_alone(asked: bytes, told: bytes, part: bytes) -> None:
    status, fields, body = await served((b"range", asked))

    assert (status, body) == (206, part)
    assert fields[b"content-range"] == told
    assert fields[b"content-length"] == b"%d" % len(part)
    assert fields[b"content-type"] == b"text/css"


@pytest.mark.parametrize("asked", [b"bytes=10-", b"bytes=99-100", b"bytes=-0"])
async def test_range_behind_the_end_is_refused(asked: bytes) -> None:
    status, fields, body = await served((b"range", asked))

    assert (status, body) == (416, b"")
    assert (fields[b"content-range"], fields[b"content-length"]) == (b"bytes */10", b"0")
    assert b"content-type" not in fields


@pytest.mark.parametrize(
    "asked", [b"bytes=-", b"bytes=5-4", b"bytes=0-1,3-4", b"lines=0-1", b"bytes=a-b"]
)
async def test_what_is_not_one_range_is_answered_with_the_whole(asked: bytes) -> None:
    assert (await served((b"range", asked)))[::2] == (200, BODY)


@pytest.mark.parametrize(
    ("condition", "status"),
    [(b'"v1"', 206), (b'"v2"', 200), (b'W/"v1"', 200), (THEN, 206), (LATER, 200)],
)
async def test_range_of_another_version_is_answered_with_the_whole(
    condition: bytes, status: int
) -> None:
    assert (await served((b"range", b"bytes=0-1"), (b"if-range", condition)))[0] == status


async def test_weak_validator_does_not_vouch_for_a_range() -> None:
    stored = entry(etag=b'W/"v1"')

    assert (await served((b"range", b"bytes=0-1"), (b"if-range", b'W/"v1"'), stored=stored))[
        0
    ] == 200
