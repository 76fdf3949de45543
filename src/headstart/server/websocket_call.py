"""The application's side of one WebSocket: its scope, `receive` and `send` (ASGI, WebSocket).

Reads the handshake and keeps the order of ASGI's messages, by a state and a table of those that may
follow. Owned by `websocket.WebSocketConnection`, which sends; changes only itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import IntEnum, auto
from typing import Any, Final, Protocol
from urllib.parse import unquote

from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_path_with_query_string,
)
from websockets.frames import CloseCode

from headstart.deliver.asgi import EMPTY_QUERY
from headstart.errors import LocalProtocolError
from headstart.server.cycle import Application, Message, Scope, tells_of_disconnect
from headstart.wire.events import Fields
from headstart.wire.fields import HIGHEST_STATUS, checked_name, checked_value

logger = logging.getLogger("uvicorn.error")

_FORBIDDEN: Final = 403
_NO_STATUS: Final = 1005
_ABNORMAL: Final = 1006


class Stage(IntEnum):
    """How far an application has come with its WebSocket."""

    CALLED = auto()
    """It has not answered the handshake."""
    OPEN = auto()
    """It has accepted."""
    DENYING = auto()
    """It answers with a response of its own, which is not complete."""
    ENDED = auto()
    """It has refused or closed, or its client has left: it has nothing more to say."""


_NEXT: Final = {
    Stage.CALLED: frozenset({Stage.OPEN, Stage.DENYING, Stage.ENDED}),
    Stage.OPEN: frozenset({Stage.ENDED}),
    Stage.DENYING: frozenset({Stage.ENDED}),
    Stage.ENDED: frozenset({Stage.ENDED}),
}


class Ways(Protocol):
    """The connection as the application's side needs it."""

    async def ready(self) -> None:
        """Wait until there is room for another message; the client may leave meanwhile."""

    def accept(self, fields: Fields, subprotocol: str | None) -> None:
        """Open the WebSocket."""

    def deny(self, status: int, fields: Fields, body: bytes) -> None:
        """Answer the handshake with another response, and end."""

    def send_message(self, data: bytes | None, text: str | None) -> None:
        """Send a message; raise ClientDisconnected if the WebSocket has ended."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close."""

    def taken(self) -> None:
        """Note that the application took a message."""

    def returned(self) -> None:
        """Note that the application returned."""


class WebSocketCall:
    """One call of the application for a WebSocket.

    Args:
        ways: The connection.
        scope: As given to the application.

    Attributes:
        stage: How far it has come.
        heard: The application was told of the end.
        left: The client has closed, or is gone.
        failed: The application has raised an error, unless that told of the client's end.
        waiting_size: Bytes of messages that the application has not taken.
    """

    def __init__(self, ways: Ways, scope: Scope) -> None:
        self._ways = ways
        self.scope = scope
        self.stage = Stage.CALLED
        self.heard = self.left = self.failed = False
        self.waiting_size = 0
        self._messages: deque[tuple[Message, int]] = deque([({"type": "websocket.connect"}, 0)])
        self._end: Message | None = None
        """Told to whoever receives behind the messages, as often as somebody does."""
        self._waiters: list[asyncio.Future[None]] = []
        self._denial: tuple[int, Fields, bytearray] = 0, [], bytearray()

    # Called by the connection.

    async def run(self, application: Application) -> None:
        """Call the application; the WebSocket ends in any case."""
        try:
            result = await application(self.scope, self.receive, self.send)
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError) and self.left
            if not (cancelled or tells_of_disconnect(error)):
                self.failed = True
                logger.exception("Exception in ASGI application\n")
        else:
            if self.stage in (Stage.CALLED, Stage.DENYING) and not self.left:
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
        finally:
            self._ways.returned()

    @property
    def unclosed(self) -> CloseCode | None:
        """Return the code for a WebSocket that is still open once the application has ended.

        Without a close frame a browser takes the end for a fault, and pages connect again at once.
        """
        if self.stage is not Stage.OPEN or self.left:
            return None
        # RFC 6455, 7.4.1.
        return CloseCode.INTERNAL_ERROR if self.failed else CloseCode.NORMAL_CLOSURE

    @property
    def has_messages(self) -> bool:
        """Return true if the application has a message to take."""
        return bool(self._messages)

    def deliver(self, message: bytes | str, size: int) -> None:
        """Give the application a message."""
        kind = "text" if isinstance(message, str) else "bytes"
        self._messages.append(({"type": "websocket.receive", kind: message}, size))
        self.waiting_size += size
        self._wake()

    def client_left(self, code: int | None = None, reason: str = "") -> None:
        """Tell the application that its client has closed or is gone; see `end`."""
        self.end(code, reason)
        self.left = True

    def close(self, code: int, reason: str = "") -> None:
        """Tell the application that the server closes; see `end`."""
        self.end(code, reason)
        self._become(Stage.ENDED)

    def end(self, code: int | None = None, reason: str = "") -> None:
        """Tell the application that its WebSocket has ended; the first end counts.

        Args:
            code: RFC 6455, 7.4; None where the connection just ended.
            reason: The client's, or the server's.
        """
        if self._end is None:
            if code is None:
                code = _ABNORMAL if self.stage in (Stage.CALLED, Stage.DENYING) else _NO_STATUS
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Called by the application.

    async def receive(self) -> Message:
        """ASGI's receive: connect, messages, then the disconnect."""
        while not self._messages:
            if self._end is not None:
                self.heard = True
                return dict(self._end)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        message, size = self._messages.popleft()
        self.waiting_size -= size
        self._ways.taken()
        return message

    async def send(self, message: Message) -> None:
        """ASGI's send; waits while the client does not read.

        Raises:
            ClientDisconnected: (an OSError) the client is gone.
            LocalProtocolError: A field may not be sent.
            RuntimeError: The message is out of order.
        """
        await self._ways.ready()
        kind = message["type"]
        # Out of order or not: the client's end came first.
        if self.left:
            if kind == "websocket.close":
                return  # both sides may close at once
            raise ClientDisconnected
        match self.stage, kind:
            case Stage.CALLED, "websocket.accept":
                fields = _checked(message)
                self._log("[accepted]")
                self._become(Stage.OPEN)
                self._ways.accept(fields, message.get("subprotocol"))
            case Stage.CALLED, "websocket.close":
                self._log(str(_FORBIDDEN))
                self._deny(_FORBIDDEN, [], b"")
            case Stage.CALLED, "websocket.http.response.start":
                self._start_denial(message)
            case Stage.DENYING, "websocket.http.response.body":
                self._go_on_with_denial(message)
            case Stage.OPEN, "websocket.send":
                self._ways.send_message(message.get("bytes"), message.get("text"))
            case Stage.OPEN, "websocket.close":
                code, reason = (
                    message.get("code", CloseCode.NORMAL_CLOSURE),
                    message.get("reason") or "",
                )
                self._become(Stage.ENDED)
                self.end(code, reason)
                self._ways.close(code, reason)
            case _:
                raise RuntimeError(f"Unexpected ASGI message '{kind}' ({self.stage.name}).")

    def _become(self, stage: Stage) -> None:
        """Go on to a stage.

        Raises:
            RuntimeError: It cannot follow.
        """
        if stage not in _NEXT[self.stage]:
            raise RuntimeError(f"{stage.name} cannot follow {self.stage.name}")
        self.stage = stage

    def _start_denial(self, message: Message) -> None:
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= HIGHEST_STATUS:
            raise LocalProtocolError(f"the status of a response is 200 to 999, not {status!r}")
        fields = _checked(message)
        self._log(str(int(status)))
        self._become(Stage.DENYING)
        self._denial = int(status), fields, bytearray()

    def _go_on_with_denial(self, message: Message) -> None:
        status, fields, body = self._denial
        body += message.get("body", b"")
        if not message.get("more_body", False):
            self._deny(status, fields, bytes(body))

    def _deny(self, status: int, fields: Fields, body: bytes) -> None:
        self.end(_ABNORMAL)
        self._become(Stage.ENDED)
        self._ways.deny(status, fields, body)

    def _log(self, outcome: str) -> None:
        scope: Any = self.scope
        client, path = get_client_addr(scope), get_path_with_query_string(scope)
        logger.info('%s - "WebSocket %s" %s', client, path, outcome)


def _checked(message: Message) -> Fields:
    """Return the fields of an answer to the handshake.

    Raises:
        LocalProtocolError: One may not be sent.
    """
    headers = message.get("headers") or ()
    return [(checked_name(name), checked_value(name, value)) for name, value in headers]


def websocket_scope(
    target: str, headers: Fields, version: str, common: dict[str, Any], root_path: str
) -> Scope:
    """Return the scope of a WebSocket.

    Args:
        target: Path and query of the handshake.
        headers: Its fields.
        version: Of HTTP.
        common: The part of all scopes of the connection: the addresses, the scheme, the state.
        root_path: The prefix of every path.
    """
    raw_path, mark, query = target.partition("?")
    offered = [value for name, value in headers if name == b"sec-websocket-protocol"]
    words = [word.strip() for value in offered for word in value.decode("latin-1").split(",")]
    scope = {
        "type": "websocket",
        "http_version": version,
        **common,
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": root_path.encode("ascii") + raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": headers,
        "subprotocols": words,
        "extensions": {"websocket.http.response": {}},
    }
    if mark and not query:
        scope[EMPTY_QUERY] = True
    return scope
