"""One call of the application: the response as it passes, and the entry that is made of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headstart.cache.fetch import Fetch
from headstart.cache.memory import Entry
from headstart.cache.requests import CachedRequest
from tests.cache.cached import PUBLIC, Fields, scope_of

NOW = 1_700_000_000.0
MOST = 10
ETAG = (b"etag", b'"1"')


class Asked:
    """A fetch whose response the test gives.

    Args:
        fields: Of the request.
        old: The stored response that is validated.
        method: Of the request.
    """

    def __init__(
        self, *fields: tuple[bytes, bytes], old: Entry | None = None, method: str = "GET"
    ) -> None:
        self.passed: list[Any] = []
        self.stored: list[Entry] = []
        self.now = NOW
        self.request = CachedRequest(scope_of("/a.css", *fields, method=method))
        self.fetch = Fetch(
            self.request,
            self._send,
            self.stored.append,
            MOST,
            lambda: self.now,
            b"fwd=uri-miss",
            old,
        )

    async def _send(self, message: Any) -> None:
        self.passed.append(message)

    async def start(self, *fields: tuple[bytes, bytes], status: int = 200, **more: Any) -> None:
        message = {"type": "http.response.start", "status": status, "headers": list(fields)}
        await self.fetch.send({**message, **more})

    async def body(self, *parts: bytes, ends: bool = True) -> None:
        for index, part in enumerate(parts, 1):
            more = not ends or index < len(parts)
            await self.fetch.send({"type": "http.response.body", "body": part, "more_body": more})

    @property
    def told(self) -> bytes:
        """Cache-Status."""
        fields: dict[bytes, bytes] = dict(self.passed[0]["headers"])
        return fields[b"cache-status"]


async def entry(*fields: tuple[bytes, bytes], body: bytes = b"old") -> Entry:
    """Return the response of an earlier fetch."""
    asked = Asked()
    await asked.start(PUBLIC, ETAG, *fields)
    await asked.body(body)
    return asked.stored[0]


async def test_response_passes_part_by_part_and_is_stored_when_it_is_whole() -> None:
    asked = Asked()
    stored = []
    await asked.start(PUBLIC, (b"Content-Type", b"text/css"))
    for part, ends in ((b"one", False), (b"", False), (b"two", True)):
        await asked.body(part, ends=ends)
        stored.append(len(asked.stored))

    assert [message.get("body") for message in asked.passed] == [None, b"one", b"", b"two"]
    assert stored == [0, 0, 1]
    assert (asked.stored[0].body, asked.stored[0].status) == (b"onetwo", 200)
    assert dict(asked.stored[0].fields)[b"content-type"] == b"text/css"
    assert asked.told == b"headstart; fwd=uri-miss; stored"
    assert asked.fetch.stored
    assert asked.fetch.decided.done()


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [(200, None, [b"6"]), (200, b"6", [b"6"]), (404, None, [b"6"]), (204, None, [])],
)
async def test_stored_response_says_its_length(
    status: int, said: bytes | None, expected: list[bytes]
) -> None:
    asked = Asked()
    parts = [b"one", b"two"] if expected else [b""]
    fields = [(b"content-length", said)] if said else []
    await asked.start(PUBLIC, *fields, status=status)
    await asked.body(*parts)

    (kept,) = asked.stored

    assert [value for name, value in kept.fields if name == b"content-length"] == expected
    assert kept.body == b"".join(parts)


async def test_part_that_the_application_writes_into_again_stays_as_it_was_sent() -> None:
    asked = Asked()
    buffer = bytearray(b"one")
    await asked.start(PUBLIC)
    await asked.fetch.send({"type": "http.response.body", "body": buffer, "more_body": True})
    buffer[:] = b"two"
    await asked.fetch.send({"type": "http.response.body", "body": buffer})

    assert asked.stored[0].body == b"onetwo"


@pytest.mark.parametrize(("parts", "stored"), [((MOST,), 1), ((MOST + 1,), 0), ((MOST, 1), 0)])
async def test_body_up_to_the_limit_is_stored_and_a_byte_more_is_not(
    parts: tuple[int, ...], stored: int
) -> None:
    asked = Asked()
    await asked.start(PUBLIC)
    await asked.body(*(b"x" * size for size in parts))

    assert len(asked.stored) == stored
    assert sum(len(message.get("body", b"")) for message in asked.passed) == sum(parts)
    assert asked.fetch.decided.done()


@pytest.mark.parametrize(("length", "storable"), [(MOST, True), (MOST + 1, False)])
async def test_response_that_says_it_is_too_long_is_given_up_at_its_head(
    length: int, storable: bool
) -> None:
    asked = Asked()

    await asked.start(PUBLIC, (b"content-length", b"%d" % length))

    assert asked.fetch.storable is storable
    assert asked.fetch.decided.done() is not storable
    assert (b"stored" in asked.told) is storable


@pytest.mark.parametrize(("size", "stored"), [(4, 0), (5, 1), (6, 0)])
async def test_body_that_is_not_as_long_as_it_says_is_not_stored(size: int, stored: int) -> None:
    asked = Asked()
    await asked.start(PUBLIC, (b"content-length", b"5"))
    await asked.body(b"x" * size)

    assert len(asked.stored) == stored
    assert asked.fetch.decided.done()


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"cache-control", b"private, max-age=60")],
        [PUBLIC, (b"set-cookie", b"a=1")],
        [PUBLIC, (b"vary", b"*")],
        [PUBLIC, (b"age", b"61")],
    ],
)
async def test_response_that_is_not_for_everybody_passes_and_is_not_stored(fields: Fields) -> None:
    asked = Asked()
    await asked.start(*fields)
    await asked.body(b"one", b"two")

    assert asked.stored == []
    assert asked.told == b"headstart; fwd=uri-miss"
    assert len(asked.passed) == 3


async def test_response_with_trailers_or_from_a_file_is_not_stored() -> None:
    trailing, file = Asked(), Asked()
    await trailing.start(PUBLIC, trailers=True)
    await trailing.body(b"one")
    await file.start(PUBLIC)
    await file.fetch.send({"type": "http.response.pathsend", "path": "/x"})

    assert (trailing.stored, file.stored) == ([], [])
    assert file.passed[-1]["type"] == "http.response.pathsend"
    assert file.fetch.decided.done()


async def test_get_with_content_is_stored_for_nobody() -> None:
    asked = Asked()
    messages = [{"type": "http.request", "body": part} for part in (b"", b"x", b"")]

    async def receive() -> Any:
        return messages.pop(0)

    watched = asked.fetch.receive_with(receive)
    given_up = []
    for _ in range(3):
        await watched()
        given_up.append(asked.fetch.decided.done())
    await asked.start(PUBLIC)
    await asked.body(b"one")

    assert given_up == [False, True, True]
    assert asked.stored == []


async def test_entry_has_the_values_of_the_fields_that_the_response_varies_by() -> None:
    asked = Asked((b"accept-language", b"de"), (b"accept", b"text/css"))
    await asked.start(PUBLIC, (b"vary", b"Accept-Language"), (b"vary", b"Accept-Encoding"))
    await asked.body(b"one")

    assert asked.stored[0].vary == (b"accept-encoding", b"accept-language")
    assert asked.stored[0].selecting == (b"", b"de")


async def test_304_confirms_the_old_response_with_its_own_fields_and_the_client_sees_none() -> None:
    old = await entry((b"content-length", b"3"), (b"x-kept", b"1"))
    asked = Asked(old=old)
    asked.now = NOW + 50
    await asked.start(
        (b"cache-control", b"max-age=600"), ETAG, (b"content-length", b"0"), status=304
    )
    await asked.body(b"")

    confirmed = asked.fetch.confirmed
    assert asked.passed == []
    assert asked.fetch.not_modified
    assert confirmed is not None
    assert asked.stored == [confirmed]
    assert (confirmed.body, confirmed.received) == (b"old", NOW + 50)
    assert confirmed.freshness.lifetime == 600.0
    assert dict(confirmed.fields)[b"content-length"] == b"3"
    assert dict(confirmed.fields)[b"x-kept"] == b"1"


@pytest.mark.parametrize(
    "field", [(b"set-cookie", b"a=1"), (b"cache-control", b"no-store"), (b"vary", b"accept")]
)
async def test_304_that_forbids_it_confirms_nothing_for_others(field: tuple[bytes, bytes]) -> None:
    asked = Asked(old=await entry())
    await asked.start(PUBLIC, ETAG, field, status=304)

    assert asked.fetch.not_modified
    assert asked.fetch.confirmed is None
    assert asked.stored == []
    assert asked.fetch.varies is (field[0] == b"vary")


@pytest.mark.parametrize(
    ("status", "late", "failed"),
    [
        (500, 39, True),
        (502, 39, True),
        (503, 39, True),
        (504, 39, True),
        (500, 41, False),
        (501, 0, False),
        (404, 0, False),
        (200, 0, False),
    ],
)
async def test_failure_of_the_application_leaves_the_old_response_for_as_long_as_it_allows(
    status: int, late: int, failed: bool
) -> None:
    old = await entry((b"cache-control", b"stale-if-error=40"))
    asked = Asked(old=old)
    asked.now = NOW + 60 + late
    await asked.start(status=status)
    await asked.body(b"trouble")

    assert asked.fetch.failed is failed
    assert len(asked.passed) == (0 if failed else 2)


@pytest.mark.parametrize(
    ("fields", "outdated"),
    [
        ([PUBLIC, ETAG], False),
        ([PUBLIC, ETAG, (b"content-length", b"3")], False),
        ([PUBLIC, ETAG, (b"content-length", b"4")], True),
        ([PUBLIC, (b"etag", b'"2"')], True),
        ([PUBLIC], True),
    ],
)
async def test_head_updates_the_old_response_or_shows_its_end(
    fields: Fields, outdated: bool
) -> None:
    asked = Asked(old=await entry(), method="HEAD")
    await asked.start(*fields)
    await asked.body(b"")

    assert asked.fetch.outdated is outdated
    assert (asked.fetch.confirmed is None) is outdated
    assert len(asked.passed) == 2  # and passes


async def test_those_who_wait_for_the_decision_are_told_once_it_is_given_up() -> None:
    asked = Asked()
    waiting = asyncio.ensure_future(asyncio.shield(asked.fetch.decided))
    for _ in range(3):
        asked.fetch.give_up()

    await waiting
    assert not asked.fetch.storable
