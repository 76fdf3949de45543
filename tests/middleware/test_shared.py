"""What all requests share: who had what, what became of pushes, what is known of the server."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.deliver.outcome import PushState
from headstart.learn import Learner, LearnOptions
from headstart.middleware.shared import Shared
from headstart.reasons import Refusal
from tests.middleware.served import (
    ASSETS,
    HINT,
    HYPERCORN_2,
    NAVIGATION,
    PAGE,
    PROGRAM,
    PUSH,
    UVICORN_2,
    Served,
    ours,
    scope_of,
)
from tests.visits import NO_GATE, Clock


async def test_what_a_connection_was_sent_it_is_not_sent_again(served: Served) -> None:
    await served.get(extensions={**ours(1), **PUSH})
    again = await served.get(extensions={**ours(1), **PUSH})
    other = await served.get(extensions={**ours(2), **PUSH})

    assert (again.pushed, other.pushed) == ([], ["/site.css", "/app.js"])


@pytest.mark.parametrize("client", [None, ("192.0.2.7", 0)], ids=["Unix socket", "behind a proxy"])
async def test_where_connections_cannot_be_told_apart_one_visitor_does_not_silence_the_next(
    served: Served, client: tuple[str, int] | None
) -> None:
    await served.load(ASSETS, ours(998), client=("192.0.2.2", 1))
    await served.later()

    loads = [await served.get(extensions=HINT, client=client) for _ in range(3)]

    assert [len(wire.hinted) for wire in loads] == [1, 1, 1]


@pytest.mark.parametrize("server", [HYPERCORN_2, UVICORN_2], ids=["hypercorn", "uvicorn and zttp"])
async def test_client_that_comes_again_over_a_new_http_2_connection_is_served_again(
    served: Served, server: dict[str, Any]
) -> None:
    loads = []
    for port in (50001, 50002):
        server = {**server, "client": ("192.0.2.1", port)}
        loads.append(await served.load(**server))

    assert [len(load.pushed) + len(load.hinted) for load in loads] in ([2, 2], [1, 1])


async def test_connection_without_a_page_takes_no_place_among_those_with_one(
    served: Served,
) -> None:
    await served.get(PAGE, PROGRAM, {**PUSH, **ours(1)})
    for connection in range(100, 200):
        await served.get("/site.css", [], ours(connection))
    await served.get("/site.css", [], http_version="1.1")

    assert len(served.middleware.shared.memories) == 1


async def test_push_that_the_client_resets_counts_as_waste(served: Served) -> None:
    for connection in range(8):
        wire = await served.get(extensions={**ours(connection), **PUSH})
        for message in wire.of("http.response.push"):
            message["headstart"].state = PushState.RESET
        await served.later()
    wire = await served.get(extensions={**ours(77), **PUSH})

    assert wire.pushed == []
    assert served.middleware.shared.under_way == []


@pytest.mark.parametrize("lost", [False, True])
async def test_push_that_the_client_did_not_get_is_no_waste(served: Served, lost: bool) -> None:
    for connection in range(8):
        wire = await served.get(extensions={**ours(connection), **PUSH})
        for message in wire.of("http.response.push"):
            message["headstart"].mark_sent(2)
            if lost:
                message["headstart"].mark_failed()
            else:
                message["headstart"].refuse(Refusal.RESPONSE_FAILED)
        await served.later()
    wire = await served.get(extensions={**ours(77), **PUSH})

    assert len(wire.pushed) == 2


async def test_asset_whose_push_was_taken_back_is_sent_with_the_next_page(served: Served) -> None:
    same = {**ours(77), **PUSH}
    first = await served.get(extensions=same)
    for message in first.of("http.response.push"):
        message["headstart"].mark_sent(2)
    before = await served.get(extensions=same)
    for message in first.of("http.response.push"):
        message["headstart"].refuse(Refusal.PUSH_DISABLED)
    await served.middleware.sync()

    after = await served.get(extensions=same)

    assert len(first.pushed) == 2
    assert before.pushed == []
    assert sorted(after.pushed) == sorted(first.pushed)


async def test_asset_that_was_asked_for_when_its_push_was_taken_back_is_not_sent_again(
    served: Served,
) -> None:
    same = {**ours(77), **PUSH}
    first = await served.get(extensions=same)
    for message in first.of("http.response.push"):
        message["headstart"].refuse(Refusal.RESPONSE_FAILED)
    for asset in ASSETS:
        referer = (b"referer", b"https://example.test" + PAGE.encode())
        await served.get(asset, [referer, (b"user-agent", b"test")], extensions=ours(77))
    await served.middleware.sync()

    after = await served.get(extensions=same)

    assert len(first.pushed) == 2
    assert after.pushed == []


async def test_pushes_under_way_are_watched_until_their_end(served: Served) -> None:
    wire = await served.get(extensions={**ours(), **PUSH})
    await served.middleware.sync()
    under_way = len(served.middleware.shared.under_way)
    for message in wire.of("http.response.push"):
        message["headstart"].state = PushState.FINISHED
    await served.middleware.sync()

    assert (under_way, served.middleware.shared.under_way) == (2, [])


async def test_name_of_the_referer_may_be_in_any_case() -> None:
    served = Served(learn=LearnOptions(control_share=0, referer_header="X-Page"))
    await served.get()
    page = (b"x-page", b"https://example.test" + PAGE.encode())
    for asset in ASSETS:
        await served.get(asset, [page, (b"user-agent", b"test")])
    await served.later()

    assert served.middleware.learner.candidates("https://example.test", PAGE)


def test_server_that_takes_no_103_is_offered_none_again_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = Shared(Learner(), NO_GATE, hint_unmarked=True, clock=Clock())
    scope = scope_of(PAGE, NAVIGATION, HINT)
    before = shared.read(scope).hint_refusal
    for _ in range(2):
        shared.give_up_hints(RuntimeError("must follow http.response.start"))

    assert before is None
    assert shared.read(scope).hint_refusal is Refusal.UNSUPPORTED
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "must follow http.response.start" in record.getMessage()


@pytest.mark.parametrize("hint_unmarked", [True, False])
def test_client_that_does_not_ask_for_html_is_hinted_where_that_is_allowed(
    hint_unmarked: bool,
) -> None:
    shared = Shared(Learner(), NO_GATE, hint_unmarked=hint_unmarked, clock=Clock())

    assert (shared.read(scope_of(PAGE, [], HINT)).hint_refusal is None) is hint_unmarked
    assert shared.read(scope_of(PAGE, PROGRAM, HINT)).hint_refusal is None
