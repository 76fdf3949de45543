"""Ports of 127.0.0.1 for programs that cannot be told to take any port, and one where nobody is.

The system gives connections, and listeners with port 0, what lies in its own range: a port of that
range which is free now may be taken a moment later, by anybody. So these come from below it, and no
two runs of the tests on one machine get the same.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_kept: list[socket.socket] = []
"""What says to others that a port is ours, for as long as this process lives."""


def free_port() -> int:
    """A port that nobody listens on, and that nobody is given meanwhile."""
    for port in random.sample(range(_LOWEST, _first_of_the_system()), 1000):
        if _is_free(port) and _claim(port):
            return port
    raise AssertionError("a thousand ports, and none of them is free")


def _first_of_the_system() -> int:
    return int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Whether no other run has it; a name that goes with its process is Linux's only."""
    if sys.platform == "linux":
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0headstart-tests-{port}")
        except OSError:
            claim.close()
            return False
        _kept.append(claim)
    return True


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections until the block ends: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
