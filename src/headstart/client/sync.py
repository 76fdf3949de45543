"""The same client for code without an event loop: `headstart.Client`.

Everything happens on one background thread, where an `AsyncClient` runs; the calling threads wait.
Any number of threads may share one client.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

from headstart.client.client import AsyncClient
from headstart.client.contents import Content
from headstart.client.errors import HTTPStatusError, RequestError
from headstart.client.headers import Headers
from headstart.client.prepared import Options
from headstart.client.response import AsyncResponse, AsyncServerPush
from headstart.client.response_stream import Informational, PromisedRequest, Times
from headstart.errors import LocalProtocolError

P = ParamSpec("P")
T = TypeVar("T")


class _Background:
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


def _as_for(
    _: Callable[P, AsyncClient],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Client, P], None]]:
    """Return the arguments as `AsyncClient` declares them."""
    return lambda initialize: functools.update_wrapper(initialize, AsyncClient.__init__)


class Client:
    """Requests by URL; use it as a context manager.

    Takes the arguments of `AsyncClient`, and has its methods. Parts of content are asked for, and
    `informed` is called, on the background thread; they cannot ask the same client. Nor can a
    process that was forked after the first request.

    A client that is forgotten without `close()` is a ResourceWarning.
    """

    @_as_for(AsyncClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._client = AsyncClient(*arguments, **options)
        self._background = _Background(self._client.aclose)

    @property
    def refused_promises(self) -> dict[str, int]:
        """See `AsyncClient.refused_promises`."""
        return self._client.refused_promises

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; requests under way, in other threads, fail."""
        self._background.stop()

    def get(self, url: str, **options: Unpack[Options]) -> Response:
        """GET; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[Options]) -> Response:
        """HEAD; see `request`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[Options]) -> Response:
        """OPTIONS; see `request`."""
        return self.request("OPTIONS", url, **options)

    def delete(self, url: str, **options: Unpack[Options]) -> Response:
        """DELETE; see `request`."""
        return self.request("DELETE", url, **options)

    def post(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """POST; see `request`."""
        return self.request("POST", url, content, **options)

    def put(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """PUT; see `request`."""
        return self.request("PUT", url, content, **options)

    def patch(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """PATCH; see `request`."""
        return self.request("PATCH", url, content, **options)

    def request(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> Response:
        """Ask, and read the whole response; see `AsyncClient.request`."""
        asking = self._client.request(method, url, content, **options)
        return Response(self._background.run(asking), self._background)

    @contextmanager
    def stream(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> Iterator[Response]:
        """Ask, and read the response as it comes; see `AsyncClient.stream`."""
        run = self._background.run
        streaming = self._client.stream(method, url, content, **options)
        response = run(streaming.__aenter__())
        try:
            yield Response(response, self._background)
        finally:
            run(streaming.__aexit__(None, None, None))


class Response:
    """A response as `AsyncResponse` has it, whose body and pushes are waited for."""

    def __init__(self, response: AsyncResponse, background: _Background) -> None:
        self._response = response
        self._background = background
        self.status_code = response.status_code
        self.headers = response.headers
        self.from_push = response.from_push
        self.stream_id = response.stream_id

    def __repr__(self) -> str:
        return repr(self._response).replace("Async", "", 1)

    @property
    def times(self) -> Times:
        """See `AsyncResponse.times`."""
        return self._response.times

    @property
    def informational(self) -> list[Informational]:
        """See `AsyncResponse.informational`."""
        return self._response.informational

    @property
    def trailers(self) -> Headers:
        """See `AsyncResponse.trailers`."""
        return self._response.trailers

    @property
    def content(self) -> bytes:
        """See `AsyncResponse.content`."""
        return self._response.content

    @property
    def text(self) -> str:
        """See `AsyncResponse.text`."""
        return self._response.text

    def json(self) -> Any:
        """See `AsyncResponse.json`."""
        return self._response.json()

    @property
    def is_success(self) -> bool:
        """See `AsyncResponse.is_success`."""
        return self._response.is_success

    @property
    def is_error(self) -> bool:
        """See `AsyncResponse.is_error`."""
        return self._response.is_error

    def raise_for_status(self) -> Response:
        """See `AsyncResponse.raise_for_status`."""
        try:
            self._response.raise_for_status()
        except HTTPStatusError as error:
            error.response = self
            raise
        return self

    def close(self) -> None:
        """See `AsyncResponse.aclose`."""
        self._background.run(self._response.aclose())

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """See `AsyncResponse.aread`."""
        return self._background.run(self._response.aread())

    def iter_bytes(self) -> Iterator[bytes]:
        """See `AsyncResponse.aiter_bytes`."""
        yield from _each(self._response.aiter_bytes(), self._background)

    def iter_text(self) -> Iterator[str]:
        """See `AsyncResponse.aiter_text`."""
        yield from _each(self._response.aiter_text(), self._background)

    def iter_lines(self) -> Iterator[str]:
        """See `AsyncResponse.aiter_lines`."""
        yield from _each(self._response.aiter_lines(), self._background)

    @property
    def pushes(self) -> Iterator[ServerPush]:
        """See `AsyncResponse.pushes`."""
        for push in _each(aiter(self._response.pushes), self._background):
            yield ServerPush(push, self._background)


def _each(items: AsyncIterator[T], background: _Background) -> Iterator[T]:
    """Yield the items of an asynchronous iterator, one by one."""
    while True:
        try:
            yield background.run(_next(items))
        except StopAsyncIteration:
            return


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


class ServerPush:
    """An `AsyncServerPush`, whose response is waited for."""

    def __init__(self, push: AsyncServerPush, background: _Background) -> None:
        self._push = push
        self._background = background
        self.request: PromisedRequest = push.request
        self.stream_id = push.stream_id

    def __repr__(self) -> str:
        return repr(self._push).replace("Async", "", 1)

    def response(self) -> Response:
        """See `AsyncServerPush.response`."""
        return Response(self._background.run(self._push.response()), self._background)

    def reject(self) -> None:
        """See `AsyncServerPush.reject`."""
        self._background.run(self._rejected())

    async def _rejected(self) -> None:
        self._push.reject()
