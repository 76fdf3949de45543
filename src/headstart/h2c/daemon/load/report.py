"""Report a load as JSON and in a sentence. Pure; called by `command` and `picture`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from headstart import figures
from headstart.h2c.daemon.load.resource import Load, Resource, Way
from headstart.h2c.daemon.load.rows import label


def sentence(load: Load) -> str:
    """Return a summary: the bytes, the time, and how the resources arrived."""
    count = len(load.resources)
    ways = [
        f"{len(load.by(way))} {word}"
        for way, word in ((Way.REQUEST, "requested"), (Way.HINT, "hinted"), (Way.PUSH, "pushed"))
    ]
    things = f"{count} resource" + ("" if count == 1 else "s")
    when = figures.time(load.duration)
    return f"{things}, {figures.size(load.size)} in {when}: {', '.join(ways)}"


def notes(load: Load) -> Iterator[str]:
    """Return lines about anything worth a second look."""
    for one in load.resources:
        if one.error:
            yield f"failed: {label(load, one)}: {one.error}"
    for one in load.wasted:
        why = "was not used"
        if one.way is Way.HINT and not one.reusable and _is_fetched_again(load, one):
            why = "was fetched twice, since its status or Cache-Control forbids to keep it"
        yield f"sent ahead for nothing: {label(load, one)} ({one.way.value}) {why}"
    if load.skipped:
        yield f"not fetched: {len(load.skipped)} more; --max-resources N allows more"


def wrapped(line: str, width: int) -> list[str]:
    """Wrap a line to so many columns between words; never break a URL."""
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _is_fetched_again(load: Load, one: Resource) -> bool:
    return any(other.url == one.url and other is not one for other in load.resources)


def as_json(load: Load) -> str:
    """All that is known; times in seconds since the load began, sizes in bytes."""
    told = {
        "url": load.url,
        "duration": round(load.duration, 6),
        "size": load.size,
        "connections": [
            {"origin": made.origin, "start": round(made.started, 6), "end": round(made.ended, 6)}
            for made in load.connections
        ],
        "hints": [{"time": round(early.at, 6), "links": early.links} for early in load.early],
        "resources": [_resource(one) for one in load.resources],
        "skipped": load.skipped,
    }
    return json.dumps(told, indent=2)


def _resource(one: Resource) -> dict[str, object]:
    return {
        "url": one.url,
        "kind": one.kind.value,
        "by": one.way.value,
        "used": one.used,
        "initiator": one.initiator or None,
        "stream": one.stream or None,
        "status": one.status,
        "type": one.media_type or None,
        "size": one.size,
        "start": _time(one.started),
        "response": _time(one.responded),
        "end": _time(one.ended),
        "reusable": one.reusable,
        "error": one.error or None,
    }


def _time(at: float | None) -> float | None:
    return None if at is None else round(at, 6)
