"""Pages with the links that are sent with them, in the one form that every format writes.

Reads a learner, changes nothing. The rules are the server's own (`deliver.decide`), as far as they
do not depend on the client that asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headstart.config import DeliverOptions
from headstart.deliver.decide import delivery_order
from headstart.deliver.preload import link_value
from headstart.errors import ConfigurationError
from headstart.export.paths import is_plain
from headstart.learn import Candidate, Judgement, Learner, Level, PageRecord, Rule, Verdict, is_icon
from headstart.learn.urls import path_of

# Origins that an error names.
_NAMED: Final = 5


class Reason(StrEnum):
    """Why a page, or an asset of a page, is not in the configuration. The value is for people."""

    PATTERN = "it stands for similar pages, so the links would go out with everything below it"
    MOSTLY_WASTE = "the page wastes what it is sent"
    SLOWER = "views of the page that are sent its assets are slower"
    BAD_PATH = "servers refuse such a path, or change it before they compare it"
    ENCODED = "this server compares decoded paths, and decoded it is not text or another path"
    SYNTAX = "the format cannot express it"
    SAME = "the server takes it for another page whose path differs in escapes or the last slash"
    TOO_MANY = "the format takes fewer pages; those with the most views are kept"
    BAD_LINK = "it cannot be written as a Link header"
    OVER_BUDGET = "the Link header of the page would be too long"
    PERSONAL = "only clients with cookies or credentials asked for it, so it may be theirs alone"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A page, or an asset of it, that is not in the configuration.

    Attributes:
        page: Its path.
        asset: The asset's target, or "" for the whole page.
        why: The reason.
    """

    page: str
    asset: str
    why: Reason


@dataclass(frozen=True, slots=True)
class AssetLink:
    """A link to one asset.

    Attributes:
        target: Path and query of the asset.
        value: The link as a value of the Link field of the page's response: printable ASCII.
        early: The link as a 103 may have it, "" where it may not: a browser would fetch the asset
            again for the page.
        verified: The asset's cache headers were seen; an access log has none.
    """

    target: str
    value: str
    early: str
    verified: bool = True


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """A page and its links, those that block rendering first.

    Attributes:
        path: As it stands in the request line, without the query; see `paths.is_plain`.
        links: At least one.
        views: Views that were counted for it lately.
    """

    path: str
    links: tuple[AssetLink, ...]
    views: float = 0.0

    @property
    def value(self) -> str:
        """All links as one value of the Link field."""
        return ", ".join(link.value for link in self.links)

    @property
    def early(self) -> str:
        """Those links that a 103 may have, as one value, or ""."""
        return ", ".join(link.early for link in self.links if link.early)


@dataclass(frozen=True, slots=True)
class Plan:
    """The pages of one site with the links that are sent with each.

    Attributes:
        origin: Scheme and authority, "" where nothing names one.
        pages: By path.
        left_out: Pages and assets that are not in `pages`.
    """

    origin: str
    pages: tuple[LinkedPage, ...]
    left_out: tuple[LeftOut, ...] = ()


def plan_of(learner: Learner, origin: str | None = None) -> Plan:
    """Return the links that are sent with each page of one origin.

    Args:
        learner: The map.
        origin: Scheme and authority; None where only one is known.

    Raises:
        ConfigurationError: Several origins are known and none is given, or another one is.
    """
    records = list(learner.export())
    places = [record for record in records if isinstance(record, PageRecord)]
    origin = _chosen(sorted({place.origin for place in places}), origin)
    views = {
        place.path: place.views
        for place in places
        if place.origin == origin and place.level is Level.PAGE
    }
    for record in records:
        if isinstance(record, Rule) and record.verdict is Verdict.PIN:
            # Pages are pinned by their path, for any origin, or as a whole URL.
            path = path_of(record.page).removeprefix(origin)
            if path.startswith("/"):
                views.setdefault(path, 0.0)
    sent = {row.page for row in learner.rows() if row.sent and not is_icon(row.asset)}
    left_out = [
        LeftOut(path, "", Reason.PATTERN)
        for place in places
        if place.origin == origin and place.level is not Level.PAGE
        if origin + (path := place.path or "/*") in sent
    ]
    pages = []
    for path in sorted(views):
        page, without = _page(learner, origin, path, views[path])
        left_out += without
        if page is not None:
            pages.append(page)
    return Plan(origin, tuple(pages), tuple(left_out))


def _chosen(known: list[str], given: str | None) -> str:
    if given is not None:
        if given in known or not known:
            return given
        raise ConfigurationError(f"nothing is known of {given}", hint=f"Known are {_names(known)}.")
    if len(known) > 1:
        raise ConfigurationError(
            f"{len(known)} origins are known, and a configuration is for one of them",
            hint=f"Give --origin: {_names(known)}.",
        )
    return known[0] if known else ""


def _names(origins: list[str]) -> str:
    more = f" and {len(origins) - _NAMED} more" if len(origins) > _NAMED else ""
    return ", ".join(origins[:_NAMED]) + more


def _page(
    learner: Learner, origin: str, path: str, views: float
) -> tuple[LinkedPage | None, list[LeftOut]]:
    """Return a page with its links, None where it has none, and the omissions."""
    likely = [found for found in learner.candidates(origin, path) if not is_icon(found.target)]
    if not likely:
        return None, []
    if not is_plain(path):
        return None, [LeftOut(path, "", Reason.BAD_PATH)]
    if learner.wastes(origin, path) and not any(c.why is Judgement.PINNED for c in likely):
        return None, [LeftOut(path, "", Reason.MOSTLY_WASTE)]
    if learner.stops(origin, path):
        return None, [LeftOut(path, "", Reason.SLOWER)]
    links: list[AssetLink] = []
    left_out: list[LeftOut] = []
    for candidate in delivery_order(likely):
        link = _link(candidate)
        if candidate.personal:
            left_out.append(LeftOut(path, candidate.target, Reason.PERSONAL))
        elif link is None:
            left_out.append(LeftOut(path, candidate.target, Reason.BAD_LINK))
        elif len(links) == DeliverOptions().max_assets:
            left_out.append(LeftOut(path, candidate.target, Reason.OVER_BUDGET))
        else:
            links.append(link)
    page = LinkedPage(path, tuple(links), views)
    return (page if links else None), left_out


def _link(candidate: Candidate) -> AssetLink | None:
    asset = candidate.asset
    value = link_value(asset, candidate.named)
    if not value:
        return None
    # A log has no cache headers. A server's administrator knows them, so the comments say to look.
    early = not asset.verified or (asset.lifetime or 0) >= DeliverOptions().min_lifetime
    early_value = link_value(asset, candidate.named, early=True) if early else b""
    return AssetLink(asset.target, value.decode(), early_value.decode(), asset.verified)
