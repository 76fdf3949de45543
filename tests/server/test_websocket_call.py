"""The application's side of a WebSocket, without a connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from headstart.errors import LocalProtocolError
from headstart.server.websocket_call import Stage, WebSocketCall, websocket_scope
from tests.server.apps import Message, Receive, Scope, Send

ACCEPT: Message = {"type": "websocket.accept"}
CLOSE: Message = {"type": "websocket.close"}
TEXT: Message = {"type": "websocket.send", "text": "a"}
DENY: Message = {"type": "websocket.http.response.start", "status": 401}
BODY: Message = {"type": "websocket.http.response.body", "body": b"log "}


class Ways:
    """Notes what a call asks for.

    Attributes:
        leaves: Its client leaves as soon as it is accepted.
    """

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.leaves: WebSocketCall | None = None

    async def ready(self) -> None:
        """Never full."""

    def accept(self, fields: Any, subprotocol: str | None) -> None:
        self.done.append(("accept", fields, subprotocol))
        if self.leaves is not None:
            self.leaves.client_left()

    def deny(self, status: int, fields: Any, body: bytes) -> None:
        self.done.append(("deny", status, fields, body))

    def send_message(self, data: bytes | None, text: str | None) -> None:
        self.done.append(("send", data, text))

    def close(self, code: int, reason: str) -> None:
        self.done.append(("close", code, reason))

    def taken(self) -> None:
        self.done.append(("taken",))

    def returned(self) -> None:
        self.done.append(("returned",))


@pytest.fixture
def ways() -> Ways:
    return Ways()


@pytest.fixture
def call(ways: Ways) -> WebSocketCall:
    common = {"client": ("127.0.0.1", 1)}
    return WebSocketCall(ways, websocket_scope("/a%20b?c", [], "1.1", common, "/sub"))


def test_scope_says_what_was_asked_for() -> None:
    fields = [(b"sec-websocket-protocol", b"a, b"), (b"sec-websocket-protocol", b"c")]
    scope = websocket_scope("/a%20b?c", fields, "2", {"scheme": "ws"}, "/sub")

    assert (scope["path"], scope["raw_path"]) == ("/sub/a b", b"/sub/a%20b")
    assert (scope["query_string"], scope["root_path"]) == (b"c", "/sub")
    assert (scope["http_version"], scope["scheme"]) == ("2", "ws")
    assert scope["subprotocols"] == ["a", "b", "c"]


async def test_messages_come_behind_the_connect_and_the_end_behind_them(
    call: WebSocketCall, ways: Ways
) -> None:
    assert await call.receive() == {"type": "websocket.connect"}
    await call.send(ACCEPT)
    call.deliver("a", 1)
    call.deliver(b"bc", 2)
    assert (call.has_messages, call.waiting_size) == (True, 3)
    call.client_left(1001, "away")

    assert await call.receive() == {"type": "websocket.receive", "text": "a"}
    assert await call.receive() == {"type": "websocket.receive", "bytes": b"bc"}
    heard = [call.heard]
    end = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
    assert [await call.receive(), await call.receive()] == [end, end]
    assert [*heard, call.heard] == [False, True]
    assert ways.done[-2:] == [("taken",), ("taken",)]


async def test_receive_waits(call: WebSocketCall) -> None:
    await call.receive()
    waiting = asyncio.create_task(call.receive())
    await asyncio.sleep(0)
    call.deliver(b"x", 1)

    assert (await waiting)["bytes"] == b"x"


@pytest.mark.parametrize(("accepts", "code"), [(True, 1005), (False, 1006)])
async def test_connection_that_ends_without_a_word_has_a_code(
    call: WebSocketCall, accepts: bool, code: int
) -> None:
    await call.receive()
    if accepts:
        await call.send(ACCEPT)
    call.client_left()

    assert (await call.receive())["code"] == code


async def test_first_end_counts(call: WebSocketCall) -> None:
    await call.receive()
    await call.send(ACCEPT)
    await call.send({**CLOSE, "code": 4000})
    call.client_left()

    assert (await call.receive())["code"] == 4000


async def test_messages_of_the_application_are_passed_on(call: WebSocketCall, ways: Ways) -> None:
    await call.send({**ACCEPT, "headers": [(b"X-A", b" b ")], "subprotocol": "chat"})
    await call.send(TEXT)
    await call.send({"type": "websocket.send", "bytes": b"a", "text": None})
    await call.send({**CLOSE, "code": 1001, "reason": None})

    assert ways.done == [
        ("accept", [(b"x-a", b"b")], "chat"),
        ("send", None, "a"),
        ("send", b"a", None),
        ("close", 1001, ""),
    ]
    assert call.stage is Stage.ENDED


async def test_refusal_is_403(call: WebSocketCall, ways: Ways) -> None:
    await call.send(CLOSE)

    assert ways.done == [("deny", 403, [], b"")]
    assert call.stage is Stage.ENDED


async def test_refusal_of_the_applications_own_waits_for_its_end(
    call: WebSocketCall, ways: Ways
) -> None:
    await call.send({**DENY, "headers": [(b"a", b"b")]})
    await call.send({**BODY, "more_body": True})
    assert ways.done == []
    await call.send(BODY)

    assert ways.done == [("deny", 401, [(b"a", b"b")], b"log log ")]


@pytest.mark.parametrize(
    "messages",
    [
        [TEXT],
        [ACCEPT, ACCEPT],
        [ACCEPT, DENY],
        [DENY, ACCEPT],
        [DENY, TEXT],
        [CLOSE, TEXT],
        [CLOSE, CLOSE],
        [ACCEPT, CLOSE, TEXT],
        [DENY, BODY, BODY],
        [{"type": "http.response.start"}],
    ],
)
async def test_message_out_of_order_is_an_error(
    call: WebSocketCall, messages: list[Message]
) -> None:
    for message in messages[:-1]:
        await call.send(message)

    with pytest.raises(RuntimeError, match="Unexpected ASGI message"):
        await call.send(messages[-1])


@pytest.mark.parametrize(
    "message",
    [
        {**ACCEPT, "headers": [(b"a", b"b\r\nc: d")]},
        {**DENY, "headers": [(b"a b", b"c")]},
        {**DENY, "status": 101},
        {**DENY, "status": "401"},
    ],
)
async def test_answer_that_may_not_be_sent_is_an_error(
    call: WebSocketCall, message: Message
) -> None:
    with pytest.raises(LocalProtocolError):
        await call.send(message)
    assert call.stage is Stage.CALLED


async def test_client_that_left_can_be_closed_but_sent_nothing(
    call: WebSocketCall, ways: Ways
) -> None:
    await call.send(ACCEPT)
    call.client_left()
    await call.send(CLOSE)
    with pytest.raises(ClientDisconnected):
        await call.send(TEXT)

    assert [done[0] for done in ways.done] == ["accept"]


class Failing:
    """An application that accepts or not, and then raises or returns."""

    def __init__(self, outcome: object, accepts: bool) -> None:
        self._outcome = outcome
        self._accepts = accepts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> object:
        if self._accepts:
            await send(ACCEPT)
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


@pytest.mark.parametrize(
    ("error", "accepts", "left", "logged"),
    [
        (None, True, False, 0),
        (None, False, False, 1),
        (None, False, True, 0),
        (1, True, False, 1),
        (ValueError(), True, False, 1),
        (ValueError(), True, True, 1),
        (ClientDisconnected(), True, True, 0),
        (asyncio.CancelledError(), True, False, 1),
        (asyncio.CancelledError(), True, True, 0),
    ],
)
async def test_application_that_fails_is_logged_and_its_websocket_ends(
    call: WebSocketCall,
    ways: Ways,
    caplog: pytest.LogCaptureFixture,
    error: object,
    accepts: bool,
    left: bool,
    logged: int,
) -> None:
    if left and not accepts:
        call.client_left()
    ways.leaves = call if left else None
    await call.run(Failing(error, accepts))

    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == logged
    code = 1011 if isinstance(error, BaseException) else 1000
    assert call.unclosed == (code if accepts and not left else None)
    assert ways.done[-1] == ("returned",)
