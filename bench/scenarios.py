"""What is measured, declared. Pure; read by `__main__`, `rounds` and `report`.

A new row of the table is a new `Scenario`; a new way to measure is a new `Kind`, which `rounds`
answers for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from bench.apps.content import BODIES


class Kind(StrEnum):
    """What is counted, and so which tool counts it."""

    REQUESTS = "requests/s"
    """Responses that arrived whole, by h2load."""
    PUSHES = "pushes/s"
    """Pushed responses that arrived whole, by `bench.pushes`."""


class App(StrEnum):
    """The application served, as `module:attribute`."""

    BARE = "bench.apps.bare:app"
    STARLETTE = "bench.apps.starlette_app:app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table.

    Attributes:
        name: For `--only` and the JSON.
        title: For the table.
        connections: Open at once.
        streams: Requests under way on each connection.
        path: What is asked for.
        quick: Whether `--quick` measures it.
    """

    name: str
    title: str
    kind: Kind = Kind.REQUESTS
    app: App = App.BARE
    tls: bool = False
    connections: int = 10
    streams: int = 100
    path: str = "/"
    quick: bool = False

    @property
    def size(self) -> int:
        """Bytes in one response's body."""
        return len(BODIES[self.path])


_STARLETTE: Final = App.STARLETTE

SCENARIOS: Final = (
    Scenario(name="bare", title="bare, 10 x 100", quick=True),
    Scenario(name="starlette", title="Starlette, 10 x 100", app=_STARLETTE, quick=True),
    Scenario(name="bare-tls", title="bare, 10 x 100, TLS", tls=True, quick=True),
    Scenario(name="starlette-tls", title="Starlette, 10 x 100, TLS", app=_STARLETTE, tls=True),
    Scenario(name="bare-100x1", title="bare, 100 x 1", connections=100, streams=1, quick=True),
    Scenario(
        name="starlette-100x1",
        title="Starlette, 100 x 1",
        app=_STARLETTE,
        connections=100,
        streams=1,
    ),
    Scenario(name="bare-1k", title="bare, 10 x 100, 1 KB", path="/1k"),
    Scenario(name="bare-100k", title="bare, 10 x 10, 100 KB", streams=10, path="/100k"),
    Scenario(
        name="pushes",
        title="page with ten 1 KB pushes, 4 x 8",
        kind=Kind.PUSHES,
        connections=4,
        streams=8,
        path="/page",
        quick=True,
    ),
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
