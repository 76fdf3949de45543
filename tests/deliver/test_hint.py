"""hint(): one message with all links, or a no-op that says why."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.deliver.held import HELD, HeldLinks
from headstart.deliver.hint import hint
from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from headstart.wire.links import Link, LinkError
from tests.deliver.pages import HINT, OURS, PUSH, Request, Server, scope_of

STYLE = Link("/style.css", as_="style")
FONT = Link("/a.woff2", as_="font")


async def test_links_go_out_in_one_message() -> None:
    server = Server()
    outcome = await hint(Request(scope_of(), server), STYLE, FONT)

    [message] = server.messages
    assert outcome
    assert message["type"] == "http.response.early_hint"
    assert message["links"] == [STYLE.field_value(), FONT.field_value()]
    assert message["headstart"] is outcome


async def test_string_is_a_target_whose_name_tells_its_use() -> None:
    server = Server()
    await hint(Request(scope_of(), server), "/style.css", "/a.woff2")

    assert server.messages[0]["links"] == [STYLE.field_value(), FONT.field_value()]
    with pytest.raises(LinkError):
        await hint(Request(scope_of(extensions={}), server), "/data")


async def test_links_that_no_103_can_carry_are_left_to_the_middleware_for_the_response() -> None:
    server, held = Server(), HeldLinks()
    request = Request(scope_of(extensions=OURS) | {HELD: held}, server)

    outcome = await hint(request, STYLE)
    released = held.released({"type": "http.response.start", "status": 200})
    late = await hint(request, FONT)

    assert (bool(outcome), outcome.sent, outcome.linked) == (True, False, True)
    assert released["headers"] == [(b"link", STYLE.field_value())]
    assert (bool(late), late.refusal) == (False, Refusal.RESPONSE_STARTED)
    assert server.messages == []


async def test_hint_without_links_is_a_no_op() -> None:
    server = Server()
    outcome = await hint(Request(scope_of(), server))

    assert (bool(outcome), outcome.refusal) == (False, Refusal.NO_LINKS)
    assert server.messages == []


@pytest.mark.parametrize(
    ("extensions", "refusal"),
    [({}, Refusal.UNSUPPORTED), (PUSH, Refusal.UNSUPPORTED), (OURS, Refusal.NOT_NAVIGATION)],
    ids=["other server", "pushes only", "ours, for no navigation"],
)
async def test_without_the_extension_it_is_a_no_op_that_says_why(
    extensions: dict[str, Any], refusal: Refusal
) -> None:
    server = Server()
    outcome = await hint(Request(scope_of(extensions=extensions), server), STYLE)

    assert (bool(outcome), outcome.refusal) == (False, refusal)
    assert server.messages == []


async def test_other_servers_with_the_extension_are_believed_to_send_it() -> None:
    server = Server(answers=False)

    assert await hint(Request(scope_of(extensions=HINT), server), STYLE)
    assert len(server.messages) == 1


async def test_refusal_of_the_server_is_the_answer() -> None:
    async def refuse(message: Any) -> None:
        message["headstart"].refuse(Refusal.RESPONSE_STARTED)

    request = Request(scope_of(), None)
    request._send = refuse
    outcome = await hint(request, STYLE)

    assert (bool(outcome), outcome.refusal) == (False, Refusal.RESPONSE_STARTED)


async def test_request_without_a_send_channel_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="no send channel"):
        await hint(Request(scope_of(), None), STYLE)


def test_link_that_no_browser_takes_is_an_error_before_it_is_hinted() -> None:
    with pytest.raises(LinkError):
        Link("", as_="style")
