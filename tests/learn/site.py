"""A site and its clients for the learner's tests: visits as the middleware would tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from headstart.learn import Answer, How, Learner, LearnOptions, Request, View

ORIGIN = "https://example.org"
STYLE, SCRIPT, FONT, IMAGE = "/site.css", "/app.js", "/text.woff2", "/logo.png"
ASSETS = (STYLE, SCRIPT, FONT, IMAGE)
CACHEABLE = "public, max-age=3600"
_DESTINATIONS = {"css": "style", "js": "script", "woff2": "font", "png": "image"}
_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "woff2": "font/woff2",
    "png": "image/png",
}
HTML = Answer(200, "text/html; charset=utf-8")


def page_request(path: str = "/", address: str = "192.0.2.1", **fields: Any) -> Request:
    """A browser's navigation."""
    request = Request(ORIGIN, path, address, destination="document", mode="navigate")
    return request._replace(**fields)


def asset_request(
    target: str, page: str = "/", address: str = "192.0.2.1", **fields: Any
) -> Request:
    """A browser's request for what a page needs."""
    destination = _DESTINATIONS[target.partition("?")[0].rpartition(".")[2]]
    request = Request(
        ORIGIN,
        target,
        address,
        referer=ORIGIN + page,
        destination=destination,
        mode="cors" if destination == "font" else "no-cors",
    )
    return request._replace(**fields)


def asset_answer(target: str, **fields: Any) -> Answer:
    """A cacheable answer of the right type."""
    extension = target.partition("?")[0].rpartition(".")[2]
    answer = Answer(200, _TYPES[extension], cache_control=CACHEABLE, size=1000)
    return answer._replace(**fields)


class Site:
    """A learner and a clock; each visit takes a minute."""

    def __init__(self, **options: Any) -> None:
        self.learner = Learner(LearnOptions(**{"control_share": 0, **options}))
        self.now = 1000.0
        self._addresses = count(1)

    def somebody(self) -> str:
        """An address that was never here."""
        number = next(self._addresses)
        return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    def open(self, path: str = "/", address: str | None = None, **fields: Any) -> View:
        """A page is asked for and answered."""
        request = page_request(path, address or self.somebody(), **fields)
        view = self.learner.begin(request, self.now)
        view = self.learner.complete(request, HTML, view, self.now)
        assert view is not None
        return view

    def fetch(self, view: View, target: str, page: str | None = None, **fields: Any) -> None:
        """An asset of a view is asked for and answered."""
        address, agent = view.client
        request = asset_request(target, page or view.path, address, user_agent=agent)
        if view.viewer.key != view.client:
            request = request._replace(connection=view.viewer.key)
        self.learner.begin(request, self.now)
        self.learner.complete(request, asset_answer(target, **fields), None, self.now)

    def wait(self, seconds: float = 60.0) -> None:
        """Time goes by, and what was seen is counted."""
        self.now += seconds
        self.learner.sync(self.now)

    def visit(
        self,
        path: str = "/",
        assets: Iterable[str] = ASSETS,
        address: str | None = None,
        deliver: How | None = None,
        **fields: Any,
    ) -> View:
        """A whole view: what is sent ahead by hint is asked for, what is pushed is not."""
        view = self.open(path, address, **fields)
        sent = {candidate.target for candidate in view.candidates} if deliver else set()
        for target in sent:
            self.learner.delivered(view, target, deliver or How.HINTED)
        wanted = dict.fromkeys(assets)
        if deliver is How.HINTED:
            wanted.update(dict.fromkeys(sent))
        for target in wanted:
            if not (deliver is How.PUSHED and target in sent):
                self.fetch(view, target)
        self.wait()
        return view

    def sent(self, path: str = "/") -> set[str]:
        """What the map alone would send with a page."""
        return {candidate.target for candidate in self.learner.candidates(ORIGIN, path)}
