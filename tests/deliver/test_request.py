"""What is read of a page's request, on our server and on others."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.cache.requests import KNOWN_FIELDS
from headstart.deliver.digest import NO_DIGESTS
from headstart.deliver.request import READ_FIELDS, PageRequest, read_request
from headstart.deliver.seen import Memory, grown, set_cookie
from headstart.reasons import Refusal

NAVIGATION = [
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"sec-fetch-site", b"none"),
]
PUSH: dict[str, Any] = {"http.response.push": {}}
HINT: dict[str, Any] = {"http.response.early_hint": {}}
OURS: dict[str, Any] = {"headstart": {"pushed": False}}


def read(
    headers: list[tuple[bytes, bytes]] | None = None,
    extensions: dict[str, Any] | None = None,
    **scope: Any,
) -> PageRequest:
    return read_request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "https",
            "http_version": "2",
            "headers": [(b"host", b"example.com"), *(headers or [])],
            "extensions": extensions,
            **scope,
        }
    )


def test_a_plain_request_is_read() -> None:
    request = read([(b"accept", b"*/*")], extensions=OURS | PUSH | HINT)

    expected = PageRequest(origin="https://example.com", hint_refusal=Refusal.NOT_NAVIGATION)
    assert request == expected


def test_a_scope_with_the_least_in_it_is_read() -> None:
    request = read_request({"type": "http", "method": "HEAD", "headers": []})

    assert request.method == "HEAD"
    assert request.origin == "http://"
    assert not request.secure
    assert request.http_version == "1.1"
    assert request.push_refusal is request.hint_refusal is Refusal.UNSUPPORTED


@pytest.mark.parametrize(
    "name",
    [
        b"if-none-match",
        b"if-modified-since",
        b"if-match",
        b"if-unmodified-since",
        b"if-range",
    ],
)
def test_a_condition_says_that_the_client_has_the_page(name: bytes) -> None:
    assert read([(name, b"x")]).conditional
    assert not read().conditional


@pytest.mark.parametrize(
    ("headers", "loads"),
    [
        ([], True),
        (NAVIGATION, True),
        ([(b"sec-fetch-dest", b"iframe")], True),
        ([(b"sec-fetch-dest", b"empty")], False),
        ([(b"sec-fetch-dest", b"image")], False),
        ([*NAVIGATION, (b"sec-purpose", b"prefetch")], False),
        ([(b"purpose", b"prefetch")], False),
        ([*NAVIGATION, (b"sec-purpose", b"prefetch;prerender")], True),
    ],
)
def test_a_page_read_as_data_or_in_advance_loads_no_assets(
    headers: list[tuple[bytes, bytes]], loads: bool
) -> None:
    assert read(headers).loads_assets is loads


@pytest.mark.parametrize(
    ("extensions", "refusal"),
    [
        (OURS | PUSH, None),
        (PUSH, None),
        (OURS, Refusal.PUSH_DISABLED),
        ({}, Refusal.UNSUPPORTED),
        (None, Refusal.UNSUPPORTED),
    ],
)
def test_a_push_needs_the_extension_and_its_lack_has_a_reason(
    extensions: dict[str, Any] | None, refusal: Refusal | None
) -> None:
    assert read(extensions=extensions).push_refusal is refusal


@pytest.mark.parametrize(
    ("headers", "extensions", "refusal"),
    [
        (NAVIGATION, HINT, None),
        ([], HINT, Refusal.NOT_NAVIGATION),
        ([(b"accept", b"*/*")], HINT, Refusal.NOT_NAVIGATION),  # curl, httpx
        ([(b"accept", b"application/json, text/html")], HINT, Refusal.NOT_NAVIGATION),
        (
            [(b"accept", b"text/html, application/xhtml+xml, image/jxr, */*")],
            HINT,
            None,
        ),
        ([(b"accept", b"Text/HTML;q=1")], HINT, None),
        (
            [(b"accept", b"text/html, image/gif, image/jpeg, */*; q=0.2")],  # Java
            HINT,
            Refusal.NOT_NAVIGATION,
        ),
        ([(b"accept", b"text/html"), (b"sec-fetch-mode", b"cors")], HINT, Refusal.NOT_NAVIGATION),
        ([(b"accept", b"text/html"), (b"te", b"trailers")], HINT, Refusal.TAKES_NO_HINTS),
        ([(b"sec-fetch-mode", b"cors")], HINT, Refusal.NOT_NAVIGATION),
        ([(b"sec-fetch-dest", b"document")], HINT, Refusal.NOT_NAVIGATION),
        ([(b"sec-fetch-site", b"none")], HINT, Refusal.NOT_NAVIGATION),
        ([(b"te", b"trailers")], HINT, Refusal.TAKES_NO_HINTS),
        ([*NAVIGATION, (b"te", b"trailers")], HINT, None),  # Firefox
        ([*NAVIGATION, (b"content-type", b"application/grpc")], HINT, Refusal.TAKES_NO_HINTS),
        ([(b"content-type", b"application/grpc")], HINT, Refusal.TAKES_NO_HINTS),
        (NAVIGATION, OURS, Refusal.NOT_NAVIGATION),
        (NAVIGATION, {}, Refusal.UNSUPPORTED),
    ],
)
def test_a_103_needs_the_extension_and_a_navigation(
    headers: list[tuple[bytes, bytes]], extensions: dict[str, Any], refusal: Refusal | None
) -> None:
    assert read(headers, extensions).hint_refusal is refusal


SAFARI = (
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    b"Version/17.4 Safari/605.1.15"
)
CHROME_ON_IOS = (
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    b"Gecko) CriOS/123.0.6312.52 Mobile/15E148 Safari/604.1"
)
CHROME = (
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 "
    b"Safari/537.36"
)
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0"


@pytest.mark.parametrize(
    ("headers", "takes"),
    [
        ([(b"user-agent", SAFARI), *NAVIGATION], False),
        ([(b"user-agent", SAFARI)], False),
        ([(b"user-agent", CHROME_ON_IOS), *NAVIGATION], False),
        ([(b"user-agent", CHROME), *NAVIGATION], True),
        ([(b"user-agent", FIREFOX), *NAVIGATION], True),
        ([(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")], False),
        ([(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"frame")], False),
        ([(b"sec-fetch-mode", b"navigate")], True),
    ],
)
def test_browser_or_frame_that_makes_no_use_of_a_103_gets_none(
    headers: list[tuple[bytes, bytes]], takes: bool
) -> None:
    refusal = read(headers, HINT).hint_refusal

    assert refusal is (None if takes else Refusal.TAKES_NO_HINTS)


@pytest.mark.parametrize(
    ("value", "asks"), [(b"on", True), (b" On ", True), (b"off", False), (b"", False)]
)
def test_client_that_saves_data_is_known(value: bytes, asks: bool) -> None:
    assert read([(b"save-data", value)]).save_data is asks
    assert not read().save_data


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [([], None), ([(b"sec-fetch-site", b"none")], Refusal.NOT_NAVIGATION)],
)
def test_operator_may_allow_a_103_to_all_clients_without_sec_fetch(
    headers: list[tuple[bytes, bytes]], refusal: Refusal | None
) -> None:
    scope = {"type": "http", "method": "GET", "headers": headers, "extensions": HINT}

    assert read_request(scope, hint_unmarked=True).hint_refusal is refusal


def test_a_pushed_request_is_known_as_one() -> None:
    assert read(extensions={"headstart": {"pushed": True}}).pushed
    assert not read(extensions=OURS).pushed


def test_lists_sent_in_several_lines_are_joined() -> None:
    request = read(
        [
            (b"cache-digest", b"AcA"),
            (b"cookie", b"a=1"),
            (b"cache-digest", b"AfdA"),
            (b"cookie", b"b=2"),
        ]
    )

    assert request.cache_digest == b"AcA, AfdA"
    assert request.cookies == b"a=1; b=2"


def test_what_the_client_says_it_has_is_read_with_the_request() -> None:
    client_set = grown(None, [("https://example.com/a.css", 86400.0)], 1e9)
    assert client_set is not None
    cookie = set_cookie(client_set, 1e9, secure=True).partition(b";")[0]
    request = read([(b"cache-digest", b"AfdA"), (b"cookie", cookie)])

    seen = request.seen(Memory(), 1e9)
    without = request.seen(Memory(), 1e9, cookie="")

    assert seen.origin == "https://example.com"
    assert seen.why_each(["/style.css", "/a.css", "/b.css"]) == [
        Refusal.IN_DIGEST,
        Refusal.IN_COOKIE,
        None,
    ]
    assert without.cookie is None
    assert read().seen(Memory(), 1e9).digests == NO_DIGESTS


def test_field_that_is_read_does_not_keep_a_page_out_of_the_cache() -> None:
    # The application answers requests with these itself, or they come with content.
    passed_on = {b"if-match", b"if-unmodified-since", b"if-range", b"content-type"}

    unknown = READ_FIELDS - KNOWN_FIELDS - passed_on
    assert unknown == set(), "these belong into KNOWN_FIELDS of cache/requests.py"
