"""Links that wait for a response, since no 103 can carry them.

The middleware leaves one `HeldLinks` in the scope of each request that it takes for no navigation:
`hint` puts an application's links there, and they go out as Link fields of its response.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from headstart.deliver.asgi import Message

HELD: Final = "headstart.links"
"""The name of `HeldLinks` in a scope. Copies of the scope have the same one."""


class HeldLinks:
    """The links that an application names before the response to one request."""

    __slots__ = ("_links", "_started")

    def __init__(self) -> None:
        self._links: list[bytes] = []
        self._started = False

    def hold(self, links: Iterable[bytes]) -> bool:
        """Keep values of Link fields; return false if the response has started."""
        if not self._started:
            self._links += links
        return not self._started

    def released(self, message: Message) -> Message:
        """Return the start of the response with the links, but those that it has already."""
        self._started = True
        if not self._links:
            return message
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        told = {value for name, value in headers if name.lower() == b"link"}
        more = [(b"link", link) for link in dict.fromkeys(self._links) if link not in told]
        return {**message, "headers": [*headers, *more]}
