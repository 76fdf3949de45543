"""Notice why less of a site is learned than could be, and tell the operator once.

Reads requests and responses that the middleware handles anyway, and counts them for each site. A
reason that appears often enough becomes a `Finding` of the learner, and a line of the log at
`info`. `shared` owns one; `visit` and `watch` report pages and assets, the learner its refusals.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from headstart.learn import (
    Answer,
    Cause,
    Finding,
    Learner,
    Request,
    Stop,
    Unlearnable,
    explain,
    explain_stop,
)
from headstart.learn.safety import kind_of
from headstart.learn.urls import path_of

logger = logging.getLogger("headstart.middleware")

_MAX_SITES = 20
# Folders of a site that are counted.
_MAX_FOLDERS = 32
# Assets of a folder that are refused before it is told.
_REFUSED = 3
# Assets, and pages, that are looked at before it is told that none of them is as it should be.
_ENOUGH = 20
_NO_REFERRER = frozenset({b"no-referrer"})
_CAUSES = {
    Unlearnable.SETS_COOKIE: Cause.SETS_COOKIE,
    Unlearnable.VARIES: Cause.VARIES,
    Unlearnable.QUERY: Cause.UNKNOWN_VERSION,
}


class _Site:
    """The counts of one site."""

    __slots__ = (
        "again",
        "assets",
        "bare",
        "new",
        "old",
        "once",
        "other_scheme",
        "refused",
        "silent",
    )

    def __init__(self) -> None:
        self.old = 0
        """Pages over HTTP/1.1."""
        self.new = 0
        """Pages over a later version."""
        self.silent = False
        """The last page forbade the Referer."""
        self.assets = 0
        """Assets that name the page that they belong to."""
        self.bare = 0
        """Assets that do not."""
        self.other_scheme = 0
        """Assets that name a page of another scheme."""
        self.once = 0
        """Hinted assets that were fetched."""
        self.again = 0
        """Those that the same view fetched a second time."""
        self.refused: Counter[tuple[Cause, str]] = Counter()


class Diagnosis:
    """Count for each site the conditions that keep the learner from learning.

    Args:
        learner: Receives the findings.
        clock: Seconds since 1970.
    """

    def __init__(self, learner: Learner, clock: Callable[[], float]) -> None:
        self._learner = learner
        self._clock = clock
        self._sites: dict[str, _Site] = {}
        learner.assets.on_refusal = self.refused
        learner.assets.on_fetch = self.fetched
        learner.ended.on_stop = self.stopped

    def viewed(
        self, origin: str, http_version: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Take a page's response."""
        site = self._site(origin)
        if http_version.startswith("1."):
            site.old += 1
            if site.old >= _ENOUGH and not site.new:
                self._note(origin, Cause.HTTP_1)
                site.old = 0
        else:
            site.new += 1
        policy = [value.strip() for name, value in headers if name.lower() == b"referrer-policy"]
        site.silent = bool(policy) and policy[-1].rpartition(b",")[2].strip() in _NO_REFERRER

    def asked(self, request: Request, answer: Answer) -> None:
        """Take a request of somebody who has viewed a page, if it is for an asset."""
        if answer.status != 200 or kind_of(request, answer) is None:
            return
        site = self._site(request.origin)
        if not request.referer:
            site.bare += 1
            if site.bare >= _ENOUGH and site.bare > 9 * site.assets:
                self._note(
                    request.origin, Cause.REFERRER_POLICY if site.silent else Cause.NO_REFERER
                )
                site.bare = site.assets = 0
        elif _differs_in_scheme(request):
            site.other_scheme += 1
            if site.other_scheme >= _REFUSED:
                self._note(request.origin, Cause.OTHER_SCHEME)
                site.other_scheme = 0
        else:
            site.assets += 1

    def fetched(self, request: Request, again: bool) -> None:
        """Take a request for an asset that its page hinted; `again` says that it is the second."""
        site = self._site(request.origin)
        site.again += again
        site.once += not again
        if site.again >= _REFUSED and 2 * site.again >= site.once:
            self._note(request.origin, Cause.FETCHED_TWICE)
            site.again = site.once = 0

    def refused(self, request: Request, answer: Answer, why: Unlearnable) -> None:
        """Count an asset that the learner may not learn."""
        if why is Unlearnable.PRIVATE:
            no_store = "no-store" in (answer.cache_control or "").lower()
            cause: Cause | None = Cause.NO_STORE if no_store else Cause.PRIVATE
        else:
            cause = _CAUSES.get(why)
        if cause is None:
            return
        if cause is Cause.UNKNOWN_VERSION and not self._was_read(request):
            return  # the page's HTML may name it, and then it is learned
        site, where = self._site(request.origin), _folder_of(request.target)
        if (cause, where) not in site.refused and len(site.refused) >= _MAX_FOLDERS:
            return
        site.refused[cause, where] += 1
        if site.refused[cause, where] >= _REFUSED:
            self._note(request.origin, cause, where)
            site.refused[cause, where] = 0

    def stopped(self, stop: Stop) -> None:
        """Log that a page gets nothing ahead any more, or gets it again."""
        level = logging.WARNING if stop.stopped else logging.INFO
        logger.log(level, "%s%s: %s", stop.origin, stop.path, explain_stop(stop))

    def _was_read(self, request: Request) -> bool:
        """Return whether the HTML of the page that asked has been read, if pages are read."""
        learner, page = self._learner, request.referer.removeprefix(request.origin)
        return not learner.options.read_pages or learner.is_read(request.origin, path_of(page))

    def _site(self, origin: str) -> _Site:
        site = self._sites.get(origin)
        if site is None:
            site = self._sites[origin] = _Site()
            if len(self._sites) > _MAX_SITES:
                del self._sites[next(iter(self._sites))]
        return site

    def _note(self, origin: str, cause: Cause, where: str = "") -> None:
        finding = Finding(origin, cause, where, self._clock())
        if self._learner.note(finding):
            logger.info("%s: %s", origin, explain(finding))


def _folder_of(target: str) -> str:
    """Return the first folder of a path, as in `/static/*`: enough to find, and nobody's name."""
    first, slash, _ = path_of(target)[1:].partition("/")
    return f"/{first}/*" if slash else "/*"


def _differs_in_scheme(request: Request) -> bool:
    scheme, _, authority = request.origin.partition("://")
    other, _, rest = request.referer.partition("://")
    return other != scheme and rest.partition("/")[0] == authority
