"""The end of the application's lifespan and of the process, both within a limit.

`LifespanEnd` stands in for uvicorn's lifespan when the server stops. uvicorn waits for the
application without a limit, so that one that hangs keeps its process. `ProcessEnd` ends a process
that threads, tasks or a blocked event loop keep. Made by `workers.Server`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from uvicorn.lifespan.off import LifespanOff
from uvicorn.lifespan.on import LifespanOn

logger = logging.getLogger("uvicorn.error")

# Seconds between two looks at the operator's second Ctrl-C.
_TICK: Final = 0.1
# Seconds that an application gets at the least, as with hypercorn: it may have a queue to write
# out. A short time-out is mostly meant for connections that stay open.
_LEAST: Final = 60.0
# Seconds after which a log line says what is waited for. Most applications end sooner.
_QUIET: Final = 1.0
# Seconds that the process may take for its end once the operator waits no longer.
_FORCED: Final = 3.0
# Seconds that a line of the log may take: nobody may read the log any more.
_LOGGED: Final = 1.0
# The status of a process that was ended amid its work.
_CUT_OFF: Final = 1
_EXECUTOR: Final = "concurrent.futures.thread"


def longest_wait(timeout: float | None) -> float | None:
    """Return the seconds that an application may take to end; None for no limit.

    Args:
        timeout: That of `--timeout-graceful-shutdown`; None for no limit.
    """
    return None if timeout is None else max(timeout, _LEAST)


class LifespanEnd:
    """The lifespan of a server that stops.

    Args:
        lifespan: uvicorn's.
        timeout: Seconds that the application may take, 60 at the least; None for no limit.
        is_forced: Returns whether the operator waits no longer.

    Attributes:
        state: The lifespan's, for connections that are still accepted.
    """

    def __init__(
        self,
        lifespan: LifespanOn | LifespanOff,
        timeout: float | None,
        is_forced: Callable[[], bool],
    ) -> None:
        self.state: dict[str, Any] = lifespan.state
        self.should_exit = lifespan.should_exit
        self._lifespan = lifespan
        self._timeout = longest_wait(timeout)
        self._is_forced = is_forced

    async def startup(self) -> None:
        """Start, as uvicorn's."""
        await self._lifespan.startup()

    async def shutdown(self) -> None:
        """Tell the application to end, and wait until it has, it took too long or one is forced.

        Then the end of the event loop cancels it.
        """
        ending = asyncio.create_task(self._lifespan.shutdown())
        began = asyncio.get_running_loop().time()
        is_told = False
        while not ending.done():
            waited = asyncio.get_running_loop().time() - began
            is_late = self._timeout is not None and waited >= self._timeout
            if is_late or self._is_forced():
                ending.cancel()
                # Otherwise uvicorn takes the cancellation for a missing lifespan, and logs that.
                if isinstance(self._lifespan, LifespanOn):
                    self._lifespan.shutdown_failed = True
                why = f"within {self._timeout:g} s" if is_late else "before Ctrl-C was repeated"
                logger.error("The application's lifespan has not ended %s; it is cancelled", why)
                return
            if waited >= _QUIET and not is_told:
                is_told = True
                _tell("the end of the application's lifespan", self._timeout)
            await asyncio.wait([ending], timeout=_TICK)
        await ending


class ProcessEnd:
    """Ends this process if it has not ended by itself within a limit.

    Python waits for threads without a limit, asyncio for tasks that ignore their cancellation, and
    nothing else runs while the application blocks the event loop. So this is a thread, which begins
    with the end.

    Args:
        end: Ends the process with a status.
    """

    def __init__(self, end: Callable[[int], object] = os._exit) -> None:
        self._end = end
        self._deadline = math.inf
        self._limit: float | None = None
        self._is_forced = self._is_watching = False
        self._handler: Any = None

    def begin(self, seconds: float | None) -> None:
        """Begin to watch; a signal handler may call it. The earliest limit counts.

        Args:
            seconds: The limit from now on; None only for the line in the log.
        """
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        if deadline < self._deadline:
            self._deadline, self._limit = deadline, seconds
        if not self._is_watching:
            self._is_watching = True
            threading.Thread(target=self._watch, name="end of the process", daemon=True).start()

    def is_last(self, seconds: float | None) -> None:
        """Begin to watch as the server has ended: from now on the next Ctrl-C ends the process."""
        self._handler = signal.signal(signal.SIGINT, lambda _number, _frame: self.now())
        self.begin(seconds)

    def force(self) -> None:
        """Leave little time, after a second Ctrl-C."""
        self._is_forced = True
        self.begin(_FORCED)

    def stop(self) -> None:
        """Watch no longer: the process goes on."""
        self._is_watching = False
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def now(self) -> None:
        """End the process, and log the reason why it had not ended."""
        try:
            _log(logging.ERROR, "The process ends without waiting for %s", waited_for())
        finally:
            self._end(_CUT_OFF)

    def _watch(self) -> None:
        told_at = time.monotonic() + _QUIET
        while self._is_watching and (now := time.monotonic()) < self._deadline:
            if now >= told_at:
                told_at = math.inf
                if not self._is_forced:
                    _tell(waited_for(), self._limit)
            time.sleep(_TICK)
        if self._is_watching:
            self.now()


def waited_for() -> str:
    """Return the threads, tasks or place in the code that keep this process."""
    frames = sys._current_frames()
    held = [
        f"{each.name} ({_place(frames[each.ident])})"
        for each in threading.enumerate()
        if each.ident in frames and _keeps_process(each, frames[each.ident])
    ]
    if held:
        return f"threads of the application: {', '.join(held)}"
    frame = frames[threading.main_thread().ident or 0]
    module = _module(frame)
    # Where the event loops of asyncio and uvloop wait.
    if module == selectors.__name__ or module.startswith(asyncio.__name__):
        return "tasks of the application"
    return f"the application, which blocks the event loop ({_place(frame)})"


def _keeps_process(thread: threading.Thread, frame: FrameType) -> bool:
    """Return whether Python waits for the thread, and it has work of the application."""
    if thread.daemon or thread is threading.main_thread():
        return False
    # Threads of an executor that wait for work end with it. Another one waits for them meanwhile.
    is_idle = _module(frame) == _EXECUTOR and frame.f_code.co_name == "_worker"
    return not is_idle and not thread.name.endswith("(_do_shutdown)")


def _module(frame: FrameType) -> str:
    """Return the name of the frame's module; code that exec() runs may have none."""
    return str(frame.f_globals.get("__name__", ""))


def _place(frame: FrameType) -> str:
    """Return the file, the line and the function where a thread is."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, {frame.f_code.co_qualname}"


def _tell(what: str, limit: float | None) -> None:
    most = "" if limit is None else f", {limit:g} s at the most"
    _log(logging.INFO, "Waiting for %s%s. (CTRL+C to force quit)", what, most)


def _log(level: int, line: str, *values: str) -> None:
    """Log a line, unless the log is blocked: another thread may hold it, and wait to write."""
    thread = threading.Thread(target=logger.log, args=(level, line, *values), daemon=True)
    thread.start()
    thread.join(_LOGGED)
