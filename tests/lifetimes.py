"""How often a browser fetches an asset that a 103 or a Link field names, by what the asset says of
its lifetime: the figures of docs/delivering.md.

`python -m tests.lifetimes [LOADS [BROWSER [NAME]]]`: BROWSER is `chromium` or `firefox`, NAME a
part of the names of the rows. Each load has a profile of its own, over a link with 50 ms each
way. The page takes some time to answer, so that the asset may have become stale when the page uses
it. A load whose 103 the browser did not heed is tried again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from urllib.parse import urlsplit

from bench.relay import DelayingRelay
from tests.clients.chromium import Tab, chromium
from tests.clients.firefox import Tab as FirefoxTab
from tests.clients.firefox import firefox
from tests.peers import peer
from tests.server.apps import Headers, Receive, Scope, Send, body, lifespan, start
from tests.server.live import running

_CSS = b"body { color: teal }"
_OLD = (b"last-modified", b"Mon, 01 Jan 2024 00:00:00 GMT")
_NEW = (b"last-modified", b"Fri, 01 Jan 2100 00:00:00 GMT")
_TAG = (b"etag", b'"1"')
_TRIES = 8
# A browser asks late whether an asset has changed that it uses stale.
_LATE_SECONDS = 0.7
_DELAY = 0.05
_HASH = "sha256-" + base64.b64encode(hashlib.sha256(_CSS).digest()).decode()
_NONCE = "bm9uY2U="
_POLICY = (b"content-security-policy", f"default-src 'self'; style-src 'nonce-{_NONCE}'".encode())
_LOADED = "performance.timing.loadEventStart - performance.timing.requestStart"


class Way(StrEnum):
    """How the asset is named before the page's HTML names it."""

    NOT = "not at all"
    HINT = "in a 103"
    LINK = "in a Link of the response"


@dataclass(frozen=True, slots=True)
class Case:
    """An asset.

    Attributes:
        name: In the table.
        headers: Of its response.
        think: Seconds that its page takes.
        attributes: Of the page's element.
        parameters: Of its link.
        page: Fields of the page's response.
    """

    name: str
    headers: Headers
    think: float = 0.1
    attributes: str = ""
    parameters: str = ""
    page: Headers = field(default_factory=list)


def _says(cache_control: bytes, *more: tuple[bytes, bytes]) -> Headers:
    return [(b"cache-control", cache_control), *more]


FRESH = _says(b"max-age=600")
CASES: Sequence[Case] = (
    Case("`max-age=600`", FRESH),
    Case("`Last-Modified` of 2024 alone", [_OLD]),
    Case("`Last-Modified` of 2024 and `ETag`", [_OLD, _TAG]),
    Case("`ETag` alone", [_TAG]),
    Case("`Last-Modified` of now alone", [_NEW]),
    Case("nothing", []),
    Case("`no-cache` and `ETag`", _says(b"no-cache", _TAG)),
    Case("`no-cache` and `Last-Modified` of 2024", _says(b"no-cache", _OLD)),
    Case("`max-age=0` and `ETag`", _says(b"max-age=0", _TAG)),
    Case("`max-age=0, stale-while-revalidate=60`", _says(b"max-age=0, stale-while-revalidate=60")),
    Case(
        "`max-age=0, stale-while-revalidate=60` and `ETag`",
        _says(b"max-age=0, stale-while-revalidate=60", _TAG),
    ),
    Case("`max-age=1, stale-while-revalidate=60`", _says(b"max-age=1, stale-while-revalidate=60")),
    Case("`max-age=1`, page after 1.5 s", _says(b"max-age=1"), 1.5),
    Case(
        "`max-age=1, stale-while-revalidate=60`, page after 1.5 s",
        _says(b"max-age=1, stale-while-revalidate=60"),
        1.5,
    ),
    Case(
        "the same, and `ETag`, page after 1.5 s",
        _says(b"max-age=1, stale-while-revalidate=60", _TAG),
        1.5,
    ),
    Case("`max-age=600`, by a nonce", FRESH, attributes=f"nonce={_NONCE}", page=[_POLICY]),
    Case(
        "`max-age=600`, by a nonce that its link has, too",
        FRESH,
        attributes=f"nonce={_NONCE}",
        parameters=f'; nonce="{_NONCE}"',
        page=[_POLICY],
    ),
    Case("`max-age=600`, with integrity", FRESH, attributes=f"integrity={_HASH}"),
    Case(
        "`max-age=600`, with integrity that its link has, too",
        FRESH,
        attributes=f"integrity={_HASH}",
        parameters=f'; integrity="{_HASH}"',
    ),
)


class Site:
    """An application with a page for each case and each way.

    Attributes:
        asked: Of each asset, how often it was asked for.
        checked: Of each asset, how often somebody who has it asked whether it has changed.
        early: The assets that were asked for before their client can have had the page.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.early: set[str] = set()
        self._answered = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/CASE/WAY/` or `/CASE/WAY/style.css`."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        _, number, way, name = scope["path"].split("/")
        case, asset = CASES[int(number)], f"/{number}/{way}/style.css"
        if name:
            await self._asset(scope, send, case)
            return None
        self._answered = 0.0
        link = f"<{asset}>; rel=preload; as=style{case.parameters}".encode()
        if way == Way.HINT.name:
            await send({"type": "http.response.early_hint", "links": [link]})
        await asyncio.sleep(case.think)
        self._answered = time.monotonic()
        more = [*case.page, *([(b"link", link)] if way == Way.LINK.name else [])]
        html = (
            "<!doctype html><link rel=icon href=data:,>"
            f"<link rel=stylesheet {case.attributes} href={asset}>"
        )
        await send(start(200, [(b"content-type", b"text/html; charset=utf-8"), *more]))
        await send(body(html.encode()))
        return None

    async def _asset(self, scope: Scope, send: Send, case: Case) -> None:
        names = {name for name, _ in scope["headers"]}
        is_check = bool(names & {b"if-none-match", b"if-modified-since"})
        (self.checked if is_check else self.asked)[scope["path"]] += 1
        if not self._answered or time.monotonic() < self._answered + 2 * _DELAY:
            self.early.add(scope["path"])
        head = [(b"content-type", b"text/css"), *case.headers]
        await send(start(304 if is_check else 200, head))
        await send(body(b"" if is_check else _CSS))


OpenTab = Callable[[], Tab | FirefoxTab]


def measured(site: Site, open_tab: OpenTab, url: str, number: int, way: Way, loads: int) -> str:
    """Return in how many loads the asset was fetched again, or asked about, and the median of the
    milliseconds from the page's request to its load event.
    """
    asset = f"/{number}/{way.name}/style.css"
    again = checked = 0
    took = []
    for _ in range(loads):
        for _ in range(_TRIES):
            site.asked.clear()
            site.checked.clear()
            site.early.clear()
            tab = open_tab()
            tab.load(f"{url}/{number}/{way.name}/")
            time.sleep(_LATE_SECONDS)
            milliseconds = tab.run(_LOADED)
            tab.leave()
            if site.early or way is not Way.HINT:
                took.append(milliseconds)
                again += site.asked[asset] > 1
                checked += site.checked[asset] > 0
                break
    return f"{again} / {checked} of {len(took)}, {median(took or [0]):.0f} ms"


@contextmanager
def started(browser: str) -> Iterator[OpenTab]:
    """Start a browser, and give what opens its tabs."""
    if browser == "firefox":
        with firefox(peer("firefox-esr"), peer("certutil")) as one:
            yield one.tab
    else:
        with chromium(peer("chromium")) as other:
            yield lambda: Tab(other)


def main(loads: str = "16", browser: str = "chromium", only: str = "") -> None:
    """Print the table of the documentation."""
    print("| the asset's response has | " + " | ".join(Way) + " |")
    print("|---" * (len(Way) + 1) + "|")
    site = Site()
    with started(browser) as open_tab, running(site, tls=True) as live:
        relay, loop = DelayingRelay(live.port, _DELAY), live.server.loop
        asyncio.run_coroutine_threadsafe(relay.__aenter__(), loop).result()
        url = urlsplit(live.url)._replace(netloc=f"localhost:{relay.port}").geturl()
        for number, case in enumerate(CASES):
            if only not in case.name:
                continue
            cells = [measured(site, open_tab, url, number, way, int(loads)) for way in Way]
            print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
