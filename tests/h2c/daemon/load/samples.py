"""Loads as they could have been, for what shows them."""

from __future__ import annotations

from headstart.h2c.daemon.load.resource import Early, Kind, Load, Opened, Resource, Way

PAGE = "https://a.test/dir/"


def resource(
    path: str, way: Way, start: float, response: float | None, end: float | None, size: int = 1000
) -> Resource:
    status = None if response is None else 200
    return Resource(PAGE + path, Kind.IMAGE, PAGE, way, start, response, end, status, "", size)


def sample() -> Load:
    """One of each."""
    load = Load(PAGE)
    load.connections = [Opened("https://a.test", 0.0, 0.02)]
    load.early = [Early(0.03, (PAGE + "a.css",))]
    page = Resource(PAGE, Kind.DOCUMENT, "", Way.REQUEST, 0.02, 0.1, 0.12, 200, "text/html", 5000)
    hinted = resource("a.css", Way.HINT, 0.03, 0.04, 0.05)
    pushed = resource("b.js", Way.PUSH, 0.025, 0.03, 0.06)
    unused = resource("unused.png", Way.PUSH, 0.025, None, None, 0)
    unused.used = False
    failed = resource("failed.png", Way.REQUEST, 0.12, None, None, 0)
    failed.error = "the server reset stream 9 (INTERNAL_ERROR)"
    foreign = resource("", Way.REQUEST, 0.12, 0.18, 0.2)
    foreign.url = "https://cdn.test/x?y=\x1b[31m"
    missing = resource("missing.png", Way.REQUEST, 0.12, 0.13, 0.13)
    missing.status = 404
    load.resources = [page, hinted, pushed, unused, failed, foreign, missing]
    return load
