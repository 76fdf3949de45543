"""What the processes of one session have used: processor time and memory, from /proc.

A server is started as the leader of a session of its own (`servers`), so its workers are found by
the session's number. Reads /proc and the kernel's clocks; gives nothing elsewhere than on Linux.
psutil would be a dependency for three fields, and its times are in hundredths of a second.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
# proc(5): fields behind the program's name, from the process's state on.
_SESSION: Final = 3
_RESIDENT: Final = 1


def members(session: int) -> list[int]:
    """Process numbers in a session, its leader's among them."""
    return [process for process, of in _sessions() if of == session]


def _sessions() -> Iterator[tuple[int, int]]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            yield int(folder.name), session_of(text)


def session_of(stat: str) -> int:
    """The session's number in the text of /proc/PID/stat."""
    # The program's name is in parentheses and may have any character in it, even ")".
    return int(stat.rpartition(")")[2].split()[_SESSION])


def processor_seconds(session: int) -> float:
    """Processor time of all its threads so far, in the kernel too; 0 where it cannot be had."""
    return sum(map(_seconds, members(session)))


def _seconds(process: int) -> float:
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(process, ctypes.byref(clock)):
        return 0.0
    with suppress(OSError):  # ended meanwhile
        return time.clock_gettime(clock.value)
    return 0.0


def resident_bytes(session: int) -> int:
    """Memory that is resident, of all its processes; pages that they share count several times."""
    return sum(map(_resident, members(session)))


def _resident(process: int) -> int:
    with suppress(OSError):
        text = (_PROC / str(process) / "statm").read_text(encoding="ascii")
        return int(text.split()[_RESIDENT]) * os.sysconf("SC_PAGE_SIZE")
    return 0
