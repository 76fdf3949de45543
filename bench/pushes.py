"""Counts pushed responses: a client in plain Python that is faster than any server pushes.

h2load refuses pushes, and nghttp cannot run for a time. This client decodes no header section and
sends the same one again and again, so that a frame costs it half a microsecond; it reads frames'
headers (RFC 9113, 4.1) and counts streams that end. Cleartext only. Called by `rounds`.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Final

from bench.apps.content import ASSET, ASSETS
from bench.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADER,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    frame,
    request_fields,
    window_update,
)
from bench.sample import LoadFailed, Sample
from bench.scenarios import Scenario
from bench.servers import RunningServer

# Before the window can run dry; streams' own windows hold a page or an asset.
_TOP_UP: Final = 2**28
_CHUNK: Final = 256 * 1024
_TIMEOUT: Final = 5.0


@dataclass(slots=True)
class Walker:
    """The client's side of one connection: bytes in, bytes out, counters.

    A page counts as done with its last push, and only then is the next one asked for: so a server
    never has more pushes under way than ten times the pages.

    Attributes:
        fields: Of each request, encoded.
        done: Pushed responses that ended well.
        errors: Pushes that were reset or never promised.
        data: Bytes of pushed bodies.
        goaway: The error code with which the server ended the connection, None until then.
    """

    fields: bytes
    done: int = 0
    errors: int = 0
    data: int = 0
    goaway: int | None = None
    _next_id: int = 1
    _unread: bytes = b""
    _received: int = 0
    _out: list[bytes] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)
    """Page's stream -> streams that it still waits for, itself among them."""
    _promised: dict[int, int] = field(default_factory=dict)
    """Page's stream -> pushes promised so far."""
    _parents: dict[int, int] = field(default_factory=dict)
    """Promised stream -> page's stream."""

    def start(self, pages: int) -> bytes:
        """The client's preface, and requests for that many pages."""
        self._out += [PREFACE, frame(SETTINGS, 0, 0), window_update(MAX_WINDOW - 65535)]
        for _ in range(pages):
            self._ask()
        return self.take()

    def take(self) -> bytes:
        """Bytes to send."""
        out, self._out = b"".join(self._out), []
        return out

    def feed(self, data: bytes) -> None:
        """Bytes from the server."""
        data = self._unread + data
        at, end, unpack = 0, len(data), HEADER.unpack_from
        while end - at >= FRAME_HEADER:
            high, low, kind, flags, stream_id = unpack(data, at)
            start = at + FRAME_HEADER
            stop = start + (high << 8 | low)
            if stop > end:
                break
            if kind <= HEADERS:
                if kind == DATA:
                    self._count_data(stream_id, stop - start)
                if flags & END_STREAM:
                    self._stream_ended(stream_id, True)
            elif kind == PUSH_PROMISE:
                first = start + 1 if flags & PADDED else start
                self._promise(stream_id, int.from_bytes(data[first : first + 4], "big"))
            else:
                self._control(kind, flags, stream_id, data[start:stop])
            at = stop
        self._unread = data[at:]

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            self._stream_ended(stream_id, False)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._out.append(frame(kind, ACK, 0, payload if kind == PING else b""))

    def _count_data(self, stream_id: int, length: int) -> None:
        self._received += length
        if stream_id % 2 == 0:
            self.data += length
        if self._received >= _TOP_UP:
            self._out.append(window_update(self._received))
            self._received = 0

    def _ask(self) -> None:
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self._open[stream_id], self._promised[stream_id] = 1, 0
        self._out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, self.fields))

    def _promise(self, page: int, promised_id: int) -> None:
        self._parents[promised_id] = page
        self._promised[page] += 1
        self._open[page] += 1

    def _stream_ended(self, stream_id: int, well: bool, /) -> None:
        page = self._parents.pop(stream_id, stream_id)
        if page not in self._open:
            return  # RST_STREAM behind END_STREAM (RFC 9113, 8.1)
        if page != stream_id:
            self.done += well
            self.errors += not well
        self._open[page] -= 1
        if not self._open[page]:
            del self._open[page]
            self.errors += max(0, len(ASSETS) - self._promised.pop(page))
            self._ask()


@dataclass(slots=True)
class _Client:
    """Connections to one server, each with its walker; those that ended are kept for the sum."""

    port: int
    path: str
    pages: int
    selector: selectors.BaseSelector
    walkers: list[Walker] = field(default_factory=list)

    def connect(self) -> None:
        fields = request_fields(f"127.0.0.1:{self.port}".encode(), self.path.encode())
        walker = Walker(fields)
        self.walkers.append(walker)
        peer = socket.create_connection(("127.0.0.1", self.port), _TIMEOUT)
        self.selector.register(peer, selectors.EVENT_READ, (peer, walker))
        peer.sendall(walker.start(self.pages))

    def exchange(self, peer: socket.socket, walker: Walker) -> None:
        """Read what one connection has, and answer it."""
        data = peer.recv(_CHUNK)
        walker.feed(data)
        if walker.goaway == 0:
            # Some servers end a connection after so many requests; h2load opens another one, too.
            self.disconnect(peer)
            self.connect()
        elif walker.goaway or not data:
            raise LoadFailed(f"the server hung up, error {walker.goaway or 'unknown'}")
        else:
            peer.sendall(walker.take())

    def disconnect(self, peer: socket.socket) -> None:
        self.selector.unregister(peer)
        peer.close()

    def close(self) -> None:
        for key in list(self.selector.get_map().values()):
            self.disconnect(key.data[0])


def run_pushes(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Ask for pages with pushes for a time; the scenario says on how many connections.

    Raises:
        LoadFailed: The server hung up, said nothing for seconds, or pushed too little.
    """
    with selectors.DefaultSelector() as selector:
        client = _Client(server.port, scenario.path, scenario.streams, selector)
        try:
            for _ in range(scenario.connections):
                client.connect()
            took = _pump(client, seconds)
        except OSError as error:
            raise LoadFailed(f"the connection failed: {error}") from error
        finally:
            client.close()
    return _sum(client.walkers, took)


def _pump(client: _Client, seconds: float) -> float:
    """Read and answer until the time is over; how long it was."""
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        ready = client.selector.select(_TIMEOUT)
        if not ready:
            raise LoadFailed(f"silence for {_TIMEOUT:.0f} s")
        for key, _ in ready:
            client.exchange(*key.data)
    return passed


def _sum(walkers: list[Walker], took: float) -> Sample:
    done = sum(walker.done for walker in walkers)
    errors = sum(walker.errors for walker in walkers)
    data = sum(walker.data for walker in walkers)
    if not done:
        raise LoadFailed(f"no push arrived, {errors} were missing or reset")
    if data < done * len(ASSET):
        raise LoadFailed(f"a push has {data / done:g} bytes, not {len(ASSET)}")
    return Sample(done / took, done, errors, data)
