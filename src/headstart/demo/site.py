"""A small site: a page that thinks for 200 ms and needs eleven assets.

The server has no list of them: the first visitor asks for each, and the second one gets them ahead.
The page has a table of the middleware's decisions: each asset, and how it was sent ahead.
"""

from __future__ import annotations

import asyncio
from html import escape
from importlib.resources import files
from typing import Any

from headstart.deliver.asgi import Receive, Send
from headstart.demo.respond import respond, say

THINK_SECONDS = 0.2
_FRESH = b"public, max-age=600"
_COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d96a3", "#00798c")

_STYLE = """@font-face { font-family: Blocks; src: url(blocks.woff2) format("woff2") }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 3rem 1rem;
  background: url(paper.svg) }
h1 { font: 2rem Blocks, monospace; letter-spacing: .05em }
figure { display: flex; gap: 1rem; margin: 1rem 0 } img { width: 5rem; height: 5rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0 }
"""
_PAPER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">'
    '<path d="M24 0H0v24" fill="none" stroke="#8884" stroke-width=".5"/></svg>'
)
# A hinted asset that was used comes from the browser's memory (nothing is transferred), or is named
# after its hint (Chromium). One that is fetched when the page asks for it was hinted for nothing.
_TIMING = """addEventListener("load", () => {
  const resources = performance.getEntriesByType("resource");
  const last = Math.max(...resources.map(e => e.responseEnd));
  document.getElementById("time").textContent =
    `Everything was here ${Math.round(last)} ms after you asked.`;
  const rows = [...document.querySelectorAll("tr[data-way=hint]")];
  const hinted = new Set(rows.map(row => new URL(row.dataset.asset, location).href));
  const unused = resources.filter(e => hinted.has(e.name)
    && e.initiatorType !== "early-hints" && e.transferSize > 0);
  if (unused.length) {
    document.getElementById("count").textContent = `${unused.length} of ${rows.length} hints`;
    document.getElementById("unused").hidden = false;
  }
});
"""
_COUNT = """const key = "headstart-visits", visits = 1 + Number(localStorage.getItem(key));
localStorage.setItem(key, visits);
document.getElementById("visits").textContent = `Visit ${visits} of this browser.`;
"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Headstart: a small site</title>
<link rel="stylesheet" href="style.css">
<script src="timing.js" defer></script>
<script src="visits.js" defer></script>
<h1>headstart</h1>
<p>This page takes {think} ms to make, and needs eleven things more.
<b id="time"></b> <span id="visits"></span></p>
<figure>{images}</figure>
<h2>What was sent ahead of it</h2>
<p id="unused" hidden><strong>Your browser did not use <span id="count"></span>.</strong> It fetched
these assets when it saw the page. Either it ignores hints, or it does not trust the certificate. A
browser keeps nothing that comes under a certificate warning, even if you clicked the warning away,
so it fetches each hinted asset twice. The terminal of <code>headstart demo</code> shows the command
that makes it trust the certificate. Run it, close the browser and begin again.</p>
{table}
</html>
"""
# Why a view gets nothing, for the reasons that visitors of this page meet. Others are shown as they
# are.
_NOTHING = {
    "already-sent": "this connection has everything already. A private window is a new visitor.",
    "no-subresources": "this browser loaded no assets when it was here before.",
}
_LEARNING = "the server is still learning what the page needs."


def _square(colour: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
        f'<rect width="8" height="8" rx="1" fill="{colour}"/></svg>'
    )


def _assets() -> dict[str, tuple[str, bytes]]:
    """Name -> media type and content."""
    svg = "image/svg+xml"
    texts = {
        "style.css": ("text/css", _STYLE),
        "timing.js": ("text/javascript", _TIMING),
        "visits.js": ("text/javascript", _COUNT),
        "paper.svg": (svg, _PAPER),
        **{f"{number}.svg": (svg, _square(colour)) for number, colour in enumerate(_COLOURS, 1)},
    }
    font = files("headstart.demo").joinpath("blocks.woff2").read_bytes()
    return {
        "blocks.woff2": ("font/woff2", font),
        **{name: (kind, text.encode()) for name, (kind, text) in texts.items()},
    }


ASSETS = _assets()


async def site(scope: Any, receive: Receive, send: Send) -> None:
    """Answer a request below `/site/`."""
    name = scope["path"].removeprefix("/site/")
    if scope["method"] not in ("GET", "HEAD"):
        await say(send, 405, "GET works here.\n", [(b"allow", b"GET, HEAD")])
    elif not name:
        await asyncio.sleep(THINK_SECONDS)
        await respond(send, 200, "text/html; charset=utf-8", _page(scope))
    elif name in ASSETS:
        kind, content = ASSETS[name]
        await respond(send, 200, kind, content, cache_control=_FRESH)
    else:
        await say(send, 404, "There is no such asset.\n")


def _page(scope: Any) -> bytes:
    images = "".join(f'<img src="{n}.svg" alt="">' for n in range(1, len(_COLOURS) + 1))
    return _PAGE.format(
        think=round(THINK_SECONDS * 1000), images=images, table=_table(scope)
    ).encode()


def _table(scope: Any) -> str:
    """Return a table of the middleware's decisions for this view, from the scope."""
    decisions = scope.get("headstart.decisions") or ()
    if all(decision.way == "nothing" for decision in decisions):
        reasons = {str(decision.reason) for decision in decisions}
        why = "; ".join(sorted(_NOTHING.get(reason, reason) for reason in reasons)) or _LEARNING
        return f"<p>Nothing: {escape(why)}</p>"
    rows = "".join(
        f'<tr data-asset="{escape(decision.candidate.target)}" data-way="{escape(decision.way)}">'
        f"<td>{escape(decision.candidate.target)}<td>{escape(decision.way)}"
        f"<td>{decision.candidate.probability:.2f}<td>{escape(decision.reason)}"
        for decision in decisions
    )
    return f"<table><tr><th>asset<th>sent by<th>likely<th>not pushed because{rows}</table>"
