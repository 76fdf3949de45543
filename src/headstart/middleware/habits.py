"""Properties of earlier responses of pages that matter before the next response is there.

Pure and bounded. It keeps hashes of pages, so that long URLs take no more room than short ones.
`visit` notes each response, and asks before it decides.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_MAX_PAGES = 1000
_MAX_SITES = 100
# Responses in a row that are not a page's, and how many more it takes for a URL that was a page:
# one that answers by the client, as a start page does before the login, alternates.
_ENOUGH = 2
_MORE = 6
_NO_KINDS: frozenset[str] = frozenset()

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """Values by the hash of a URL, so many, least recently noted out first."""

    def __init__(self, places: int) -> None:
        self._values: OrderedDict[int, Value] = OrderedDict()
        self._places = places

    def get(self, url: str) -> Value | None:
        return self._values.get(hash(url)) if self._values else None

    def put(self, url: str, value: Value) -> None:
        key = hash(url)
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._places:
            self._values.popitem(last=False)

    def drop(self, url: str) -> None:
        self._values.pop(hash(url), None)


class Habits:
    """Of pages: the kinds that their policies keep behind a nonce, whether the application hints,
    and whether they are pages at all.

    Args:
        max_pages: How many pages are remembered.
        max_sites: How many origins, for pages that were not seen.
    """

    def __init__(self, max_pages: int = _MAX_PAGES, max_sites: int = _MAX_SITES) -> None:
        self._pages: _Recent[frozenset[str]] = _Recent(max_pages)
        self._sites: _Recent[frozenset[str]] = _Recent(max_sites)
        self._hinting: _Recent[bool] = _Recent(max_pages)
        self._others: _Recent[int] = _Recent(max_pages)

    def guarded(self, origin: str, path: str) -> frozenset[str]:
        """Return the kinds that need a nonce or are barred by the page's last response.

        Of a page that was not seen, those of the site's last response.
        """
        kinds = self._pages.get(origin + path)
        return (self._sites.get(origin) or _NO_KINDS) if kinds is None else kinds

    def note_guarded(self, origin: str, path: str, kinds: frozenset[str]) -> None:
        """Note the policy of a response. Most sites have none, and take no room."""
        if kinds or self._sites.get(origin) is not None:
            self._pages.put(origin + path, kinds)
            self._sites.put(origin, kinds)

    def is_other(self, page: str) -> bool:
        """Return whether a URL has not answered with a page lately: a redirect, a download.

        One such answer may be about its client alone.
        """
        return (self._others.get(page) or 0) >= _ENOUGH

    def note_answer(self, page: str, status: int, *, is_page: bool) -> None:
        """Note whether a URL answered with a page. A server's failure says nothing of that."""
        if is_page:
            self._others.put(page, -_MORE)
        elif status < 500:
            self._others.put(page, (self._others.get(page) or 0) + 1)

    def hints(self, page: str) -> bool:
        """Return whether the application hinted at the last view of this page."""
        return self._hinting.get(page) is not None

    def note_hints(self, page: str, hints: bool) -> None:
        """Note whether the application hinted at a view of this page."""
        if hints:
            self._hinting.put(page, True)
        else:
            self._hinting.drop(page)
