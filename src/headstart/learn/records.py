"""Plain records that the learner exchanges with a store.

A `Vote` is one view as it counts, a `Removal` a removed asset, and a `Sighting` new facts about an
asset; workers exchange them about once a second, and fold each other's into their own map. A
`PageRecord` is a page (or a pattern, or an origin) with all its counts; a `Rule` is an operator's
order; a `SiteIcon` is an image that no page shows. Those three are written for a restart.
They hold only numbers, strings and tuples, and survive JSON (`to_plain`, `from_plain`). All but
votes are frozen.
Made and read by `learner`, `model`, `rules` and `tallies`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from headstart.errors import ConfigurationError
from headstart.learn.clients import SEGMENTS
from headstart.learn.counts import SeenAsset
from headstart.learn.findings import Finding
from headstart.learn.gains import Measure, Stop
from headstart.learn.named import Named, OtherOrigin
from headstart.learn.nodes import Level
from headstart.learn.plain import Bits, FieldError, Reader, UnknownValueError, reader_of, undeclared
from headstart.learn.safety import Trust

# The kinds of records that other versions may have look like this.
_KIND = re.compile("[a-z_]{1,20}")


class NewerRecordError(ConfigurationError):
    """A record is of a kind that this version does not know, or has a value that it does not know.

    Workers of two versions share a store while a fleet is updated.
    """


@dataclass(slots=True)
class Vote:
    """One view, as it counts. Not frozen, which would treble the cost of making it.

    Attributes:
        time: When the page was requested; seconds on the clock that the caller uses throughout.
        origin, path: The page.
        voter: A number for the client's address.
        rendered: The client fetched assets, or was sent some.
        fresh: The client had nothing of this origin before.
        asked: Assets that it requested, lacked, and was not sent.
        held: Assets that it had or was sent: their absence from `asked` proves nothing.
        used: Deliveries that were of use.
        wasted: Deliveries that were not.
        worth: Share of the sent assets that were of use, or would have been; None if there were
            none.
        before: Assets that it requested earlier, which a partial vote has counted.
        partial: The view is open: assets that it has not requested yet prove nothing.
        continues: A partial vote of the same view was counted before.
        segment: That of its client and URL, as in `clients.segment_of`.
        quiet: The client requested no asset at all: it may have them, or be a robot. Assets that it
            was not sent prove nothing.
        personal: The page may be one that this client alone is allowed to read.
        control: It got nothing, so that it can be compared.
        blocking: Seconds from the page's request to the last stylesheet, script or font, or None
            where none was seen, or the view is not measured.
        loaded: The same for the last asset of any kind.
    """

    time: float
    origin: str
    path: str
    voter: int
    rendered: bool = True
    fresh: bool = False
    asked: tuple[SeenAsset, ...] = ()
    held: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    wasted: tuple[str, ...] = ()
    worth: float | None = None
    partial: bool = False
    continues: bool = False
    before: tuple[str, ...] = ()
    segment: int = 0
    quiet: bool = False
    personal: bool = False
    control: bool = False
    blocking: float | None = None
    loaded: float | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """An asset that was answered with something other than 200."""

    origin: str
    target: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """An asset of the map as its response showed it, where the map had other facts.

    A vote carries only the assets that its client was not sent.
    """

    origin: str
    asset: SeenAsset


@dataclass(frozen=True, slots=True)
class SiteIcon:
    """An image that browsers ask for as a site's icon, though its name does not say so."""

    origin: str
    target: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One client's copy of a page, as its HTML names assets.

    Attributes:
        time: When the page's response began, on the clock of `Vote.time`.
        origin, path: The page.
        voter: A number for the address of the client whose copy it is.
        trust: How far it speaks for other clients' copies.
        whole: It was read to its end, so assets that it does not name are not in it.
        named: The assets of the page's own origin, in order.
        others: Other origins that the page loads from.
        alternatives: Images of which a browser takes one of several.
        sheets: The stylesheets among `named` all of whose fonts are in `named`, too.
        icons: Images that it names as the site's icons and not otherwise.
    """

    time: float
    origin: str
    path: str
    voter: int
    trust: Trust
    whole: bool = True
    named: tuple[Named, ...] = ()
    others: tuple[OtherOrigin, ...] = ()
    alternatives: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    icons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """How soon a browser showed a page, as it says.

    Attributes:
        time: When it said so, on the clock of `Vote.time`.
        origin, path: The page.
        voter: A number for the client's address.
        control: Nothing was sent ahead, so that the view can be compared.
        fcp, lcp, load: Seconds from the start of the navigation to First Contentful Paint, Largest
            Contentful Paint and the load event; None for one that was not seen.
    """

    time: float
    origin: str
    path: str
    voter: int
    control: bool
    fcp: float | None = None
    lcp: float | None = None
    load: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentTally:
    """The share of an asset in the views of one segment, as in `clients.segment_of`."""

    segment: int
    views: float
    asked: float


@dataclass(frozen=True, slots=True)
class Cooccurrence:
    """The assets that views of a page ask for together with one, and those that they do without.

    Each asset of the page has a bit, which stands for it in the sets of the others. See
    `counts.Association`.
    """

    bit: Bits
    mates: Bits
    apart: Bits
    often_apart: Bits


@dataclass(frozen=True, slots=True)
class Tally:
    """One association's counts. See `counts.Association`, `counts.Asset` and `counts.Naming`.

    Attributes:
        dropped: When pages were seen to name the asset no more, or 0.0.
        segments: Its shares in segments, if its page has views of several.
        together: The other assets of its page in the same views; None for patterns and origins.
        personal: It was asked for with personal pages only.
    """

    asset: SeenAsset
    views: float
    asked: float
    confirmed: bool
    first: int
    run: int
    sent: float
    useful: float
    answered: bool = True
    named: Named | None = None
    namer: int = 0
    live: bool = True
    alternates: bool = False
    doubted: bool = False
    dropped: float = 0.0
    segments: tuple[SegmentTally, ...] = ()
    together: Cooccurrence | None = None
    personal: bool = False


@dataclass(frozen=True, slots=True)
class PageRecord:
    """A page, a pattern or an origin (`path` is "") with its associations; see `nodes.Node`."""

    level: Level
    origin: str
    path: str
    views: float
    fresh: float
    sent: float
    useful: float
    voters: tuple[int, ...]
    last: float
    assets: tuple[Tally, ...]
    read: float = 0.0
    others: tuple[OtherOrigin, ...] = ()
    alternatives: tuple[str, ...] = ()
    personal: bool = False
    measures: tuple[Measure, ...] = ()
    stop: Stop | None = None
    dropped: float = 0.0
    segments: int = 0


class Verdict(StrEnum):
    """An operator's order about an asset."""

    PIN = "pin"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Rule:
    """An operator's word: always with this page, or never. `page` is "" for never."""

    verdict: Verdict
    page: str
    asset: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An operator made the learner forget a page.

    Attributes:
        page: A path, or a whole URL.
        time: On the clock of `Vote.time`. Earlier views of the page are not learned any more.
    """

    page: str
    time: float = 0.0


Record: TypeAlias = (
    Vote
    | Reading
    | Removal
    | Sighting
    | SiteIcon
    | PageRecord
    | Rule
    | Forgotten
    | Finding
    | Stop
    | Report
)
_RECORDS: dict[str, type[Record]] = {
    "vote": Vote,
    "reading": Reading,
    "removal": Removal,
    "sighting": Sighting,
    "icon": SiteIcon,
    "page": PageRecord,
    "rule": Rule,
    "forgotten": Forgotten,
    "finding": Finding,
    "stop": Stop,
    "report": Report,
}
_EXPORTED = "Give a file that `headstart map export` wrote."
# Of what is added up as floats.
_ROUNDING = 0.01
_NAMES = {record: name for name, record in _RECORDS.items()}
_READERS: dict[str, Reader] = {name: reader_of(record) for name, record in _RECORDS.items()}


BEGINNING = '{"record":"'
"""The beginning of a record as JSON without spaces."""


def to_plain(record: Record) -> dict[str, Any]:
    """Return the record as a dictionary for JSON, with its `record` name."""
    return {"record": _NAMES[type(record)], **asdict(record)}


def from_plain(plain: Any) -> Record:
    """Return the record that `to_plain` wrote, without fields that this version does not know.

    Raises:
        NewerRecordError: Its kind, or one of its values, is unknown here.
        ConfigurationError: It is not a record: a value is missing, or has another type.
    """
    try:
        values = dict(plain)
        kind = values.pop("record")
        if kind not in _READERS and _KIND.fullmatch(kind):
            raise UnknownValueError("unknown kind")
        record: Record = _READERS[kind](values)
    except UnknownValueError as error:
        raise NewerRecordError(
            f"a record of a newer version ({kind}): {error}",
            hint="Use the version that wrote it, or a newer one.",
        ) from error
    except FieldError as error:
        raise ConfigurationError(f"not a record of the map: {error}", hint=_EXPORTED) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError("not a record of the map", hint=_EXPORTED) from error
    if not _is_plausible(record):
        raise ConfigurationError(
            "not a record of the map: a share is above 1, or a segment does not exist",
            hint=_EXPORTED,
        )
    return record


def unknown_fields(plain: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the fields that `from_plain` left out, each with the known names of its place.

    Args:
        plain: A record that `from_plain` took.
    """
    values = dict(plain)
    return list(undeclared(_RECORDS[values.pop("record")], values))


def _is_plausible(record: Record) -> bool:
    """Return whether shares are shares, and segments segments.

    Sums of many floats may be a little off.
    """
    if isinstance(record, Vote):
        return (record.worth is None or record.worth <= 1.0) and _is_segment(record.segment)
    if not isinstance(record, PageRecord):
        return True
    shares = [(record.sent, record.useful)]
    for tally in record.assets:
        shares += (tally.views, tally.asked), (tally.sent, tally.useful)
        shares += ((each.views, each.asked) for each in tally.segments)
        if not all(_is_segment(each.segment) for each in tally.segments):
            return False
    are_segments = 0 <= record.segments < 1 << SEGMENTS
    return are_segments and all(hits <= tries + _ROUNDING for tries, hits in shares)


def _is_segment(number: int) -> bool:
    return 0 <= number < SEGMENTS
