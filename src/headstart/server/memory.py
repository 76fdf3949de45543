"""How much memory this process uses, and whether that is too much.

What counts is what is taken, as far as that can be told. RSS says more: Python's allocator gives an
arena of 1 MiB back only when its last block is free, and a few connections that stay are enough to
keep nearly all of them. After nine connections in ten had been cut off, RSS was at 173 MB where 55
were taken.

Reads /proc and the control group's files, where there are any: elsewhere (macOS) nothing is known,
and nothing is shed. Called by `worker`, once a second.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_STATM: Final = Path("/proc/self/statm")
_OWN_GROUP: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")
# What other processes and the kernel itself need has a fifth of the machine.
_SHARE: Final = 0.8
_FIRST_MARK: Final = 7 / 8
# Once shedding, it goes on until so much of the mark is free again: or each request that is let in
# would be the last for a second.
_RECOVERED: Final = 15 / 16
# Bytes that a block of Python's allocator has on average, estimated low: a field of a request takes
# three of 65 to 85.
_BLOCK: Final = 64
# Bytes that stay with the process when they are free, and from how many on an object is mapped by
# itself; glibc's defaults are 128 KiB, or by chance more.
_KEPT: Final = 8 * 1024 * 1024
_MAPPED: Final = 1024 * 1024
# <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


class Pressure(IntEnum):
    """How short memory is; each step includes those before it."""

    NONE = 0
    REQUESTS = 1
    """No new requests."""
    CONNECTIONS = 2
    """No new connections either."""


class MemoryWatch:
    """Compares what is used with two marks, with a gap between going over and coming back.

    Args:
        most: Bytes, the upper mark.

    Attributes:
        first_mark: Bytes, the lower mark.
        recovered_mark: Bytes, below which there is no pressure any more.
        cut_mark: Bytes, to which connections are cut off where that did not come by itself; some
            way below, so that those who stay do not bring it back at once.
        pressure: As it was when last looked at.
        taken: Bytes, likewise.
    """

    def __init__(self, most: int) -> None:
        self.first_mark = most * _FIRST_MARK
        self.recovered_mark = self.first_mark * _RECOVERED
        self.cut_mark = self.recovered_mark * _RECOVERED
        self._peak = self._lowest = self._peak_blocks = 0
        """The most that RSS ever was, the least since then, and the blocks in use at the peak."""
        self._marks = {
            Pressure.CONNECTIONS: float(most),
            Pressure.REQUESTS: self.first_mark,
        }
        self.pressure = Pressure.NONE
        self.taken = 0

    def look(self, used: int, blocks: int = 0) -> Pressure:
        """The pressure at so many bytes.

        Args:
            used: RSS.
            blocks: Of Python's allocator, in use (`used_blocks`).

        Where there is any, what Python and libc hold but do not need is given back to the system:
        RSS would not fall otherwise when load does.
        """
        before = self.pressure
        self.taken = taken = self._taken(used, blocks)
        self.pressure = next(
            (step for step, mark in self._marks.items() if taken >= self._threshold(step, mark)),
            Pressure.NONE,
        )
        if self.pressure > before:
            gc.collect()
        if self.pressure:
            trim()
        return self.pressure

    def _taken(self, used: int, blocks: int) -> int:
        """RSS without what the allocator holds and will use again.

        That is the blocks freed since the peak, without what the system got back since then. Above
        the peak it is nothing: whatever the estimate is worth, RSS grows over it only in want.
        """
        if used >= self._peak:
            self._peak = self._lowest = used
            self._peak_blocks = blocks
            return used
        self._lowest = min(self._lowest, used)
        freed = (self._peak_blocks - blocks) * _BLOCK
        return used - max(0, freed - (self._peak - self._lowest))

    def _threshold(self, step: Pressure, mark: float) -> float:
        return mark * _RECOVERED if step <= self.pressure else mark


def used_memory() -> int:
    """Bytes of memory that this process has in use (RSS); 0 where that is not known."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        return 0


def used_blocks() -> int:
    """How many blocks Python's allocator has handed out; 0 where another one is used."""
    return sys.getallocatedblocks()


def default_most(workers: int) -> int:
    """The upper mark of one of so many workers, in bytes."""
    return int(available_memory() * _SHARE / workers)


def available_memory() -> int:
    """Bytes that the machine has, or the control group may use, whichever is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return min([machine, *_group_limits()])


def _group_limits() -> list[int]:
    """The limits of this process's control group and those around it (cgroups v2 and v1)."""
    files = [_GROUPS / "memory" / "memory.limit_in_bytes"]
    try:
        own = _OWN_GROUP.read_text().splitlines()
    except OSError:
        own = []
    for line in own:
        if line.startswith("0::/"):
            group = _GROUPS / line.removeprefix("0::/")
            files += [place / "memory.max" for place in (group, *group.parents)]
    return [limit for file in files if (limit := _limit_in(file))]


def _limit_in(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def trim() -> None:
    """Let libc return free pages to the system: glibc keeps them, others have no such call."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def keep_free_pages() -> None:
    """Let glibc keep a few MiB that are free.

    Else it returns the end of its heap after every larger response and fetches it again for the
    next, page by page: a third of the time of one of 100 KB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)
