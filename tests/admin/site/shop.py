"""A site for the pages of the admin port to show, and its visitors. Each response has its pid."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.server.apps import Receive, Scope, Send, body, lifespan, start
from tests.server.live import until
from tests.server.raw import RawClient
from tests.visits import FRESH, NO_PUSH, Load, load

STYLE, SCRIPT, OTHER = "/site.css", "/shop.js", "/pinned.css"
ASSETS = (STYLE, SCRIPT)
LONG = "/" + "long-name" * 120
HOSTILE = "/%22onload=alert(1)%3E/<script>window.hacked=1</script>"
_TYPES = {".css": b"text/css", ".js": b"text/javascript"}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve any path: an asset by its name, everything else as a page."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    kind = next((t for end, t in _TYPES.items() if scope["path"].endswith(end)), None)
    fields = [
        (b"content-type", kind or b"text/html"),
        (b"cache-control", FRESH if kind else b"no-cache"),
        (b"x-pid", str(os.getpid()).encode()),
    ]
    await send(start(200, fields))
    await send(body(b"x" * 100 if kind else b"<!doctype html><title>Shop</title>"))
    return None


class Visitors:
    """Clients of a server with this site, each on a connection and at an address of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._number = 1

    def visit(self, page: str = "/", assets: Iterable[str] = ASSETS, *, push: bool = True) -> Load:
        """Load a page with assets."""
        self._number += 1
        address = f"127.0.{self._number // 200}.{self._number % 200 + 2}"
        with RawClient(self.port, None if push else NO_PUSH, address=address) as client:
            return load(client, page, assets)

    def sent_by(
        self, page: str, assets: Iterable[str] = ASSETS, *, processes: int = 2
    ) -> dict[int, list[str]]:
        """Return the pushes of each process with the page, to clients that need these assets."""
        assets = list(assets)
        found: dict[int, list[str]] = {}

        def asked_all() -> bool:
            one = self.visit(page, assets)
            found[int(dict(one.page.headers)[b"x-pid"])] = one.promised
            return len(found) == processes

        until(asked_all, "an answer of each process")
        return found

    def teach(self, page: str = "/", assets: Iterable[str] = ASSETS) -> None:
        """Visit a page until every process sends the assets."""
        assets = list(assets)

        def all_send() -> bool:
            return all(set(assets) <= set(sent) for sent in self.sent_by(page, assets).values())

        until(all_send, f"{assets} with {page}")
