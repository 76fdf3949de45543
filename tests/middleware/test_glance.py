"""What is no page's and nobody's asset is only glanced at."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.middleware.served import API, ASSETS, PAGE, PROGRAM, PUSH, Served, kept_by, ours
from tests.server.apps import Receive, Scope, Send, body
from tests.visits import Found


@pytest.mark.parametrize("kept", [None, {}])
async def test_page_that_says_so_in_its_answer_alone_is_learned_on_a_connection_of_requests(
    kept: dict[str, Any] | None,
) -> None:
    served = Served()
    extensions = ours(1) if kept is None else kept_by(1, kept)
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
    kept: dict[str, Any] = {}
    for _ in range(2):
        await served.get(API, [], {**PUSH, **kept_by(1, kept)})

    found[API] = Found([(name, b"text/html")])
    await served.load(page=API, headers=[], extensions=kept_by(2, {}))
    await served.later()

    assert set((await served.get(API, [], {**PUSH, **kept_by(1, kept)})).pushed) == set(ASSETS)
    await served.middleware.stop()


async def test_other_fields_than_before_are_looked_at_anew(served: Served) -> None:
    kept: dict[str, Any] = {}
    api = cast(Any, served.middleware.app).found
    api[API] = Found([(b"content-type", b"application/json")])
    viewers = served.middleware.learner.viewers
    for _ in range(2):
        await served.get(API, [(b"accept", b"*/*")], kept_by(1, kept))
    glanced = 1 not in viewers

    await served.get(API, PROGRAM, kept_by(1, kept))

    assert glanced
    assert 1 in viewers


async def test_asset_that_is_gone_for_somebody_without_a_page_is_gone(served: Served) -> None:
    found: dict[str, Found] = cast(Any, served.middleware.app).found
    found["/site.css"] = Found(status=404)
    for _ in range(2):
        await served.get("/site.css", [], kept_by(1, {}))

    assert (await served.get(extensions={**PUSH, **ours(2)})).pushed == ["/app.js"]


async def test_fields_that_can_be_read_once_reach_the_client_of_an_api() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = ((name, b"1") for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send(body())

    served = Served(app)
    wire = await served.get(API, [], kept_by(1, {}))

    assert list(wire.headers) == [(b"x-a", b"1"), (b"x-b", b"1")]
    assert 1 not in served.middleware.learner.viewers
    await served.middleware.stop()
