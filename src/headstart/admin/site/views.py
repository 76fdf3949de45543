"""The handlers of the pages, and their routes.

Each asks the processes that serve, makes a snapshot of their answers, and renders it. An order goes
to all of them, and then the page that it came from is shown again (303).
"""

from __future__ import annotations

import time
from typing import Any, Final

from headstart.admin.routes import Request, Response, Route
from headstart.admin.site import charts, rendering
from headstart.admin.site.answers import PAGES_AT_ONCE
from headstart.admin.site.live import Listeners
from headstart.admin.site.snapshot import LOADS, Snapshot, list_of, page_of, snapshot_of
from headstart.admin.workers import Workers

# The first is open; more would push all else off the screen.
_LOADS_SHOWN: Final = 3
_REFUSALS_SHOWN: Final = 6
# Characters of a name in a query: as many as the server takes in a target.
_LONGEST: Final = 8192
_SAID: Final = {
    "pin": "It is always sent with this page from now on.",
    "never": "It is never sent from now on.",
    "forget": "The page is forgotten, with its pins. It is learned anew.",
}


async def overview(request: Request, workers: Workers) -> Response:
    """Show a site's figures, its gain and its last hours."""
    shot = await _snapshot(request, workers, _LOADS_SHOWN)
    values = _common(request, shot)
    site = values["site"]
    loads = [load for load in shot.loads if site is not None and load.origin == site.origin]
    return rendering.page(
        "overview.html",
        **values,
        history=charts.history(site.history) if site is not None else None,
        loads=[charts.waterfall(load) for load in loads[:_LOADS_SHOWN]],
        refused=site.refused[:_REFUSALS_SHOWN] if site is not None else (),
    )


async def pages(request: Request, workers: Workers) -> Response:
    """Show the list of a site's pages, or those with a text in their path."""
    shot = await _snapshot(request, workers)
    values = _common(request, shot)
    search = request.query.get("q", "")[:_LONGEST]
    start = _start(request.query.get("from", ""))
    origin = values["origin"]
    asked = {"origin": origin, "text": search, "start": start}
    found = list_of([answer.value for answer in await workers.ask("site_pages", asked)])
    return rendering.page(
        "pages.html", **values, search=search, start=start, step=PAGES_AT_ONCE, found=found
    )


async def one_page(request: Request, workers: Workers) -> Response:
    """Show one page with its assets, and the orders that it takes."""
    path = request.query.get("path", "/")[:_LONGEST]
    shot = await _snapshot(request, workers, _LOADS_SHOWN, path)
    values = _common(request, shot)
    asked = {"origin": values["origin"], "path": path}
    page = page_of([answer.value for answer in await workers.ask("site_page", asked)])
    loads = [load for load in shot.loads if (load.origin, load.path) == (values["origin"], path)]
    return rendering.page(
        "page.html",
        **values,
        path=path,
        page=page,
        said=_SAID.get(request.query.get("said", ""), ""),
        loads=[charts.waterfall(load) for load in loads[:_LOADS_SHOWN]],
    )


async def loads(request: Request, workers: Workers) -> Response:
    """Show the last recorded views as waterfalls."""
    shot = await _snapshot(request, workers, LOADS)
    values = _common(request, shot)
    found = [load for load in shot.loads if load.origin == values["origin"]]
    return rendering.page("loads.html", **values, loads=[charts.waterfall(each) for each in found])


async def server(request: Request, workers: Workers) -> Response:
    """Show connections, streams and refusals."""
    shot = await _snapshot(request, workers)
    return rendering.page("server.html", **_common(request, shot))


async def order(request: Request, workers: Workers) -> Response:
    """Give an order to all processes, and show the page again."""
    form = request.form
    verb, asset = form.get("verb", ""), form.get("asset", "").strip()
    origin, path = form.get("site", ""), form.get("path", "/")
    asked = {
        "verb": verb,
        "page": origin + path,
        "asset": asset,
        "now": time.time(),
    }
    # Each process is told, so that all obey at once; the store tells the other machines.
    answers = [answer.value for answer in await workers.ask("site_order", asked)]
    said = [answer for answer in answers if answer is not None]
    if any(answer["obeyed"] for answer in said):
        place = rendering.query({"site": origin, "path": path, "said": verb})
        return Response(status=303, headers=(("location", f"/page{place}"),))
    why = said[0]["why"] if said else "No process that learns has answered. Try again."
    values = _common(request, await _snapshot(request, workers))
    values["origin"] = origin
    return rendering.page("refused.html", 400, **values, path=path, why=why)


async def stylesheet(request: Request, workers: Workers) -> Response:
    """Return the stylesheet of all pages."""
    return Response(body=rendering.static("admin.css"), content_type="text/css; charset=utf-8")


async def script(request: Request, workers: Workers) -> Response:
    """Return the script of all pages."""
    body = rendering.static("admin.js")
    return Response(body=body, content_type="text/javascript; charset=utf-8")


async def icon(request: Request, workers: Workers) -> Response:
    """Return the icon of all pages."""
    return Response(body=rendering.static("icon.svg"), content_type="image/svg+xml")


SITE_ROUTES: Final = (
    Route("GET", "/", overview),
    Route("GET", "/pages", pages),
    Route("GET", "/page", one_page),
    Route("GET", "/loads", loads),
    Route("GET", "/server", server),
    Route("GET", "/events", Listeners().events),
    Route("POST", "/order", order),
    Route("GET", "/admin.css", stylesheet),
    Route("GET", "/admin.js", script),
    Route("GET", "/icon.svg", icon),
)


async def _snapshot(request: Request, workers: Workers, most: int = 0, path: str = "") -> Snapshot:
    """Return the knowledge of all processes, with so many recorded views of the site or of a page.

    If no site is named, the views of all are asked for: which one is shown, the answer says.
    """
    origin = request.query.get("site", "")[:_LONGEST]
    asked = {"most": most if origin else most and LOADS, "origin": origin, "path": path}
    answers = await workers.ask("site_report", asked)
    return snapshot_of([answer.value for answer in answers], time.time())


def _common(request: Request, shot: Snapshot) -> dict[str, Any]:
    """Return the values that all pages have; the site is the one that was asked for."""
    wanted = request.query.get("site", "")[:_LONGEST]
    site = shot.site(wanted) if wanted else next(iter(shot.sites), None)
    return {
        "shot": shot,
        "site": site,
        "origin": site.origin if site is not None else wanted,
        "csrf": request.csrf,
        "place": request.path,
    }


def _start(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 7 else 0
