"""The same client for code without an event loop: `headstart.Client`.

Everything happens on one background thread, where an `AsyncClient` runs; the calling threads wait.
Any number of threads may share one client.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

from headstart.client.background import Background, each
from headstart.client.client import AsyncClient
from headstart.client.contents import Content
from headstart.client.errors import HTTPStatusError
from headstart.client.headers import Headers
from headstart.client.prepared import Options
from headstart.client.response import AsyncResponse, AsyncServerPush
from headstart.client.response_stream import Informational, PromisedRequest, Times

P = ParamSpec("P")
T = TypeVar("T")


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
        self._background = Background(self._client.aclose)

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

    def __init__(self, response: AsyncResponse, background: Background) -> None:
        self._response = response
        self._background = background
        self.status_code = response.status_code
        self.headers = response.headers
        self.from_push = response.from_push
        self.stream_id = response.stream_id

    def __repr__(self) -> str:
        return repr(self._response).replace("Async", "", 1)

    @property
    def is_complete(self) -> bool:
        """See `AsyncResponse.is_complete`."""
        return self._response.is_complete

    def extra_info(self, name: str) -> Any:
        """See `AsyncResponse.extra_info`."""
        return self._response.extra_info(name)

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
        yield from each(self._response.aiter_bytes(), self._background)

    def iter_text(self) -> Iterator[str]:
        """See `AsyncResponse.aiter_text`."""
        yield from each(self._response.aiter_text(), self._background)

    def iter_lines(self) -> Iterator[str]:
        """See `AsyncResponse.aiter_lines`."""
        yield from each(self._response.aiter_lines(), self._background)

    @property
    def pushes(self) -> Iterator[ServerPush]:
        """See `AsyncResponse.pushes`."""
        for push in each(aiter(self._response.pushes), self._background):
            yield ServerPush(push, self._background)


class ServerPush:
    """An `AsyncServerPush`, whose response is waited for."""

    def __init__(self, push: AsyncServerPush, background: Background) -> None:
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
