"""The operator's word, by itself; tests/learn/test_model.py has what it does to the map."""

from __future__ import annotations

import pytest

from headstart.errors import ConfigurationError
from headstart.learn import Rule, Verdict
from headstart.learn.rules import Rules
from tests.learn.site import ORIGIN

MAX_URL = 2048


def ruled(*rules: Rule) -> Rules:
    made = Rules(MAX_URL)
    for rule in rules:
        made.obey(rule)
    return made


def pin(page: str, asset: str = "/a.css") -> Rule:
    return Rule(Verdict.PIN, page, asset)


def never(asset: str) -> Rule:
    return Rule(Verdict.NEVER, "", asset)


def test_pins_of_a_page_are_kept_in_the_order_they_were_named_once_each() -> None:
    rules = ruled(pin("/", "/b.css"), pin("/", f"{ORIGIN}/a.css"), pin("/", "/b.css"))

    assert {page: list(assets) for page, assets in rules.pins.items()} == {
        "/": ["/b.css", "/a.css"]
    }


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("asset", ["//evil.example/a.css", "/a b.css", "no path", "/" + "x" * 9999])
def test_what_cannot_be_sent_is_refused(asset: str, verdict: Verdict) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent ahead"):
        ruled(Rule(verdict, "/", asset))


def test_what_is_no_asset_by_its_name_cannot_be_pinned_but_can_be_barred() -> None:
    with pytest.raises(ConfigurationError, match="not a stylesheet"):
        ruled(pin("/", "/page"))

    assert ruled(never("/page")).is_barred(ORIGIN, "/page")


@pytest.mark.parametrize(
    ("asset", "here", "elsewhere"),
    [("/a.css", True, True), (f"{ORIGIN}/a.css", True, False), ("/b.css", False, False)],
    ids=["path", "URL", "another"],
)
def test_asset_is_barred_everywhere_by_its_path_and_on_its_origin_by_its_url(
    asset: str, here: bool, elsewhere: bool
) -> None:
    rules = ruled(never(asset))

    assert rules.is_barred(ORIGIN, "/a.css") is here
    assert rules.is_barred("https://elsewhere.example", "/a.css") is elsewhere


def test_pins_are_told_with_whether_they_are_barred() -> None:
    rules = ruled(
        pin("/p"), pin(f"{ORIGIN}/p"), pin(f"{ORIGIN}/p", "/b.css"), never(f"{ORIGIN}/a.css")
    )

    assert list(rules.pinned()) == [
        ("/p", "/a.css", False),
        (f"{ORIGIN}/p", "/a.css", True),
        (f"{ORIGIN}/p", "/b.css", False),
    ]
    assert set(rules.paths()) == {"/p"}


@pytest.mark.parametrize(
    ("pinned", "forgotten"),
    [
        ("/p?x=1", "/p"),
        (f"{ORIGIN}/p", "/p"),
        ("/p", f"{ORIGIN}/p"),
        (f"{ORIGIN}/p", f"{ORIGIN}/p"),
        ("/p", "/p"),
    ],
)
def test_pins_are_forgotten_with_their_page_however_either_was_written(
    pinned: str, forgotten: str
) -> None:
    rules = ruled(pin(pinned), pin("/other"))

    assert rules.forget(forgotten, 0.0)
    assert list(rules.pins) == ["/other"]
    assert not rules.forget(forgotten, 0.0)


def test_of_the_pages_that_were_forgotten_the_last_thousand_are_remembered() -> None:
    rules = ruled()
    for number in range(1001):
        rules.forget(f"/{number}", 10.0)

    assert not rules.is_forgotten(ORIGIN, "/0", 9.0)
    assert rules.is_forgotten(ORIGIN, "/1", 10.0)
    assert not rules.is_forgotten(ORIGIN, "/1", 10.1)


def test_what_is_exported_makes_the_same_rules() -> None:
    rules = ruled(pin("/"), pin("/", "/b.css"), never("/d.css"), never(f"{ORIGIN}/c.css"))
    other = ruled(*rules.export())

    assert other.pins == rules.pins
    assert list(other.export()) == list(rules.export())
    assert other.is_barred(ORIGIN, "/c.css")


@pytest.mark.parametrize(
    ("asset", "reason", "hint"),
    [
        ("hero.css", "neither a path nor a full URL", "such as /hero.css, or a full URL"),
        ("", "neither a path nor a full URL", "such as /site.css, or a full URL"),
        ("my hero.css", "neither a path nor a full URL", "such as /site.css, or a full URL"),
        ("//cdn.example/a.css", "two slashes", "Give a path that begins with one"),
        ("/my hero.css", "a character that a URL cannot have", "a space is %20"),
        ("https://a.example/my hero.css", "a character that a URL", "a space is %20"),
        ("/.headstart/rum.js", "a URL of Headstart's own", "Give an asset of the site"),
        (f"/{'a' * 2048}.css", "more than 2,048 characters", "shorter names"),
    ],
)
def test_asset_that_cannot_be_sent_is_told_with_the_reason_and_the_remedy(
    asset: str, reason: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent ahead: it ") as raised:
        ruled(pin("/", asset))

    assert reason in str(raised.value)
    assert str(raised.value).startswith(asset or "''")
    assert hint in raised.value.hint


def test_ten_thousand_assets_are_barred_or_pinned_at_most() -> None:
    rules = ruled(*(never(f"/{number}.css") for number in range(9_999)), pin("/"))

    with pytest.raises(ConfigurationError, match="10,000") as caught:
        rules.obey(never("/more.css"))

    assert caught.value.hint
    assert not rules.is_barred(ORIGIN, "/more.css")
