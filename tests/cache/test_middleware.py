"""From the cache or from the application: RFC 9111, RFC 5861, RFC 9211, and one user's pages."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from headstart.cache.middleware import _MAX_REFRESHES
from headstart.cache.requests import CachedRequest
from headstart.config import CacheOptions
from tests.cache.cached import PUBLIC, Answered, Fields, Site, scope_of, site
from tests.clock import timeless

CSS = (b"content-type", b"text/css; charset=utf-8")
TAG = (b"etag", b'"v1"')
MODIFIED = (b"last-modified", b"Tue, 14 Nov 2023 00:00:00 GMT")
COOKIE = (b"cookie", b"session=1")


async def test_second_request_is_answered_without_the_application() -> None:
    cached = site(PUBLIC, CSS)

    first = await cached.ask()
    cached.now += 10
    second = await cached.ask()

    assert len(cached.calls) == 1
    assert (second.status, second.body) == (200, b"body {}")
    assert first.told == "fwd=uri-miss; stored"
    assert second.told == "hit; ttl=50"
    assert second.fields[b"age"] == b"10"
    assert second.fields[b"content-type"] == CSS[1]


async def test_head_is_answered_from_a_stored_get() -> None:
    cached = site(PUBLIC)
    await cached.ask()

    answered = await cached.ask(method="HEAD")

    assert len(cached.calls) == 1
    assert (answered.status, answered.body) == (200, b"")
    assert answered.fields[b"content-length"] == b"7"


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"cache-control", b"max-age=0, public")],
        [(b"cache-control", b"max-age=60, private")],
        [(b"cache-control", b'max-age=60, private="x, y"')],
        [(b"cache-control", b"max-age=60, no-store")],
        [(b"cache-control", b"max-age=60, no-cache")],
        [(b"cache-control", b"max-age=60"), (b"cache-control", b"no-store")],
        [(b"cache-control", b"max-age=60, max-age=0")],
        [(b"cache-control", b"max-age=-1")],
        [(b"cache-control", b"max-age=1.5")],
        [PUBLIC, (b"set-cookie", b"a=b")],
        [PUBLIC, (b"vary", b"*")],
        [PUBLIC, (b"vary", b"Accept"), (b"vary", b"Cookie")],
        [PUBLIC, (b"vary", b"authorization")],
        [PUBLIC, (b"age", b"60")],
        [(b"expires", b"0")],
        [(b"expires", b"Tue, 14 Nov 2023 00:00:00 GMT")],
        [MODIFIED],
    ],
    ids=repr,
)
async def test_response_that_is_not_for_everybody_or_not_fresh_is_not_stored(
    fields: Fields,
) -> None:
    cached = site(*fields)

    await cached.ask()
    again = await cached.ask()

    assert len(cached.calls) == 2
    assert again.told == "fwd=uri-miss"
    assert cached.cache.memory.used == 0


@pytest.mark.parametrize("status", [206, 303, 401, 403, 500, 502, 503])
async def test_status_that_holds_for_one_request_only_is_not_stored(status: int) -> None:
    cached = site(PUBLIC, status=status)

    await cached.ask()
    await cached.ask()

    assert len(cached.calls) == 2


@pytest.mark.parametrize(
    "fields",
    [
        [(b"cache-control", b"s-maxage=60, max-age=0")],
        [(b"cache-control", b'max-age="60"')],
        [(b"cache-control", b"MAX-AGE=60")],
        [(b"expires", b"Wed, 15 Nov 2023 00:00:00 GMT")],
        [(b"cache-control", b"public"), (b"expires", b"Wed, 15 Nov 2023 00:00:00 GMT")],
    ],
    ids=repr,
)
async def test_every_way_to_say_how_long_is_read(fields: Fields) -> None:
    cached = site(*fields)

    await cached.ask()
    await cached.ask()

    assert len(cached.calls) == 1


# One user's pages.


@pytest.mark.parametrize(
    "field",
    [
        (b"authorization", b"Basic YTpi"),
        (b"range", b"bytes=0-3"),
        (b"cache-control", b"no-store"),
        (b"x-original-url", b"/admin"),
        (b"x-http-method-override", b"DELETE"),
        (b"x-host", b"evil.example"),
        (b"x_forwarded_host", b"evil.example"),
        (b"forwarded", b"host=evil.example"),
        (b"x-forwarded-port", b"1"),
        (b"content-length", b"3"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"accept-language"),
        (b"connection", b"close, cookie"),
    ],
    ids=repr,
)
async def test_request_that_may_be_answered_differently_stores_nothing(
    field: tuple[bytes, bytes],
) -> None:
    cached = site(PUBLIC)

    await cached.ask("/a.css", field)

    assert cached.cache.memory.used == 0


async def test_get_with_content_that_no_field_tells_of_stores_nothing() -> None:
    cached = site(PUBLIC)

    await cached.ask(body=b"a=b")

    assert cached.cache.memory.used == 0


async def test_hosts_schemes_and_what_a_proxy_says_of_them_do_not_share() -> None:
    cached = Site(lambda scope: (200, [PUBLIC], repr(scope["headers"]).encode()))
    forged: list[dict[str, Any]] = [
        {"headers": [(b"host", b"evil.example")]},
        {"scheme": "http"},
        {"headers": [(b"host", b"site.example"), (b"x-forwarded-host", b"evil.example")]},
        {"headers": [(b"host", b"site.example"), (b"x-forwarded-proto", b"http")]},
    ]
    for more in forged:
        await cached.ask(**more)

    answered = await cached.ask()

    assert b"evil" not in answered.body
    assert len(cached.calls) == 5


async def test_page_without_public_is_neither_stored_for_nor_shown_to_who_has_cookies() -> None:
    html = (b"content-type", b"text/html")
    cached = Site(
        lambda scope: (
            200,
            [(b"cache-control", b"max-age=60"), html],
            b"secret" if COOKIE in scope["headers"] else b"everybody",
        )
    )

    users = [await cached.ask("/", COOKIE) for _ in range(2)]
    visitors = [await cached.ask("/") for _ in range(2)]
    user = await cached.ask("/", COOKIE)

    assert {answered.body for answered in users} == {b"secret"}
    assert {answered.body for answered in visitors} == {b"everybody"}
    assert user.body == b"secret"
    assert len(cached.calls) == 4


async def test_asset_that_was_stored_for_a_visitor_serves_users_too() -> None:
    cached = site((b"cache-control", b"max-age=60"), CSS)
    await cached.ask()

    await cached.ask("/a.css", COOKIE)

    assert len(cached.calls) == 1


PARTIAL = [
    (b"hx-request", b"true"),
    (b"turbo-frame", b"list"),
    (b"x-requested-with", b"XMLHttpRequest"),
    (b"x-pjax", b"true"),
    (b"x-inertia", b"true"),
    (b"rsc", b"1"),
]


@pytest.mark.parametrize("field", PARTIAL, ids=repr)
async def test_part_of_a_page_and_the_whole_do_not_stand_for_each_other(
    field: tuple[bytes, bytes],
) -> None:
    html = (b"content-type", b"text/html")
    cached = Site(
        lambda scope: (200, [PUBLIC, html], b"part" if field in scope["headers"] else b"whole")
    )

    asked = [await cached.ask("/", *fields) for fields in ((field,), (), (field,), ())]

    assert [answered.body for answered in asked] == [b"part", b"whole", b"part", b"whole"]
    assert len(cached.calls) == 3


async def test_part_of_a_page_is_stored_where_vary_names_its_field() -> None:
    field = (b"hx-request", b"true")
    vary = [PUBLIC, (b"content-type", b"text/html"), (b"vary", b"HX-Request")]
    cached = Site(lambda scope: (200, vary, b"part" if field in scope["headers"] else b"whole"))

    asked = [await cached.ask("/", *fields) for fields in ((field,), (), (field,), ())]

    assert [answered.body for answered in asked] == [b"part", b"whole", b"part", b"whole"]
    assert len(cached.calls) == 2


async def test_asset_serves_a_request_with_a_field_that_the_cache_does_not_know() -> None:
    cached = site(PUBLIC, CSS)
    await cached.ask()

    await cached.ask("/a.css", (b"x-client-version", b"7"))

    assert len(cached.calls) == 1


async def test_request_with_authorization_is_not_answered_from_the_cache() -> None:
    cached = site(PUBLIC)
    await cached.ask()

    await cached.ask("/a.css", (b"authorization", b"Basic YTpi"))

    assert len(cached.calls) == 2


async def test_other_users_never_get_a_page_that_varies_by_cookie() -> None:
    cached = Site(
        lambda scope: (200, [PUBLIC, (b"vary", b"Cookie")], repr(scope["headers"]).encode())
    )

    await cached.ask("/", COOKIE)
    other = await cached.ask("/", (b"cookie", b"session=2"))

    assert b"session=1" not in other.body


# Vary.


async def test_variants_are_kept_apart_by_the_fields_that_vary_names() -> None:
    cached = Site(
        lambda scope: (
            200,
            [PUBLIC, (b"vary", b"Accept-Encoding, X-Theme")],
            dict(scope["headers"]).get(b"accept-encoding", b"none"),
        )
    )
    encodings = (b"gzip", b"br", b"gzip", b"br")

    answers = [await cached.ask("/", (b"accept-encoding", name)) for name in encodings]
    plain = await cached.ask("/")
    themed = await cached.ask("/", (b"x-theme", b"dark"))

    assert [answered.body for answered in answers] == list(encodings)
    assert (plain.body, plain.told) == (b"none", "fwd=vary-miss; stored")
    assert themed.told == "fwd=vary-miss; stored"
    assert len(cached.calls) == 4


# Conditions and ranges.


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ((b"if-none-match", b'"v1"'), 304),
        ((b"if-none-match", b'W/"v1"'), 304),
        ((b"if-none-match", b'"v0", "v1"'), 304),
        ((b"if-none-match", b"*"), 304),
        ((b"if-none-match", b'"v2"'), 200),
        ((b"if-modified-since", MODIFIED[1]), 304),
        ((b"if-modified-since", b"Mon, 13 Nov 2023 00:00:00 GMT"), 200),
        ((b"if-modified-since", b"yesterday"), 200),
    ],
)
async def test_condition_is_answered_from_the_cache(
    field: tuple[bytes, bytes], status: int
) -> None:
    cached = site(PUBLIC, TAG, MODIFIED, CSS)
    await cached.ask()

    answered = await cached.ask("/a.css", field)

    assert len(cached.calls) == 1
    assert (answered.status, answered.body) == (status, b"" if status == 304 else b"body {}")
    assert answered.fields[b"etag"] == TAG[1]
    assert (b"content-type" in answered.fields) is (status == 200)


@pytest.mark.parametrize("name", [b"if-match", b"if-unmodified-since"])
async def test_precondition_is_left_to_the_application(name: bytes) -> None:
    cached = site(PUBLIC, TAG)
    await cached.ask()

    await cached.ask("/a.css", (name, b'"v0"'))

    assert len(cached.calls) == 2


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        (b"bytes=0-3", 206, b"body", b"bytes 0-3/7"),
        (b"bytes=5-", 206, b"{}", b"bytes 5-6/7"),
        (b"bytes=-2", 206, b"{}", b"bytes 5-6/7"),
        (b"bytes=-200", 206, b"body {}", b"bytes 0-6/7"),
        (b"bytes=3-999", 206, b"y {}", b"bytes 3-6/7"),
        (b"bytes=7-", 416, b"", b"bytes */7"),
        (b"bytes=-0", 416, b"", b"bytes */7"),
        (b"bytes=3-1", 200, b"body {}", None),
        (b"bytes=-", 200, b"body {}", None),
        (b"bytes=0-1,3-4", 200, b"body {}", None),
        (b"lines=0-1", 200, b"body {}", None),
    ],
)
async def test_range_is_answered_from_the_whole(
    asked: bytes, status: int, body: bytes, told: bytes | None
) -> None:
    cached = site(PUBLIC, CSS)
    await cached.ask()

    answered = await cached.ask("/a.css", (b"range", asked))

    assert len(cached.calls) == 1
    assert (answered.status, answered.body) == (status, body)
    assert answered.fields.get(b"content-range") == told
    assert answered.fields[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(
    ("condition", "status"), [(TAG[1], 206), (b'"v0"', 200), (b'W/"v1"', 200), (MODIFIED[1], 206)]
)
async def test_range_with_a_condition_is_a_part_of_the_same_response_only(
    condition: bytes, status: int
) -> None:
    cached = site(PUBLIC, TAG, MODIFIED)
    await cached.ask()

    answered = await cached.ask("/a.css", (b"range", b"bytes=0-3"), (b"if-range", condition))

    assert answered.status == status


# Stale responses.


def versioned(*fields: tuple[bytes, bytes], status: int = 304) -> Site:
    """A site that says 304, or `status`, to who has its version."""
    return Site(
        lambda scope: (
            (status, [PUBLIC, TAG], b"")
            if (b"if-none-match", TAG[1]) in scope["headers"]
            else (200, [PUBLIC, TAG, CSS, *fields], b"body {}")
        )
    )


async def test_stale_response_is_validated_and_fresh_again() -> None:
    cached = versioned()
    await cached.ask()
    cached.now += 61

    validated = await cached.ask("/a.css", (b"if-none-match", b'"mine"'), (b"x-any", b"thing"))
    fresh = await cached.ask()

    assert (validated.status, validated.body) == (200, b"body {}")
    assert validated.told == "fwd=stale; fwd-status=304"
    assert fresh.told == "hit; ttl=60"
    assert len(cached.calls) == 2
    names = [name for name, _ in cached.calls[1]["headers"]]
    assert names == [b"host", b"if-none-match"]


async def test_head_validates_a_stale_response_which_is_fresh_again() -> None:
    cached = versioned()
    await cached.ask()
    cached.now += 61

    head = await cached.ask(method="HEAD")
    fresh = await cached.ask()

    assert (head.status, head.body) == (200, b"")
    assert fresh.told == "hit; ttl=60"
    assert len(cached.calls) == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([PUBLIC, TAG, (b"content-length", b"7")], "hit; ttl=60"),
        ([PUBLIC, TAG], "hit; ttl=60"),
        ([(b"cache-control", b"private"), TAG], "fwd=stale; stored"),
        ([PUBLIC, (b"etag", b'"v2"')], "fwd=uri-miss; stored"),
        ([PUBLIC, TAG, (b"content-length", b"8")], "fwd=uri-miss; stored"),
        ([PUBLIC], "fwd=uri-miss; stored"),
    ],
    ids=repr,
)
async def test_head_that_is_answered_whole_updates_or_ends_a_stale_response(
    fields: Fields, told: str
) -> None:
    """RFC 9111, 4.3.5."""

    def answer(scope: Any) -> tuple[int, Fields, bytes]:
        if scope["method"] == "HEAD":
            return 200, fields, b""
        return 200, [PUBLIC, TAG], b"body {}"

    cached = Site(answer)
    await cached.ask()
    cached.now += 61

    head = await cached.ask(method="HEAD")
    after = await cached.ask()

    assert (head.status, head.told) == (200, "fwd=stale")
    assert (after.told, after.body) == (told, b"body {}")


async def test_response_that_has_changed_takes_the_place_of_the_stale_one() -> None:
    bodies = iter([b"old", b"new"])
    cached = Site(lambda _: (200, [PUBLIC, TAG], next(bodies)))
    await cached.ask()
    cached.now += 61

    answers = [await cached.ask() for _ in range(2)]

    assert [answered.body for answered in answers] == [b"new", b"new"]
    assert answers[0].told == "fwd=stale; stored"


async def test_client_that_wants_a_new_response_gets_a_validated_one() -> None:
    cached = versioned()
    await cached.ask()

    answered = await cached.ask("/a.css", (b"cache-control", b"no-cache"))
    pragma = await cached.ask("/a.css", (b"pragma", b"no-cache"))

    assert answered.told == pragma.told == "fwd=request; fwd-status=304"
    assert len(cached.calls) == 3


@pytest.mark.parametrize(
    ("says", "calls"), [(b"max-age=5", 2), (b"max-age=15", 1), (b"min-fresh=55", 2)]
)
async def test_client_says_how_old_a_response_may_be(says: bytes, calls: int) -> None:
    cached = site(PUBLIC)
    await cached.ask()
    cached.now += 10

    await cached.ask("/a.css", (b"cache-control", says))

    assert len(cached.calls) == calls


async def test_only_if_cached_never_asks_the_application() -> None:
    cached = site(PUBLIC)

    answered = await cached.ask("/a.css", (b"cache-control", b"only-if-cached"))

    assert (answered.status, cached.calls) == (504, [])


async def test_304_that_varies_by_more_confirms_nothing() -> None:
    """The page has become one for each language since it was stored."""

    def answer(scope: Any) -> tuple[int, Fields, bytes]:
        language = dict(scope["headers"]).get(b"accept-language", b"de")
        vary = (b"vary", b"accept-language")
        if (b"if-none-match", TAG[1]) in scope["headers"]:
            return 304, [PUBLIC, TAG, vary], b""
        return 200, [PUBLIC, TAG, vary] if cached.now > stored_at else [PUBLIC, TAG], language

    cached = Site(answer)
    stored_at = cached.now
    assert (await cached.ask()).body == b"de"
    cached.now += 61

    french = [await cached.ask("/a.css", (b"accept-language", b"fr")) for _ in range(2)]
    german = await cached.ask("/a.css", (b"accept-language", b"de"))

    assert [answered.body for answered in french] == [b"fr", b"fr"]
    assert french[1].told == "hit; ttl=60"
    assert german.body == b"de"


async def test_304_brings_its_validators() -> None:
    newer = (b"etag", b'"v1-renamed"')
    cached = versioned()
    await cached.ask()
    cached.answer = lambda _: (304, [PUBLIC, newer, (b"x-more", b"y" * 100)], b"")
    before = cached.cache.memory.used
    cached.now += 61

    confirmed = await cached.ask()

    assert confirmed.fields[b"etag"] == newer[1]
    assert cached.cache.memory.used > before + 100  # what it takes now is counted
    cached.now += 61
    await cached.ask()
    assert (b"if-none-match", newer[1]) in cached.calls[-1]["headers"]


async def test_refreshes_in_the_background_are_bounded() -> None:
    """They are calls outside of the limits of the client that caused them."""
    says = (b"cache-control", b"max-age=60, stale-while-revalidate=600")
    opened = asyncio.Event()
    cached = Site(lambda _: (200, [says, CSS], b"body {}"))
    targets = [f"/{number}.css" for number in range(_MAX_REFRESHES + 5)]
    for target in targets:
        await cached.ask(target)
    cached.before = opened.wait
    cached.now += 70

    told = {(await cached.ask(target)).told for target in targets}
    assert told == {"hit; ttl=-10"}  # all are served
    await asyncio.sleep(0)
    assert len(cached.calls) == len(targets) + _MAX_REFRESHES

    opened.set()
    await cached.settle()
    await cached.ask(targets[-1])  # and there is room again
    await cached.settle()
    assert len(cached.calls) == len(targets) + _MAX_REFRESHES + 1


async def test_stale_response_is_used_while_a_new_one_is_fetched() -> None:
    says = (b"cache-control", b"max-age=60, stale-while-revalidate=30")
    bodies = iter([b"old", b"new"])
    cached = Site(lambda _: (200, [says, CSS], next(bodies)))
    await cached.ask()
    cached.now += 70

    stale = [await cached.ask("/a.css", COOKIE) for _ in range(2)]
    await cached.settle()
    new = await cached.ask()

    assert [(one.body, one.told) for one in stale] == [(b"old", "hit; ttl=-10")] * 2
    assert (new.body, new.told) == (b"new", "hit; ttl=60")
    assert len(cached.calls) == 2
    assert COOKIE not in cached.calls[1]["headers"]


async def test_refresh_that_is_answered_304_keeps_the_response() -> None:
    says = (b"cache-control", b"max-age=60, stale-while-revalidate=600")
    cached = versioned(says)
    cached.answer = lambda scope: (
        (304, [], b"")
        if (b"if-none-match", TAG[1]) in scope["headers"]
        else (200, [says, TAG], b"body {}")
    )
    await cached.ask()
    cached.now += 70

    await cached.ask()
    await cached.settle()

    assert (await cached.ask()).told == "hit; ttl=60"
    assert len(cached.calls) == 2


async def test_refresh_whose_response_is_private_ends_the_use_of_the_old_one() -> None:
    old = [(b"cache-control", b"max-age=60, stale-while-revalidate=600"), CSS]
    new = [(b"cache-control", b"private")]
    answers = iter([(200, old, b"old"), (200, new, b"secret"), (200, new, b"asked")])
    cached = Site(lambda _: next(answers))
    await cached.ask()
    cached.now += 70

    await cached.ask()
    await cached.settle()

    assert (await cached.ask()).body == b"asked"


@pytest.mark.parametrize("raises", [False, True])
async def test_stale_response_is_used_when_the_application_fails(raises: bool) -> None:
    says = (b"cache-control", b"max-age=60, stale-if-error=100")

    def answer(scope: Any) -> tuple[int, Fields, bytes]:
        if (b"if-none-match", TAG[1]) not in scope["headers"]:
            return 200, [says, TAG], b"body {}"
        if raises:
            raise RuntimeError("it fails")
        return 503, [], b"sorry"

    cached = Site(answer)
    await cached.ask()
    cached.now += 70

    answered = await cached.ask()

    assert (answered.status, answered.body) == (200, b"body {}")
    assert answered.told == f"fwd=stale; fwd-status={0 if raises else 503}"
    cached.now += 100
    if not raises:
        assert (await cached.ask()).status == 503


async def test_must_revalidate_forbids_what_is_stale() -> None:
    says = b"max-age=60, must-revalidate, stale-while-revalidate=30, stale-if-error=30"
    answers = iter([200, 503])
    cached = Site(lambda _: (next(answers), [(b"cache-control", says), TAG], b""))
    await cached.ask()
    cached.now += 61

    assert (await cached.ask()).status == 503


# Simultaneous misses.


async def together(cached: Site, number: int, *fields: tuple[bytes, bytes]) -> list[Answered]:
    return list(await asyncio.gather(*(cached.ask("/a.css", *fields) for _ in range(number))))


async def test_simultaneous_misses_are_one_call_of_the_application() -> None:
    cached = site(PUBLIC)
    cached.before = lambda: asyncio.sleep(0.01)

    answers = await together(cached, 20)

    assert len(cached.calls) == 1
    assert {answered.body for answered in answers} == {b"body {}"}
    assert sum("collapsed" in answered.told for answered in answers) == 19


@timeless
async def test_request_that_a_proxy_sent_on_to_itself_does_not_wait_for_its_own_response() -> None:
    cached = site(PUBLIC)
    loops: list[Answered] = []

    async def ask_itself() -> None:
        if len(cached.calls) < 3:
            came_through = b", ".join([b"us; id=1"] * len(cached.calls))
            loops.append(await cached.ask("/", (b"cdn-loop", came_through)))

    cached.before = ask_itself
    began = asyncio.get_running_loop().time()
    await cached.ask("/")

    assert (len(cached.calls), len(loops)) == (3, 2)
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_simultaneous_requests_for_a_private_page_get_one_each_and_do_not_wait_again() -> (
    None
):
    running = 0
    most: list[int] = []

    async def before() -> None:
        nonlocal running
        running += 1
        most.append(running)
        await asyncio.sleep(0.01)
        running -= 1

    cached = site((b"cache-control", b"private"), body=b"secret")
    cached.before = before

    await together(cached, 10)
    first = max(most)
    most.clear()
    await together(cached, 10)

    assert len(cached.calls) == 20
    assert (first, max(most)) == (9, 10)


@timeless
async def test_client_that_reads_nothing_holds_others_up_for_five_seconds_and_no_more() -> None:
    cached = site(PUBLIC)
    loop = asyncio.get_running_loop()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    stuck = asyncio.create_task(cached.cache(scope_of("/a.css"), receive, send))
    await asyncio.sleep(1)
    waited = []
    for _ in range(3):
        begun = loop.time()
        await cached.ask()
        waited.append(round(loop.time() - begun, 2))
        cached.now += 61  # what was stored is stale, and the first client still there
    stuck.cancel()

    assert waited == [4, 0, 0]


async def test_requests_do_not_wait_for_a_call_that_fails() -> None:
    fails = iter([True])

    async def before() -> None:
        await asyncio.sleep(0.01)
        if next(fails, False):
            raise RuntimeError("it fails")

    cached = site(PUBLIC)
    cached.before = before

    answers = await asyncio.gather(*(cached.ask() for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(answered, RuntimeError) for answered in answers) == 1
    assert len([one for one in answers if isinstance(one, Answered) and one.status == 200]) == 2


# Unsafe methods.


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_unsafe_method_forgets_its_target_and_where_it_leads(method: str) -> None:
    location = (b"location", b"/list?page=1")
    cached = Site(
        lambda scope: (303, [location], b"") if scope["method"] == method else (200, [PUBLIC], b"a")
    )
    for target in ("/a.css", "/list?page=1", "/other"):
        await cached.ask(target)

    await cached.ask(method=method)
    told = [(await cached.ask(target)).told for target in ("/a.css", "/list?page=1", "/other")]

    assert [word.split(";")[0] for word in told] == ["fwd=uri-miss", "fwd=uri-miss", "hit"]


async def test_unsafe_method_that_fails_or_leads_elsewhere_forgets_nothing() -> None:
    cached = Site(
        lambda scope: (
            (405, [], b"") if scope["method"] == "PUT" else
            (200, [(b"location", b"https://other.example/a.css")], b"")
            if scope["method"] == "POST" else (200, [PUBLIC], b"a")
        )
    )  # fmt: skip
    await cached.ask()

    await cached.ask(method="PUT")
    await cached.ask("/form", method="POST")

    assert (await cached.ask()).told.startswith("hit")


async def test_response_that_is_on_its_way_while_its_target_changes_is_not_stored() -> None:
    cached = site(PUBLIC)
    cached.before = lambda: asyncio.sleep(0.01)

    getting = asyncio.ensure_future(cached.ask())
    await asyncio.sleep(0)
    cached.before = None
    await cached.ask(method="POST")
    await getting

    assert cached.cache.memory.used == 0


async def test_no_response_that_is_on_its_way_while_its_target_changes_is_stored() -> None:
    says = [b"private"]
    cached = Site(lambda _: (200, [(b"cache-control", says[0])], b"a"))
    await cached.ask()  # from now on its requests do not wait for each other
    says[0] = b"public, max-age=60"
    changed = asyncio.Event()

    async def until_changed() -> None:
        await changed.wait()

    cached.before = until_changed
    under_way = [asyncio.ensure_future(cached.ask()) for _ in range(3)]
    while len(cached.calls) < 4:
        await asyncio.sleep(0)
    cached.before = None
    await cached.ask(method="POST")
    changed.set()
    await asyncio.gather(*under_way)

    assert cached.cache.memory.used == 0


# Bounds.


async def test_content_that_is_too_large_passes_and_is_not_stored() -> None:
    options = CacheOptions(cache=100_000, max_cache_entry=1000)
    told = site(PUBLIC, body=b"a" * 1001)
    told.options = options
    untold = Site(lambda _: (200, [PUBLIC], b"a" * 1001))
    for cached in (told, untold):
        cached.options = options
        cached.__post_init__()
        assert (await cached.ask()).body == b"a" * 1001
        assert cached.cache.memory.used == 0


async def test_content_that_breaks_off_is_not_stored() -> None:
    cached = Site(lambda _: (200, [PUBLIC, (b"content-length", b"100")], b"a"))

    await cached.ask()

    assert cached.cache.memory.used == 0


async def test_requests_that_store_nothing_leave_no_long_url_behind() -> None:
    cached = site((b"cache-control", b"private"))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(100):
        await cached.ask(f"/{number}" + "a" * 8000)
        cached.calls.clear()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert taken < 100 * 1000


async def test_long_values_that_clients_write_are_not_remembered() -> None:
    cached = site(PUBLIC)
    await cached.ask()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(50):
        says = b",".join(b"%d-%d" % (number, part) for part in range(1000))
        await cached.ask(
            "/a.css", (b"cache-control", says), (b"connection", says), (b"if-modified-since", says)
        )
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert taken < 50 * 5000


async def test_numbers_with_thousands_of_digits_are_very_large_ones() -> None:
    cached = site(PUBLIC)
    many = b"9" * 5000
    await cached.ask()

    old = await cached.ask("/a.css", (b"cache-control", b"max-age=%b, max-age=%b1" % (many, many)))
    fresh = await cached.ask("/a.css", (b"cache-control", b"min-fresh=" + many))

    assert old.told.startswith("hit")
    assert not fresh.told.startswith("hit")


async def test_other_scopes_and_methods_pass() -> None:
    cached = site(PUBLIC)

    answered = await cached.ask(method="OPTIONS")

    assert answered.status == 200
    assert b"cache-status" not in answered.fields


async def test_cookie_of_a_304_reaches_nobody_else() -> None:
    cookie = (b"set-cookie", b"session=1")
    cached = Site(
        lambda scope: (
            (304, [PUBLIC, cookie], b"")
            if (b"if-none-match", TAG[1]) in scope["headers"]
            else (200, [PUBLIC, TAG, CSS], b"body {}")
        )
    )
    await cached.ask()
    cached.now += 61

    answers = [await cached.ask() for _ in range(3)]

    assert all(b"set-cookie" not in answered.fields for answered in answers)
    assert answers[1].told == "fwd=uri-miss; stored"


async def test_files_are_stored_though_the_server_could_send_them_itself() -> None:
    cached = site(PUBLIC)

    await cached.ask()

    assert cached.calls[0]["extensions"] == {}
    assert (await cached.ask()).told.startswith("hit")


# For a server that sends a stored response itself.


async def test_only_a_stored_response_that_was_sent_whole_is_ready() -> None:
    cached = site(PUBLIC)

    def is_ready() -> bool:
        request = CachedRequest(scope_of("/a.css"))
        return cached.cache.ready(request, request.key, cached.now) is not None

    assert not is_ready()
    await cached.ask()
    await cached.ask(method="HEAD")
    await cached.ask("/a.css", (b"range", b"bytes=0-"))
    assert not is_ready()

    await cached.ask()
    assert is_ready()
    cached.now += 61
    assert not is_ready()


async def test_response_that_was_confirmed_in_the_background_is_not_ready() -> None:
    lasting = (b"cache-control", b"public, max-age=60, stale-while-revalidate=60")
    cached = Site(
        lambda scope: (
            (304, [lasting, TAG], b"")
            if (b"if-none-match", TAG[1]) in scope["headers"]
            else (200, [lasting, TAG, CSS], b"body {}")
        )
    )
    request = CachedRequest(scope_of("/a.css"))
    for _ in range(2):
        await cached.ask()
    assert cached.cache.ready(request, request.key, cached.now)

    cached.now += 61
    await cached.ask()
    await cached.settle()
    assert len(cached.calls) == 2
    assert not cached.cache.ready(request, request.key, cached.now)  # its fields may have changed

    await cached.ask()
    assert cached.cache.ready(request, request.key, cached.now)
