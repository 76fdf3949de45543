"""An asset as one exchange shows it, and the responses that remove it."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn import Kind
from headstart.learn.safety import Unlearnable
from headstart.learn.sightings import hash_of, is_news, seen_asset_of, unsays
from tests.learn.site import FONT, STYLE, asset_answer, asset_request


def test_asset_has_its_kind_its_type_its_size_and_its_lifetime() -> None:
    seen = seen_asset_of(asset_request(STYLE), asset_answer(STYLE))

    assert (seen.target, seen.kind, seen.media_type) == (STYLE, Kind.STYLE, "text/css")
    assert (seen.cors, seen.size, seen.lifetime, seen.verified) == (False, 1000, 3600, True)


def test_font_is_fetched_in_cors_mode() -> None:
    assert seen_asset_of(asset_request(FONT), asset_answer(FONT)).cors


def test_asset_of_a_log_without_cache_control_is_not_verified() -> None:
    assert not seen_asset_of(asset_request(STYLE), asset_answer(STYLE, cache_control=None)).verified


@pytest.mark.parametrize(
    ("vary", "media_type"),
    [("Accept-Encoding", "text/css"), ("Accept-Encoding, ACCEPT", ""), ("accept", "")],
)
def test_asset_chosen_by_accept_has_no_type_since_the_next_client_gets_another(
    vary: str, media_type: str
) -> None:
    assert (
        seen_asset_of(asset_request(STYLE), asset_answer(STYLE, vary=vary)).media_type == media_type
    )


@pytest.mark.parametrize(
    ("fields", "news"),
    [
        ({"cache_control": "public, max-age=3599"}, False),
        ({"size": 7}, False),
        ({"cache_control": "public, max-age=60"}, True),
        ({"cache_control": "no-cache"}, True),
        ({"cache_control": None}, True),
        ({"vary": "accept"}, True),
    ],
)
def test_other_workers_are_told_of_changes_that_alter_how_an_asset_is_sent(
    fields: dict[str, Any], news: bool
) -> None:
    request = asset_request(STYLE)
    old = seen_asset_of(request, asset_answer(STYLE))

    assert is_news(old, seen_asset_of(request, asset_answer(STYLE, **fields))) is news


HASHED: list[dict[str, Any]] = [
    {"content_type": "text/plain"},
    {"cache_control": "no-store"},
    {"vary": "cookie"},
    {"sets_cookie": True},
    {"validated": True},
    {"heuristic_lifetime": 600},
    {"expires_in": 600},
]


@pytest.mark.parametrize("fields", HASHED)
def test_hash_changes_with_all_that_says_whether_an_asset_may_be_learned(
    fields: dict[str, Any],
) -> None:
    request = asset_request(STYLE)

    assert hash_of(request, asset_answer(STYLE, **fields)) != hash_of(request, asset_answer(STYLE))


@pytest.mark.parametrize(
    "fields", [{"destination": "script"}, {"mode": "cors"}, {"authorized": True}]
)
def test_hash_changes_with_how_the_asset_is_asked_for(fields: dict[str, Any]) -> None:
    answer = asset_answer(STYLE)

    assert hash_of(asset_request(STYLE, **fields), answer) != hash_of(asset_request(STYLE), answer)


@pytest.mark.parametrize("name", ["heuristic_lifetime", "expires_in"])
def test_hash_stays_while_a_lifetime_grows_or_falls_by_less_than_half(name: str) -> None:
    request = asset_request(STYLE)
    first, near, far = (
        hash_of(request, asset_answer(STYLE, **{name: seconds})) for seconds in (600, 700, 1300)
    )

    assert first == near
    assert first != far


@pytest.mark.parametrize(
    ("why", "content_type", "removes"),
    [
        (Unlearnable.PRIVATE, "text/css", True),
        (Unlearnable.SETS_COOKIE, "text/css", True),
        (Unlearnable.VARIES, "text/css", True),
        (Unlearnable.STATUS, "text/css", False),
        (Unlearnable.STATUS, "text/html; charset=utf-8", True),
        (Unlearnable.STATUS, "", False),
    ],
)
def test_known_asset_is_removed_if_it_became_one_clients_or_is_not_static_any_more(
    why: Unlearnable, content_type: str, removes: bool
) -> None:
    assert unsays(why, asset_answer(STYLE, content_type=content_type)) is removes
