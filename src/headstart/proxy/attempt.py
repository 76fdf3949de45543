"""One attempt to have a request answered by an upstream, and its span if the request is traced.

A request that is not recorded passes its place in the trace on. Made by `app`, once or twice for a
request.
"""

from __future__ import annotations

from collections.abc import Awaitable

from headstart.observe.trace import UpstreamSpan, current_trace
from headstart.proxy.balance import AnyPool, Balance
from headstart.proxy.failures import UpstreamError
from headstart.proxy.forwarding import ForwardedRequest


class Attempt:
    """One attempt.

    Args:
        balance: Chooses the upstream.
        request: The request.
        repetition: How many attempts there were before.

    Attributes:
        pool: The connections of the chosen upstream; None if none could be connected to.
    """

    def __init__(self, balance: Balance, request: ForwardedRequest, repetition: int = 0) -> None:
        self.pool: AnyPool | None = None
        self._balance = balance
        self._request = request
        self._repetition = repetition

    def run(self, *, fresh: bool = False, last: AnyPool | None = None) -> Awaitable[None]:
        """Ask an upstream and pass its response on.

        Not a coroutine but the one that fits: each that a wait goes through costs twice.

        Args:
            fresh: Only a new connection will do.
            last: The upstream that is asked only if no other can be.

        Raises:
            UpstreamError: None can be connected to, or the response did not come whole.
            LocalProtocolError: The request's content is not as long as it says.
            ClientLeft: The client disconnected.
        """
        trace = current_trace.get()
        if trace is None:
            return self._run(None, fresh, last)
        if trace.ask is None:
            self._request.trace = trace.fields
            return self._run(None, fresh, last)
        span = trace.ask(self._request.head.method, self._repetition)
        return self._run_traced(span, fresh, last)

    async def _run_traced(self, span: UpstreamSpan, fresh: bool, last: AnyPool | None) -> None:
        self._request.trace = span.fields
        error = ""
        try:
            await self._run(span, fresh, last)
        except UpstreamError as failure:
            error = failure.reason.value
            raise
        except BaseException as failure:
            error = type(failure).__qualname__
            raise
        finally:
            span.end(self._request.status, error)

    async def _run(self, span: UpstreamSpan | None, fresh: bool, last: AnyPool | None) -> None:
        self._request.status = 0
        balance = self._balance
        idle = None if fresh else balance.idle()
        pool, connection = idle or await balance.acquire(fresh=fresh, last=last)
        self.pool = pool
        if span is not None:
            upstream = pool.upstream
            target = self._request.target.decode("latin-1")
            span.goes_to(upstream.url + target, upstream.host or upstream.path, upstream.port)
        try:
            await self._request.run(connection)
        except UpstreamError as error:
            balance.failed(pool, error)
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        else:
            pool.failures = 0
        finally:
            balance.release(pool, connection)
