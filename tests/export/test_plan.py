"""What is taken from a learner, and what is left out with which reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.export import LeftOut, Plan, Reason, plan_of
from headstart.learn import Learner, PageRecord, Record, Vote
from tests.learn.site import ASSETS, FONT, IMAGE, ORIGIN, SCRIPT, STYLE, Site


def site_with(*pages: str, views: int = 3, assets: tuple[str, ...] = ASSETS) -> Site:
    site = Site()
    for path in pages:
        for _ in range(views):
            site.visit(path, assets)
    return site


def changed(site: Site, **sighting: Any) -> Learner:
    """A learner that saw each asset so."""
    records: list[Record] = []
    for record in site.learner.export():
        assert isinstance(record, PageRecord)
        tallies = (replace(t, asset=replace(t.asset, **sighting)) for t in record.assets)
        records.append(replace(record, assets=tuple(tallies)))
    learner = Learner(site.learner.options)
    learner.absorb(records)
    return learner


def test_page_has_its_links_in_the_order_of_delivery() -> None:
    plan = plan_of(site_with("/", "/about").learner)

    assert plan.origin == ORIGIN
    assert [page.path for page in plan.pages] == ["/", "/about"]
    assert [link.target for link in plan.pages[0].links] == [STYLE, FONT, SCRIPT, IMAGE]
    assert plan.pages[0].links[0].value == f'<{STYLE}>; rel=preload; as=style; type="text/css"'
    assert plan.pages[0].early == plan.pages[0].value
    assert plan.pages[0].views == 3.0


def test_pages_alike_and_the_whole_site_are_left_out_with_the_reason() -> None:
    plan = plan_of(site_with("/p/1", "/p/2").learner)

    assert [page.path for page in plan.pages] == ["/p/1", "/p/2"]
    assert plan.left_out == (
        LeftOut("/p/*", "", Reason.PATTERN),
        LeftOut("/*", "", Reason.PATTERN),
    )


@pytest.mark.parametrize("path", ["/a b", "/a//b", "/../a", "/caf\u00e9", "/a\nb", "/a%zz"])
def test_path_that_no_server_compares_as_it_is_is_left_out(path: str) -> None:
    plan = plan_of(site_with("/", path).learner)

    assert [page.path for page in plan.pages] == ["/"]
    assert LeftOut(path, "", Reason.BAD_PATH) in plan.left_out


def test_page_that_wastes_what_it_is_sent_is_left_out() -> None:
    site = site_with("/", "/robots")
    for number in range(1, 12):
        vote = Vote(site.now + number, ORIGIN, "/robots", voter=number, rendered=False, worth=0.0)
        site.learner.absorb([vote])
    assert site.learner.wastes(ORIGIN, "/robots")

    plan = plan_of(site.learner)

    assert [page.path for page in plan.pages] == ["/"]
    assert LeftOut("/robots", "", Reason.MOSTLY_WASTE) in plan.left_out


def test_icons_are_never_linked() -> None:
    plan = plan_of(site_with("/", assets=(STYLE, "/favicon.png")).learner)

    assert [link.target for link in plan.pages[0].links] == [STYLE]


def test_page_without_anything_to_send_is_no_entry() -> None:
    site = site_with("/")
    site.learner.never(STYLE)
    for asset in (FONT, SCRIPT, IMAGE):
        site.learner.never(asset)

    assert plan_of(site.learner) == Plan(ORIGIN, ())


def test_asset_that_no_link_can_name_is_left_out() -> None:
    plan = plan_of(changed(site_with("/", assets=(STYLE,)), media_type="text css"))

    assert plan.pages == ()
    assert plan.left_out[-1] == LeftOut("/", STYLE, Reason.BAD_LINK)


def test_page_links_no_more_assets_than_the_server_would_send() -> None:
    site = site_with("/", assets=(STYLE,))
    for number in range(70):
        site.learner.pin("/", f"/{number}.css")

    plan = plan_of(site.learner)

    assert len(plan.pages[0].links) == 64
    assert [left.why for left in plan.left_out if left.asset] == [Reason.OVER_BUDGET] * 7


@pytest.mark.parametrize("lifetime", [None, 0])
def test_103_names_nothing_that_a_browser_may_not_keep(lifetime: int | None) -> None:
    plan = plan_of(changed(site_with("/"), lifetime=lifetime))

    assert plan.pages[0].early == ""
    assert STYLE in plan.pages[0].value


def test_103_names_what_a_log_taught_and_says_so() -> None:
    plan = plan_of(changed(site_with("/"), lifetime=None, verified=False))

    assert plan.pages[0].early == plan.pages[0].value
    assert not plan.pages[0].links[0].verified


def test_pinned_pages_are_there_by_path_and_by_url() -> None:
    site = site_with("/")
    site.learner.pin("/by-path", "/pinned.css")
    site.learner.pin(ORIGIN + "/by-url", "/pinned.css")
    site.learner.pin("https://elsewhere.example/x", "/pinned.css")

    paths = {page.path: page for page in plan_of(site.learner).pages}

    assert set(paths) == {"/", "/by-path", "/by-url"}
    assert "/pinned.css" in paths["/by-url"].value


def test_pins_alone_are_a_plan_for_any_origin() -> None:
    learner = Learner()
    learner.pin("/", STYLE)

    assert [page.path for page in plan_of(learner).pages] == ["/"]
    assert plan_of(learner, "https://any.example").origin == "https://any.example"


def test_one_of_several_origins_has_to_be_named() -> None:
    site = site_with("/")
    records = [r for r in site.learner.export() if isinstance(r, PageRecord)]
    others = [f"https://{number}.example" for number in range(6)]
    for other in others:
        site.learner.absorb([replace(record, origin=other) for record in records])

    with pytest.raises(ConfigurationError, match="7 origins") as several:
        plan_of(site.learner)
    with pytest.raises(ConfigurationError, match="nothing is known of https://x"):
        plan_of(site.learner, "https://x.example")

    assert several.value.hint.startswith("Give --origin: https://0.example, ")
    assert several.value.hint.endswith("and 2 more.")
    assert plan_of(site.learner, others[0]).origin == others[0]
