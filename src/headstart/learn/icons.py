"""Tell a site's icons from the images of its pages: by their names, redirects and HTML.

A browser asks for an icon with the page as Referer, as an image, so its request looks like that for
an image of the page. An icon is a URL with an icon's name, one that a page's HTML names as an icon,
and one that an icon redirects to, as `/favicon.ico` of WordPress does. Pure.
`asset_requests` owns one `Icons`, which takes icons out of the map and of views; `deliver` and
`export` ask for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from headstart.learn.exchange import Answer, Request
from headstart.learn.model import Map
from headstart.learn.records import Reading, SiteIcon
from headstart.learn.safety import Kind, kind_of_path
from headstart.learn.views import View, Views

REDIRECTS = frozenset((301, 302, 303, 307, 308))
"""Statuses that send a client to another URL (RFC 9110, 15.4)."""
# Browsers ask for icons when all else is there, and warn of a preload that the page does not use.
_NAME = re.compile(
    r"favicon|apple-(touch-)?icon|android-(chrome|icon)-|ms(tile|-icon)-|safari-pinned-tab"
    r"|(maskable|pwa|app)?[-_]?icons?[-_]?[0-9]+|[^/]*\.ico$",
    re.IGNORECASE,
)
# A site has a handful; a server may have a thousand sites.
_MOST = 1000
_LONGEST = 256


@lru_cache(maxsize=2048)
def is_icon(target: str) -> bool:
    """Return whether a target is by its name an icon of the site, which no page shows."""
    return _NAME.match(target.partition("?")[0].rpartition("/")[2]) is not None


class Icons:
    """URLs that are icons in spite of their names; bounded, the oldest go first.

    Args:
        known: The map, which forgets them.
        views: The live views, which forget them, too.
    """

    def __init__(self, known: Map, views: Views) -> None:
        self._map = known
        self._views = views
        self._icons: dict[tuple[str, str], None] = {}

    def export(self) -> Iterator[SiteIcon]:
        """Yield them, for `take` after a restart or elsewhere."""
        return iter([SiteIcon(*key) for key in self._icons])

    def take(self, icon: SiteIcon) -> bool:
        """Take an icon, and forget it as an image of pages; return whether it is a new one."""
        key = icon.origin, icon.target
        if key in self._icons or len(icon.target) > _LONGEST:
            return False
        self._icons[key] = None
        if len(self._icons) > _MOST:
            del self._icons[next(iter(self._icons))]
        self._map.remove(icon)
        for view in self._views:
            if view.origin == icon.origin and self._is_icon(view, icon.target):
                view.asked.pop(icon.target, None)
        return True

    def redirected(self, request: Request, answer: Answer) -> SiteIcon | None:
        """Return the icon that an icon redirects to, if the response does so.

        A query may name any URL to go to, so a redirect of a URL with one says nothing. A redirect
        to one that does not name an image leads to a login, and is different for each client.
        """
        if not answer.location or not self.leads_on(request, answer):
            return None
        target = _target_of(request, answer.location)
        if target is None or ("?" in target and kind_of_path(target) is not Kind.IMAGE):
            return None
        return SiteIcon(request.origin, target)

    def leads_on(self, request: Request, answer: Answer) -> bool:
        """Return whether a response redirects an icon, though it may not say where to."""
        if answer.status not in REDIRECTS or "?" in request.target:
            return False
        return is_icon(request.target) or (request.origin, request.target) in self._icons

    def is_asked_for(self, view: View, target: str) -> bool:
        """Return whether a view asks for an image as an icon; its page does not show it then."""
        # Behind an icon whose redirect a log shows without its target, nothing else is asked for.
        due, view.icon_due = view.icon_due, False
        if due:
            return not self._map.names(view.origin, view.path, target)
        return bool(self._icons) and self._is_icon(view, target)

    def _is_icon(self, view: View, target: str) -> bool:
        is_known = (view.origin, target) in self._icons
        return is_known and not self._map.names(view.origin, view.path, target)


def icons_of(said: Reading | SiteIcon) -> list[SiteIcon]:
    """Return the icons that a page's HTML names, or the one that another worker found."""
    if isinstance(said, SiteIcon):
        return [said]
    return [SiteIcon(said.origin, target) for target in said.icons]


def _target_of(request: Request, location: str) -> str | None:
    """Return the path and query that a Location leads to, None if on another host."""
    try:
        url = urlsplit(urljoin(request.origin + request.target, location))
    except ValueError:
        return None
    if url.netloc != request.origin.partition("://")[2]:
        return None
    path = url.path or "/"
    return f"{path}?{url.query}" if url.query else path
