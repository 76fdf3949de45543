"""`Proxy`: an ASGI application that asks an upstream and passes its response on.

    client ── receive ──> request head, content ──> upstream
    client <── send ───── 1xx, head, content, trailers <── upstream

`forwarding` has the way of one request; this module chooses the upstream, asks once more where that
is safe, and answers in the upstream's place if it fails.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections import Counter
from typing import Final
from urllib.parse import quote

from headstart.config import ProxyOptions
from headstart.deliver.asgi import Receive, Scope, Send
from headstart.errors import LocalProtocolError
from headstart.observe.trace import current_trace
from headstart.proxy.attempt import Attempt
from headstart.proxy.balance import AnyPool, Balance
from headstart.proxy.failures import UpstreamError
from headstart.proxy.forwarding import ClientLeft, ForwardedRequest
from headstart.proxy.heads import RequestHeads, target_of
from headstart.proxy.own import answer_as_last, refuse
from headstart.proxy.upstream import Upstream, tls_context
from headstart.proxy.websocket import pass_websocket
from headstart.reasons import Gateway

logger = logging.getLogger("headstart.proxy")

# A proxy that is its own upstream asks itself for ever; a chain of proxies is shorter. A site may
# well ask another site of the same proxy, and that one a third.
_MAX_HOPS: Final = 10
_MAX_RETURNS: Final = 3


class Proxy:
    """A reverse proxy for one or more upstreams that serve the same site.

    It can be pickled until it is first called, so `--workers` can hand it to each process.

    Args:
        upstreams: Each `http://host:port`, `https://host:port`, `h2c://host:port` or `unix:/path`.
        options: Timeouts, bounds and headers for upstreams.

    Attributes:
        failures: How often each reason kept the proxy from answering with an upstream's response.

    Raises:
        ConfigurationError: An upstream cannot be read.
    """

    def __init__(self, *upstreams: str, options: ProxyOptions | None = None) -> None:
        self.options = options or ProxyOptions()
        self.upstreams = tuple(Upstream.parse(text) for text in upstreams)
        if not self.upstreams:
            raise TypeError("Proxy() needs an upstream")
        self.failures: Counter[Gateway] = Counter()
        self._made: Balance | None = None
        self._inner_host = self.options.upstream_host.encode("ascii")
        self._heads = RequestHeads(self.options, secrets.token_hex(8))
        if self.options.upstream_cacert:
            self._context()  # a file that cannot be used is told now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        request = None
        try:
            trace = current_trace.get()
            # Headers that differ from request to request would not be recognised.
            known = scope if trace is None else {**scope, "headers": trace.received}
            head, target = self._heads.of(known), target_of(scope)
            if head.max_forwards == 0:
                await answer_as_last(send, head)
                return
            if head.hops >= _MAX_HOPS or head.returns >= _MAX_RETURNS:
                raise UpstreamError(Gateway.LOOP, f"it came through {head.hops} proxies")
            request = ForwardedRequest(scope, receive, send, head, target, self._inner_host)
            if head.may_have_content and not head.expects_continue:
                request.begin_with(await receive())
            attempt = Attempt(self._balance(), request)
            try:
                await attempt.run()
            except UpstreamError as error:
                await self._ask_again(request, attempt.pool, error)
        except LocalProtocolError as error:
            logger.warning("%s %s: %s", scope["method"], _logged(scope), error)
            await self._refuse(scope, send, request, 400)
        except UpstreamError as error:
            self.failures[error.reason] += 1
            logger.error("%s %s: %s", scope["method"], _logged(scope), error)
            await self._refuse(scope, send, request, error.status)
        except ClientLeft:
            return

    async def _refuse(
        self, scope: Scope, send: Send, request: ForwardedRequest | None, status: int
    ) -> None:
        """Answer in the upstream's place, unless a response has begun.

        If one has, the server ends the stream or the connection of what is not complete, so that
        nothing looks whole.
        """
        if request is None or not request.started:
            await refuse(send, scope["method"], status)

    async def _ask_again(
        self, request: ForwardedRequest, asked: AnyPool | None, error: UpstreamError
    ) -> None:
        """Ask an upstream once more behind a failure, or raise it.

        An idempotent request is sent once more if a kept connection turned out to be closed, or,
        to another upstream, if a connection ended before any of the response came.

        Args:
            asked: The connections of the upstream that failed; None if none could be connected to.
        """
        balance = self._balance()
        again = error.stale or (error.unanswered and balance.several)
        if asked is None or not (again and request.repeatable):
            raise error
        last = asked if error.unanswered else None
        await Attempt(balance, request, repetition=1).run(fresh=True, last=last)

    @property
    def outstanding(self) -> int:
        """Return how many requests have a connection to an upstream, or wait for one."""
        return 0 if self._made is None else self._made.outstanding

    # What is made once in each process.

    def _balance(self) -> Balance:
        if self._made is None:
            context = self._context() if any(up.tls for up in self.upstreams) else None
            self._made = Balance(self.upstreams, self.options, context)
        return self._made

    def _context(self) -> ssl.SSLContext:
        return tls_context(self.options.upstream_cacert, self.options.upstream_verify)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "websocket":
                await pass_websocket(self._balance(), self.options, scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case kind:
                raise ValueError(f"ASGI scopes of type {kind!r} cannot be proxied")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        try:
            message = await receive()
            while message["type"] != "lifespan.shutdown":
                await send({"type": message["type"] + ".complete"})
                message = await receive()
        except asyncio.CancelledError:
            await self._close()  # told to stop at once, uvicorn sends no shutdown
            raise
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _close(self) -> None:
        """Close the connections to upstreams, before the event loop is closed."""
        balance, self._made = self._made, None
        if balance is not None:
            balance.close()
            await balance.wait_closed()


def _logged(scope: Scope) -> str:
    """Return the path for the log: a decoded one could begin a line of its own."""
    return (scope.get("raw_path") or quote(scope["path"]).encode()).decode(
        "ascii", "backslashreplace"
    )
