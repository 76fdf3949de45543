"""The answers of a process that serves to the pages of the admin port.

Read its recorder, learner and counters, and give the operator's orders to its learner, which
tells other processes and machines through the store. Called on the event loop between two requests
(`questions`), so the work of each is bounded: `pages` looks at the paths of all pages, and at the
assets of a few.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from headstart.admin.site.snapshot import AssetLine, PageLine
from headstart.admin.sources import Sources
from headstart.deliver.rows import because, rows_of, sent_by, split
from headstart.errors import ConfigurationError
from headstart.learn import Judgement, Learner, Row, explain
from headstart.learn.explaining import explain_stop
from headstart.middleware import HeadstartMiddleware
from headstart.middleware.recorded import as_plain

# Each costs a judgement on all of its assets, up to 64.
PAGES_AT_ONCE: Final = 25
_FINDINGS: Final = 20
SITES_SHOWN: Final = 50


def report(sources: Sources, most: int = 0, origin: str = "", path: str = "") -> dict[str, Any]:
    """Return the recent past, the counters, and the knowledge of each site.

    Args:
        sources: Of this process.
        most: The number of recorded views to return.
        origin: Only those of a site.
        path: Only those of a page.
    """
    middleware = sources.middleware
    recorder = middleware.shared.recorder if middleware is not None else None
    return {
        "report": None if recorder is None else as_plain(recorder.report(most, origin, path)),
        "counters": sources.worker.counters.snapshot(),
        "streams": sources.open_streams(),
        "learning": middleware is not None,
        "known": [] if middleware is None else _known(middleware, origin),
    }


def version(sources: Sources) -> list[int]:
    """Return numbers that change when the answer to `report` would."""
    middleware = sources.middleware
    recorder = middleware.shared.recorder if middleware is not None else None
    counters = sources.worker.counters
    changes = 0 if recorder is None else recorder.changes
    return [changes, counters.open, counters.accepted, sources.open_streams()]


def pages(sources: Sources, origin: str, text: str, start: int) -> dict[str, Any] | None:
    """Return a part of the list of a site's pages: those with a text in their path."""
    if sources.middleware is None:
        return None
    learner = sources.middleware.learner
    total, entries = learner.entries(origin, text, start, PAGES_AT_ONCE)
    found = []
    for entry in entries:
        path = split(entry.page)[1]
        rows = rows_of(learner, entry.page)
        sent = sum(row.sent for row in rows)
        line = PageLine(path, entry.views, len(rows), sent, entry.sent, entry.useful)
        found.append(asdict(line))
    return {"total": total, "pages": found}


def page(sources: Sources, origin: str, path: str) -> dict[str, Any] | None:
    """Return one page with its assets, and those that it borrows."""
    if sources.middleware is None:
        return None
    learner = sources.middleware.learner
    return {
        "known": learner.knows_exactly(origin, path),
        "assets": [asdict(_asset(learner, row)) for row in rows_of(learner, origin + path)],
        "gain": _gain(learner, origin + path),
    }


def order(
    sources: Sources, verb: str, page: str, asset: str, now: float
) -> dict[str, str | bool] | None:
    """Obey an order: pin, never or forget, as `headstart map` has them.

    Args:
        sources: Of this process.
        verb: The order.
        page: The whole URL of a page, or a path for the pages of every site.
        asset: A path, or a whole URL on the page's site; not read by forget.
        now: Seconds since 1970.

    Returns:
        Whether it was obeyed, and why not; None with --no-learn.
    """
    if sources.middleware is None:
        return None
    try:
        _obey(sources.middleware.learner, verb, page, asset, now)
    except ConfigurationError as error:
        return {"obeyed": False, "why": f"{error}. {error.hint}"}
    return {"obeyed": True, "why": ""}


def _obey(learner: Learner, verb: str, page: str, asset: str, now: float) -> None:
    if not page.startswith(("/", "http://", "https://")):
        raise ConfigurationError(
            f"{page!r} is not a page", hint="Name it by its path or its whole URL."
        )
    site = split(page)[0]
    origin, target = split(asset)
    match verb:
        case "pin":
            if origin not in ("", site):
                raise ConfigurationError(
                    f"{asset} is not on the site of the page",
                    hint="Give a path such as /site.css. A page is sent assets of its own site.",
                )
            learner.pin(page, target)
        case "never":
            # Of this site alone; a path would bar the asset on every site.
            learner.never((origin or site) + target)
        case "forget":
            if not learner.forget(page, now):
                raise ConfigurationError("nothing is known of this page", hint="Look at Pages.")
        case _:
            raise ConfigurationError(f"{verb!r} is not an order", hint="Use the buttons.")


def _known(middleware: HeadstartMiddleware, wanted: str) -> list[dict[str, Any]]:
    """Return the gain and the conditions of sites: of that one, of those with views, of others.

    Clients choose the names of sites, so a map may have a thousand; a page with all of them would
    take the processor from the site.
    """
    learner, now = middleware.learner, middleware.shared.clock()
    recorder = middleware.shared.recorder
    origins = dict.fromkeys(learner.origins())
    first = [wanted, *(() if recorder is None else recorder.origins)]
    shown = dict.fromkeys([*(origin for origin in first if origin in origins), *origins])
    return [
        {
            "origin": origin,
            "gain": _gain(learner, origin),
            "findings": [
                explain(finding) for finding in learner.findings.of(origin, now)[:_FINDINGS]
            ],
        }
        for origin in islice(shown, SITES_SHOWN)
    ]


def _gain(learner: Learner, page: str) -> dict[str, Any] | None:
    """Return the gain of a page, or of a site by its origin; None if no view was measured."""
    gain = learner.gain(page)
    if gain is None:
        return None
    return {
        "views": gain.views,
        "control_views": gain.control_views,
        "stop": "" if gain.stop is None else explain_stop(gain.stop),
        "savings": [
            {
                "metric": metric.value,
                "seconds": saving.seconds,
                "low": saving.low,
                "high": saving.high,
                "median": saving.median,
                "control_median": saving.control_median,
                "views": saving.views,
                "control_views": saving.control_views,
            }
            for metric, saving in gain.savings.items()
        ],
    }


def _asset(learner: Learner, row: Row) -> AssetLine:
    return AssetLine(
        target=row.asset,
        probability=row.probability,
        views=row.views,
        sent=row.sent,
        why=because(row),
        how=sent_by(learner, row) if row.sent else "",
        pinned=row.why is Judgement.PINNED,
        barred=row.why is Judgement.BARRED,
    )
