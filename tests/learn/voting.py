"""Votes as views cast them, and maps that are made of them."""

from __future__ import annotations

import json
from typing import Any

from headstart.learn import (
    Kind,
    LearnOptions,
    PageRecord,
    SeenAsset,
    Vote,
    from_plain,
    to_plain,
)
from headstart.learn.model import Map
from tests.learn.site import ORIGIN

OPTIONS = LearnOptions(control_share=32)


def seen(target: str, size: int = 1000) -> SeenAsset:
    return SeenAsset(target, Kind.STYLE, "text/css", False, size, 3600, True)


def vote(voter: int, *targets: str, path: str = "/", **fields: Any) -> Vote:
    asked = tuple(seen(target) for target in targets)
    values = {"time": 0.0, "origin": ORIGIN, "path": path, "voter": voter, "asked": asked}
    return Vote(**{"fresh": True, **values, **fields})


def folded(*votes: Vote, options: LearnOptions = OPTIONS) -> Map:
    known = Map(options)
    for cast in votes:
        known.fold(cast)
    return known


def sent(known: Map, path: str = "/") -> list[str]:
    return [candidate.target for candidate in known.candidates(ORIGIN, path)]


def two_versions() -> Map:
    """A page that always has one of two scripts, both likely at clients that had the other one."""
    known = folded(*(vote(n, "/base.css", "/b.js" if n == 1 else "/a.js") for n in range(1, 4)))
    for n in range(4, 12):
        known.fold(vote(n, "/base.css", "/b.js", held=("/a.js",)))
        known.fold(vote(n + 20, "/base.css", "/a.js", held=("/b.js",)))
    return known


def elsewhere(known: Map, into: Map | None = None, *, older: bool = False) -> Map:
    """A map that has taken this one's records, through JSON; older ones lack what is kept since."""
    other = Map(OPTIONS) if into is None else into
    for record in known.export():
        plain = json.loads(json.dumps(to_plain(record)))
        if older:
            for name in ("dropped", "segments"):
                del plain[name]
            for tally in plain["assets"]:
                for name in ("dropped", "segments", "together"):
                    del tally[name]
        read = from_plain(plain)
        assert isinstance(read, PageRecord)
        other.load(read)
    return other


def phones_and_desktops() -> Map:
    own = {0: "/desk.css", 1: "/phone.css"}
    return folded(*(vote(n, "/base.css", own[n % 2], segment=n % 2) for n in range(8)))
