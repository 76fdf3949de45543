"""How long answers take at half of the load that a server can bear.

The load is open: requests are due at times drawn beforehand (a Poisson process), whatever the
server does, and an answer's time counts from when its request was due. A client that waits for an
answer before it asks again would ask a server that stalls less, and so hide the stall (coordinated
omission). h2load's own mode for a rate sends in bursts every 10 ms, and counts from when a request
was sent. Called by `rounds`.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bench.dial import dial, receive, send
from bench.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADER,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    no_push,
    request_fields,
)
from bench.load import run_h2load
from bench.sample import LoadFailed, Sample
from bench.scenarios import Scenario
from bench.servers import RunningServer

SHARE: Final = 0.5
"""Of the peak."""
LIMIT: Final = 50_000.0
"""Requests a second that this client can send in time."""
_PEAK_SECONDS: Final = 0.7
_WARM_UP: Final = 0.2
# After the last request was due; what is not answered then counts as an error.
_PATIENCE: Final = 2.0
# Each server allows at least that many; a request beyond waits, and its time runs.
_STREAMS: Final = 100
# RFC 7541, 6.1, and the static table: 200; 204, 206, 304, 400, 404, 500.
_STATUS_200: Final = 0x88
_OTHER_STATUS: Final = range(0x89, 0x8F)
# RFC 7541, 6.2: a value with the name of entry 8; the value as text, and in Huffman's code.
_STATUS_LITERAL: Final = (0x08, 0x18, 0x48)
_TWO_HUNDRED: Final = (b"\x03200", b"\x82\x10\x01")


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When requests are due, in seconds from the start: a Poisson process, the same for a seed."""
    gap = random.Random(seed).expovariate
    found: list[float] = []
    at = gap(rate)
    while at < seconds:
        found.append(at)
        at += gap(rate)
    return found


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all are not above (nearest rank); 0 where there is none.

    Args:
        ordered: Ascending.
        share: 0 < share <= 1.
    """
    rank = -(-round(share * 1_000_000) * len(ordered) // 1_000_000)
    return ordered[rank - 1] if ordered else 0.0


@dataclass(slots=True)
class Talk:
    """The client's side of one connection: bytes in, bytes out, answers with their times.

    Attributes:
        fields: Of each request, encoded.
        answered: When a request was due, and when its answer was there.
        errors: Streams that were reset, or answered with another status than 200.
        leaving: The server takes no new requests here.
    """

    fields: bytes
    answered: list[tuple[float, float]] = field(default_factory=list)
    errors: int = 0
    leaving: bool = False
    _due: dict[int, float] = field(default_factory=dict)
    """Open stream -> when its request was due."""
    _waiting: deque[float] = field(default_factory=deque)
    _next_id: int = 1
    _unread: bytes = b""
    _out: list[bytes] = field(default_factory=lambda: [PREFACE + no_push()])

    @property
    def open(self) -> int:
        """Requests that are not answered yet, those that wait among them."""
        return len(self._due) + len(self._waiting)

    def ask(self, due: float) -> None:
        """Send a request, or let it wait where too many are under way."""
        if len(self._due) >= _STREAMS:
            self._waiting.append(due)
            return
        self._due[self._next_id] = due
        self._out.append(frame(HEADERS, END_HEADERS | END_STREAM, self._next_id, self.fields))
        self._next_id += 2

    def take(self) -> bytes:
        """Bytes to send."""
        out, self._out = b"".join(self._out), []
        return out

    def put_back(self, data: bytes) -> None:
        """Bytes that could not be sent yet."""
        if data:
            self._out.insert(0, data)

    def take_refused(self) -> list[float]:
        """When those requests were due that wait on a connection that takes none."""
        refused = list(self._waiting)
        self._waiting.clear()
        return refused

    def feed(self, data: bytes, now: float) -> None:
        """Bytes from the server."""
        data = self._unread + data
        at, end, unpack = 0, len(data), HEADER.unpack_from
        while end - at >= FRAME_HEADER:
            high, low, kind, flags, stream_id = unpack(data, at)
            start = at + FRAME_HEADER
            stop = start + (high << 8 | low)
            if stop > end:
                break
            if not stream_id:
                self._control(kind, flags, data[start:stop])
            elif kind == RST_STREAM:
                self._ended(stream_id, now, well=False)
            else:
                if kind == HEADERS and data[start] != _STATUS_200:
                    self.errors += is_failure(data[start:stop])
                if flags & END_STREAM and kind <= HEADERS:
                    self._ended(stream_id, now, well=True)
            at = stop
        self._unread = data[at:]

    def _ended(self, stream_id: int, now: float, *, well: bool) -> None:
        due = self._due.pop(stream_id, None)
        if due is None:
            return  # RST_STREAM behind END_STREAM (RFC 9113, 8.1)
        self.errors += not well
        self.answered.append((due, now))
        if self._waiting and not self.leaving:
            self.ask(self._waiting.popleft())

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == GOAWAY:
            self._told_to_leave(payload)
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._out.append(frame(kind, ACK, 0, payload if kind == PING else b""))

    def _told_to_leave(self, payload: bytes) -> None:
        """Streams above the last one are as if they had never been (RFC 9113, 6.8)."""
        if code := int.from_bytes(payload[4:8], "big"):
            raise LoadFailed(f"the server ended the connection, error {code}")
        self.leaving = True
        last = int.from_bytes(payload[:4], "big")
        for stream_id in [stream_id for stream_id in self._due if stream_id > last]:
            self._waiting.append(self._due.pop(stream_id))


def is_failure(section: bytes) -> bool:
    """Whether a header section begins with another status than 200, as far as its bytes tell.

    Indexed fields and literals of the static table do (RFC 7541, 6.1, 6.2 and appendix A); the
    dynamic table does not, and h2load has looked at every status before.
    """
    if section[0] in _OTHER_STATUS:
        return True
    return section[0] in _STATUS_LITERAL and not section[1:].startswith(_TWO_HUNDRED)


@dataclass(slots=True)
class Generator:
    """Connections to one server, asked in turn; those that a server ends are replaced.

    Attributes:
        talks: Of all connections, those that have ended too.
        late: How long after they were due requests were sent.
    """

    port: int
    path: str
    tls: bool
    selector: selectors.BaseSelector
    talks: list[Talk] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    _slots: list[tuple[socket.socket, Talk]] = field(default_factory=list)

    def connect(self, count: int) -> None:
        for _ in range(count):
            self._slots.append(self._dial())

    def _dial(self) -> tuple[socket.socket, Talk]:
        authority = f"127.0.0.1:{self.port}".encode()
        peer = dial(self.port, tls=self.tls)
        peer.setblocking(False)
        talk = Talk(request_fields(authority, self.path.encode(), tls=self.tls))
        self.selector.register(peer, selectors.EVENT_READ, talk)
        self.talks.append(talk)
        return peer, talk

    def run(self, due: Sequence[float], clock: Callable[[], float]) -> None:
        """Ask when requests are due, until all are answered or patience ends.

        Args:
            due: Seconds from now on, ascending.
        """
        begin, at, slots = clock(), 0, len(self._slots)
        until = begin + due[-1] + _PATIENCE
        while (now := clock()) < until:
            while at < len(due) and begin + due[at] <= now:
                self._slots[at % slots][1].ask(begin + due[at])
                self.late.append(now - begin - due[at])
                at += 1
            self._flush()
            # The load has its core for itself: waking up would cost more than waiting awake.
            for key, _ in self.selector.select(0):
                self._read(key.fileobj, key.data, clock)
            if at == len(due) and not any(talk.open for _, talk in self._slots):
                return

    def _flush(self) -> None:
        for number, (peer, talk) in enumerate(self._slots):
            if talk.leaving:
                self._replace(number)
            elif data := talk.take():
                talk.put_back(data[send(peer, data) :])

    def _replace(self, number: int) -> None:
        """The old connection's answers are still read; what it refused is asked anew."""
        _, old = self._slots[number]
        self._slots[number] = self._dial()
        for due in old.take_refused():
            self._slots[number][1].ask(due)

    def _read(self, peer: object, talk: Talk, clock: Callable[[], float]) -> None:
        assert isinstance(peer, socket.socket)
        while (data := receive(peer)) is not None:
            if not data:
                if talk.open:
                    raise LoadFailed(f"the server hung up on {talk.open} requests")
                self.selector.unregister(peer)
                peer.close()
                return
            talk.feed(data, clock())

    def close(self) -> None:
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def run_latency(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Find the peak, then ask at half of that rate.

    Raises:
        LoadFailed: The server hung up, or answered too little.
    """
    peak = run_h2load(replace(scenario, streams=_STREAMS), server, _PEAK_SECONDS)
    server.served += peak.done
    rate = min(SHARE * peak.rate, LIMIT)
    due = arrivals(rate, _WARM_UP + seconds, seed=1)
    before = server.processor_seconds()
    with selectors.DefaultSelector() as selector:
        generator = Generator(server.port, scenario.path, scenario.tls, selector)
        try:
            generator.connect(scenario.connections)
            begin = time.perf_counter()
            generator.run(due, time.perf_counter)
        except OSError as error:
            raise LoadFailed(f"the connection failed: {error}") from error
        finally:
            generator.close()
    used = server.processor_seconds() - before
    return replace(summary(generator, len(due), begin + _WARM_UP, seconds), processor=used)


def summary(generator: Generator, asked: int, since: float, seconds: float) -> Sample:
    """Figures of the requests that were due after `since`.

    Args:
        asked: Requests, those before `since` among them.

    Raises:
        LoadFailed: One in a hundred or more was never answered.
    """
    answered = [answer for talk in generator.talks for answer in talk.answered]
    lost = asked - len(answered)
    if lost * 100 >= asked:
        raise LoadFailed(f"{lost} of {asked} requests were not answered in time")
    taken = sorted(now - due for due, now in answered if due >= since)
    return Sample(
        rate=len(taken) / seconds,
        done=len(answered),
        errors=lost + sum(talk.errors for talk in generator.talks),
        data=0,
        p50=percentile(taken, 0.5),
        p99=percentile(taken, 0.99),
        late=percentile(sorted(generator.late), 0.99),
    )
