"""What the learner gives to a store and takes from one: plain records.

A `Vote` is one view as it counts, and a `Removal` an asset that is gone; workers exchange them
about once a second, and fold each other's into their own map. A `PageRecord` is a page (or a
pattern, or an origin) with all that is known of it; a `Rule` is what the operator said. Those two
are written for a restart. All are frozen, hold only numbers, strings and tuples, and survive JSON
(`to_plain`, `from_plain`). Made and read by `learner`, `model`, `rules` and `tallies`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from headstart.errors import ConfigurationError
from headstart.learn.counts import Sighting
from headstart.learn.nodes import Standing
from headstart.learn.safety import Kind


@dataclass(frozen=True, slots=True)
class Vote:
    """One view, as it counts.

    Attributes:
        time: When the page was asked for; seconds on the clock that the caller uses throughout.
        origin, path: The page.
        voter: A number for the client's address.
        rendered: The client fetched assets, or was sent some.
        fresh: The client had nothing of this origin before.
        asked: What it asked for, lacked, and was not sent.
        held: What it had or was sent: nothing follows from its not asking.
        used: Deliveries that were of use.
        wasted: Deliveries that were not.
        worth: Share of what was, or would have been, sent that was of use; None if nothing.
        partial: The view goes on: what it has not asked for yet says nothing.
        continues: A partial vote of the same view was counted before.
    """

    time: float
    origin: str
    path: str
    voter: int
    rendered: bool = True
    fresh: bool = False
    asked: tuple[Sighting, ...] = ()
    held: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    wasted: tuple[str, ...] = ()
    worth: float | None = None
    partial: bool = False
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """An asset that was answered with something other than 200."""

    origin: str
    target: str


@dataclass(frozen=True, slots=True)
class Tally:
    """One association's counts. See `counts.Association`."""

    asset: Sighting
    views: float
    asked: float
    confirmed: bool
    first: int
    run: int
    sent: float
    useful: float


@dataclass(frozen=True, slots=True)
class PageRecord:
    """A page, a pattern or an origin (`path` is "") with its associations; see `nodes.Node`."""

    level: Standing
    origin: str
    path: str
    views: float
    fresh: float
    sent: float
    useful: float
    voters: tuple[int, ...]
    last: float
    assets: tuple[Tally, ...]


class Verdict(StrEnum):
    """What an operator said of an asset."""

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
    """An operator made the learner forget a page."""

    page: str


Record: TypeAlias = Vote | Removal | PageRecord | Rule | Forgotten
_RECORDS: dict[str, type[Record]] = {
    "vote": Vote,
    "removal": Removal,
    "page": PageRecord,
    "rule": Rule,
    "forgotten": Forgotten,
}
_NAMES = {record: name for name, record in _RECORDS.items()}


def to_plain(record: Record) -> dict[str, Any]:
    """The record as a dictionary that JSON can hold, with its `record` name."""
    return {"record": _NAMES[type(record)], **asdict(record)}


def from_plain(plain: dict[str, Any]) -> Record:
    """The record that `to_plain` wrote.

    Raises:
        ConfigurationError: It is none.
    """
    values = dict(plain)
    try:
        make = _RECORDS[values.pop("record")]
        return make(**_restored(values))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"not a record of the learner: {error}", hint="Was the file written by `export`?"
        ) from error


def _restored(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _READ.get(name, _tupled)(value) for name, value in values.items()}


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sighting(plain: dict[str, Any]) -> Sighting:
    return Sighting(**{**plain, "kind": Kind(plain["kind"])})


def _tally(plain: dict[str, Any]) -> Tally:
    return Tally(**{**plain, "asset": _sighting(plain["asset"])})


def _sightings(plain: list[dict[str, Any]]) -> tuple[Sighting, ...]:
    return tuple(_sighting(seen) for seen in plain)


def _tallies(plain: list[dict[str, Any]]) -> tuple[Tally, ...]:
    return tuple(_tally(tally) for tally in plain)


_READ: dict[str, Callable[[Any], Any]] = {
    "asked": _sightings,
    "assets": _tallies,
    "level": Standing,
    "verdict": Verdict,
}
