"""The recent past of the sites that one worker serves, as plain frozen records.

Pure. `recorder` makes them; the admin page shows them, with those of other workers. Each has only
numbers, strings and tuples, so `as_plain` and `report_from` carry it between processes as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

SPAN = 300
"""Seconds that one `Figures` is about."""
SPANS = 144
"""Spans that are kept: twelve hours."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The views of one site that ended in one span of time.

    Attributes:
        start: When the span begins, in seconds since 1970; a multiple of `SPAN`.
        views: All of them.
        served: Those with which something was sent ahead.
        controls: Those that got nothing so that they can be compared.
        asked: Assets that clients asked for without having been told of them.
        sent: Assets that were sent ahead.
        used: Sent assets that were of use: fetched after a hint, or pushed and not refused.
        wasted: Pushes that were refused or fetched once more.
    """

    start: int
    views: int = 0
    served: int = 0
    controls: int = 0
    asked: int = 0
    sent: int = 0
    used: int = 0
    wasted: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Return the sum, from the earlier start on."""
        return Figures(
            min(self.start, other.start),
            *(
                getattr(self, field.name) + getattr(other, field.name)
                for field in fields(self)
                if field.name != "start"
            ),
        )

    @property
    def recall(self) -> float | None:
        """Return the share of needed assets that were sent ahead; None without any."""
        needed = self.used + self.asked
        return self.used / needed if needed else None

    @property
    def waste(self) -> float | None:
        """Return the share of sent assets that were wasted; None without any."""
        return self.wasted / self.sent if self.sent else None

    @property
    def share(self) -> float | None:
        """Return the share of views that got something; None without views."""
        return self.served / self.views if self.views else None


@dataclass(frozen=True, slots=True)
class AssetLoad:
    """One asset of a recorded view. Times are seconds since the page's request.

    Attributes:
        target: Path and query.
        way: `push`, `hint`, `link`, or `` if the client asked for it by itself.
        start: When its request came, or its promise was acted on; None if a hint was not followed.
        responded: When the head of its response was there.
        end: When the application had sent the whole response; None while it goes on.
        status: Of the response, 0 without one.
        size: Bytes of the body.
    """

    target: str
    way: str
    start: float | None
    responded: float | None
    end: float | None
    status: int
    size: int


@dataclass(frozen=True, slots=True)
class PageLoad:
    """One recorded view of a page.

    Attributes:
        origin, path: The page.
        time: When it was asked for, in seconds since 1970.
        version: Of HTTP.
        withheld: Why nothing was sent, the `Refusal` of the view or of all its assets; or "".
        hinted: A 103 went out, in seconds since the request; None if none did.
        responded, end, status, size: As with assets.
        assets: In the order of their start, those that were sent ahead and not fetched last.
    """

    origin: str
    path: str
    time: float
    version: str
    withheld: str
    hinted: float | None
    responded: float | None
    end: float | None
    status: int
    size: int
    assets: tuple[AssetLoad, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteReport:
    """One site as one worker has seen it.

    Attributes:
        origin: The site.
        history: Its figures, the oldest first; spans without views are left out.
        refused: How often each reason kept an asset from being sent ahead.
    """

    origin: str
    history: tuple[Figures, ...]
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """The past that one worker has seen: its sites, and their last views, the newest first."""

    sites: tuple[SiteReport, ...]
    loads: tuple[PageLoad, ...]


def as_plain(report: Report) -> dict[str, Any]:
    """Return a report as JSON takes it; the many small records become lists of their fields."""
    return {
        "sites": [
            [site.origin, [_values(figures) for figures in site.history], dict(site.refused)]
            for site in report.sites
        ],
        "loads": [
            [*_values(load)[:-1], [_values(asset) for asset in load.assets]]
            for load in report.loads
        ],
    }


def report_from(plain: Mapping[str, Any]) -> Report:
    """Return the report that `as_plain` wrote.

    Raises:
        KeyError, TypeError, ValueError: It did not.
    """
    return Report(
        tuple(
            SiteReport(origin, tuple(Figures(*values) for values in history), dict(refused))
            for origin, history, refused in plain["sites"]
        ),
        tuple(
            PageLoad(*(*load[:-1], tuple(AssetLoad(*asset) for asset in load[-1])))
            for load in plain["loads"]
        ),
    )


def _values(record: Figures | AssetLoad | PageLoad) -> list[Any]:
    """Return the fields in order: `dataclasses.astuple` copies all values deeply, which is slow."""
    return [getattr(record, name) for name in record.__slots__]
