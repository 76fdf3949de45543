"""A page that is not known yet: what its HTML names is pushed while the HTML goes out."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from headstart.config import DeliverOptions
from headstart.deliver.asgi import Message
from headstart.deliver.decide import Way
from headstart.learn import LearnOptions
from headstart.reasons import Refusal
from tests.middleware.served import PROGRAM, PUSH, Served, Wire, ours
from tests.middleware.test_pages import HTML, PAGE, VISITOR, Page
from tests.server.apps import Headers

REST = b"<p>text" * 20 + b"<img src=/c.png>"


def pushing(connection: int) -> dict[str, Any]:
    """Our server, and a client that accepts pushes."""
    return {**ours(connection), **PUSH}


def promised(wire: Wire) -> list[str]:
    """The promises and the parts of the body, in order."""
    return [
        message["path"] if message["type"] == "http.response.push" else "part"
        for message in wire.messages
        if message["type"] in ("http.response.push", "http.response.body")
    ]


async def test_what_a_part_names_is_promised_before_the_part() -> None:
    served = Served(Page(PAGE, REST))

    wire = await served.get("/page", PROGRAM, pushing(1))

    assert promised(wire) == ["/a.css", "/b.js", "part", "/c.png", "part"]
    assert [message["body"] for message in wire.of("http.response.body")] == [PAGE, REST]
    assert {push["learned"] for push in wire.of("http.response.push")} == {True}


async def test_the_next_client_is_promised_all_before_the_application_is_called_and_once() -> None:
    served = Served(Page(PAGE, REST))
    await served.get("/page", PROGRAM, pushing(1))
    await served.later()

    wire = await served.get("/page", PROGRAM, pushing(2))

    assert promised(wire) == ["/a.css", "/b.js", "/c.png", "part", "part"]


async def test_a_new_version_is_pushed_to_the_first_client_that_gets_it() -> None:
    page = Page(b"<link rel=stylesheet href=/old.css>")
    served = Served(page)
    await served.get("/page", PROGRAM, pushing(1))
    await served.later()
    page.parts = (b"<link rel=stylesheet href=/new.css>",)

    wire = await served.get("/page", PROGRAM, pushing(2))

    assert promised(wire) == ["/old.css", "/new.css", "part"]


async def test_a_coded_page_is_read_too() -> None:
    fields = [*HTML, (b"content-encoding", b"gzip")]
    served = Served(Page(gzip.compress(PAGE), fields=fields))

    assert (await served.get("/page", PROGRAM, pushing(1))).pushed == ["/a.css", "/b.js"]


async def test_what_the_connection_has_is_not_promised() -> None:
    served = Served(Page())
    await served.get("/page", PROGRAM, pushing(1))

    assert (await served.get("/other", PROGRAM, pushing(1))).pushed == []
    assert (await served.get("/other", PROGRAM, pushing(2))).pushed == ["/a.css", "/b.js"]


@pytest.mark.parametrize(
    "part",
    [
        b"<img src=/delete?id=1><img src=/logout><script src=/config></script>",
        b"<link rel=icon href=/favicon.ico><img loading=lazy src=/late.png>",
        b"<img srcset='/one.png 1x, /two.png 2x'>",
        b"<link rel=stylesheet href=/wide.css media='(min-width: 1px)'>",
        b"<script src=https://other.example/x.js></script>",
    ],
)
async def test_what_may_not_be_an_asset_of_this_client_is_not_promised(part: bytes) -> None:
    served = Served(Page(part))

    assert (await served.get("/page", PROGRAM, pushing(1))).pushed == []


@pytest.mark.parametrize(
    "field", [(b"cookie", b"session=alice"), (b"authorization", b"Basic YTo=")]
)
async def test_to_a_user_only_what_everybody_may_have_is_promised(
    field: tuple[bytes, bytes],
) -> None:
    user = [*PROGRAM, field]
    served = Served(Page(PAGE + b"<img src=/u/alice.png>"))
    assert (await served.get("/home", user, pushing(1))).pushed == []

    await served.get("/page", PROGRAM, ours(2))
    served.middleware.app = Page(b"", fields=[(b"content-type", b"text/css")])
    await served.get("/a.css", [(b"referer", b"https://example.test/page")], ours(2))
    await served.later()
    served.middleware.app = Page(PAGE + b"<img src=/u/alice.png>")

    assert (await served.get("/home", user, pushing(3))).pushed == ["/a.css"]


@pytest.mark.parametrize(
    ("headers", "extensions", "more"),
    [
        (VISITOR, None, {}),  # takes no pushes
        ([*PROGRAM, (b"if-none-match", b'"1"')], pushing(1), {}),
        ([*PROGRAM, (b"save-data", b"on")], pushing(1), {}),
        (PROGRAM, pushing(1), {"learn": LearnOptions(read_pages=False)}),
        (PROGRAM, pushing(1), {"deliver": DeliverOptions(push_named=False)}),
    ],
)
async def test_some_views_get_nothing(
    headers: Headers, extensions: Any, more: dict[str, Any]
) -> None:
    served = Served(Page(), **more)

    assert (await served.get("/page", headers, extensions)).pushed == []


async def test_each_asset_that_the_html_names_is_counted_as_sent_or_refused() -> None:
    served = Served(Page(), deliver=DeliverOptions(max_assets=1))

    await served.get("/page", PROGRAM, pushing(1))

    counters = served.middleware.counters
    assert counters.candidates == 2
    assert counters.sent == {Way.PUSH: 1}
    assert counters.refused == {Refusal.OVER_BUDGET: 1}


async def test_first_view_that_saves_data_counts_what_the_html_names_as_refused() -> None:
    served = Served(Page())

    wire = await served.get("/page", [*PROGRAM, (b"save-data", b"on")], pushing(1))

    counters = served.middleware.counters
    assert promised(wire) == ["part"]
    assert (counters.candidates, counters.sent) == (2, {})
    assert counters.refused == {Refusal.SAVE_DATA: 2}


@pytest.mark.parametrize("status", [404, 500])
async def test_a_page_that_is_an_error_pushes_nothing(status: int) -> None:
    served = Served(Page(status=status))

    assert (await served.get("/page", PROGRAM, pushing(1))).pushed == []


async def test_the_pages_budget_holds_for_both_kinds_of_pushes_together() -> None:
    deliver = DeliverOptions(min_think_time=0.0, max_assets=3)
    page = Page(PAGE)
    served = Served(page, deliver=deliver)
    await served.get("/page", PROGRAM, pushing(1))
    await served.later()
    page.parts = (PAGE, REST + b"<img src=/d.png>")

    wire = await served.get("/page", PROGRAM, pushing(2))

    assert wire.pushed == ["/a.css", "/b.js", "/c.png"]


async def test_a_name_whose_push_is_not_found_is_not_pushed_again() -> None:
    served = Served(Page())
    await served.get("/page", PROGRAM, pushing(1))
    served.middleware.app = Page(status=404, fields=[(b"content-type", b"text/plain")])
    await served.get("/a.css", PROGRAM, ours(1, pushed=True))
    served.middleware.app = Page()
    await served.later()

    assert (await served.get("/page", PROGRAM, pushing(2))).pushed == ["/b.js"]


async def test_robots_that_fetch_nothing_are_soon_pushed_nothing() -> None:
    robot = [*PROGRAM, (b"user-agent", b"robot/1.0")]
    served = Served(Page(), learn=LearnOptions(control_share=4))
    pushed = []
    for number in range(60):
        client = (f"198.51.100.{number}", 4000)
        wire = await served.get(f"/page-{number}", robot, pushing(number), client=client)
        pushed.append(len(wire.pushed))
        await served.later()

    assert pushed[:4] == [2, 0, 2, 2]
    assert pushed[-1] == 0


async def test_other_messages_than_parts_of_a_body_end_the_reading() -> None:
    class Sends(Page):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": HTML})
            path: Message = {"type": "http.response.pathsend", "path": "/page.html"}
            await send(path)

    wire = await Served(Sends()).get("/page", PROGRAM, pushing(1))

    assert wire.pushed == []
    assert wire.messages[-1]["type"] == "http.response.pathsend"
