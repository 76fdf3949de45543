"""Push, hint, link or nothing: the rules one by one, and then what holds for any input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import DeliverOptions
from headstart.deliver.decide import (
    Decision,
    Expected,
    Way,
    choose_way,
    decide,
    delivery_order,
    had,
    link_room,
    push_urgency,
)
from headstart.deliver.digest import field_value, parse, url_key
from headstart.deliver.preload import link_value
from headstart.deliver.request import PageRequest
from headstart.deliver.seen import Memory, Seen
from headstart.learn import Kind, Named
from headstart.reasons import Refusal
from headstart.wire import links
from tests.counting import calls_of

ORIGIN = "https://example.com"
OPTIONS = DeliverOptions()
HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
TAKES_PUSH = PageRequest(origin=ORIGIN)
TAKES_HINT = replace(TAKES_PUSH, push_refusal=Refusal.PUSH_DISABLED)
TAKES_LINK = replace(TAKES_HINT, hint_refusal=Refusal.NOT_NAVIGATION)


@dataclass(frozen=True)
class Asset:
    """A candidate and its asset in one."""

    target: str = "/a.css"
    kind: str = "style"
    probability: float = 1.0
    size: int = 1000
    lifetime: float | None = 3600.0
    media_type: str = ""
    cors: bool = False
    module: bool = False
    verified: bool = True
    why: str = "page"
    named: Named | None = None

    @property
    def asset(self) -> Asset:
        return self


STYLE, SCRIPT = Asset(), Asset("/b.js", "script")
FONT, IMAGE = Asset("/c.woff2", "font", cors=True), Asset("/d.png", "image")


def link_field(decisions: Iterable[Decision], way: Way) -> list[bytes]:
    """The links of all assets that are sent one way, in order."""
    return [decision.link() for decision in decisions if decision.way is way]


def ask(
    request: PageRequest,
    *assets: Asset,
    seen: Seen | None = None,
    expected: Expected | None = None,
    **options: Any,
) -> list[Decision]:
    return decide(
        request,
        assets,
        seen or Seen(origin=ORIGIN),
        replace(OPTIONS, **options) if options else OPTIONS,
        expected or Expected(),
    )


def ways(decisions: Iterable[Decision]) -> list[tuple[str, Way, Refusal | None]]:
    return [(d.candidate.target, d.way, d.refusal) for d in decisions]


def reasons(decisions: Iterable[Decision]) -> list[Refusal | None]:
    return [decision.refusal for decision in decisions if decision.way is Way.NOTHING]


# The way.


def test_a_client_that_takes_pushes_gets_pushes_and_nothing_else() -> None:
    assert ways(ask(TAKES_PUSH, STYLE, SCRIPT)) == [
        ("/a.css", Way.PUSH, None),
        ("/b.js", Way.PUSH, None),
    ]


def test_a_navigation_that_takes_no_pushes_gets_hints_that_say_why() -> None:
    assert ways(ask(TAKES_HINT, STYLE)) == [("/a.css", Way.HINT, Refusal.PUSH_DISABLED)]


def test_a_client_that_takes_neither_gets_links_that_say_why() -> None:
    assert ways(ask(TAKES_LINK, STYLE)) == [("/a.css", Way.LINK, Refusal.NOT_NAVIGATION)]


def test_links_can_be_turned_off() -> None:
    assert ways(ask(TAKES_LINK, STYLE, links=False)) == [
        ("/a.css", Way.NOTHING, Refusal.NOT_NAVIGATION)
    ]


@pytest.mark.parametrize(
    ("version", "allowed", "way"),
    [
        ("1.0", True, Way.LINK),
        ("1.1", False, Way.LINK),
        ("1.1", True, Way.HINT),
        ("2", False, Way.HINT),
        ("3", False, Way.HINT),
    ],
)
def test_a_103_goes_over_http_1_1_only_if_configured_and_never_over_1_0(
    version: str, allowed: bool, way: Way
) -> None:
    (decision,) = ask(replace(TAKES_HINT, http_version=version), STYLE, hint_http1=allowed)

    assert decision.way is way
    assert decision.refusal is (Refusal.PUSH_DISABLED if way is Way.HINT else Refusal.UNSUPPORTED)


@pytest.mark.parametrize(
    ("think_time", "way"), [(None, Way.HINT), (0.0009, Way.LINK), (0.001, Way.HINT)]
)
def test_a_page_that_answers_at_once_gets_no_103_and_says_so(
    think_time: float | None, way: Way
) -> None:
    (decision,) = ask(TAKES_HINT, STYLE, expected=Expected(think_time=think_time))

    assert decision.way is way
    assert (decision.refusal is Refusal.TOO_FAST) is (way is Way.LINK)


def test_how_fast_is_too_fast_is_an_option() -> None:
    fast = Expected(think_time=0.0001)

    assert ask(TAKES_HINT, STYLE, expected=fast, min_think_time=0)[0].way is Way.HINT
    assert ask(TAKES_PUSH, STYLE, expected=fast)[0].way is Way.PUSH


# Views that get nothing.


@pytest.mark.parametrize(
    ("request_", "expected", "refusal"),
    [
        (replace(TAKES_PUSH, conditional=True), Expected(), Refusal.CONDITIONAL),
        (replace(TAKES_PUSH, pushed=True), Expected(), Refusal.PUSHED_PARENT),
        (replace(TAKES_PUSH, method="HEAD"), Expected(), Refusal.METHOD),
        (replace(TAKES_PUSH, loads_assets=False), Expected(), Refusal.NO_SUBRESOURCES),
        (replace(TAKES_PUSH, save_data=True), Expected(), Refusal.SAVE_DATA),
        (TAKES_PUSH, Expected(loads_assets=False), Refusal.NO_SUBRESOURCES),
        (TAKES_PUSH, Expected(control=True), Refusal.CONTROL_VIEW),
    ],
)
def test_some_views_get_nothing_and_every_candidate_says_why(
    request_: PageRequest, expected: Expected, refusal: Refusal
) -> None:
    assert ways(ask(request_, STYLE, SCRIPT, expected=expected)) == [
        ("/a.css", Way.NOTHING, refusal),
        ("/b.js", Way.NOTHING, refusal),
    ]


def test_a_client_like_those_that_seldom_fetch_is_hinted_but_not_pushed_to() -> None:
    seldom = Expected(fetching=0.2)

    pushed = ask(TAKES_PUSH, STYLE, expected=seldom)
    hinted = ask(TAKES_HINT, STYLE, expected=seldom)

    assert ways(pushed) == [("/a.css", Way.NOTHING, Refusal.NO_SUBRESOURCES)]
    assert [decision.way for decision in hinted] == [Way.HINT]


def test_a_client_that_likely_has_its_assets_is_hinted_but_not_pushed_to() -> None:
    returns = Expected(lacking=0.4)

    pushed = ask(TAKES_PUSH, STYLE, expected=returns)
    hinted = ask(TAKES_HINT, STYLE, expected=returns)

    assert ways(pushed) == [("/a.css", Way.NOTHING, Refusal.IMPROBABLE)]
    assert [decision.way for decision in hinted] == [Way.HINT]


def test_an_asset_that_a_client_had_is_sent_if_it_is_likely_to_ask_again() -> None:
    had = Expected(again={"/a.css": 0.4, "/b.js": 0.1})
    seldom = Expected(again={"/a.css": 0.9, "/b.js": 0.4})

    hinted = ask(TAKES_HINT, STYLE, SCRIPT, IMAGE, expected=had)
    pushed = ask(TAKES_PUSH, STYLE, SCRIPT, IMAGE, expected=seldom)

    assert [decision.way for decision in hinted] == [Way.HINT, Way.NOTHING, Way.HINT]
    assert hinted[1].refusal is Refusal.IMPROBABLE
    assert [decision.way for decision in pushed] == [Way.PUSH, Way.NOTHING, Way.PUSH]


def test_a_client_that_may_be_a_robot_is_pushed_all_but_one() -> None:
    unproven = Expected(proven=False)

    several = ask(TAKES_PUSH, STYLE, SCRIPT, IMAGE, expected=unproven)
    single = ask(TAKES_PUSH, STYLE, expected=unproven)
    hinted = ask(TAKES_HINT, STYLE, SCRIPT, expected=unproven)

    assert [decision.way for decision in several] == [Way.PUSH, Way.PUSH, Way.NOTHING]
    assert several[-1].refusal is Refusal.CONTROL_VIEW
    assert [decision.way for decision in single] == [Way.PUSH]
    assert [decision.way for decision in hinted] == [Way.HINT, Way.HINT]


# Candidates that get nothing.


@pytest.mark.parametrize("probability", [0.0, 0.49, float("nan")])
def test_what_is_improbable_is_not_sent(probability: float) -> None:
    assert reasons(ask(TAKES_PUSH, replace(STYLE, probability=probability))) == [Refusal.IMPROBABLE]


@pytest.mark.parametrize("lifetime", [None, 0.0, 0.9, float("nan")])
def test_what_a_browser_would_fetch_twice_is_linked_and_pushed_but_not_hinted(
    lifetime: float | None,
) -> None:
    """Nothing says how long it is fresh, or not for long enough: `no-cache`, an ETag alone."""
    stale = replace(STYLE, lifetime=lifetime)

    assert ways(ask(TAKES_PUSH, stale)) == [("/a.css", Way.PUSH, None)]
    assert ways(ask(TAKES_HINT, stale, SCRIPT)) == [
        ("/a.css", Way.LINK, Refusal.NOT_FRESH),
        ("/b.js", Way.HINT, Refusal.PUSH_DISABLED),
    ]
    assert ways(ask(TAKES_LINK, stale)) == [("/a.css", Way.LINK, Refusal.NOT_NAVIGATION)]
    assert reasons(ask(TAKES_HINT, stale, links=False)) == [Refusal.NOT_FRESH]


@pytest.mark.parametrize("expected", [Expected(revisit=3600.1), Expected(think_time=3599.1)])
def test_what_goes_stale_before_the_page_asks_for_it_is_not_hinted(expected: Expected) -> None:
    assert ask(TAKES_HINT, STYLE, expected=expected)[0].way is Way.LINK
    assert ask(TAKES_HINT, replace(STYLE, lifetime=3600.2), expected=expected)[0].way is Way.HINT


@pytest.mark.parametrize("request_", [TAKES_PUSH, TAKES_HINT, TAKES_LINK])
@pytest.mark.parametrize(
    "name",
    [
        "favicon.ico",
        "favicon-32x32.png",
        "static/img/favicon.3f9a01bc.svg?v=2",
        "apple-touch-icon-precomposed.png",
        "android-chrome-192x192.png",
        "icons/icon-512x512.png",
        "maskable_icon_512.png",
        "mstile-150x150.png",
        "site.ico",
    ],
)
def test_an_icon_of_the_site_is_not_sent_ahead(request_: PageRequest, name: str) -> None:
    assert reasons(ask(request_, Asset("/" + name, "image"))) == [Refusal.ICON]


@pytest.mark.parametrize(
    "name", ["icon-cart.svg", "icons.svg", "icons/cart.svg", "favorites.png", "x.ico.png"]
)
def test_an_image_that_a_page_shows_is_no_icon(name: str) -> None:
    assert ask(TAKES_HINT, Asset("/" + name, "image"))[0].way is Way.HINT


def test_what_a_log_alone_tells_of_is_pushed_but_not_hinted() -> None:
    logged = replace(STYLE, lifetime=None, verified=False)

    assert ask(TAKES_PUSH, logged)[0].way is Way.PUSH
    assert reasons(ask(TAKES_HINT, logged)) == [Refusal.UNVERIFIED]
    assert reasons(ask(TAKES_LINK, logged)) == [Refusal.UNVERIFIED]


@pytest.mark.parametrize("request_", [TAKES_PUSH, TAKES_HINT, TAKES_LINK])
def test_each_url_is_sent_once_on_a_connection(request_: PageRequest) -> None:
    seen = Seen(Memory(), ORIGIN)
    first = ask(request_, STYLE, seen=seen)
    seen.memory.add(first[0].candidate.target)

    assert first[0].way is not Way.NOTHING
    assert reasons(ask(request_, STYLE, seen=seen)) == [Refusal.ALREADY_SENT]


def test_the_same_url_twice_is_sent_once() -> None:
    assert ways(ask(TAKES_PUSH, STYLE, replace(STYLE, probability=0.9))) == [
        ("/a.css", Way.PUSH, None),
        ("/a.css", Way.NOTHING, Refusal.ALREADY_SENT),
    ]


def test_what_the_client_says_it_has_is_not_sent() -> None:
    digest = field_value([url_key(ORIGIN + "/a.css")], p_bits=20)

    decisions = ask(TAKES_PUSH, STYLE, SCRIPT, seen=Seen(Memory(), ORIGIN, parse(digest)))

    assert ways(decisions) == [
        ("/a.css", Way.NOTHING, Refusal.IN_DIGEST),
        ("/b.js", Way.PUSH, None),
    ]


@pytest.mark.parametrize("kind", ["", "document", "audio"])
def test_what_has_no_word_in_as_is_pushed_but_not_hinted(kind: str) -> None:
    other = replace(STYLE, kind=kind)

    assert ask(TAKES_PUSH, other)[0].way is Way.PUSH
    assert reasons(ask(TAKES_HINT, other)) == [Refusal.NO_KIND]


def test_what_cannot_be_written_as_a_link_is_not_hinted() -> None:
    assert reasons(ask(TAKES_HINT, replace(STYLE, media_type="text/css; charset=x"))) == [
        Refusal.BAD_PATH
    ]


# Order and urgency.


def test_what_blocks_rendering_goes_first_and_the_likelier_before_the_rest_of_its_kind() -> None:
    rare, other = replace(STYLE, target="/z.css", probability=0.6), Asset("/a.json", "")
    fetched = Asset("/b.json", "fetch")

    order = delivery_order([other, fetched, IMAGE, SCRIPT, rare, FONT, STYLE])

    assert order == [STYLE, rare, FONT, SCRIPT, IMAGE, fetched, other]


def test_pushes_stay_behind_their_page_and_images_behind_what_blocks_rendering() -> None:
    decisions = ask(TAKES_PUSH, IMAGE, STYLE, FONT, SCRIPT)

    assert [decision.urgency for decision in decisions] == [4, 4, 4, 5]
    assert push_urgency("style", 6) == push_urgency("image", 6) == push_urgency("", 7) == 7
    assert ask(TAKES_PUSH, IMAGE, expected=Expected(urgency=0))[0].urgency == 2


def test_only_pushes_have_an_urgency() -> None:
    assert {d.urgency for d in ask(TAKES_HINT, STYLE, IMAGE)} == {0}
    assert {d.urgency for d in ask(TAKES_PUSH, replace(STYLE, probability=0))} == {0}


# Budget.


def test_a_page_sends_as_many_assets_as_fit_up_to_64() -> None:
    assets = [Asset(f"/{n}.css") for n in range(66)]

    assert reasons(ask(TAKES_PUSH, *assets)) == [Refusal.OVER_BUDGET] * 2
    assert reasons(ask(TAKES_HINT, *assets)) == [Refusal.OVER_BUDGET] * 2


def test_what_is_cut_is_what_the_page_can_do_without_longest() -> None:
    images = [Asset(f"/{n}.png", "image", size=100) for n in range(63)]

    assert reasons(ask(TAKES_HINT, *images, SCRIPT, STYLE)) == [Refusal.OVER_BUDGET]
    assert ask(TAKES_HINT, *images, SCRIPT, STYLE)[-1].candidate.asset.kind == "image"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_links_over_http_1_1_leave_room_in_the_buffer_of_a_proxy(version: str) -> None:
    assets = [Asset(f"/{'x' * 100}{n}.css") for n in range(20)]
    old = replace(TAKES_LINK, http_version=version)

    decisions = ask(old, *assets)
    room = [link_room(old, [(b"set-cookie", b"x" * size)], OPTIONS) for size in (0, 3000, 5000)]

    assert sum(len(decision.link()) for decision in decisions if decision.refusal) > 1024
    assert len(b", ".join(link_field(decisions, Way.LINK))) <= 1024
    assert len(b", ".join(link_field(ask(TAKES_LINK, *assets), Way.LINK))) > 2048
    assert room[0] == 1024
    assert room[1] == 4096 - 256 - len("set-cookie: \r\n") - 3000
    assert room[2] < 0
    assert link_room(TAKES_LINK, [(b"set-cookie", b"x" * 5000)], OPTIONS) == 4096


def test_what_does_not_fit_into_the_bytes_leaves_room_for_what_does() -> None:
    large, small = Asset("/large.css", size=256 * 1024 + 1), Asset("/small.js", "script")

    assert ways(ask(TAKES_PUSH, large, small)) == [
        ("/large.css", Way.NOTHING, Refusal.OVER_BUDGET),
        ("/small.js", Way.PUSH, None),
    ]
    assert ask(TAKES_HINT, large)[0].way is Way.HINT


def test_a_page_pushes_no_more_than_fits_into_the_time_that_it_thinks() -> None:
    assets = [Asset(f"/{n}.css", size=32 * 1024) for n in range(10)]

    def pushed(think_time: float | None) -> int:
        decisions = ask(TAKES_PUSH, *assets, expected=Expected(think_time=think_time))
        return sum(decision.way is Way.PUSH for decision in decisions)

    assert [pushed(t) for t in (0.0, 0.05, 1.0, None)] == [2, 5, 8, 8]


def test_what_has_no_known_size_is_not_taken_for_nothing() -> None:
    assert reasons(ask(TAKES_PUSH, replace(STYLE, size=0), max_push_bytes=1000)) == [
        Refusal.OVER_BUDGET
    ]


def test_links_stay_within_their_length() -> None:
    assets = [Asset(f"/{'x' * 1500}{n}.css") for n in range(4)]
    decisions = ask(TAKES_HINT, *assets)

    assert reasons(decisions) == [Refusal.OVER_BUDGET] * 2
    assert len(b", ".join(link_field(decisions, Way.HINT))) <= OPTIONS.max_link_size


# What is made of the decisions.


def test_links_are_written_with_what_the_page_will_ask_with() -> None:
    module = Asset("/m.js", "script", media_type="text/javascript", cors=True)
    decisions = ask(TAKES_HINT, replace(FONT, cors=False), module, IMAGE)

    assert link_field(decisions, Way.LINK) == []
    assert link_field(decisions, Way.HINT) == [
        b"</c.woff2>; rel=preload; as=font; crossorigin",
        b'</m.js>; rel=preload; as=script; crossorigin; type="text/javascript"',
        b"</d.png>; rel=preload; as=image",
    ]


def test_a_link_says_what_the_page_s_own_element_says() -> None:
    script = Named(
        "/b.js", Kind.SCRIPT, integrity=HASH, fetchpriority="low", crossorigin="anonymous"
    )
    module = Named("/b.js", Kind.SCRIPT, module=True, crossorigin="anonymous", integrity=HASH)
    image = Named("/d.png", Kind.IMAGE, imagesrcset="/e.png 2x", imagesizes="9px")
    candidates = [
        replace(SCRIPT, target="/c.js", named=script, media_type="text/javascript"),
        replace(SCRIPT, named=module, media_type="text/javascript"),
        replace(STYLE, named=Named("/a.css", Kind.STYLE, media="(width>9px)")),
        replace(IMAGE, named=image, media_type="image/png"),
    ]

    hinted = {decision.candidate.target: decision for decision in ask(TAKES_HINT, *candidates)}
    linked = [decision.link("abc") for decision in ask(TAKES_LINK, *candidates)]

    # Integrity is checked when the page takes it from the cache; Chromium knows none in a 103.
    assert hinted["/b.js"].link() == b"</b.js>; rel=modulepreload"
    assert hinted["/c.js"].link() == (
        b'</c.js>; rel=preload; as=script; crossorigin; type="text/javascript"; fetchpriority=low'
    )
    for target in ("/a.css", "/d.png"):
        assert (hinted[target].way, hinted[target].refusal) == (Way.LINK, Refusal.LINK_ONLY)
    assert sorted(linked) == sorted(
        (
            b'</a.css>; rel=preload; as=style; nonce="abc"; media="(width>9px)"',
            b'</b.js>; rel=modulepreload; integrity="%b"; nonce="abc"' % HASH.encode(),
            b'</c.js>; rel=preload; as=script; crossorigin; type="text/javascript"; '
            b'fetchpriority=low; integrity="%b"; nonce="abc"' % HASH.encode(),
            b'</d.png>; rel=preload; as=image; nonce="abc"; imagesrcset="/e.png 2x"; '
            b'imagesizes="9px"',
        )
    )


def test_what_the_page_names_and_nobody_saw_goes_with_its_response() -> None:
    seen_by_nobody = replace(STYLE, verified=False, lifetime=None)
    named = replace(seen_by_nobody, named=Named("/a.css", Kind.STYLE))

    assert reasons(ask(TAKES_HINT, seen_by_nobody)) == [Refusal.UNVERIFIED]
    [decision] = ask(TAKES_HINT, named)
    assert (decision.way, decision.refusal) == (Way.LINK, Refusal.UNVERIFIED)


def test_what_the_page_does_not_wait_for_comes_last() -> None:
    late = replace(SCRIPT, named=Named("/b.js", Kind.SCRIPT, late=True))

    assert delivery_order([late, IMAGE, STYLE]) == [STYLE, IMAGE, late]


def test_attributes_that_no_link_can_hold_make_no_link() -> None:
    hostile = Named("/a.css", Kind.STYLE, media='x"\r\nset-cookie: a=b')

    assert link_value(STYLE, hostile) == b""


def test_a_decision_says_its_reason_in_a_word() -> None:
    (pushed,) = ask(TAKES_PUSH, STYLE)
    (hinted,) = ask(TAKES_HINT, STYLE)

    assert pushed.reason == "page"
    assert hinted.reason == "push-disabled"


def test_what_is_sent_or_was_had_may_stand_in_the_cookie() -> None:
    seen = Seen(Memory(), ORIGIN)
    seen.memory.add("/b.js")

    sent = ask(TAKES_PUSH, STYLE, SCRIPT, replace(FONT, lifetime=None), seen=seen)
    linked = ask(TAKES_LINK, STYLE)
    refused = ask(TAKES_PUSH, replace(STYLE, probability=0.0))

    assert had(sent, ORIGIN) == [
        (ORIGIN + "/a.css", 3600.0),
        (ORIGIN + "/c.woff2", 0.0),
        (ORIGIN + "/b.js", 3600.0),
    ]
    assert had(linked, ORIGIN) == had(refused, ORIGIN) == []


# Whatever comes.

assets_ = st.builds(
    Asset,
    target=st.integers(0, 30).map(lambda n: f"/{n}") | st.text(min_size=1),
    kind=st.sampled_from(["style", "font", "script", "image", "fetch", "", "video"]),
    probability=st.floats(0, 1) | st.just(float("nan")),
    size=st.integers(0, 300 * 1024) | st.integers(-10, 10**12),
    lifetime=st.none() | st.floats(0, 1e8) | st.just(float("nan")),
    media_type=st.sampled_from(["", "text/css", "a; b"]) | st.text(max_size=5),
    cors=st.booleans(),
    verified=st.booleans(),
)
refusals = st.none() | st.sampled_from(Refusal)
requests = st.builds(
    PageRequest,
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    http_version=st.sampled_from(["1.0", "1.1", "2", "3"]),
    origin=st.just(ORIGIN),
    conditional=st.sampled_from([False, False, False, True]),
    loads_assets=st.sampled_from([True, True, True, False]),
    pushed=st.sampled_from([False, False, False, True]),
    push_refusal=refusals,
    hint_refusal=refusals,
)
expectations = st.builds(
    Expected,
    think_time=st.none() | st.floats(0, 10),
    control=st.sampled_from([False, False, False, True]),
    revisit=st.floats(0, 1e4),
    urgency=st.integers(0, 7),
)


def _client(digest: bytes, had_: list[str]) -> Seen:
    seen = Seen(Memory(), ORIGIN, parse(digest))
    for target in had_:
        seen.memory.add(target)
    return seen


clients = st.builds(
    _client,
    st.sampled_from([b"", b"AfdA", b"AcA; complete"]),
    st.lists(st.integers(0, 30).map(lambda n: f"/{n}"), max_size=5),
)
anything = given(requests, st.lists(assets_, max_size=25), clients, expectations)


@anything
def test_every_candidate_gets_one_decision_with_a_reason(
    request_: PageRequest, assets: list[Asset], seen: Seen, expected: Expected
) -> None:
    decisions = decide(request_, assets, seen, OPTIONS, expected)

    decided = sorted(id(decision.candidate) for decision in decisions)
    assert decided == sorted(id(asset) for asset in assets)
    assert all((d.refusal is None) is (d.way is Way.PUSH) for d in decisions)
    assert all(d.reason for d in decisions)
    taken = {d.way for d in decisions} - {Way.NOTHING}
    assert len(taken) <= 1 or taken == {Way.HINT, Way.LINK}


@anything
def test_no_budget_is_ever_exceeded(
    request_: PageRequest, assets: list[Asset], seen: Seen, expected: Expected
) -> None:
    decisions = decide(request_, assets, seen, OPTIONS, expected)
    sent = [d for d in decisions if d.way is not Way.NOTHING]
    pushed = sum(d.candidate.asset.size for d in sent if d.way is Way.PUSH)

    assert len(sent) <= 64
    assert pushed <= 256 * 1024
    assert len({d.candidate.target for d in sent}) == len(sent)
    assert not any(d.candidate.target in seen.memory for d in sent)
    links_ = [*link_field(decisions, Way.HINT), *link_field(decisions, Way.LINK)]
    assert len(b", ".join(links_)) <= OPTIONS.max_link_size


@anything
def test_no_way_is_taken_that_the_client_or_the_rules_forbid(
    request_: PageRequest, assets: list[Asset], seen: Seen, expected: Expected
) -> None:
    taken = {d.way for d in decide(request_, assets, seen, OPTIONS, expected)} - {Way.NOTHING}

    if request_.conditional or request_.method != "GET" or request_.pushed or expected.control:
        assert taken == set()
    if request_.push_refusal is not None:
        assert Way.PUSH not in taken
    if request_.hint_refusal is not None or request_.http_version in ("1.0", "1.1"):
        assert Way.HINT not in taken


@anything
def test_nothing_is_sent_that_is_improbable_stale_or_behind_its_page(
    request_: PageRequest, assets: list[Asset], seen: Seen, expected: Expected
) -> None:
    for decision in decide(request_, assets, seen, OPTIONS, expected):
        if decision.way is Way.NOTHING:
            continue
        asset = decision.candidate.asset
        assert decision.candidate.probability >= OPTIONS.min_probability
        if decision.way is Way.HINT:
            assert asset.lifetime is not None
            assert asset.lifetime >= max(1.0, expected.revisit)
        if decision.way is Way.PUSH:
            assert min(expected.urgency + 1, 7) <= decision.urgency <= 7
        else:
            assert asset.verified
            (link,) = links.parse(decision.link())
            assert link.as_ == asset.kind
            assert link.rels == ("preload",)


@given(st.lists(assets_, max_size=25), st.randoms())
def test_the_order_is_the_same_however_the_candidates_came(
    assets: list[Asset], random: Random
) -> None:
    comparable = [
        replace(a, probability=0.5) if a.probability != a.probability else a for a in assets
    ]
    shuffled = comparable[:]
    random.shuffle(shuffled)

    def place(asset: Asset) -> tuple[str, float, str]:
        return asset.kind, asset.probability, asset.target

    once = delivery_order(comparable)
    assert list(map(place, delivery_order(shuffled))) == list(map(place, once))
    assert delivery_order(once) == once


@anything
def test_deciding_changes_nothing_so_that_it_can_be_asked_twice(
    request_: PageRequest, assets: list[Asset], seen: Seen, expected: Expected
) -> None:
    before = len(seen.memory)

    first = decide(request_, assets, seen, OPTIONS, expected)

    assert list(map(repr, decide(request_, assets, seen, OPTIONS, expected))) == list(
        map(repr, first)
    )
    assert len(seen.memory) == before


@given(requests, st.builds(DeliverOptions, links=st.booleans(), hint_http1=st.booleans()))
def test_the_way_chosen_is_never_the_worse_of_two(
    request_: PageRequest, options: DeliverOptions
) -> None:
    way, refusal = choose_way(request_, options, Expected())

    assert (way is Way.PUSH) is (request_.push_refusal is None)
    assert (refusal is None) is (way is Way.PUSH)
    assert options.links or way is not Way.LINK


def test_a_link_is_safe_whatever_its_target_is_made_of() -> None:
    value = link_value(Asset('/a>; rel=x, </b"\r\nset-cookie: c=1', "style"))

    assert value.isascii()
    assert not set(value) & set(b'\r\n"')
    (link,) = links.parse(value)
    assert link.rels == ("preload",)
    assert ">" not in link.target


def test_deciding_costs_a_few_calls_for_each_candidate() -> None:
    def calls(candidates: int) -> int:
        each = [Asset(f"/{n}.css", ["style", "image"][n % 2], 0.5 + n / 50) for n in range(20)]
        seen = Seen(Memory(), ORIGIN)
        decide(TAKES_PUSH, each[:candidates], seen, OPTIONS)
        return calls_of(lambda: decide(TAKES_PUSH, each[:candidates], seen, OPTIONS))

    ten, twenty = calls(10), calls(20)

    assert twenty - ten <= 10 * 20
    assert twenty < 500
