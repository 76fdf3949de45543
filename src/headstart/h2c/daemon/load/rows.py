"""The lines of a waterfall, whether it becomes text or a picture. Pure; called by both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from headstart import figures
from headstart.h2c.daemon.load.resource import Load, Resource, Way

_BROKEN = "failed"


class Look(StrEnum):
    """The meaning of a bar."""

    CONNECT = "connect"
    REQUEST = "request"
    HINT = "hint"
    PUSH = "push"
    UNUSED = "not used"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """One line; times are seconds since the load began.

    Attributes:
        by: How it came, in a word or two.
        responded: When waiting ended; `start` where there was none.
        marks: When a 103 came.
    """

    label: str
    status: str
    size: str
    by: str
    look: Look
    start: float
    responded: float
    end: float
    marks: tuple[float, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Return true if the response broke off."""
        return self.status == _BROKEN

    @property
    def took(self) -> str:
        """How long it took, as people read it."""
        return figures.time(self.end - self.start)


def rows(load: Load) -> list[Row]:
    """All lines: the connections that were made, then the resources as they began."""
    found = [*_connections(load), *(_row(load, one) for one in load.resources)]
    return sorted(found, key=lambda row: (row.start, row.look is not Look.CONNECT))


def _connections(load: Load) -> Iterator[Row]:
    for made in load.connections:
        host = urlsplit(made.origin).netloc
        times = (made.started, made.started, made.ended)
        yield Row(f"connect {host}", "", "", "", Look.CONNECT, *times)


def _row(load: Load, one: Resource) -> Row:
    last = one.ended if one.ended is not None else one.responded
    end = max(load.duration if last is None and one.error else last or one.started, one.started)
    responded = min(end if one.responded is None else one.responded, end)
    return Row(
        label(load, one),
        _BROKEN if one.error else str(one.status or "-"),
        figures.size(one.size),
        by(one),
        _look(one),
        one.started,
        max(responded, one.started),
        end,
        tuple(early.at for early in load.early) if one is load.resources[0] else (),
    )


def label(load: Load, one: Resource) -> str:
    """Path and query; with the host in front where it is not the page's."""
    page = urlsplit(load.url)
    parts = urlsplit(one.url)
    foreign = (parts.scheme, parts.netloc) != (page.scheme, page.netloc)
    name = f"{parts.netloc}{one.name}" if foreign else one.name
    return "".join(character if character.isprintable() else "?" for character in name)


def by(one: Resource) -> str:
    """How it came, and whether for nothing."""
    return one.way.value if one.used else f"{one.way.value}, unused"


def _look(one: Resource) -> Look:
    if one.error or (one.status or 0) >= 400:
        return Look.FAILED
    if not one.used:
        return Look.UNUSED
    match one.way:
        case Way.PUSH:
            return Look.PUSH
        case Way.HINT:
            return Look.HINT
        case Way.REQUEST:
            return Look.REQUEST
