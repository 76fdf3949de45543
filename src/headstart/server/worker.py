"""The state that all connections of one worker process share: places, counters, refusals, a clock.

`Worker.of` returns the one that belongs to uvicorn's `ServerState`. While there are connections it
checks the memory twice a second and each HTTP/1.1 connection about once, so that no request pays
for a timer. Made by the first `protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.abandoned import Abandoned
from headstart.server.addresses import unmapped
from headstart.server.admission import Admission, ConnectionSlot
from headstart.server.counters import Counters
from headstart.server.deadlines import standstill
from headstart.server.http1_response import http1_head
from headstart.server.lingering import Watched
from headstart.server.memory import (
    MemoryWatch,
    Pressure,
    default_most,
    used_blocks,
    used_memory,
)
from headstart.server.promised import PushTemplates
from headstart.server.refusals import Refusals
from headstart.server.request_counts import RequestCounts
from headstart.server.tls import Buffers
from headstart.server.turns import Turns
from headstart.server.windows import Budget
from headstart.wire.fields import header_list_size
from headstart.wire.responses import ResponseHeads

logger = logging.getLogger("headstart.server")

_SECOND: Final = 1.0
# Looks at memory in a second, in which requests may take 200 MB.
_MEMORY_LOOKS: Final = 2
# So that a time-out is at most a quarter late.
_LOOKS_PER_TIMEOUT: Final = 4
# Seconds; below it a worker would do nothing but look.
_SHORTEST_LOOK: Final = 0.01
# Who holds less is not what fills the memory.
_WORTH_CUTTING_OFF: Final = 64 * 1024
# What a call of the application takes beside the request's fields, at the least.
_CALL_OVERHEAD: Final = 4 * 1024
# How long new requests are refused before those who hold the most are cut off: whoever keeps the
# memory full must not keep everybody else out.
_LONGEST_SHEDDING: Final = 3.0
# Tasks run at once until they first have to wait, which most calls never do, and so never go
# through the loop. Before Python 3.12 none can.
EAGER: Final = sys.version_info >= (3, 12)
_AT_ONCE: Final[dict[str, Any]] = {"eager_start": True} if EAGER else {}
# Seconds between two log lines about checks that fail: they are made several times a second.
_FAILURES_TOLD_EVERY: Final = 60.0


class Sheddable(Protocol):
    """A connection that is told when memory is short."""

    def shed(self, active: bool) -> None:
        """Refuse new requests, or accept them again."""

    def held(self) -> int:
        """Bytes that it keeps in memory, as far as it knows."""

    def cut_off(self) -> None:
        """End, at once."""


class Worker:
    """One worker process, or one server in a thread of a test.

    Attributes:
        options: Ours.
        counters: Counts since the start.
        request_counts: Counts of requests, if there is an admin port to read them.
        refusals: Reports refusals.
        now: The loop's time, without periods in which the process stood still; as old as the last
            check.
        shedding: New requests are refused.
        draining: The server stops.
        watched: Connections to check once a second, and more often while the server stops.
        sheddable: Connections to tell when memory is short.
        abandoned: Calls whose clients have disconnected.
        tls_buffers: Shared by the connections' TLS.
        push_templates: The common parts of pages' pushes, for all connections.
        last_stream: The last request that is served on a connection of HTTP/2; ids of streams go up
            by two.
        begin_call: Makes a task of a call of the application, which begins at once where it can.
        most_left: Calls without a client that a connection may have; see `calls`.
        heads, http1_heads: The header sections of responses, for all connections.
        window_budget: Bytes by which the connections' receive windows may grow.
    """

    def __init__(
        self, config: Config, loop: asyncio.AbstractEventLoop, abandoned: Abandoned
    ) -> None:
        self.options: ServerOptions = getattr(config, "headstart", None) or ServerOptions()
        limits = self.options.limits
        self.counters = Counters()
        wanted = getattr(config, "companion", None) is not None
        self.request_counts = RequestCounts() if wanted else None
        self.now = loop.time()
        self.refusals = Refusals(self.counters, self.now)
        self.shedding = False
        self.draining = False
        self.watched: set[Watched] = set()
        self.sheddable: set[Sheddable] = set()
        self.tls_buffers = Buffers()
        self.turns = Turns(loop)
        self.push_templates = PushTemplates()
        self.last_stream = 2 * limits.max_requests - 1
        self.begin_call: Callable[..., asyncio.Task[None]] = partial(
            asyncio.Task, loop=loop, **_AT_ONCE
        )
        # Over `max_abandoned_calls` in a worker the oldest is cancelled, so that more are those of
        # this turn of the loop, or such as do not end when they are cancelled.
        self.most_left = self.options.max_abandoned_calls + limits.max_concurrent_streams
        self.heads = ResponseHeads()
        self.http1_heads = ResponseHeads(http1_head)
        self.window_budget = Budget(self.options.max_window_growth)
        self._loop = loop
        self.abandoned = abandoned
        self._timer: asyncio.TimerHandle | None = None
        self._look_at = self._stood_still = 0.0
        self._failure_told_at = -math.inf
        quarter = _shortest_timeout(self.options, config.timeout_keep_alive) / _LOOKS_PER_TIMEOUT
        self._every = min(_SECOND, max(_SHORTEST_LOOK, quarter))
        self._is_proxy = _proxies(config)
        self._admission = Admission(self.options, self.counters, self._is_proxy, loop.time)
        self._memory = MemoryWatch(self.options.max_memory or default_most(config.workers))
        self._watch_at = self.now
        self._shedding_since = self.now
        self._cuts = 0
        """How often that was too long without a pause."""
        self.ask = self._admission.ask
        self.ask_for = self._admission.ask_for
        self._kept: dict[asyncio.Transport, ConnectionSlot] = {}
        """Connections that went to a protocol that knows of no slots: WebSockets."""

    @classmethod
    def of(
        cls,
        server_state: ServerState,
        config: Config,
        loop: asyncio.AbstractEventLoop,
    ) -> Worker:
        """Return the one of this server."""
        found = _workers.get(server_state)
        if found is None:
            options = getattr(config, "headstart", None) or ServerOptions()
            abandoned = Abandoned.of(server_state, options, loop)
            found = _workers[server_state] = cls(config, loop, abandoned)
        return found

    def trusts(self, peer: object) -> bool:
        """Return whether a peer may name its clients: a Unix socket's only if everybody may."""
        return self._is_proxy(unmapped(str(peer[0])) if isinstance(peer, tuple) else "")

    def wake(self) -> None:
        """Look at the clock again, from now on as long as there is anything to look at."""
        if self._timer is None:
            self.now = self.time()
            self._look_later()

    def time(self) -> float:
        """Return `now` as it is at this moment."""
        return self._loop.time() - self._stood_still

    def keep_seat(self, slot: ConnectionSlot, transport: asyncio.Transport) -> None:
        """Free the slot when the transport is closed."""
        self._kept[transport] = slot

    def _look(self) -> None:
        now = self._loop.time()
        self._stood_still += standstill(now, self._look_at)
        self.now = now - self._stood_still
        self._timer = None
        self._check(self._look_at_memory, used_memory(), now)
        if now >= self._watch_at or self.draining:
            self._watch_at = now + self._every
            for connection in list(self.watched):
                self._look_at_connection(connection)
        self._check(self._free_closed)
        self._check(self.refusals.second_passed, now)
        # A transport of TLS that lingers may have given its slot back already.
        waits = self.counters.open or self.watched or self.shedding
        if waits or self.refusals.owes_a_sum():
            self._look_later()

    def _look_at_connection(self, connection: Watched) -> None:
        """Check the time-outs of a connection, and end it if that fails: it would have none."""
        try:
            connection.second_passed(self.now)
        except Exception:
            logger.exception("The check of a connection's time-outs failed; it is ended")
            self.watched.discard(connection)
            self._check(connection.abort)

    def _check(self, check: Callable[..., None], *arguments: float) -> None:
        """Check one thing. If that fails, log it now and then: all other checks have to go on."""
        try:
            check(*arguments)
        except Exception:
            now = self._loop.time()
            if now - self._failure_told_at >= _FAILURES_TOLD_EVERY:
                self._failure_told_at = now
                logger.exception("A check of the worker failed; all others go on")

    def _free_closed(self) -> None:
        for transport in [transport for transport in self._kept if transport.is_closing()]:
            self._kept.pop(transport).free(asked=True)

    def _look_later(self) -> None:
        delay = min(self._every, _SECOND / _MEMORY_LOOKS)
        self._look_at = self._loop.time() + delay
        self._timer = self._loop.call_later(delay, self._look)

    def _look_at_memory(self, used: int, now: float) -> None:
        before = self._memory.pressure
        pressure = self._memory.look(used, used_blocks())
        taken = self._memory.taken
        if pressure:
            self.abandoned.hurry()
        else:
            self._shedding_since, self._cuts = now, 0
        if pressure >= Pressure.CONNECTIONS:
            self._cut_off_the_largest(taken - self._memory.first_mark)
        elif now - self._shedding_since >= _LONGEST_SHEDDING:
            self._cut_off_who_stays(taken, now)
        if pressure is before:
            return
        logger.warning("%d MB of memory in use: %s", taken // 1_000_000, _MEANING[pressure])
        self._admission.closed = pressure >= Pressure.CONNECTIONS
        self.shedding = pressure >= Pressure.REQUESTS
        for connection in list(self.sheddable):
            connection.shed(self.shedding)

    def _cut_off_who_stays(self, taken: int, now: float) -> None:
        """Cut off the largest connections if that helps, twice as many each time that it did not.

        The memory of a connection is an estimate: repeated fields are shared, freed memory may be
            in pieces.
        If the application fills the memory, no connection is cut off in vain.
        """
        self._shedding_since = now
        gc.collect()  # a connection is a cycle, over TLS with all that waited to be written
        held = sum(connection.held() for connection in self.sheddable)
        if held >= taken - self._memory.recovered_mark:
            self._cut_off_the_largest((taken - self._memory.cut_mark) * 2**self._cuts)
            self._cuts += 1

    def _cut_off_the_largest(self, excess: float) -> None:
        """End who holds the most, until as much is free as was too much."""
        holders = sorted(((c.held(), n, c) for n, c in enumerate(self.sheddable)), reverse=True)
        for size, _, connection in holders:
            if excess <= 0 or size < _WORTH_CUTTING_OFF:
                return
            connection.cut_off()
            excess -= size


def call_size(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Bytes that a request with these fields takes while it is under way, about."""
    return header_list_size(fields) + _CALL_OVERHEAD


_MEANING: Final = {
    Pressure.NONE: "requests and connections are taken again",
    Pressure.REQUESTS: "no new requests",
    Pressure.CONNECTIONS: "no new requests, no new connections",
}

_workers: WeakKeyDictionary[ServerState, Worker] = WeakKeyDictionary()


def _shortest_timeout(options: ServerOptions, keep_alive: float) -> float:
    """Return the shortest; without a keep-alive, a connection may end at any look."""
    others = min(options.header_timeout, options.body_timeout, options.stall_timeout)
    return min(others, keep_alive) if keep_alive else others


def _proxies(config: Config) -> Callable[[str], bool]:
    """Return the proxies whose X-Forwarded headers uvicorn trusts (--forwarded-allow-ips)."""
    application = config.loaded_app
    if isinstance(application, ProxyHeadersMiddleware):
        return application.trusted_hosts.__contains__
    return lambda host: False
