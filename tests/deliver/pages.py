"""Scopes for tests of what applications call, and a `send` that notes its messages."""

from __future__ import annotations

from typing import Any

from headstart.deliver.asgi import Message
from headstart.deliver.outcome import Hint, Push

OURS = {"headstart": {"pushed": False, "push_enabled": True}}
PUSH: dict[str, Any] = {"http.response.push": {}}
HINT: dict[str, Any] = {"http.response.early_hint": {}}


def scope_of(
    path: str = "/",
    headers: list[tuple[bytes, bytes]] | None = None,
    extensions: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A page's request, on our server with pushes and hints unless `extensions` says otherwise."""
    everything = {**OURS, **PUSH, **HINT}
    return {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"example.test"), *(headers or [])],
        "extensions": everything if extensions is None else extensions,
    } | more


class Server:
    """A server's `send`: notes the messages, and takes what they offer as ours does."""

    def __init__(self, answers: bool = True) -> None:
        self.messages: list[Message] = []
        self._answers = answers

    async def send(self, message: Message) -> None:
        """Take one message."""
        self.messages.append(message)
        offer = message.get("headstart")
        if self._answers and isinstance(offer, Push):
            offer.mark_sent(2)
        if self._answers and isinstance(offer, Hint):
            offer.sent = True

    async def receive(self) -> Message:
        """There is no body."""
        return {"type": "http.disconnect"}

    @property
    def paths(self) -> list[str]:
        """What was pushed."""
        return [message["path"] for message in self.messages]


class Request:
    """What looks like Starlette's."""

    def __init__(self, scope: dict[str, Any], server: Server | None) -> None:
        self.scope = scope
        if server is not None:
            self._send = server.send
