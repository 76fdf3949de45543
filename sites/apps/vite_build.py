"""A build of Vite: modules with hashed names, one of them loaded on demand, with CSS and a font."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import flask_bootstrap
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

_VITE = "vite@8.3.4"
_FOLDER = Path(os.environ["SITE"])
_PROJECT = _FOLDER / "vite"
_BUILT = _PROJECT / "dist"
_ICONS = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5" / "css" / "font"

_SOURCES = {
    "package.json": '{"name": "shop", "private": true, "type": "module"}',
    "vite.config.js": "export default { build: { assetsInlineLimit: 0, modulePreload: true } }",
    "index.html": "<!doctype html><html lang=en><meta charset=utf-8><title>Shop</title>"
    "<body><main></main><script type=module src=/main.js></script>",
    "main.js": "import './style.css'\nimport { basket } from './basket.js'\n"
    "const { chart } = await import('./chart.js')\n"
    "document.querySelector('main').textContent = basket() + chart()\n",
    "basket.js": "export const basket = () => 'a basket and '\n",
    "chart.js": "import './chart.css'\nexport const chart = () => 'a chart'\n",
    "style.css": "@import './icons.css';\nbody { font: 16px sans-serif }\n",
    "chart.css": "main { color: #246 }\n",
}


def _build() -> None:
    _PROJECT.mkdir()
    for name, text in _SOURCES.items():
        (_PROJECT / name).write_text(text)
    shutil.copy(_ICONS / "bootstrap-icons.min.css", _PROJECT / "icons.css")
    shutil.copytree(_ICONS / "fonts", _PROJECT / "fonts")
    for command in (["npm", "install", "--no-audit", "--no-fund", _VITE], ["npx", "vite", "build"]):
        subprocess.run(command, cwd=_PROJECT, check=True, stdout=subprocess.DEVNULL)


async def _page(_: Request) -> HTMLResponse:
    """Return the build's page, as a backend that looks something up first."""
    await asyncio.sleep(0.03)
    return HTMLResponse((_BUILT / "index.html").read_text())


async def _with_lifetime(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve files whose names change with their content, with the lifetime that such files get."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["cache-control"] = "public, max-age=31536000, immutable"
        await send(message)

    await _FILES(scope, receive, sent)


if not _BUILT.exists():
    _build()
_FILES = StaticFiles(directory=_BUILT / "assets")
app = Starlette(routes=[Route("/", _page), Mount("/assets", _with_lifetime)])
