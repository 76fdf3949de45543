"""What a client has: the memory of its connection, our cookie, and both together with a digest."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.deliver.digest import Flag, field_value, pack, parse, to_base64url, url_key
from headstart.deliver.seen import (
    MAX_COOKIE_ASSETS,
    MAX_COOKIE_LIFETIME,
    MIN_COOKIE_LIFETIME,
    ClientSet,
    Memories,
    Memory,
    Seen,
    grown,
    may_carry_cookie,
    read_cookie,
    set_cookie,
)
from headstart.reasons import Refusal

NOW = 1_760_000_000.0
DAY = 86400.0
ORIGIN = "https://example.com"
STYLE = ORIGIN + "/a.css"
SCRIPT = ORIGIN + "/b.js"

urls = st.integers(0, 10**9).map(lambda n: f"{ORIGIN}/{n}.css")
lifetimes = st.floats(0, 10 * 365 * DAY)


def crumb(client_set: ClientSet, now: float = NOW) -> bytes:
    """What the client sends back."""
    return set_cookie(client_set, now, secure=True).partition(b";")[0]


# Memory.


def test_a_connection_remembers_what_it_had_until_it_is_taken_back() -> None:
    memory = Memory()
    memory.add("/a.css")
    memory.add("/b.js")
    memory.discard("/b.js")
    memory.discard("/never")

    assert "/a.css" in memory
    assert "/b.js" not in memory


def test_a_full_memory_forgets_the_oldest() -> None:
    memory = Memory(max_urls=3)
    for n in range(5):
        memory.add(f"/{n}")
    memory.add("/2")

    assert [f"/{n}" in memory for n in range(5)] == [False, False, True, True, True]
    assert len(memory) == 3


def test_each_connection_has_its_own_memory() -> None:
    memories = Memories()
    memories.of(1).add("/a.css")

    assert "/a.css" in memories.of(1)
    assert "/a.css" not in memories.of(("192.0.2.1", 1))


def test_connections_not_used_for_longest_are_forgotten_first() -> None:
    memories = Memories(max_connections=2)
    memories.of("a").add("/a.css")
    memories.of("b").add("/a.css")
    memories.of("a")
    memories.of("c")

    assert len(memories) == 2
    assert "/a.css" in memories.of("a")
    assert "/a.css" not in memories.of("b")


def test_memories_stay_bounded_whatever_is_asked_for() -> None:
    memories = Memories(max_connections=10, max_urls=10)
    for n in range(10_000):
        memories.of(n % 50).add(f"/{n}")

    assert len(memories) == 10
    assert all(len(memories.of(n)) <= 10 for n in range(40, 50))


def test_memories_are_bounded_in_all_and_the_one_asked_for_stays() -> None:
    memories = Memories(max_in_all=25)
    kept = [memories.of(n) for n in range(5)]
    for n, memory in enumerate(kept):
        for url in range(10):
            memory.add(f"/{n}/{url}")

    last = memories.of(4)

    assert len(memories) == 2
    assert last is kept[4]
    assert "/4/9" in last


def test_a_forgotten_memory_that_is_still_used_takes_no_place() -> None:
    memories = Memories(max_connections=2, max_in_all=3)
    forgotten, kept = memories.of("a"), memories.of("b")
    memories.of("c")
    for n in range(10):
        forgotten.add(f"/{n}")

    assert memories.of("c") is not forgotten
    assert memories.of("b") is kept


# The cookie.


def test_what_was_given_is_found_in_the_cookie_that_comes_back() -> None:
    first = grown(None, [(STYLE, DAY)], NOW)
    assert first is not None

    again = read_cookie(b"theme=dark; " + crumb(first) + b"; id=1", NOW + 60)

    assert again == first
    assert again.has(STYLE)
    assert not again.has(SCRIPT)


def test_a_cookie_is_written_with_what_keeps_it_private() -> None:
    client_set = grown(None, [(STYLE, DAY)], NOW)
    assert client_set is not None

    over_https = SimpleCookie(set_cookie(client_set, NOW, secure=True).decode())["headstart"]
    over_http = SimpleCookie(set_cookie(client_set, NOW, secure=False, name="h").decode())["h"]

    assert (over_https["samesite"], over_https["path"]) == ("Lax", "/")
    assert over_https["httponly"]
    assert over_https["secure"]
    assert not over_http["secure"]
    assert not over_https["domain"]
    assert DAY - 60 <= int(over_https["max-age"]) <= DAY
    assert "a.css" not in over_https.value


def test_a_cookie_grows_by_what_is_new_and_ends_with_what_ends_first() -> None:
    old = grown(None, [(STYLE, 2 * DAY)], NOW)
    assert old is not None

    longer = grown(old, [(SCRIPT, 9 * DAY)], NOW)
    shorter = grown(old, [(SCRIPT, DAY)], NOW)

    assert longer is not None
    assert shorter is not None
    assert longer.has(STYLE)
    assert longer.has(SCRIPT)
    assert longer.expires == old.expires
    assert shorter.expires * 60 == pytest.approx(NOW + DAY, abs=60)


def test_a_cookie_that_would_say_no_more_is_not_sent_again() -> None:
    old = grown(None, [(STYLE, DAY)], NOW)

    assert grown(old, [(STYLE, 9 * DAY)], NOW) is None
    assert grown(old, [], NOW) is None
    assert grown(None, [], NOW) is None


def test_what_is_not_fresh_for_long_stays_out_of_the_cookie() -> None:
    assert grown(None, [(STYLE, MIN_COOKIE_LIFETIME - 1)], NOW) is None
    assert grown(None, [(STYLE, MIN_COOKIE_LIFETIME)], NOW) is not None


def test_a_cookie_that_has_ended_says_nothing_and_the_next_begins_anew() -> None:
    old = grown(None, [(STYLE, DAY)], NOW)
    assert old is not None

    later = read_cookie(crumb(old), NOW + DAY)

    assert later is None
    assert b"Max-Age=0" in set_cookie(old, NOW + 2 * DAY, secure=True)


def test_a_full_cookie_begins_anew() -> None:
    full = grown(None, [(f"{ORIGIN}/{n}", DAY) for n in range(MAX_COOKIE_ASSETS)], NOW)
    assert full is not None

    anew = grown(full, [(STYLE, DAY)], NOW)

    assert anew is not None
    assert len(anew.values) == 1
    assert anew.has(STYLE)


@given(st.lists(st.tuples(urls, lifetimes), max_size=400), st.floats(NOW, NOW + DAY))
def test_no_cookie_is_larger_or_lives_longer_than_allowed(
    given_assets: list[tuple[str, float]], now: float
) -> None:
    client_set = grown(None, given_assets, now)
    if client_set is None:
        return

    value = set_cookie(client_set, now, secure=True)

    assert len(value) <= 1024
    assert now < client_set.expires * 60 <= now + MAX_COOKIE_LIFETIME
    assert read_cookie(value.partition(b";")[0], now) == client_set


@given(st.lists(st.tuples(urls, st.floats(MIN_COOKIE_LIFETIME, DAY * 90)), max_size=40))
def test_a_cookie_never_outlives_anything_in_it(given_assets: list[tuple[str, float]]) -> None:
    client_set: ClientSet | None = None
    for step, asset in enumerate(given_assets):
        client_set = grown(client_set, [asset], NOW + step) or client_set

    for step, (url, lifetime) in enumerate(given_assets):
        assert client_set is not None
        assert client_set.has(url)
        first = next(i for i, (other, _) in enumerate(given_assets) if other == url)
        if first == step:
            assert client_set.expires * 60 <= NOW + step + lifetime


@pytest.mark.parametrize(
    "cookies",
    [
        b"",
        b"other=1",
        b"headstart",
        b"headstart=",
        b"headstart=AfdA",
        b"headstart=zz.AfdA",
        b"notheadstart=1bf9d10.AfdA",
        b"headstart=1bf9d10.A",
        b"headstart=1bf9d10.A" + b"A" * 2000,
        b"headstart=\xff.\xff",
    ],
)
def test_what_is_not_our_cookie_says_nothing(cookies: bytes) -> None:
    assert read_cookie(cookies, NOW) is None


def test_a_cookie_of_another_width_or_of_the_far_future_says_nothing() -> None:
    soon, far = int(NOW) // 60 + 60, int(NOW) // 60 + 60 * 24 * 31
    other = to_base64url(pack([1, 2], 1, 7))
    ours = to_base64url(pack([1, 2], 1, 19))

    assert read_cookie(b"headstart=%x.%s" % (soon, ours), NOW) is not None
    assert read_cookie(b"headstart=%x.%s" % (soon, other), NOW) is None
    assert read_cookie(b"headstart=%x.%s" % (far, ours), NOW) is None


def test_a_cookie_of_too_many_assets_says_nothing() -> None:
    soon = int(NOW) // 60 + 60
    values = to_base64url(pack(range(MAX_COOKIE_ASSETS + 1), 18, 2))

    assert read_cookie(b"headstart=%x.%s" % (soon, values), NOW) is None


@given(st.binary(max_size=100))
def test_any_cookie_is_read_without_an_error(value: bytes) -> None:
    read_cookie(value, NOW)
    read_cookie(b"headstart=" + value, NOW)
    read_cookie(b"headstart=%x." % (int(NOW) // 60 + 60) + to_base64url(value), NOW)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([], True),
        ([(b"content-type", b"text/html")], True),
        ([(b"cache-control", b"private, max-age=60")], True),
        ([(b"cache-control", b"No-Store")], True),
        ([(b"cache-control", b"max-age=60"), (b"cache-control", b"private")], True),
        ([(b"cache-control", b"max-age=60")], False),
        ([(b"cache-control", b"no-cache")], False),
        ([(b"cache-control", b'private="set-cookie"')], False),
        ([(b"expires", b"Thu, 01 Jan 2037 00:00:00 GMT")], False),
        ([(b"last-modified", b"Thu, 01 Jan 2015 00:00:00 GMT")], False),
        ([(b"ETag", b'"1"')], False),
    ],
)
def test_a_cookie_goes_only_with_what_no_shared_cache_may_use_again(
    headers: list[tuple[bytes, bytes]], allowed: bool
) -> None:
    assert may_carry_cookie(headers) is allowed


# Together.


def seen(digest: bytes = b"", cookie: ClientSet | None = None) -> Seen:
    return Seen(Memory(), ORIGIN, parse(digest), cookie)


def test_a_client_of_whom_nothing_is_known_lacks_everything() -> None:
    assert seen().why_each(["/a.css", "/b.js"]) == [None, None]


def test_the_connection_speaks_before_the_digest_and_the_digest_before_the_cookie() -> None:
    cookie = grown(None, [(STYLE, DAY), (SCRIPT, DAY), (ORIGIN + "/c.png", DAY)], NOW)
    digest = field_value([url_key(STYLE), url_key(SCRIPT)], p_bits=20)
    client = seen(digest, cookie)
    client.memory.add("/a.css")

    assert client.why_each(["/a.css", "/b.js", "/c.png", "/d.png"]) == [
        Refusal.ALREADY_SENT,
        Refusal.IN_DIGEST,
        Refusal.IN_COOKIE,
        None,
    ]


def test_a_complete_digest_silences_the_cookie() -> None:
    cookie = grown(None, [(STYLE, DAY)], NOW)

    assert seen(b"AcA", cookie).why_each(["/a.css"]) == [Refusal.IN_COOKIE]
    assert seen(b"AcA; complete", cookie).why_each(["/a.css"]) == [None]


def test_the_same_path_of_another_origin_is_another_asset() -> None:
    digest = field_value([url_key("https://example.org/a.css")], p_bits=20)

    assert seen(digest).why_each(["/a.css"]) == [None]


@given(st.sets(urls, max_size=50), st.sampled_from([(), (Flag.COMPLETE,)]))
def test_nothing_that_a_client_says_it_has_is_taken_for_missing(
    names: set[str], flags: tuple[Flag, ...]
) -> None:
    client = seen(field_value(map(url_key, names), flags))

    assert set(client.why_each([n.removeprefix(ORIGIN) for n in names])) <= {Refusal.IN_DIGEST}
