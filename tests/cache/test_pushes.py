"""A pushed asset comes from the cache."""

from __future__ import annotations

from typing import Any

from headstart.config import CacheOptions, ServerOptions
from tests.server.apps import answer, lifespan, start
from tests.server.live import running
from tests.server.raw import RawClient, Response


async def test_pushed_asset_comes_from_the_cache_without_a_call(tmp_path: Any) -> None:
    calls: list[str] = []
    pushed: list[Response] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        calls.append(scope["path"])
        if scope["path"] == "/":
            await send({"type": "http.response.push", "path": "/a.css", "headers": []})
            await answer(send, b"page")
            return
        fields = [(b"cache-control", b"public, max-age=60"), (b"content-length", b"4")]
        await send(start(200, fields))
        await send({"type": "http.response.body", "body": b"a{}\n"})

    options = ServerOptions(caching=CacheOptions(cache=100_000, cache_control=str(tmp_path / "c")))
    with running(app, options) as server:
        for _ in range(3):
            with RawClient(server.port) as client:
                client.get(b"/")
                (promised,) = client.promises
                pushed.append(client.response(promised))

    assert [response.body for response in pushed] == [b"a{}\n"] * 3
    assert (pushed[2].header(b"cache-status") or b"").startswith(b"headstart; hit")
    assert calls.count("/") == 3
    assert calls.count("/a.css") == 1
