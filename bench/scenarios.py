"""What is measured, declared. Pure; read by everything else here.

A new row of a table is a new `Scenario`; a new way to measure is a new `Kind`, which `rounds` or
`clients` answers for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from bench.apps.content import BODIES, LARGE, LONG, LONG_PARTS, UPLOAD


class Part(StrEnum):
    """Who takes turns, and so which table a scenario is in."""

    SERVERS = "servers"
    """headstart and the servers beside it (`servers`)."""
    LEARNING = "learning"
    """headstart with its learner on and off (`middleware`)."""
    PAGE = "page"
    """Ways for a page's assets to come (`pageload`)."""
    PROXY = "proxy"
    """headstart as a reverse proxy, or with its cache, and others beside it (`proxies`)."""
    HTTP1 = "HTTP/1.1"
    """headstart and uvicorn over HTTP/1.1."""
    LINKS = "links"
    """Servers at the end of a long link (`links`)."""
    UNPINNED = "unpinned"
    """Servers that may use all cores, as the load may."""
    WORKERS = "workers"
    """Return the same servers, with two workers each."""
    CLIENTS = "clients"
    """headstart.AsyncClient, `h2c` and the clients beside them (`clients`)."""


class Kind(StrEnum):
    """What is measured, and so which tool measures it."""

    REQUESTS = "requests/s"
    """Responses that arrived whole, by h2load."""
    PUSHES = "pushes/s"
    """Pushed responses that arrived whole, by `bench.pushes`."""
    LATENCY = "ms"
    """Time to answer at half of the peak load, by `bench.latency`."""
    REST = "ms at rest"
    """Time to answer one request after the other, by `bench.rest`."""
    MEMORY = "KiB a connection"
    """Growth of the server's memory with idle connections, by `bench.idle`."""
    GETS = "GETs/s"
    """Requests of a client, one connection."""
    DOWNLOAD = "bytes/s"
    """Bytes of one response, read by a client."""
    START = "ms a process"
    """From the start of a process to its end."""
    LINK = "bytes/s over a link"
    """Bytes of one request or response, by `bench.links`."""
    LOAD = "ms a page"
    """From the request to the last asset."""


class App(StrEnum):
    """The application served, as `module:attribute`."""

    BARE = "bench.apps.bare:app"
    STARLETTE = "bench.apps.starlette_app:app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of a table.

    Attributes:
        name: For `--only` and the JSON.
        title: For the table.
        connections: Open at once.
        streams: Requests under way on each connection.
        path: What is asked for.
        requests: How many, where not as many as there is time for.
        upload: Whether the request is a POST of `apps.content.UPLOAD`, or of a long body.
        long: Size of the one body that goes over a link, bytes.
        limited: Whether the link carries no more than `links.CAPACITY`.
        quick: Whether `--quick` measures it.
    """

    name: str
    title: str
    part: Part = Part.SERVERS
    kind: Kind = Kind.REQUESTS
    app: App = App.BARE
    tls: bool = False
    connections: int = 10
    streams: int = 100
    path: str = "/"
    requests: int = 0
    upload: bool = False
    long: int = 0
    limited: bool = True
    quick: bool = False

    @property
    def size(self) -> int:
        """Bytes in one response's body."""
        if self.kind is Kind.DOWNLOAD:
            return LARGE
        if self.kind is Kind.LINK:
            return self.long
        return len(BODIES[self.path])


_TITLES: Final = {App.BARE: "bare", App.STARLETTE: "Starlette"}


def _throughput() -> list[Scenario]:
    """Both applications, both shapes, cleartext and TLS: small answers, as many as there can be."""
    found = []
    for app, title in _TITLES.items():
        for tls in (False, True):
            for connections, streams in ((10, 100), (100, 1)):
                shape = "" if streams == 100 else f"-{connections}x{streams}"
                found.append(
                    Scenario(
                        name=f"{title.lower()}{'-tls' * tls}{shape}",
                        title=f"{title}, {connections} x {streams}{', TLS' * tls}",
                        app=app,
                        tls=tls,
                        connections=connections,
                        streams=streams,
                        quick=app is App.BARE or (streams == 100 and not tls),
                    )
                )
    return found


def _latency() -> list[Scenario]:
    return [
        Scenario(
            name=f"latency-{_TITLES[app].lower()}{'-tls' * tls}",
            title=f"{_TITLES[app]}{', TLS' * tls}",
            kind=Kind.LATENCY,
            app=app,
            tls=tls,
            quick=app is App.BARE and not tls,
        )
        for app, tls in ((App.BARE, False), (App.BARE, True), (App.STARLETTE, False))
    ]


def _memory() -> list[Scenario]:
    return [
        Scenario(
            name=f"memory{'-tls' * tls}",
            title="TLS" if tls else "cleartext",
            kind=Kind.MEMORY,
            tls=tls,
            connections=800,
            streams=1,
            quick=not tls,
        )
        for tls in (False, True)
    ]


def _clients() -> list[Scenario]:
    return [
        Scenario(
            name="client-gets",
            title="10,000 GETs, 100 at once, TLS",
            part=Part.CLIENTS,
            kind=Kind.GETS,
            tls=True,
            connections=1,
            requests=10_000,
            quick=True,
        ),
        Scenario(
            name="client-gets-serial",
            title="2,000 GETs, one at a time, TLS",
            part=Part.CLIENTS,
            kind=Kind.GETS,
            tls=True,
            connections=1,
            streams=1,
            requests=2_000,
        ),
        *[
            Scenario(
                name=f"client-download{'-tls' * tls}",
                title=f"1 GiB{', TLS' * tls}",
                part=Part.CLIENTS,
                kind=Kind.DOWNLOAD,
                tls=tls,
                connections=1,
                streams=1,
                path="/large.bin",
                quick=not tls,
            )
            for tls in (False, True)
        ],
        Scenario(
            name="h2c-start",
            title="h2c get, the whole process",
            part=Part.CLIENTS,
            kind=Kind.START,
            connections=1,
            streams=1,
            quick=True,
        ),
    ]


def _proxy() -> list[Scenario]:
    """The reverse proxy: browsers' shapes, a large body, one client, and pushes from a cache."""
    shapes = (("", 10, 100, "/"), ("-100x1", 100, 1, "/"), ("-100k", 10, 10, "/100k"))
    return [
        *[
            Scenario(
                name=f"proxy{suffix}",
                title=f"proxy, {connections} x {streams}{', 100 KB' * (path == '/100k')}",
                part=Part.PROXY,
                connections=connections,
                streams=streams,
                path=path,
                quick=path == "/",
            )
            for suffix, connections, streams, path in shapes
        ],
        Scenario(
            name="proxy-rest",
            title="proxy, one request at a time",
            part=Part.PROXY,
            kind=Kind.REST,
            connections=1,
            streams=1,
            quick=True,
        ),
        Scenario(
            name="pushes-cached",
            title="page with ten 1 KB pushes, from the cache, 4 x 8",
            part=Part.PROXY,
            kind=Kind.PUSHES,
            connections=4,
            streams=8,
            path="/page",
            quick=True,
        ),
    ]


def _others() -> list[Scenario]:
    """HTTP/1.1, long links, and servers as users run them: on all cores, and with two workers."""
    found = [
        Scenario(
            name="http1",
            title="bare, HTTP/1.1, 100 connections",
            part=Part.HTTP1,
            connections=100,
            streams=1,
            quick=True,
        ),
        *[
            Scenario(
                name=f"link-{'up' if upload else 'down'}",
                title=f"50 MB {'up' if upload else 'down'}, one stream",
                part=Part.LINKS,
                kind=Kind.LINK,
                connections=1,
                streams=1,
                path="/upload" if upload else LONG,
                upload=upload,
                long=LONG_PARTS * len(UPLOAD),
            )
            for upload in (True, False)
        ],
        # Go's server speaks HTTP/2 over TLS only, before its version 1.24.
        Scenario(
            name="link-up-8m",
            title="8 MB up, one stream, TLS, a link without a limit",
            part=Part.LINKS,
            kind=Kind.LINK,
            tls=True,
            connections=1,
            streams=1,
            path="/upload",
            upload=True,
            long=8 * len(UPLOAD),
            limited=False,
        ),
    ]
    for part, name, kept in (
        (Part.UNPINNED, "unpinned", "all cores"),
        (Part.WORKERS, "workers", "two workers"),
    ):
        found += [
            Scenario(
                name=f"{name}-{connections}x{streams}",
                title=f"bare, {connections} x {streams}, {kept}",
                part=part,
                connections=connections,
                streams=streams,
            )
            for connections, streams in ((10, 100), (100, 1))
        ]
    return found


SCENARIOS: Final = (
    *_throughput(),
    Scenario(name="bare-1k", title="bare, 10 x 100, 1 KB", path="/1k"),
    Scenario(name="bare-100k", title="bare, 10 x 10, 100 KB", streams=10, path="/100k"),
    Scenario(
        name="upload", title="bare, 10 x 1, 1 MB upload", streams=1, path="/upload", upload=True
    ),
    Scenario(
        name="pushes",
        title="page with ten 1 KB pushes, 4 x 8",
        kind=Kind.PUSHES,
        connections=4,
        streams=8,
        path="/page",
        quick=True,
    ),
    *_latency(),
    *_memory(),
    Scenario(
        name="learning-starlette",
        title="Starlette, 10 x 100",
        part=Part.LEARNING,
        app=App.STARLETTE,
        quick=True,
    ),
    Scenario(name="learning-bare", title="bare, 10 x 100", part=Part.LEARNING, quick=True),
    Scenario(name="page-load", title="the demo's site", part=Part.PAGE, kind=Kind.LOAD, quick=True),
    *_proxy(),
    *_others(),
    *_clients(),
)


def chosen(patterns: Iterable[str], quick: bool) -> list[Scenario]:
    """The scenarios whose names match one of `patterns` (as a shell does); all where none is given.

    Raises:
        LookupError: A pattern matches no name.
    """
    wanted = list(patterns)
    for pattern in wanted:
        if not any(fnmatchcase(scenario.name, pattern) for scenario in SCENARIOS):
            raise LookupError(pattern)
    if wanted:
        return [s for s in SCENARIOS if any(fnmatchcase(s.name, pattern) for pattern in wanted)]
    return [scenario for scenario in SCENARIOS if scenario.quick or not quick]


def named(name: str) -> Scenario | None:
    """The scenario of that name, None where there is none (any more)."""
    return next((scenario for scenario in SCENARIOS if scenario.name == name), None)
