"""How much memory this process uses, and whether that is too much.

The figure is an estimate of memory in use. RSS is larger: Python's allocator returns an arena of
1 MiB only when its last block is free, and a few connections that stay keep nearly all of them.
After nine connections in ten had been cut off, RSS was at 173 MB with 55 in use.

Reads /proc and the control group's files, if they exist: elsewhere (macOS) nothing is known, and
nothing is shed. Called by `worker`, once a second.
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
# The most that counts as free above the highest RSS, of the upper mark. It may be wrong by so much:
# the system may have got it back, and large objects taken its place, between two looks.
_CARRIED: Final = 1 / 4
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
    """Compare the memory in use with two marks, with a gap between going over and coming back.

    Args:
        most: Bytes, the upper mark.

    Attributes:
        first_mark: Bytes, the lower mark.
        recovered_mark: Bytes; below it the pressure is over.
        cut_mark: Bytes, the aim of cutting connections off; some way below, so that the remaining
            ones do not bring the pressure back at once.
        pressure: At the last look.
        taken: Bytes at the last look.
    """

    def __init__(self, most: int) -> None:
        self.first_mark = most * _FIRST_MARK
        self.recovered_mark = self.first_mark * _RECOVERED
        self.cut_mark = self.recovered_mark * _RECOVERED
        self._most_carried = int(most * _CARRIED)
        self._peak = self._lowest = self._peak_blocks = 0
        """The most that RSS ever was, the least since then, and the blocks in use at the peak."""
        self._marks = {
            Pressure.CONNECTIONS: float(most),
            Pressure.REQUESTS: self.first_mark,
        }
        self.pressure = Pressure.NONE
        self.taken = 0

    def look(self, used: int, blocks: int = 0) -> Pressure:
        """Return the pressure at so many bytes.

        Args:
            used: RSS.
            blocks: Of Python's allocator, in use (`used_blocks`).

        Under pressure, memory that Python and libc hold without need is returned to the system:
            otherwise
        RSS would not fall when the load does.
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
        """Return RSS without memory that the allocator holds and will use again.

        That is the blocks freed since the peak, without those returned to the system since then.
        Above the peak it is what was free before, as far as RSS has not grown meanwhile: a
        worker that frees the fields of one connection may grow by the buffers of the next.
        """
        free = (self._peak_blocks - blocks) * _BLOCK - (self._peak - self._lowest)
        if used >= self._peak:
            free = max(0, min(free - (used - self._lowest), self._most_carried))
            self._peak = self._lowest = used
            self._peak_blocks = blocks + free // _BLOCK
        self._lowest = min(self._lowest, used)
        free = (self._peak_blocks - blocks) * _BLOCK - (self._peak - self._lowest)
        return used - max(0, free)

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
    """Return the upper mark of one of so many workers, in bytes."""
    return int(available_memory() * _SHARE / workers)


def available_memory() -> int:
    """Bytes that the machine has, or the control group may use, whichever is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return min([machine, *_group_limits()])


def _group_limits() -> list[int]:
    """Return the limits of this process's control group and those around it (cgroups v2 and v1)."""
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
