"""The end of the application's lifespan, which the server does not wait for for ever.

`LifespanEnd` stands in for uvicorn's lifespan when the server stops. uvicorn waits for the
application without a limit, so that one that hangs keeps its process. Made by `workers.Server`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from uvicorn.lifespan.off import LifespanOff
from uvicorn.lifespan.on import LifespanOn

logger = logging.getLogger("uvicorn.error")

# Seconds between two looks at the operator's second Ctrl-C.
_TICK: Final = 0.1
# Seconds that an application gets at the least, as with hypercorn: it may have a queue to write
# out. A short time-out is mostly meant for connections that stay open.
_LEAST: Final = 60.0


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
        self._timeout = None if timeout is None else max(timeout, _LEAST)
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
            await asyncio.wait([ending], timeout=_TICK)
        await ending
