"""What all connections of one worker process share: seats, counters, the log of refusals, a clock.

`Worker.of` gives the one that belongs to uvicorn's `ServerState`. While there are connections it
looks about once a second at memory and at each HTTP/1.1 connection, so that no request pays for a
timer. Made by the first `protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.abandoned import Abandoned
from headstart.server.admission import Admission, Seat
from headstart.server.counters import Counters
from headstart.server.memory import (
    MemoryWatch,
    Pressure,
    default_most,
    used_blocks,
    used_memory,
)
from headstart.server.refusals import Refusals
from headstart.server.tls import Buffers
from headstart.wire.fields import header_list_size

logger = logging.getLogger("headstart.server")

_SECOND: Final = 1.0
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


class Watched(Protocol):
    """A connection that the worker looks at once a second."""

    def second_passed(self, now: float) -> None:
        """Look whether something has taken too long."""


class Sheddable(Protocol):
    """A connection that is told when memory is short."""

    def shed(self, active: bool) -> None:
        """From now on refuse what is new; or no more."""

    def held(self) -> int:
        """Bytes that it keeps in memory, as far as it knows."""

    def cut_off(self) -> None:
        """End, at once."""


class Worker:
    """One worker process, or one server in a thread of a test.

    Attributes:
        options: Ours.
        counters: What happened so far.
        refusals: Where refusals are told to.
        now: The loop's time, as old as the last look.
        shedding: New requests are refused.
        draining: The server stops.
        watched: Connections to look at once a second.
        sheddable: Connections to tell when memory is short.
        tls_buffers: What the connections' TLS shares.
    """

    def __init__(
        self, config: Config, loop: asyncio.AbstractEventLoop, abandoned: Abandoned
    ) -> None:
        self.options: ServerOptions = getattr(config, "headstart", None) or ServerOptions()
        self.counters = Counters()
        self.now = loop.time()
        self.refusals = Refusals(self.counters, self.now)
        self.shedding = False
        self.draining = False
        self.watched: set[Watched] = set()
        self.sheddable: set[Sheddable] = set()
        self.tls_buffers = Buffers()
        self._loop = loop
        self._abandoned = abandoned
        self._timer: asyncio.TimerHandle | None = None
        quarter = _shortest_timeout(self.options) / _LOOKS_PER_TIMEOUT
        self._every = min(_SECOND, max(_SHORTEST_LOOK, quarter))
        self._admission = Admission(self.options, self.counters, _proxies(config), loop.time)
        self._memory = MemoryWatch(self.options.max_memory or default_most(config.workers))
        self._memory_looked = self.now
        self._shedding_since = self.now
        self._cuts = 0
        """How often that was too long without a pause."""
        self.ask = self._admission.ask
        self._kept: dict[asyncio.Transport, Seat] = {}
        """Connections that went to a protocol that knows of no seats: WebSockets."""

    @classmethod
    def of(
        cls,
        server_state: ServerState,
        config: Config,
        loop: asyncio.AbstractEventLoop,
    ) -> Worker:
        """The one of this server."""
        found = _workers.get(server_state)
        if found is None:
            options = getattr(config, "headstart", None) or ServerOptions()
            abandoned = Abandoned.of(server_state, options, loop)
            found = _workers[server_state] = cls(config, loop, abandoned)
        return found

    def wake(self) -> None:
        """Look at the clock again, from now on as long as there is anything to look at."""
        if self._timer is None:
            self.now = self._loop.time()
            self._timer = self._loop.call_later(self._every, self._look)

    def keep_seat(self, seat: Seat, transport: asyncio.Transport) -> None:
        """Free the seat when the transport is closed."""
        self._kept[transport] = seat

    def _look(self) -> None:
        now = self.now = self._loop.time()
        self._timer = None
        if now - self._memory_looked >= _SECOND:
            self._memory_looked = now
            self._look_at_memory(used_memory(), now)
        for connection in list(self.watched):
            connection.second_passed(now)
        for transport in [transport for transport in self._kept if transport.is_closing()]:
            self._kept.pop(transport).free(asked=True)
        self.refusals.second_passed(now)
        if self.counters.open or self.shedding or self.refusals.owes_a_sum():
            self._timer = self._loop.call_later(self._every, self._look)

    def _look_at_memory(self, used: int, now: float) -> None:
        before = self._memory.pressure
        pressure = self._memory.look(used, used_blocks())
        taken = self._memory.taken
        if pressure:
            self._abandoned.hurry()
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
        """Cut off the largest where that helps, and twice as many each time that it did not.

        What connections hold is an estimate: fields that repeat are shared, freed memory may be in
        pieces. Where it is the application that fills the memory, nobody is cut off for nothing.
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


def _shortest_timeout(options: ServerOptions) -> float:
    return min(options.header_timeout, options.body_timeout, options.stall_timeout)


def _proxies(config: Config) -> Callable[[str], bool]:
    """Whom uvicorn believes what they say about their clients (--forwarded-allow-ips)."""
    application = config.loaded_app
    if isinstance(application, ProxyHeadersMiddleware):
        return application.trusted_hosts.__contains__
    return lambda host: False
