"""What is no page's and nobody's asset is only glanced at."""

from __future__ import annotations

from typing import Any, cast

import pytest

from headstart.middleware import probe as glance_module
from tests.middleware.served import API, ASSETS, PAGE, PROGRAM, PUSH, Served, ours
from tests.server.apps import Receive, Scope, Send, body
from tests.visits import Found


async def test_page_that_says_so_in_its_answer_alone_is_learned_on_a_connection_of_requests() -> (
    None
):
    served = Served()
    extensions = ours(1)
    for _ in range(2):
        await served.get("/app.js", [], extensions)

    await served.load(extensions=extensions, headers=[])
    await served.later()

    sent = served.middleware.learner.candidates("https://example.test", PAGE)
    assert {candidate.target for candidate in sent} == set(ASSETS)
    await served.middleware.stop()


@pytest.mark.parametrize("name", [b"content-type", b"Content-Type"])
async def test_path_that_was_no_page_is_served_as_one_once_it_is_known(name: bytes) -> None:
    served = Served()
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found[API] = Found([(b"content-type", b"application/json")])
    for _ in range(2):
        await served.get(API, [], {**PUSH, **ours(1)})

    found[API] = Found([(name, b"text/html")])
    await served.load(page=API, headers=[], extensions=ours(2))
    await served.later()

    assert set((await served.get(API, [], {**PUSH, **ours(1)})).pushed) == set(ASSETS)
    await served.middleware.stop()


async def test_other_fields_than_before_are_looked_at_anew(served: Served) -> None:
    api = cast(Any, served.middleware.app).found
    api[API] = Found([(b"content-type", b"application/json")])
    viewers = served.middleware.learner.viewers
    for _ in range(2):
        await served.get(API, [(b"accept", b"*/*")], ours(1))
    glanced = 1 not in viewers

    await served.get(API, PROGRAM, ours(1))

    assert glanced
    assert 1 in viewers


async def test_asset_that_is_gone_for_somebody_without_a_page_is_gone(served: Served) -> None:
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found["/site.css"] = Found(status=404)
    for _ in range(2):
        await served.get("/site.css", [], ours(1))

    assert (await served.get(extensions={**PUSH, **ours(2)})).pushed == ["/app.js"]


async def test_fields_that_can_be_read_once_reach_the_client_of_an_api() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = ((name, b"1") for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send(body())

    served = Served(app)
    wire = await served.get(API, [], ours(1))

    assert list(wire.headers) == [(b"x-a", b"1"), (b"x-b", b"1")]
    assert 1 not in served.middleware.learner.viewers
    await served.middleware.stop()


async def test_connections_whose_fields_are_kept_are_bounded(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance_module, "_MOST_PLAIN", 2)
    api = cast(Any, served.middleware.app).found
    api[API] = Found([(b"content-type", b"application/json")])
    for connection in (1, 2, 1, 3):
        await served.get(API, [(b"x", b"%d" % connection)], ours(connection))

    assert len(served.middleware.shared.plain) == 2
