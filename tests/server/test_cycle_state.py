"""The states of a response: each way through the table, by an application over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.server.cycle_state import (
    AWAITED,
    BODY,
    COMPLETE,
    HELD,
    LAST_PART,
    NEXT,
    ResponseState,
)
from tests.server.apps import Message, Receive, Scope, Send, body, start
from tests.server.live import running
from tests.server.raw import RawClient
from tests.server.states import Watched

TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"9")]}


def after(*messages: Message, fails: bool = False, **request: Any) -> int:
    """Return the status of a response of these messages; 0 if the stream was reset."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if fails:
            raise ValueError("on purpose")

    options = ServerOptions(limits=WireLimits())
    with running(app, options, lifespan="off") as server, RawClient(server.port) as client:
        return client.response(client.request(b"/", **request)).status or 0


def test_states_are_in_the_order_in_which_a_response_goes_through_them() -> None:
    assert sorted(ResponseState) == [AWAITED, HELD, BODY, LAST_PART, COMPLETE]
    assert all(later > state for state, following in NEXT.items() for later in following)
    assert set(NEXT) == set(ResponseState)


@pytest.mark.parametrize(
    ("messages", "steps"),
    [
        ([start(), body(b"x")], {(AWAITED, HELD), (HELD, BODY), (BODY, COMPLETE)}),
        (
            [start(), *[body(b"x", more_body=True)] * 3, body()],
            {(AWAITED, HELD), (HELD, BODY), (BODY, COMPLETE)},
        ),
        ([start(204), body()], {(AWAITED, HELD), (HELD, BODY), (BODY, COMPLETE)}),
        (
            [start(trailers=True), body(b"x"), TRAILERS],
            {(AWAITED, HELD), (HELD, BODY), (BODY, COMPLETE)},
        ),
    ],
)
def test_response_goes_from_state_to_state_as_its_messages_come(
    messages: list[Message], steps: set[tuple[ResponseState, ResponseState]], watched: Watched
) -> None:
    after(*messages)

    assert watched.seen == steps


def test_last_part_waits_in_a_state_of_its_own_while_there_is_no_room_for_it(
    watched: Watched,
) -> None:
    after(start(), body(b"x" * 1_000_000))

    assert (BODY, LAST_PART) in watched.seen
    assert (LAST_PART, COMPLETE) in watched.seen
    assert (BODY, COMPLETE) not in watched.seen


@pytest.mark.parametrize(
    ("messages", "status", "last"),
    [
        ([], 500, (AWAITED, COMPLETE)),
        ([start()], 500, (HELD, COMPLETE)),
        ([start(), body(b"x")], 200, (BODY, COMPLETE)),
    ],
)
def test_failure_is_answered_with_a_500_until_the_header_section_is_sent(
    messages: list[Message],
    status: int,
    last: tuple[ResponseState, ResponseState],
    watched: Watched,
) -> None:
    assert after(*messages, fails=True) == status
    assert last in watched.seen


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"x")],
        [TRAILERS],
        [start(), start()],
        [start(), TRAILERS],
        [start(trailers=True), TRAILERS],
    ],
)
def test_message_out_of_order_moves_no_state_and_the_client_gets_a_500(
    messages: list[Message], watched: Watched
) -> None:
    assert after(*messages) == 500
    assert BODY not in {state for step in watched.seen for state in step}
