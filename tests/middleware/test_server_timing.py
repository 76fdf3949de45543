"""Server-Timing: the way of delivery, on the pages that may carry it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headstart.learn import LearnOptions
from headstart.reasons import Refusal
from tests.middleware.served import (
    HYPERCORN_1,
    HYPERCORN_2,
    NAVIGATION,
    PAGE,
    PROGRAM,
    STRANGER,
    UVICORN_2,
    Served,
    Wire,
    ours,
)
from tests.server.apps import Headers, Receive, Scope, Send, body, start
from tests.visits import NO_CONTROL, NO_GATE

HTML = (b"content-type", b"text/html")
# All views but the first half block are control views.
ALWAYS_CONTROL = replace(NO_CONTROL, control_share=1)


class Fields:
    """An application whose page is answered with these fields, and whose assets are found."""

    def __init__(self, *fields: tuple[bytes, bytes]) -> None:
        self.fields = [HTML, *fields]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        css = [(b"content-type", b"text/css"), (b"cache-control", b"max-age=600")]
        await send(start(200, self.fields if scope["path"] == PAGE else css))
        await send(body(b""))


def timing(wire: Wire) -> list[bytes]:
    return [value for name, value in wire.headers if name == b"server-timing"]


async def told(
    server: dict[str, Any],
    headers: Headers = NAVIGATION,
    *fields: tuple[bytes, bytes],
    wire: Wire | None = None,
    learn: LearnOptions = NO_CONTROL,
    deliver: Any = NO_GATE,
) -> list[bytes]:
    """What the header says to the client after others have taught the page."""
    served = Served(Fields(*fields), learn=learn, deliver=deliver)
    for connection in (998, 999):
        client = (f"192.0.2.{connection % 99}", 1)
        await served.load(["/site.css"], ours(connection), headers=STRANGER, client=client)
        await served.later()
    return timing(await served.get(PAGE, headers, wire=wire, **server))


@pytest.mark.parametrize(
    ("server", "headers", "way"),
    [
        (HYPERCORN_2, PROGRAM, b"push"),
        (UVICORN_2, NAVIGATION, b"hint"),
        (HYPERCORN_1, NAVIGATION, b"link"),
    ],
    ids=["push", "hint", "link"],
)
async def test_page_says_which_way_its_assets_went(
    server: dict[str, Any], headers: Headers, way: bytes
) -> None:
    assert await told(server, headers) == [b'headstart;desc="%s"' % way]


async def test_first_view_and_control_view_say_so() -> None:
    served = Served(Fields())

    first = timing(await served.get())
    control = await told(UVICORN_2, learn=ALWAYS_CONTROL)

    assert first == [b'headstart;desc="nothing"']
    assert control == [b'headstart;desc="control"']


async def test_refused_push_is_not_said_to_be_one() -> None:
    refused = await told(HYPERCORN_2, PROGRAM, wire=Wire(Refusal.PUSH_DISABLED))

    assert refused == [b'headstart;desc="nothing"']


async def test_application_s_own_link_counts_as_one() -> None:
    link = (b"link", b"</own.css>; rel=preload; as=style")
    served = Served(Fields(link))

    # The field is the application's; nothing was sent by us.
    assert timing(await served.get(http_version="1.1")) == [b'headstart;desc="nothing"']


@pytest.mark.parametrize(
    "fields",
    [
        [(b"cache-control", b"max-age=60")],
        [(b"etag", b'"1"')],
        [(b"Cache-Control", b"public, s-maxage=5")],
    ],
)
async def test_page_that_a_shared_cache_may_keep_says_it_only_on_request(
    fields: Headers,
) -> None:
    asked_for = replace(NO_GATE, server_timing_shared=True)

    assert await told(UVICORN_2, NAVIGATION, *fields) == []
    assert await told(UVICORN_2, NAVIGATION, *fields, deliver=asked_for) == [
        b'headstart;desc="hint"'
    ]


async def test_private_page_says_it() -> None:
    private = (b"cache-control", b"private, max-age=60")

    assert await told(UVICORN_2, NAVIGATION, private) == [b'headstart;desc="hint"']


async def test_it_can_be_switched_off() -> None:
    off = replace(NO_GATE, server_timing=False, server_timing_shared=True)

    assert await told(UVICORN_2, deliver=off) == []


async def test_what_is_no_page_says_nothing() -> None:
    served = Served(Fields())

    asset = await served.get("/site.css", PROGRAM)

    assert timing(asset) == []
