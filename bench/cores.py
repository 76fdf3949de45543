"""Which processor core a server has for itself, and which ones the load may use.

A server that shares its core with the load is slowed by it, and one with threads would use the
load's. So each server gets one core, the same for all, and everything else the others. `split` is
pure; `on` changes the affinity of this process, which what it starts inherits. Called by
`servers`, `rounds` and `__main__`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SIBLINGS: Final = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores; both empty where nothing can be pinned.

    Attributes:
        server: Of the server under load.
        load: Of everything else.
    """

    server: frozenset[int] = frozenset()
    load: frozenset[int] = frozenset()

    @property
    def all(self) -> frozenset[int]:
        """Those of the server and those of the load."""
        return self.server | self.load

    def __str__(self) -> str:
        if not self.server:
            return "servers and load share all cores"
        return f"server on core {_listed(self.server)}, load on {_listed(self.load)}"


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(str(core) for core in sorted(cores))


def split(usable: frozenset[int], siblings: frozenset[int]) -> Cores:
    """One core for the server, the others for the load.

    Args:
        usable: What this process may use.
        siblings: Hardware threads of the highest of them, which nobody else may use then.
    """
    if len(usable) < 2:
        return Cores()
    server = frozenset({max(usable)})
    return Cores(server, usable - siblings - server or usable - server)


def of_this_machine() -> Cores:
    """How this machine is divided; nothing is pinned on fewer than two cores, or without Linux."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores()
    usable = frozenset(os.sched_getaffinity(0))
    return split(usable, parse_list(_read(_SIBLINGS.format(max(usable)))))


def parse_list(text: str) -> frozenset[int]:
    """`0,2-3` -> {0, 2, 3}, as the kernel writes it."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


@contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Run there, and start there what is started; anywhere where `cores` is empty."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


CORES: Final = of_this_machine()
