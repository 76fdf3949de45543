"""Honest traffic of a browser that looks like an attack: headless Chromium loses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from headstart.reasons import Closing
from tests.clients.earlyhints_check import read
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, answer, body, lifespan, read_all, start
from tests.server.live import LiveServer, running
from tests.server.test_http1 import counters

COOKIES, STEPS, TILES = 150, 25, 30

_PAGE = """<!doctype html><body><img src=/end>
<script type=module>
{script}
document.body.append(told);
await fetch('/over');
</script>"""

_COOKIES = """
for (let n = 0; n < COUNT; n++) document.cookie = `name${n}=value${n}; path=/`;
let told = '';
for (let n = 0; n < 3; n++) {
    const answer = await fetch('/cookies');
    told += `${answer.status} ${await answer.text()};`;
}
""".replace("COUNT", str(COOKIES))

_MAP = """
const post = fetch('/save', {method: 'POST', body: 'x'.repeat(100000)});
for (let step = 0; step < STEPS; step++) {
    const zoomed = new AbortController();
    for (let tile = 0; tile < TILES; tile++)
        fetch(`/tile/${step}/${tile}`, {signal: zoomed.signal}).catch(() => {});
    await fetch(`/step/${step}`);
    zoomed.abort();
}
await fetch('/saved');
const answer = await post;
const told = `${answer.status} ${await answer.text()};`;
""".replace("STEPS", str(STEPS)).replace("TILES", str(TILES))


class Browsed:
    """A page whose script asks for this and that; it has loaded when the script is done.

    Attributes:
        calls: By path, up to the second slash.
        given_up: Tiles whose client left.
    """

    def __init__(self, script: str) -> None:
        self.page = _PAGE.format(script=script).encode()
        self.calls: Counter[str] = Counter()
        self.given_up = 0
        self._over, self._saved = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        kind = scope["path"].split("/")[1]
        self.calls[kind] += 1
        match kind:
            case "":
                await send(start(200, [(b"content-type", b"text/html")]))
                await send(body(self.page))
            case "end":
                await self._over.wait()
                await answer(send)
            case "over":
                await answer(send)
                self._over.set()
            case "cookies":
                fields = [value for name, value in scope["headers"] if name == b"cookie"]
                count = sum(len(value.split(b"; ")) for value in fields)
                await answer(send, b"%d in %d" % (count, len(fields)))
            case "tile":
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.given_up += 1
            case "save":
                length = len(await read_all(receive))
                await self._saved.wait()
                await answer(send, b"%d" % length)
            case "saved":
                self._saved.set()
                await answer(send)
            case _:
                await answer(send)
        return None


def browsed(app: Browsed, home: Path) -> tuple[str, LiveServer]:
    """Load the page; what it says then, and the server, which has ended."""
    with running(app, tls=True) as server:
        flag = "--ignore-certificate-errors"
        return read(peer("chromium"), server.url + "/", home, flag), server


def test_chromium_sends_a_hundred_and_fifty_cookies_and_is_answered(tmp_path: Path) -> None:
    page, server = browsed(Browsed(_COOKIES), tmp_path)

    assert f"200 {COOKIES} in 1;" * 3 in page
    assert set(counters(server).connections) <= {Closing.PEER_LEFT}
    assert not counters(server).requests


def test_map_that_gives_up_its_tiles_at_each_step_does_not_make_chromium_repeat_a_post(
    tmp_path: Path,
) -> None:
    app = Browsed(_MAP)

    page, server = browsed(app, tmp_path)

    assert "200 100000;" in page
    assert app.calls["save"] == 1
    assert app.calls["tile"] > 500
    assert set(counters(server).connections) <= {Closing.PEER_LEFT}
    assert not counters(server).requests
