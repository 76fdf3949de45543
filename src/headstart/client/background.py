"""A thread with an event loop, for callers without one.

Used by `client.sync` and `headstart.httpx`, whose callers wait for its results.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from headstart.client.errors import RequestError
from headstart.errors import LocalProtocolError

T = TypeVar("T")


class Background:
    """A thread with an event loop.

    Args:
        last: Makes the coroutine that runs there at the end.
    """

    def __init__(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._last = last
        # A signal handler may make a request in the midst of another one's beginning.
        self._lock = threading.RLock()
        self._process = 0
        """The one that has the thread: a fork has none."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the thread, and return its result.

        Raises:
            RequestError: The client was closed meanwhile.
            LocalProtocolError: It cannot run: the client is closed, the caller is on its thread, or
                another process made it.
        """
        try:
            doing = self._begin(work)
        except LocalProtocolError:
            work.close()
            raise
        try:
            return doing.result()
        except concurrent.futures.CancelledError:
            raise RequestError("the client was closed") from None
        except BaseException:
            doing.cancel()  # Ctrl-C here ends the work there; nothing happens where it has ended
            raise

    def _begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        self._require_usable()
        with self._lock:
            if self._is_closed:
                raise LocalProtocolError("the client is closed", hint="Make another one.")
            if self._loop is None:
                self._start()
            assert self._loop is not None
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _require_usable(self) -> None:
        """Raise an error if the thread cannot run coroutines."""
        if self._process not in (0, os.getpid()):
            raise LocalProtocolError(
                "the client belongs to the process that this one was forked from",
                hint="Make one in this process.",
            )
        if self._thread is threading.current_thread():
            raise LocalProtocolError(
                "the client waits for the function that asks it",
                hint="Ask another client from within content, trailers and `informed`.",
            )

    def _start(self) -> None:
        self._process = os.getpid()
        self._loop = _new_loop()
        self._thread = threading.Thread(
            target=_run, args=(self._loop,), name="headstart-client", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread.

        In a forked child nothing happens: it has no thread, and the connections are its parent's.

        Raises:
            LocalProtocolError: Called on the thread itself.
        """
        if self._process not in (0, os.getpid()):
            return
        self._require_usable()
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop, self._is_closed = None, True
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_end(self._last), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def __del__(self) -> None:
        """Close an unused client; this must not wait, and may run on any thread."""
        loop = self._loop
        if loop is None or self._process != os.getpid() or sys.is_finalizing():
            return
        warnings.warn("a Client was not closed", ResourceWarning, stacklevel=2, source=self)
        ending = asyncio.run_coroutine_threadsafe(_end(self._last), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop on its thread until it is stopped."""
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _end(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do this, and end all else that is under way: threads wait for it."""
    try:
        await last()
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def each(items: AsyncIterator[T], background: Background) -> Iterator[T]:
    """Yield the items of an asynchronous iterator, one by one."""
    while True:
        try:
            yield background.run(_next(items))
        except StopAsyncIteration:
            return


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)
