"""How many functions something calls: what it costs, and the same number on every machine.

A bound in seconds fails on a busier machine. The number of calls, of Python's functions and of
those written in C, says as well how the work grows with its input, unless one call does it all;
for such work there is `tests.growth`. The figures in seconds are those of `bench.costs`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType


def calls_of(action: Callable[[], object]) -> int:
    """Return the number of functions that the action calls, itself included."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    # The garbage collector calls what others left to it.
    gc.collect()
    gc.disable()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls - 1  # `setprofile` itself
