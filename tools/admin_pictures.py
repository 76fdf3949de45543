#!/usr/bin/env python3
"""Draws docs/pictures/admin*.png: the pages of the admin port after twelve hours of visits.

    tools/admin_pictures.py [FOLDER]      docs/pictures is the default

Runs `headstart serve` with a small shop and the admin port, lets clients of the tests visit the
shop, and has Chromium draw the pages. Between visits the clock of the server is moved on by five
minutes, so twelve hours take about five minutes. Needs chromium. `make pictures` does not call it.
"""

from __future__ import annotations

import asyncio
import base64
import random
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STEPS = 143
SPAN = 300.0
ASSETS = {
    "/static/site.css": ("text/css", 6_000),
    "/static/shop.js": ("text/javascript", 42_000),
    "/static/text.woff2": ("font/woff2", 28_000),
    "/img/logo.svg": ("image/svg+xml", 2_100),
    "/img/chair.jpg": ("image/jpeg", 52_000),
    "/img/lamp.jpg": ("image/jpeg", 38_000),
    "/img/table.jpg": ("image/jpeg", 61_000),
}
KINDS = {"css": b"style", "js": b"script", "woff2": b"font", "svg": b"image", "jpg": b"image"}
HOST = b"shop.example"
EVERYWHERE = ["/static/site.css", "/static/shop.js", "/static/text.woff2", "/img/logo.svg"]
OWN = {
    "/": ["/img/chair.jpg", "/img/lamp.jpg"],
    "/product/chair": ["/img/chair.jpg"],
    "/product/lamp": ["/img/lamp.jpg"],
    "/product/table": ["/img/table.jpg"],
}
PATHS = [*(["/"] * 5), *(list(OWN)[1:] * 2), "/about", "/basket", "/blog/spring"]
clock_ahead = [0.0]


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Serve the shop; `/clock/SECONDS` moves the clock on."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    path = scope["path"]
    kind, size = ASSETS.get(path, ("text/html; charset=utf-8", 5_000))
    if path.startswith("/clock/"):
        clock_ahead[0] += float(path.removeprefix("/clock/"))
    await asyncio.sleep(
        random.uniform(0.01, 0.03) if path in ASSETS else random.uniform(0.05, 0.08)
    )
    cache = b"public, max-age=86400" if path in ASSETS else b"no-cache"
    head = [(b"content-type", kind.encode()), (b"cache-control", cache)]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b" " * size})


def serve() -> None:
    """Be the server, on a clock that can be moved on."""
    real = time.time
    time.time = lambda: real() + clock_ahead[0]
    sys.modules["shop"] = sys.modules["__main__"]
    sys.argv = ["headstart", *sys.argv[2:]]
    runpy.run_module("headstart", run_name="__main__")


def visit(client: Any, path: str, dice: random.Random) -> None:
    """Load a page as a browser does: assets that a 103 names at once, others after the page."""
    from tests.visits import links

    navigation = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
    page = client.request(path.encode(), headers=[*navigation, (b"user-agent", b"Browser/1")])
    response = client.responses[page]
    client.until(lambda: response.informational or response.ended)
    hinted = [link.target for fields in response.informational for link in links(fields)]
    asked = {target: ask(client, target, path) for target in hinted}
    client.response(page)
    pushed = {dict(fields)[b":path"].decode() for fields in client.promises.values()}
    for asset in EVERYWHERE + OWN.get(path, []):
        # A cache has an asset now and then.
        if asset not in pushed and asset not in asked and dice.random() > 0.03:
            asked[asset] = ask(client, asset, path)
    for stream in [*asked.values(), *client.promises]:
        client.response(stream)


def accepts(port: int) -> bool:
    """Return whether the server accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def come(port: int, path: str, dice: random.Random, *, push: bool) -> None:
    """Visit the shop from some address."""
    from tests.server.raw import RawClient
    from tests.visits import NO_PUSH

    address = f"127.0.{dice.randrange(1, 250)}.{dice.randrange(2, 250)}"
    with RawClient(port, None if push else NO_PUSH, tls=True, address=address) as client:
        client.authority = HOST
        visit(client, path, dice)


def ask(client: Any, target: str, path: str) -> int:
    """Ask for an asset of a page."""
    referer = b"https://" + HOST + path.encode()
    fields = [(b"referer", referer), (b"sec-fetch-dest", KINDS[target.rpartition(".")[2]])]
    stream: int = client.request(target.encode(), headers=fields)
    return stream


def draw(base: str, folder: Path) -> None:
    """Let Chromium draw the pages."""
    from tests.clients.chromium import Tab, cleartext_chromium

    pictures = {
        "admin": ("/", 1280, "light"),
        "admin-page": ("/page?path=/product/chair", 1280, "light"),
        "admin-phone": ("/", 390, "dark"),
    }
    with cleartext_chromium("chromium") as browser:
        for name, (path, width, scheme) in pictures.items():
            tab = Tab(browser)
            tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=width < 600,
            )
            feature = {"name": "prefers-color-scheme", "value": scheme}
            tab.call("Emulation.setEmulatedMedia", features=[feature])
            tab.load(base + path)
            tab.run("new Promise(done => setTimeout(done, 500))")
            drawn = tab.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            (folder / f"{name}.png").write_bytes(base64.b64decode(drawn["data"]))
            tab.call("Page.close")


def main(folder: Path) -> None:
    """Visit the shop for twelve hours of its clock, and draw."""
    sys.path.insert(0, str(ROOT))
    from headstart import devca
    from tests.ports import free_port
    from tests.server.live import until
    from tests.server.raw import RawClient

    port, admin, dice = free_port(), free_port(), random.Random(7)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "serve", "serve", "shop:shop", "--port", str(port)]
        made = devca.ensure()
        command += ["--admin", str(admin), "--store", f"{place}/s.sqlite3", "--no-access-log"]
        command += ["--ssl-certfile", str(made.certfile), "--ssl-keyfile", str(made.keyfile)]
        command += ["--learn-control-share", "16"]
        server = subprocess.Popen(command)
        try:
            until(lambda: accepts(port), "the server")
            for step in range(STEPS):
                for _ in range(dice.randrange(2, 6 + step // 10)):
                    come(port, dice.choice(PATHS), dice, push=dice.random() < 0.4)
                with RawClient(port, tls=True, address="127.0.0.9") as client:
                    client.authority = HOST
                    client.get(b"/clock/%d" % SPAN)
                time.sleep(0.9)  # the learner looks once a second whether views have ended
            for path, push in (("/about", True), ("/product/chair", False), ("/", True)):
                come(port, path, dice, push=push)
                time.sleep(0.6)
            come(port, "/product/chair", dice, push=False)
            time.sleep(4)
            draw(f"http://127.0.0.1:{admin}", folder)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
