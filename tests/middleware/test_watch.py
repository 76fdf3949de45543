"""What the answers to assets and to pushed requests teach."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.middleware.served import ASSETS, NAVIGATION, PAGE, PUSH, Served, ours, site
from tests.visits import Found, answer_head


async def test_pushed_request_teaches_nothing_and_gets_nothing_ahead(served: Served) -> None:
    before = list(served.middleware.learner.rows())
    referer = (b"referer", b"https://example.test" + PAGE.encode())
    wire = await served.get("/new.css", [referer], {**ours(pushed=True), **PUSH})
    page = await served.get(PAGE, NAVIGATION, {**ours(pushed=True), **PUSH})
    await served.later()

    assert [m["type"] for m in wire.messages] == ["http.response.start", "http.response.body"]
    assert page.pushed == []
    assert list(served.middleware.learner.rows()) == before


async def test_what_the_client_got_when_it_asked_is_not_sent_to_it(served: Served) -> None:
    await served.get(extensions={**ours(2), **PUSH})
    await served.load(["/app.js"], ours(1), page="/other/")
    wire = await served.get(extensions={**ours(1), **PUSH})

    assert wire.pushed == ["/site.css"]


async def test_answer_that_is_html_opens_a_view_whose_request_did_not_say_so() -> None:
    """On a server that is not ours; in ours, a glance finds it."""
    served = Served()
    await served.load(headers=[])
    await served.later()

    sent = served.middleware.learner.candidates("https://example.test", PAGE)
    assert {candidate.target for candidate in sent} == set(ASSETS)
    await served.middleware.stop()


async def test_asset_whose_push_is_answered_with_404_is_sent_to_nobody(served: Served) -> None:
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found["/app.js"].status = 404
    for _ in range(2):
        await served.get("/app.js", [], {**ours(pushed=True), **PUSH})
    wire = await served.get(extensions={**ours(2), **PUSH})

    assert wire.pushed == ["/site.css"]


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_image_that_an_icon_redirects_to_is_sent_to_nobody(version: str) -> None:
    """As WordPress does: its `/favicon.ico` leads to an image among its own."""
    application = site()
    location = (b"location", b"https://example.test/logo.png")
    application.found["/favicon.ico"] = Found(answer_head("text/html", location), 302)
    application.found["/logo.png"] = Found(answer_head("image/png"))
    served = Served(application)
    for number in (1, 2):
        address: dict[str, Any] = {"client": (f"192.0.2.{number}", 50000), "http_version": version}
        extensions = ours(number) if version == "2" else None
        await served.load([*ASSETS, "/favicon.ico", "/logo.png"], extensions, **address)
        await served.later()
    wire = await served.get(extensions={**ours(3), **PUSH})

    assert sorted(wire.pushed) == sorted(ASSETS)
    await served.middleware.stop()
