"""How the time that something takes grows with what it is given, whatever the machine is doing.

A bound in seconds holds on one machine and fails on a busier one. Here the same code is compared
with itself on an eighth of the input, in processor time: eight times as much where it is linear, 64
times where it is quadratic. What others do in between (the garbage collector, a neighbour on the
same core) makes single measurements longer, never shorter, so the shortest of several counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_PARTS = 8
# Halfway between linear and quadratic, as a factor.
_MOST = 24
# A machine may be busy for long. Code that is quadratic fails in each of them.
_ROUNDS = 30


def assert_grows_linearly(read: Callable[[bytes], object], value: bytes) -> None:
    """Read the value and its first eighth, until one comparison says that it is linear."""
    part = value[: len(value) // _PARTS]
    whole_took, part_took = float("inf"), float("inf")
    for _ in range(_ROUNDS):
        part_took = min(part_took, *(_seconds(read, part) for _ in range(3)))
        whole_took = min(whole_took, _seconds(read, value))
        if whole_took < _MOST * part_took:
            return
    raise AssertionError(
        f"{len(value)} bytes took {whole_took:.6f} s, {len(part)} bytes {part_took:.6f} s"
    )


def _seconds(read: Callable[[bytes], object], value: bytes) -> float:
    begun = time.thread_time()
    read(value)
    return time.thread_time() - begun
